"""What is left of a token's limits, told in the header fields of the API that the client speaks."""

from functools import lru_cache
from typing import Final

from chatvault.access.limiter import Left
from chatvault.access.limits import Unit
from chatvault.core.clock import iso

_UNITS: Final[tuple[Unit, ...]] = ("requests", "tokens")
OURS: Final = (b"x-ratelimit-", b"anthropic-ratelimit-")
"""A provider's own fields that begin so say what is left of the operator's account; they yield to the token's."""


Standing = tuple[Left | None, Left | None]
"""What is left of calls, and of tokens."""


def rate_lines(standing: Standing, family: str, wall_us: int) -> list[bytes]:
    """Of the tightest window of each unit. `wall_us` is microseconds since the epoch."""
    requests, tokens = standing
    if family == "anthropic":
        told = zip(_UNITS, standing, strict=True)
        return [_anthropic(unit, rest, wall_us) for unit, rest in told if rest is not None]
    lines = [_openai(_REQUESTS, requests)] if requests is not None else []
    if tokens is not None:
        lines.append(_openai(_TOKENS, tokens))
    return lines


_REQUESTS: Final = b"".join(
    b"x-ratelimit-%b-requests: %b\r\n" % pair
    for pair in ((b"limit", b"%d"), (b"remaining", b"%d"), (b"reset", b"%b"))
)
_TOKENS: Final = _REQUESTS.replace(b"requests", b"tokens")


def _openai(form: bytes, rest: Left) -> bytes:
    """https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers (seen 2026-11): `reset` is the time
    until all of it is free again, as in `6m0s`."""
    most, free, reset = rest
    return form % (most, free, _whole(int(reset)) if reset >= 60 else duration(reset).encode())


@lru_cache(4096)
def _whole(seconds: int) -> bytes:
    return duration(seconds).encode()


def _anthropic(unit: Unit, rest: Left, wall_us: int) -> bytes:
    """https://docs.anthropic.com/en/api/rate-limits#response-headers (seen 2026-11): `reset` is a moment, RFC 3339."""
    at = iso(wall_us + int(rest.reset * 1_000_000))[:19]
    prefix = f"anthropic-ratelimit-{unit}"
    return (
        f"{prefix}-limit: {rest.most}\r\n{prefix}-remaining: {rest.left}\r\n{prefix}-reset: {at}Z\r\n"
    ).encode()


def duration(seconds: float) -> str:
    """As OpenAI writes it: `250ms`, `59.5s`, `6m0s`, `1h2m3s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s"
