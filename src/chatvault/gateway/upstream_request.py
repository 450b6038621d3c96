"""The request that goes to a provider: the client's own, or its translation, where the provider takes it."""

from typing import TYPE_CHECKING
from urllib.parse import quote

from chatvault.core.clock import now_us
from chatvault.core.seam import Request
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


def upstream_request(call: "Call", admitted: Admitted, upstream: Upstream) -> Request:
    """Made for each attempt anew. Raises GatewayError or UpstreamError where the provider's credential is not there."""
    head, endpoint, translation = call.head, call.endpoint, admitted.translation
    assert endpoint is not None
    if translation is None:
        target = _passed_on(head, endpoint, admitted, upstream)
        if (
            upstream.provider.path_style == BEDROCK
        ):  # what it does not know of has no place in a signed request
            headers = translated_headers(head, upstream.headers, call.id)
        else:
            headers = outbound_headers(head, upstream.headers, upstream.hidden, call.id)
        if admitted.version is not None:
            headers = [pair for pair in headers if pair[0] != VERSION]
            headers.append((VERSION, admitted.version))
    else:
        path, mark, query = translation.path.partition(b"?")
        target = upstream.below(path, mark + query, admitted.target, admitted.stream)
        headers = translated_headers(head, upstream.headers, call.id)
    if not upstream.provider.vendor:
        headers.append(hops.field(head, call.worker.grants.hop))
    return upstream.signed(Request(head.method, target, headers, admitted.body, admitted.length), now_us())


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
