"""A provider's embeddings, told to the client in the client's own dialect: held whole, checked, and then shown."""

from typing import TYPE_CHECKING, Final

from chatvault.core.errors import UpstreamError
from chatvault.core.seam import Fault, Head
from chatvault.gateway.embedding_translation import EmbeddingTranslation
from chatvault.wire.hub.embedding import EmbeddingReply
from chatvault.wire.openai.reply import Facts

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_MOST_HELD: Final = 256 << 20
"""Bytes of an answer that are held: 2,048 vectors of 4,096 numbers, each of 20 digits, with room to spare."""
_JSON: Final = (b"content-type", b"application/json")
_REPLACED: Final = frozenset((b"content-type", b"content-encoding", b"cache-control"))


class EmbeddingRelay:
    """The `Answer` of an attempt at embeddings whose provider speaks another dialect than the client."""

    __slots__ = ("_call", "_head", "_parts", "_size", "_translation")

    def __init__(self, call: "Call", translation: EmbeddingTranslation) -> None:
        self._call = call
        self._translation = translation
        self._head: Head | None = None
        self._parts: list[bytes] = []
        self._size = 0

    def head(self, head: Head) -> None:
        self._head = head

    def body(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > _MOST_HELD:
            self._call.attempt_failed(Fault("protocol_error", f"an answer of over {_MOST_HELD} bytes"))

    def end(self) -> None:
        call, translation, head = self._call, self._translation, self._head
        assert head is not None
        body = b"".join(self._parts)
        call.first_byte()
        if head.status >= 400:
            refusal = translation.answering.read_error(head.status, body)
            call.outcome.detail = refusal.message
            self._show(head, translation.asked.write_error(refusal, head.status))
            return
        try:
            reply = translation.answering.read_reply(body)
            _check_count(reply, len(translation.request.inputs))
            said = translation.asked.write_reply(reply, translation.request, model=translation.public)
        except ValueError as error:
            self._no_answer(f"{error}; it began: {body[:200].decode(errors='replace')}")
            return
        call.outcome.facts = Facts(usage=reply.usage, model=reply.model)
        self._show(head, said)

    def fault(self, fault: Fault) -> None:
        self._call.attempt_failed(fault)

    def _no_answer(self, detail: str) -> None:
        call, dialect = self._call, self._translation.answering.name
        error = UpstreamError(
            f"The provider '{call.provider_name}' answered with something that is not {dialect}, or not with a vector "
            "for each text. Check its base URL, its kind and the model.",
            code="upstream_not_json",
        )
        call.outcome.code = error.code
        call.outcome.detail = detail
        call.fail("upstream_error", error)

    def _show(self, head: Head, body: bytes) -> None:
        kept = [pair for pair in head.headers if pair[0] not in _REPLACED]
        self._call.keep_body(body)
        self._call.finish_whole(Head(head.status, [*kept, _JSON], None), body)


def _check_count(reply: EmbeddingReply, wanted: int) -> None:
    """Raises ValueError: a client would put vectors to the wrong texts."""
    if len(reply.vectors) != wanted:
        raise ValueError(f"{len(reply.vectors)} vectors for {wanted} texts")
