"""Counting the tokens of a request in another dialect than it was asked in: Anthropic's `count_tokens` by Gemini's
`countTokens`, and the other way round.

Only these two have such an endpoint in their API. OpenAI's is of the Responses API alone, and no client asks for it.
"""

from typing import Final

import msgspec

from chatvault.config.snapshot import ProviderSnapshot
from chatvault.gateway.speech import SPEECHES, Speech, Spoken
from chatvault.gateway.translation import Retold, Translation, translate
from chatvault.wire.hub.dialect import AnsweringDialect, ConversationDialect
from chatvault.wire.hub.events import Failed
from chatvault.wire.json_fields import Body
from chatvault.wire.json_value import Values, decode, integer, obj, text

_OTHER: Final = {"anthropic": "gemini.generate", "gemini": "anthropic.messages"}
"""By the family of who asks: the dialect that the other one is told in."""
_COUNTED: Final = (
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "mcp_servers",
)  # fmt: skip
"""What Anthropic counts: https://docs.anthropic.com/en/api/messages-count-tokens (2026-11)."""
_WHOLE: Final = ("generateContentRequest", "generate_content_request")


class CountTranslation(Retold, frozen=True, kw_only=True, gc=False):
    """`asked` and `answering` are the two dialects."""

    asked: ConversationDialect
    answering: AnsweringDialect

    def retell(self, body: bytes) -> bytes:
        """The provider's count in the client's dialect. Raises ValueError for what is no count."""
        values = obj(decode(body)) or {}
        tokens = integer(values.get("totalTokens", values.get("input_tokens")))
        if tokens is None or tokens < 0:
            raise ValueError("there is no count in it")
        return told(self.asked.name, tokens)

    def retell_error(self, status: int, body: bytes) -> tuple[Failed, bytes]:
        failed = self.answering.read_error(status, body)
        return failed, self.asked.write_error(failed, status)


def told(dialect: str, tokens: int) -> bytes:
    """A count as a dialect tells it."""
    return msgspec.json.encode({"totalTokens" if dialect.startswith("gemini") else "input_tokens": tokens})


def unwrapped(body: Body) -> bytes:
    """The request whose tokens are to be counted; Gemini's may stand in a member of another."""
    raw = bytes(body)
    try:
        values = obj(decode(raw)) or {}
    except ValueError:
        return raw
    whole = next((found for name in _WHOLE if (found := obj(values.get(name))) is not None), None)
    if whole is None:
        return raw
    return msgspec.json.encode({name: value for name, value in whole.items() if name != "model"})


def other_counter(asked: Speech, provider: ProviderSnapshot, model: str | None) -> Speech | None:
    """The dialect in which a provider can count for a client that speaks another; None: it cannot."""
    other = SPEECHES[_OTHER[asked.family]]
    return other if other.family in provider.families(model) else None


def translate_count(
    asked: Speech,
    answering: Spoken,
    provider: ProviderSnapshot,
    body: Body,
    *,
    public: str,
    target: str,
    strict: bool,
) -> CountTranslation:
    """Raises ClientError (400) for a request that cannot be understood, or, if `strict`, not be carried whole."""
    whole = translate(
        asked, answering, provider, unwrapped(body), public=public, target=target, stream=False, strict=strict
    )
    path, written = _written(whole, answering, target, nested=provider.kind != "vertex")
    return CountTranslation(
        asked=whole.asked,
        answering=whole.answering,
        public=public,
        path=path,
        body=written,
        dropped=whole.dropped,
    )


def _written(whole: Translation, answering: Spoken, target: str, *, nested: bool) -> tuple[bytes, bytes]:
    """The path and the body. Vertex AI takes the parts of a request as they are, the Gemini API in one member:
    https://ai.google.dev/api/tokens, https://cloud.google.com/vertex-ai/docs/reference/rest (2026-11)."""
    values: Values = obj(decode(whole.body)) or {}
    if answering.family == "anthropic":
        kept = {name: value for name, value in values.items() if name in _COUNTED}
        return b"/messages/count_tokens", msgspec.json.encode(kept)
    path = whole.path.rpartition(b":")[0] + b":countTokens"
    if nested:
        model = text(values.get("model")) or f"models/{target.removeprefix('models/')}"
        values = {"generateContentRequest": {**values, "model": model}}
    return path, msgspec.json.encode(values)
