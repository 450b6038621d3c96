"""Embeddings that are answered in another dialect than they were asked in."""

import msgspec

from chatvault.gateway.speech import Speech, Spoken
from chatvault.gateway.translation import Retold, refuse_losses
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.embedding import EmbeddingDialect, EmbeddingRequest
from chatvault.wire.json_fields import Body


class EmbeddingTranslation(Retold, frozen=True, kw_only=True, gc=False):
    """`asked` and `answering` are the two dialects."""

    asked: EmbeddingDialect
    answering: EmbeddingDialect
    request: EmbeddingRequest


def translate_embedding(
    asked: Speech, answering: Spoken, body: Body, *, public: str, target: str, strict: bool
) -> EmbeddingTranslation:
    """Raises ClientError (400) for a request that cannot be understood, or, if `strict`, not be carried
    whole."""
    reader, writer = asked.embedding, answering.embedding
    assert reader is not None
    assert writer is not None
    request = msgspec.structs.replace(reader.read_request(bytes(body), model=public), model=target)
    dropped = Dropped()
    written = writer.write_request(request, dropped)
    if strict:
        refuse_losses(answering, dropped)
    return EmbeddingTranslation(
        asked=reader,
        answering=writer,
        request=request,
        public=public,
        path=writer.request_path(request),
        body=written,
        dropped=dropped.paths,
    )
