"""The hub's messages in Ollama's words: one text a message, images beside it, calls with objects as
arguments.
"""

from chatvault.wire.call_ids import is_made
from chatvault.wire.hub.conversation import Conversation, Message
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import AnyPart, Media, Part, Refusal, Text, Thought, ToolCall, ToolResult
from chatvault.wire.hub.paths import message_path, part_path
from chatvault.wire.json_value import Values, decode
from chatvault.wire.ollama.names import DIALECT


class MessagesWriter:
    def __init__(self, conversation: Conversation, dropped: Dropped) -> None:
        self._conversation = conversation
        self._dropped = dropped
        self._own = conversation.origin == DIALECT
        self._names: dict[str, str] = {}

    def write(self) -> list[Values]:
        out: list[Values] = []
        for index, message in enumerate(self._conversation.messages):
            out += self._results(index, message)
            rest = self._message(index, message)
            if rest is not None:
                out.append(rest)
        return out

    def _results(self, index: int, message: Message) -> list[Values]:
        """Each result is a message of its own, before what else the user says."""
        out: list[Values] = []
        for at, part in enumerate(message.parts):
            if not isinstance(part, ToolResult):
                continue
            path = part_path(self._conversation, index, at)
            result: Values = {"role": "tool", "content": ""}
            texts, images = self._content(
                part.parts, [each.path or f"{path}.content[{i}]" for i, each in enumerate(part.parts)]
            )
            result["content"] = "\n".join(texts)
            if images:
                result["images"] = images
            name = part.name or (None if self._own else self._names.get(part.call))
            if name is not None:
                result["tool_name"] = name
            if not is_made(part.call):
                result["tool_call_id"] = part.call
            if part.failed:
                self._dropped.add(f"{path}.is_error")
            self._report(part, path)
            if len(message.parts) == 1:
                result.update(self._message_fields(index, message))
            out.append(result)
        return out

    def _message(self, index: int, message: Message) -> Values | None:
        parts = [
            (part, part_path(self._conversation, index, at))
            for at, part in enumerate(message.parts)
            if not isinstance(part, ToolResult)
        ]
        if not parts and message.parts:
            return None
        thoughts, calls = list[str](), list[Values]()
        said: list[AnyPart] = []
        paths: list[str] = []
        for part, path in parts:
            if isinstance(part, Thought):
                self._thought(part, path, thoughts)
            elif isinstance(part, ToolCall):
                self._names.setdefault(part.id, part.name)
                calls.append(self._call(part, path))
            else:
                said.append(part)
                paths.append(path)
        texts, images = self._content(said, paths)
        role = "system" if message.role == "developer" and not self._own else message.role
        out: Values = {"role": role, "content": "\n".join(texts)}
        if thoughts:
            out["thinking"] = "\n".join(thoughts)
        if images:
            out["images"] = images
        if calls:
            out["tool_calls"] = calls
        out.update(self._message_fields(index, message))
        return out

    def _content(
        self, parts: "list[AnyPart] | tuple[AnyPart, ...]", paths: list[str]
    ) -> tuple[list[str], list[str]]:
        """The texts and the images among `parts`; the rest is reported."""
        texts: list[str] = []
        images: list[str] = []
        for part, path in zip(parts, paths, strict=True):
            match part:
                case Text() | Refusal():
                    texts.append(part.text)
                case Media(kind="image", data=str() as data):
                    images.append(data)
                case Media(text=str() as text):
                    texts.append(text)
                case _:
                    self._dropped.add(path)
                    continue
            self._report(part, path)
        return texts, images

    def _thought(self, part: Thought, path: str, thoughts: list[str]) -> None:
        if part.text:
            thoughts.append(part.text)
        if part.sealed is not None:
            self._dropped.add(f"{path}.sealed" if part.text else path)
        elif part.signature is not None:
            self._dropped.add(f"{path}.signature")
        self._report(part, path)

    def _call(self, part: ToolCall, path: str) -> Values:
        function: Values = {"name": part.name, "arguments": _arguments(part.arguments)}
        out: Values = {"function": function}
        if not is_made(part.id):
            out["id"] = part.id
        if part.signature is not None:
            self._dropped.add(f"{path}.signature")
        self._report(part, path)
        if part.origin == DIALECT:
            for name, value in (part.extra or {}).items():
                found = decode(value)
                if name == "function" and isinstance(found, dict):
                    function.update(found)
                else:
                    out[name] = found
        return out

    def _message_fields(self, index: int, message: Message) -> Values:
        if message.origin == DIALECT and message.extra:
            out: Values = {name: decode(value) for name, value in message.extra.items()}
        else:
            out = {}
            for name in message.extra or ():
                self._dropped.add(f"{message_path(self._conversation, index)}.{name}")
        if message.name is not None:
            out["name"] = message.name
        return out

    def _report(self, part: Part, path: str) -> None:
        if part.cache:
            self._dropped.add(f"{path}.cache_control")
        if part.origin != DIALECT:
            for name in part.extra or ():
                self._dropped.add(f"{path}.{name}")
        if isinstance(part, Text) and part.citations:
            self._dropped.add(f"{path}.citations")
        if isinstance(part, Media) and part.detail not in (None, "auto"):
            self._dropped.add(f"{path}.detail")
        if isinstance(part, Media) and part.name is not None:
            self._dropped.add(f"{path}.title")


def _arguments(said: str) -> Values:
    """Arguments that are no JSON object (a model may write anything) are kept under one name."""
    if not said.strip():
        return {}
    try:
        value = decode(said.encode())
    except (ValueError, UnicodeEncodeError):
        value = said
    return value if isinstance(value, dict) else {"arguments": value}
