"""What a provider's fault means for the call: the state on record, and what the client is told. A table, and
nothing else."""

from typing import Final

from chatvault.core.errors import UpstreamError
from chatvault.core.seam import Fault, FaultCode
from chatvault.core.states import State

_TABLE: Final[dict[FaultCode, tuple[State, int, str, str]]] = {
    "connect_failed": (
        "upstream_error",
        502,
        "upstream_unreachable",
        "cannot be reached. Check that it runs, and its base URL",
    ),
    "connect_timeout": (
        "upstream_error",
        504,
        "upstream_connect_timeout",
        "did not accept a connection in time",
    ),
    "tls_failed": (
        "upstream_error",
        502,
        "upstream_tls_failed",
        "has no certificate that is trusted here. See ca_file",
    ),
    "proxy_failed": (
        "upstream_error",
        502,
        "upstream_proxy_failed",
        "cannot be reached through the configured proxy",
    ),
    "stale_connection": (
        "upstream_error",
        502,
        "upstream_reset",
        "closed the connection before it answered. Try again",
    ),
    "reset": ("upstream_error", 502, "upstream_reset", "closed the connection before it answered. Try again"),
    "cut": (
        "upstream_cut",
        502,
        "upstream_cut",
        "ended its answer before it was whole. What came is not the full answer",
    ),
    "surplus": ("upstream_error", 502, "upstream_protocol_error", "sent more than it had announced"),
    "first_byte_timeout": ("upstream_error", 504, "upstream_timeout", "did not begin to answer in time"),
    "stalled": (
        "stalled",
        504,
        "upstream_stalled",
        "fell silent in the middle of its answer. What came is not the full answer",
    ),
    "total_timeout": ("upstream_error", 504, "upstream_timeout", "did not finish its answer in time"),
    "internal": (
        "gateway_error",
        500,
        "internal_error",
        "answered, but the gateway failed at it; its log says why",
    ),
    "protocol_error": (
        "upstream_error",
        502,
        "upstream_protocol_error",
        "did not answer in HTTP/1.1 as it should",
    ),
}

NOT_SENT: Final = frozenset(("connect_failed", "connect_timeout", "tls_failed", "proxy_failed"))
"""Faults after which no provider has seen the call."""


def upstream_error(fault: Fault, provider: str) -> tuple[State, UpstreamError]:
    """The state of a call that ends with this fault, and the error its client gets."""
    state, status, code, what = _TABLE[fault.code]
    return state, UpstreamError(f"The provider '{provider}' {what}.", code=code, status=status)
