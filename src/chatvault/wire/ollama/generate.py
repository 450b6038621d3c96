"""What a client asked of `/api/generate`: one prompt, with a system prompt if it likes."""

from typing import Final

from chatvault.wire.hub.conversation import Conversation, Message
from chatvault.wire.hub.parts import AnyPart, Text
from chatvault.wire.json_value import decode_request, text
from chatvault.wire.ollama.messages_reader import invalid, read_images
from chatvault.wire.ollama.names import GENERATE
from chatvault.wire.ollama.request_reader import model_of, read_settings, stream_of

_READ: Final = frozenset(("model", "prompt", "system", "images", "stream", "format", "options", "think"))
_SAYS_NOTHING: Final = (b"false", b'""', b"[]")
"""Clients send `raw`, `template` and `context` so when they mean none."""


def read_request(body: bytes, *, model: str | None, stream: bool | None) -> Conversation:
    """Raises ClientError."""
    fields = decode_request(body)
    prompt, system = fields.get("prompt"), fields.get("system")
    if prompt is not None and not isinstance(prompt, str):
        raise invalid("prompt", "a string")
    values, extra = read_settings(fields, _READ)
    extra = {name: value for name, value in extra.items() if bytes(value) not in _SAYS_NOTHING}
    messages = []
    if isinstance(system, str) and system:
        messages.append(Message(role="system", parts=(Text(text=system, path="system"),), path="system"))
    parts: list[AnyPart] = [Text(text=text(prompt) or "", path="prompt")]
    parts += read_images(fields.get("images"), "images")
    messages.append(Message(role="user", parts=tuple(parts), path="prompt"))
    return Conversation(
        model=model_of(fields, model),
        messages=tuple(messages),
        stream=stream_of(fields, stream),
        origin=GENERATE,
        extra=extra,
        **values,  # type: ignore[arg-type]
    )
