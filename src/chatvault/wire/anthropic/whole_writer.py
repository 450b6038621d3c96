"""A whole answer of this dialect: the events of a stream, folded together the way Anthropic's own libraries do it."""

from collections.abc import Iterable

import msgspec

from chatvault.wire.anthropic.errors import write_error
from chatvault.wire.anthropic.reply_writer import ReplyWriting, failure_of, plain_message
from chatvault.wire.anthropic.tool_input import input_of
from chatvault.wire.hub.events import AnyEvent, TextDelta
from chatvault.wire.hub.plain_answer import plain_answer
from chatvault.wire.json_value import Values, encode, object_of, text_of


def write_reply(events: Iterable[AnyEvent], model: str) -> bytes:
    """A whole answer; an error's body where the provider reported one inside its answer."""
    plain = plain_answer(events) if type(events) is list else None
    if plain is not None and plain.finished.reason != "error":
        return encode(plain_message(plain, model))
    writing, message = ReplyWriting(model), Values()
    blocks: list[_Folded] = []
    for event in events:
        if type(event) is TextDelta and writing.plain(event) is not None:
            blocks[-1].texts.append(event.text)
            continue
        failed = failure_of(event)
        if failed is not None:
            return write_error(failed, None)
        for values in writing.event(event):
            _fold(message, blocks, values)
    message["content"] = [block.done() for block in blocks]
    return encode(message)


class _Folded(msgspec.Struct, gc=False):
    """A block as its deltas make it."""

    block: Values
    texts: list[str]
    inputs: list[str]

    def done(self) -> Values:
        block = self.block
        if self.texts:
            name = "thinking" if block["type"] == "thinking" else "text"
            block[name] = text_of(block.get(name)) + "".join(self.texts)
        if self.inputs:
            block["input"] = input_of("".join(self.inputs))
        return block


def _fold(message: Values, blocks: list[_Folded], values: Values) -> None:
    match values["type"]:
        case "message_start":
            message |= object_of(values["message"])
        case "content_block_start":
            blocks.append(_Folded(object_of(values["content_block"]), [], []))
        case "content_block_delta":
            _fold_delta(blocks[-1], object_of(values["delta"]))
        case "message_delta":
            message |= object_of(values["delta"])
            message["usage"] = object_of(message["usage"]) | object_of(values["usage"])


def _fold_delta(folded: _Folded, delta: Values) -> None:
    match delta["type"]:
        case "text_delta":
            folded.texts.append(text_of(delta["text"]))
        case "thinking_delta":
            folded.texts.append(text_of(delta["thinking"]))
        case "input_json_delta":
            folded.inputs.append(text_of(delta["partial_json"]))
        case "signature_delta":
            folded.block["signature"] = delta["signature"]
        case "citations_delta":
            cited = folded.block.setdefault("citations", [])
            assert isinstance(cited, list)  # only we put one there
            cited.append(delta["citation"])
