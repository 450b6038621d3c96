"""Where a request is heading: all that its head alone decides, found out once for a head that comes again."""

from typing import Final

from chatvault.core.errors import ClientError
from chatvault.gateway.outbound import credential, leaks
from chatvault.gateway.routes import BodyKind, Endpoint, find_endpoint
from chatvault.gateway.speech import OPENAI, Speech, speech_of
from chatvault.gateway.trace import trace_id
from chatvault.gateway.upstreams import Upstream
from chatvault.wire.http_head import RequestHead

_FOR: Final = b"100-continue"


class Heading:
    """`head` is the request's but for the length of its body, which is the only part that may differ from one
    request to the next."""

    __slots__ = (
        "_kind", "agent", "credential", "digest", "endpoint", "head", "leaks", "origin", "outbound", "pepper", "plain",
        "speech", "trace",
    )  # fmt: skip

    def __init__(self, head: RequestHead) -> None:
        fields = head.fields
        self.head = head
        self.endpoint: Endpoint | None = None
        if head.method != b"OPTIONS":
            self.endpoint = find_endpoint(head.method, head.path, head.query)
        self.speech: Speech = speech_of(self.endpoint.dialect) if self.endpoint is not None else OPENAI
        """The dialect that the client speaks."""
        self.credential = credential(head)
        self.leaks = leaks(head)
        """A token stands in the query."""
        self.digest = self.pepper = b""
        """The credential's keyed digest, and the key; `Grants` fills them in."""
        self.trace = trace_id(fields.get(b"traceparent"))
        self.agent = fields.get(b"user-agent")
        self.origin = fields.get(b"origin")
        self.plain = b"content-encoding" not in fields
        """The body comes as it is."""
        self.outbound: tuple[Upstream, tuple[str | None, bool, bytes], bytes] | None = None
        """The head as it went upstream the last time, but for what differs from one request to the next: where to,
        for which model there, whether streamed, from which gateway, its bytes."""
        self._kind: BodyKind | None = None

    def body_kind(self, length: int | None) -> BodyKind:
        """How the request's body is taken in: `json` is held and read, `upload` streamed. Raises ClientError (415,
        417)."""
        kind = self._kind
        if kind is None:
            kind = self._kind_of_body()
            if kind != "any":
                self._kind = kind
        if kind == "any":
            return "json" if length == 0 else "upload"
        return kind

    def _kind_of_body(self) -> BodyKind:
        """`any`: an empty body is read, another one streamed."""
        fields, endpoint = self.head.fields, self.endpoint
        assert endpoint is not None
        content_type = fields.get(b"content-type", b"").lower()
        if fields.get(b"expect", _FOR).lower() != _FOR:
            raise ClientError(
                "This expectation is not supported. Send Expect: 100-continue or none.",
                code="expectation_failed",
                status=417,
            )
        if endpoint.body == "any" and content_type.startswith(b"application/json"):
            return "json"
        if endpoint.body == "json" and content_type.startswith(b"multipart/"):
            raise ClientError(
                "This endpoint takes JSON. Send content-type: application/json.",
                code="unsupported_media_type",
                status=415,
            )
        return endpoint.body
