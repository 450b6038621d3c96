"""The head fields of an answer: the provider's that pass, and the gateway's own behind them."""

from time import perf_counter
from typing import TYPE_CHECKING

from chatvault.access.limiter import MICRO
from chatvault.core.seam import Head
from chatvault.gateway import local
from chatvault.gateway.answers import passed
from chatvault.gateway.rate_headers import OURS, rate_lines

if TYPE_CHECKING:
    from chatvault.gateway.call import Call


def head_lines(call: "Call", head: Head | None) -> list[bytes]:
    """`head` is the provider's; None for an answer of the gateway's own."""
    lines = passed(head.headers) if head is not None else []
    if call.sent_at:
        spent = (call.sent_at - call.began) * 1e3
        waited = ((call.first_at or perf_counter()) - call.sent_at) * 1e3
        lines.append(
            b"x-request-id: %b\r\nserver-timing: gateway;dur=%.3f, upstream;dur=%.3f\r\n"
            % (call.id.encode(), spent, waited)
        )
    else:
        lines.append(b"x-request-id: %b\r\n" % call.id.encode())
    if call.admitted is not None and call.admitted.translation is not None:
        dropped = call.admitted.translation.header()
        if dropped is not None:
            lines.append(b"x-chatvault-dropped: %s\r\n" % dropped)
    held = call.held_of
    if held is not None and held.meters:
        if head is not None:
            lines = [line for line in lines if not line.startswith(OURS)]
        lines += rate_lines(held.left(int(perf_counter() * MICRO)), call.speech.family, call.at)
    if call.heading.origin is not None:
        lines += local.cors_lines(call, call.heading.origin)
    return lines
