"""A call that is answered in another dialect than it was asked in: through the hub, with a list of what was
dropped."""

from functools import lru_cache
from typing import Final

import msgspec

from chatvault.config.snapshot import ProviderSnapshot
from chatvault.core.errors import ClientError
from chatvault.gateway.speech import SPOKEN, Speech, Spoken
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dialect import AnsweringDialect, ConversationDialect
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.json_fields import Body
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.chat.quirks import ChatQuirks

_STATEFUL: Final = ("previous_response_id", "conversation", "prompt", "background", "thread")
"""Fields of a request that mean something only where the rest of it is kept."""
_UNSET: Final = frozenset((b"null", b"false"))
_MAX_SHOWN: Final = 2048
"""Bytes of the header that lists what was dropped."""


_FORMS: Final = {
    "gemini.array": "gemini.generate",
    "ollama.generate": "ollama.chat",
    "ollama.embeddings": "ollama.embed",
}
"""Other forms of a dialect: who speaks the one speaks the other."""


class Retold(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request in the provider's dialect; `path` is where it takes it, below its base URL."""

    public: str
    """The model's public name."""
    path: bytes
    body: bytes
    dropped: tuple[str, ...]

    def header(self) -> bytes | None:
        """The value of `x-chatvault-dropped`, None where nothing was."""
        if not self.dropped:
            return None
        return ", ".join(self.dropped).encode("ascii", "replace")[:_MAX_SHOWN]


class Translation(Retold, frozen=True, kw_only=True, gc=False):
    """`asked` and `answering` are the two dialects."""

    asked: ConversationDialect
    answering: AnsweringDialect
    conversation: Conversation


def _for_provider(dialect: AnsweringDialect | None, provider: ProviderSnapshot) -> AnsweringDialect | None:
    """The dialect with the provider's quirks."""
    if not isinstance(dialect, ChatDialect):
        return dialect
    return _chat(provider.stream_usage, provider.kind == "openrouter")


@lru_cache(maxsize=4)
def _chat(stream_usage: bool, router: bool) -> ChatDialect:
    return ChatDialect(ChatQuirks(stream_usage=stream_usage, caches=router, top_k=router))


def answering_dialect(asked: Speech, provider: ProviderSnapshot, model: str | None) -> Spoken | None:
    """The dialect a provider is asked in, for a model of it: the client's own where it speaks it, else the one it
    prefers. None: there is none that the client's can be translated to."""
    dialects = provider.dialects_of(model)
    if not dialects or _FORMS.get(asked.dialect, asked.dialect) in dialects:
        return asked
    for dialect in dialects:
        speech = SPOKEN.get(dialect)
        if speech is not None and _related(asked, speech):
            return speech
    if asked.embedding is not None and asked.family in _families(provider, model):
        return asked  # it may have them, though its documents do not say so
    return None


def _families(provider: ProviderSnapshot, model: str | None) -> tuple[str, ...]:
    return provider.families(model) or ("openai",)


def _related(one: Spoken, other: Spoken) -> bool:
    """Whether both are dialects of the same hub."""
    return (one.hub is not None and other.hub is not None) or (
        one.embedding is not None and other.embedding is not None
    )


def translate(
    asked: Speech,
    answering: Spoken,
    provider: ProviderSnapshot,
    body: Body,
    *,
    public: str,
    target: str,
    stream: bool | None,
    strict: bool,
) -> Translation:
    """Raises ClientError (400) for a request that cannot be understood, or, if `strict`, not be carried
    whole."""
    reader, writer = asked.hub, _for_provider(answering.hub, provider)
    assert reader is not None
    assert writer is not None
    dropped = Dropped()
    try:
        conversation = reader.read_request(bytes(body), model=target, stream=stream)
        if conversation.extra:
            _refuse_references(asked, answering, conversation.extra)
        written = writer.write_request(conversation, dropped)
    except RecursionError:
        raise ClientError("The request body is nested too deep. Flatten it.", code="json_too_deep") from None
    if strict:
        refuse_losses(answering, dropped)
    return Translation(
        asked=reader,
        answering=writer,
        conversation=conversation,
        public=public,
        path=writer.request_path(conversation),
        body=written,
        dropped=dropped.paths,
    )


def _refuse_references(asked: Speech, answering: Spoken, extra: dict[str, msgspec.Raw]) -> None:
    for field in _STATEFUL:
        if field in extra and bytes(extra[field]) not in _UNSET:
            raise ClientError(
                f"The field '{field}' refers to what is kept at a provider that speaks {asked.dialect}, and this one "
                f"speaks {answering.dialect}. Send the whole conversation instead.",
                code="cannot_carry",
                param=field,
            )


def refuse_losses(answering: Spoken, dropped: Dropped) -> None:
    """Raises ClientError (400) if something was dropped."""
    if not dropped:
        return
    raise ClientError(
        f"The provider speaks {answering.dialect}, which cannot carry {', '.join(dropped.paths)}. "
        "Leave them out, or ask without x-chatvault-strict.",
        code="cannot_carry",
        param=dropped.paths[0],
    )
