"""The head of an answer."""

from http import HTTPStatus

import msgspec

from chatvault.fake.plan import Plan

COMMON = (
    b"openai-processing-ms: 1\r\nopenai-version: 2020-10-01\r\nx-ratelimit-limit-requests: 10000\r\n"
    b"x-ratelimit-remaining-requests: 9999\r\nx-ratelimit-reset-requests: 6ms\r\n"
)
REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What the head says, before the plan adds to it."""

    status: int
    content_type: str
    headers: tuple[tuple[str, str], ...]
    lengths: tuple[int, ...]
    chunked: bool
    close: bool
    request_id: str


def head_bytes(plan: Plan, head: Head) -> bytes:
    """The status line and the header lines, up to and with the empty line."""
    lines = [
        b"HTTP/%s %d %s\r\n" % (plan.version.encode(), head.status, REASONS.get(head.status, b"Unknown"))
    ]
    if plan.content_type:
        lines.append(b"content-type: %s\r\n" % head.content_type.encode())
    lines.extend(b"content-length: %d\r\n" % length for length in head.lengths)
    if head.chunked:
        lines.append(b"transfer-encoding: chunked\r\n")
    if plan.encoding or plan.bomb_mib:
        lines.append(
            b"content-encoding: deflate\r\n" if plan.encoding == "deflate" else b"content-encoding: gzip\r\n"
        )
    if head.close:
        lines.append(b"connection: close\r\n")
    lines.extend(f"{name}: {value}\r\n".encode("latin-1") for name, value in head.headers)
    lines.append(b"x-request-id: %s\r\n" % head.request_id.encode())
    lines.append(COMMON)
    if plan.retry_after is not None:
        lines.append(b"retry-after: %d\r\n" % plan.retry_after)
    if plan.set_cookie:
        lines.append(b"set-cookie: simulated=crumbs; Path=/; HttpOnly\r\n")
    if plan.header_kib:
        lines.append(b"x-simulated-filler: %s\r\n" % (b"x" * (1024 * plan.header_kib)))
    lines.append(b"\r\n")
    return b"".join(lines)
