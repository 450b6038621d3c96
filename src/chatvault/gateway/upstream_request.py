"""The request that goes to a provider: the client's own, or its translation, where the provider takes it."""

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from chatvault.core.clock import now_us
from chatvault.core.seam import Header, Request
from chatvault.gateway import hops
from chatvault.gateway.admission import Admitted
from chatvault.gateway.outbound import outbound_headers, outbound_query, translated_headers
from chatvault.gateway.reshaping import VERSION
from chatvault.gateway.routes import Endpoint, model_in_path
from chatvault.gateway.upstreams import Upstream
from chatvault.providers.bedrock import STYLE as BEDROCK
from chatvault.wire.http_head import RequestHead

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_NONE: Final[list[Header]] = []


def upstream_request(call: "Call", admitted: Admitted, upstream: Upstream) -> Request:
    """Made for each attempt anew. Raises GatewayError or UpstreamError where the provider's credential is not there."""
    head, endpoint, translation = call.head, call.endpoint, admitted.translation
    assert endpoint is not None
    style = upstream.provider.path_style
    if translation is None and admitted.version is None and style != BEDROCK and not upstream.signs:
        return _like_the_last(call, admitted, upstream)
    if translation is None:
        target = _passed_on(head, endpoint, admitted, upstream)
        if style == BEDROCK:
            # What it does not know of has no place in a signed request.
            headers = translated_headers(head, upstream.headers)
        else:
            headers = outbound_headers(head, upstream.headers, upstream.hidden)
        if admitted.version is not None:
            headers = [pair for pair in headers if pair[0] != VERSION]
            headers.append((VERSION, admitted.version))
    else:
        path, mark, query = translation.path.partition(b"?")
        target = upstream.below(path, mark + query, admitted.target, admitted.stream)
        headers = translated_headers(head, upstream.headers)
    headers.append((b"x-request-id", call.id.encode()))
    if not upstream.provider.vendor:
        headers.append(hops.field(head, call.worker.grants.hop))
    return upstream.signed(Request(head.method, target, headers, admitted.body, admitted.length), now_us())


def _like_the_last(call: "Call", admitted: Admitted, upstream: Upstream) -> Request:
    """A head that came again goes on as it went on before, but for the call's id."""
    heading, head = call.heading, call.head
    where = admitted.target, admitted.stream, call.worker.grants.hop
    last = heading.outbound
    if last is None or last[0] is not upstream or last[1] != where:
        assert heading.endpoint is not None
        target = _passed_on(head, heading.endpoint, admitted, upstream)
        headers = outbound_headers(head, upstream.headers, upstream.hidden)
        if not upstream.provider.vendor:
            headers.append(hops.field(head, where[2]))
        heading.outbound = last = upstream, where, upstream.pool.lines(head.method, target, headers)
    lines = b"%bx-request-id: %b\r\n" % (last[2], call.id.encode())
    return Request(head.method, b"", _NONE, admitted.body, admitted.length, lines)


def _passed_on(head: RequestHead, endpoint: Endpoint, admitted: Admitted, upstream: Upstream) -> bytes:
    """The request target of a call in the client's own dialect."""
    if endpoint.path:
        path = endpoint.path
    elif endpoint.in_path:
        _, verb = model_in_path(head.path)
        path = b"/models/%s:%s" % (quote(admitted.target or "", safe="").encode(), verb)
    elif admitted.family == "ollama":
        path = head.path
    else:
        return upstream.target(head.path, head.query, admitted.target, admitted.stream)
    return upstream.below(path, outbound_query(head.query), admitted.target, admitted.stream)
