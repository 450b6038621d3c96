"""What a record must know of an OpenAI answer, whole or an event of a stream: one mapping for both."""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from chatvault.core.usage import Usage
from chatvault.wire.json_fields import without_surrogates
from chatvault.wire.openai.usage import UsageShape, lenient_shape, normalise, reported_cost

_NONE: Final = msgspec.Raw(b"null")


class Choice(msgspec.Struct, gc=False):
    finish_reason: str | None = None
    error: msgspec.Raw = _NONE
    """OpenRouter says here why an answer broke off (https://openrouter.ai/docs/api-reference/errors, 2026-11)."""


class GroqExtra(msgspec.Struct, gc=False):
    """Groq puts a stream's usage here (https://console.groq.com/docs/api-reference, seen 2026-11)."""

    usage: UsageShape | None = None
    error: msgspec.Raw | None = None


class Action(msgspec.Struct, gc=False):
    type: str | None = None


class Item(msgspec.Struct, gc=False):
    """Of the `output` of `openai.responses`."""

    type: str | None = None
    action: Action | None = None


class Reply(msgspec.Struct, gc=False):
    """The fields of any OpenAI answer or event that matter. `response` is the answer inside an event of
    `openai.responses`.
    """

    type: str | None = None
    object: str | None = None
    model: str | None = None
    status: str | None = None
    choices: list[Choice] | None = None
    output: list[Item] | None = None
    usage: UsageShape | None = None
    error: msgspec.Raw | None = None
    x_groq: GroqExtra | None = None
    response: "Reply | None" = None


class Facts(msgspec.Struct, gc=False):
    """What is known of an answer. It grows as a stream goes on; later words of the provider replace earlier
    ones.
    """

    usage: Usage | None = None
    cost: int | None = None
    """Pico-dollars, the provider's own word."""
    model: str | None = None
    finish: str | None = None
    error: str | None = None
    """The provider's error object as JSON text."""

    def learn(self, reply: Reply) -> None:
        inner = reply.response or reply
        shape = inner.usage or (reply.x_groq.usage if reply.x_groq else None)
        if shape is not None:
            usage = normalise(shape)
            if usage is not None and inner.output and (searches := _searches(inner.output)):
                usage = msgspec.structs.replace(usage, searches=searches)
            self.usage = usage or self.usage
            cost = reported_cost(shape)
            self.cost = cost if cost is not None else self.cost
        if inner.model:
            self.model = inner.model
        if inner.choices:
            for choice in inner.choices:
                self.finish = choice.finish_reason or self.finish
                if choice.error is not _NONE:
                    self._fail(choice.error)
        if inner.status in _FINAL_STATUS:
            self.finish = inner.status
        for raw in (reply.error, inner.error, reply.x_groq.error if reply.x_groq else None):
            if raw is not None:
                self._fail(raw)

    def _fail(self, error: msgspec.Raw) -> None:
        if bytes(error) not in _NO_ERROR:
            self.error = bytes(error).decode(errors="replace")


def _searches(output: list[Item]) -> int:
    """To look at a page that was found costs no fee
    (https://platform.openai.com/docs/guides/tools-web-search, seen 2026-11)."""
    return sum(
        item.type == "web_search_call" and (item.action is None or item.action.type in (None, "search"))
        for item in output
    )


T = TypeVar("T")
_FINAL_STATUS: Final = frozenset(("completed", "failed", "incomplete", "cancelled"))
_NO_ERROR: Final = frozenset((b"null", b"{}", b'""', b"[]", b"false"))
_decode = msgspec.json.Decoder(Reply).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_choice = msgspec.json.Decoder(Choice).decode
_decode_item = msgspec.json.Decoder(Item).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read(body: bytes) -> Reply:
    """Raises ValueError for what is not one JSON object. A field of an unheard-of shape is passed over, the
    others are read.
    """
    try:
        return _decode(body)
    except msgspec.ValidationError:
        return _read_leniently(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except msgspec.DecodeError:
        text = without_surrogates(body)  # some providers cut an emoji in two
        if text is None:
            raise
        return read(text)


def _read_leniently(body: bytes) -> Reply:
    try:
        fields = _decode_fields(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    reply = Reply(
        type=_text(fields.get("type")),
        object=_text(fields.get("object")),
        model=_text(fields.get("model")),
        status=_text(fields.get("status")),
        choices=_choices(fields.get("choices")),
        output=_items(fields.get("output")),
        error=fields.get("error"),
    )
    if "usage" in fields:
        reply.usage = lenient_shape(fields["usage"])
    if bytes(fields.get("response", b"")).startswith(b"{"):
        reply.response = read(bytes(fields["response"]))
    if bytes(fields.get("x_groq", b"")).startswith(b"{"):
        extra = read(bytes(fields["x_groq"]))
        reply.x_groq = GroqExtra(extra.usage, extra.error)
    return reply


def _text(raw: msgspec.Raw | None) -> str | None:
    try:
        return _decode_text(raw) if raw is not None else None
    except msgspec.DecodeError:
        return None


def _items(raw: msgspec.Raw | None) -> list[Item] | None:
    found = _each(raw, _decode_item)
    return None if found is None else [item or Item() for item in found]


def _choices(raw: msgspec.Raw | None) -> list[Choice] | None:
    found = _each(raw, _decode_choice)
    return None if found is None else [choice or Choice() for choice in found]


def _each(raw: msgspec.Raw | None, decode: Callable[[msgspec.Raw], T]) -> list[T | None] | None:
    """What can be read of a list, each by itself."""
    try:
        raws = _decode_raws(raw) if raw is not None else None
    except msgspec.DecodeError:
        return None
    if raws is None:
        return None
    found: list[T | None] = []
    for each in raws:
        try:
            found.append(decode(each))
        except msgspec.DecodeError:
            found.append(None)
    return found
