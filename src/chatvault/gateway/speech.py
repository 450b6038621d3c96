"""How the relays read answers in a dialect, and how the gateway's own errors are told in it. One row a dialect."""

from collections.abc import Callable
from typing import Final

import msgspec

from chatvault.core.errors import ChatVaultError
from chatvault.wire.anthropic.dialect import MESSAGES
from chatvault.wire.anthropic.reply import Learner
from chatvault.wire.anthropic.request import read as anthropic_request
from chatvault.wire.anthropic.tap import MessagesTap
from chatvault.wire.bedrock.dialect import CONVERSE
from chatvault.wire.gemini.array import ArraySplitter
from chatvault.wire.gemini.dialect import GEMINI, GEMINI_ARRAY
from chatvault.wire.gemini.embeddings import GEMINI_EMBED
from chatvault.wire.gemini.facts import read_facts as gemini_facts
from chatvault.wire.gemini.request import read as gemini_request
from chatvault.wire.gemini.tap import StreamTap as GeminiTap
from chatvault.wire.hub.dialect import AnsweringDialect, ConversationDialect
from chatvault.wire.hub.embedding import EmbeddingDialect
from chatvault.wire.json_fields import Body
from chatvault.wire.json_value import decode
from chatvault.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE
from chatvault.wire.ollama.embeddings import OLLAMA_EMBED, OLLAMA_EMBEDDINGS
from chatvault.wire.ollama.facts import read_facts as ollama_facts
from chatvault.wire.ollama.lines import LineSplitter
from chatvault.wire.ollama.request import read as ollama_request
from chatvault.wire.ollama.request import read_embedding as ollama_embedding
from chatvault.wire.ollama.tap import StreamTap as OllamaTap
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.completions.dialect import CompletionsDialect
from chatvault.wire.openai.embeddings import OPENAI_EMBEDDINGS
from chatvault.wire.openai.errors import error_body, error_event
from chatvault.wire.openai.reply import Facts, read
from chatvault.wire.openai.request import read as openai_request
from chatvault.wire.openai.responses.dialect import ResponsesDialect
from chatvault.wire.openai.stream import StreamTap
from chatvault.wire.sse import EventSplitter
from chatvault.wire.tap import AskedFields, Splitter, Tap


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """A dialect as a provider is asked in it. `hub` and `embedding` are None where nothing is translated."""

    dialect: str
    hub: AnsweringDialect | None = None
    embedding: EmbeddingDialect | None = None
    family: str = "openai"
    """Whose API it belongs to: what stands before the dialect's dot."""


class Speech(Spoken, frozen=True, kw_only=True):
    """A dialect that clients ask in, too. `read_reply` raises ValueError for what is not the dialect."""

    read_request: Callable[[Body], AskedFields]
    read_reply: Callable[[bytes], Facts]
    tap: Callable[[bool], Tap]
    splitter: Callable[[], Splitter]
    error_body: Callable[[ChatVaultError], bytes]
    error_event: Callable[[ChatVaultError], bytes]
    stream_type: bytes = b"text/event-stream"
    hub: ConversationDialect | None = None


def _openai_facts(body: bytes) -> Facts:
    facts = Facts()
    facts.learn(read(body))
    return facts


def _openai(dialect: str, hub: ConversationDialect | None = None) -> Speech:
    return Speech(
        dialect=dialect,
        read_request=openai_request,
        read_reply=_openai_facts,
        tap=lambda hide: StreamTap(hide=hide),
        splitter=EventSplitter,
        error_body=error_body,
        error_event=lambda error: error_event(error, dialect),
        hub=hub,
    )


def _messages_facts(body: bytes) -> Facts:
    values = decode(body)
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    learner = Learner()
    learner.learn(values)
    return learner.facts


def _gemini(
    dialect: str, hub: ConversationDialect, splitter: Callable[[], Splitter], stream_type: bytes
) -> Speech:
    return Speech(
        dialect=dialect,
        family="gemini",
        read_request=gemini_request,
        read_reply=gemini_facts,
        tap=lambda hide: GeminiTap(),
        splitter=splitter,
        error_body=lambda error: hub.write_error(error, error.http_status),
        error_event=hub.write_error_event,
        stream_type=stream_type,
        hub=hub,
    )


def _ollama(dialect: str, hub: ConversationDialect) -> Speech:
    return Speech(
        dialect=dialect,
        family="ollama",
        read_request=ollama_request,
        read_reply=ollama_facts,
        tap=lambda hide: OllamaTap(),
        splitter=LineSplitter,
        error_body=lambda error: hub.write_error(error, error.http_status),
        error_event=hub.write_error_event,
        stream_type=b"application/x-ndjson",
        hub=hub,
    )


def _embedding(of: Speech, dialect: str, embedding: EmbeddingDialect, **changes: object) -> Speech:
    """Embeddings of the same family: read and refused as its conversations are."""
    return msgspec.structs.replace(of, dialect=dialect, hub=None, embedding=embedding, **changes)


OPENAI: Final = _openai("openai")
"""For everything that has no row of its own."""
_GEMINI: Final = _gemini("gemini.generate", GEMINI, EventSplitter, b"text/event-stream")
_OLLAMA: Final = _ollama("ollama.chat", OLLAMA)
SPEECHES: Final = {
    speech.dialect: speech
    for speech in (
        _openai("openai.chat", ChatDialect()),
        _openai("openai.responses", ResponsesDialect()),
        _openai("openai.completions", CompletionsDialect()),
        _embedding(OPENAI, "openai.embeddings", OPENAI_EMBEDDINGS),
        _GEMINI,
        _gemini("gemini.array", GEMINI_ARRAY, ArraySplitter, b"application/json"),
        _embedding(_GEMINI, "gemini.embed", GEMINI_EMBED),
        _OLLAMA,
        _ollama("ollama.generate", OLLAMA_GENERATE),
        _embedding(_OLLAMA, "ollama.embed", OLLAMA_EMBED, read_request=ollama_embedding),
        _embedding(_OLLAMA, "ollama.embeddings", OLLAMA_EMBEDDINGS, read_request=ollama_embedding),
        Speech(
            dialect="anthropic.messages",
            family="anthropic",
            read_request=anthropic_request,
            read_reply=_messages_facts,
            tap=lambda hide: MessagesTap(),
            splitter=EventSplitter,
            error_body=lambda error: MESSAGES.write_error(error, error.http_status),
            error_event=MESSAGES.write_error_event,
            hub=MESSAGES,
        ),
    )
}

SPOKEN: Final[dict[str, Spoken]] = {
    **SPEECHES,
    CONVERSE.name: Spoken(dialect=CONVERSE.name, family="bedrock", hub=CONVERSE),
}
"""All that providers can be asked in."""


def speech_of(dialect: str) -> Speech:
    """The row of a dialect; a relative of one shares its errors."""
    speech = SPEECHES.get(dialect)
    if speech is not None:
        return speech
    family = dialect.partition(".")[0]
    return next((each for each in SPEECHES.values() if each.family == family and family != "openai"), OPENAI)
