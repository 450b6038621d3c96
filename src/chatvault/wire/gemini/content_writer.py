"""The hub's messages as Gemini's contents and system instruction."""

from msgspec.structs import replace

from chatvault.wire.base64_text import is_base64
from chatvault.wire.gemini.names import DIALECT
from chatvault.wire.gemini.part_writer import write_part
from chatvault.wire.gemini.signatures import STAND_IN
from chatvault.wire.hub.conversation import Conversation, Message
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import AnyPart, Media, Part, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.hub.paths import message_path, part_path
from chatvault.wire.json_value import Values, decode


class ContentWriter:
    """Messages of other dialects are merged where one role follows itself: a turn's results must stand
    together
    (https://ai.google.dev/gemini-api/docs/function-calling#parallel_function_calling, seen 2026-11).
    """

    def __init__(self, conversation: Conversation, dropped: Dropped) -> None:
        self._conversation = conversation
        self._dropped = dropped
        self._foreign = conversation.origin != DIALECT
        self._names: dict[str, str] = {}
        self._ranks: dict[int, int] = {}
        """By the identity of a result's object, which `contents` keeps alive: the place of its call."""
        self.system: list[Values] = []
        self.system_fields: Values = {}
        self.contents: list[Values] = []

    def write(self) -> None:
        leading = True
        for index, message in enumerate(self._conversation.messages):
            system = message.role in ("system", "developer")
            leading = leading and system
            parts = self._parts(index, message)
            if leading:
                self.system += parts
                self.system_fields.update(self._message_fields(index, message))
                continue
            if system:
                self._dropped.add(f"{message_path(self._conversation, index)}.role")
            self._add("model" if message.role == "assistant" else "user", parts, index, message)
        if self._foreign:
            self._order_results()
            self._stand_in()
        if not self.contents and self.system and self._foreign:
            # A system prompt alone is no question; Gemini wants one content at least.
            self.contents.append({"role": "user", "parts": self.system})
            self.system = []
            for index in range(len(self._conversation.messages)):
                self._dropped.add(f"{message_path(self._conversation, index)}.role")

    def _add(self, role: str, parts: list[Values], index: int, message: Message) -> None:
        fields = self._message_fields(index, message)
        if not self._foreign:
            self.contents.append({"role": role, "parts": parts, **fields})
            return
        if not parts:
            return
        last = self.contents[-1] if self.contents else None
        before = last["parts"] if last is not None and last["role"] == role else None
        if isinstance(before, list):
            before += parts
        else:
            self.contents.append({"role": role, "parts": parts})

    def _message_fields(self, index: int, message: Message) -> Values:
        """Puts back what is ours, and reports the rest."""
        if message.extra and message.origin == DIALECT:
            return {name: decode(value) for name, value in message.extra.items()}
        base = message_path(self._conversation, index)
        for name in message.extra or ():
            self._dropped.add(f"{base}.{name}")
        if message.name is not None:
            self._dropped.add(f"{base}.name")
        return {}

    def _parts(self, index: int, message: Message) -> list[Values]:
        out: list[Values] = []
        for at, part in enumerate(message.parts):
            if isinstance(part, ToolCall):
                self._names.setdefault(part.id, part.name)
            name = self._names.get(part.call) if isinstance(part, ToolResult) else None
            written = write_part(_sendable(part), name)
            self._report(part, index, at, lost=not written)
            if self._foreign and written == [{"text": ""}]:
                continue
            if isinstance(part, ToolResult) and name is not None:
                self._ranks[id(written[0])] = list(self._names).index(part.call)
            out += written
        return out

    def _report(self, part: AnyPart, index: int, at: int, *, lost: bool) -> None:
        if not (lost or part.cache or part.extra or self._foreign):
            return
        path = part_path(self._conversation, index, at)
        if lost:
            if not isinstance(part, Thought) or part.sealed or part.signature:
                self._dropped.add(path)
            return
        for name in _lost_fields(part):
            self._dropped.add(f"{path}.{name}")
        if isinstance(part, ToolResult):
            for inner_at, inner in enumerate(part.parts):
                place = inner.path or f"{path}.content[{inner_at}]"
                if isinstance(inner, Unknown) and inner.origin != DIALECT:
                    self._dropped.add(place)
                for name in _lost_fields(inner):
                    self._dropped.add(f"{place}.{name}")

    def _order_results(self) -> None:
        """Results in the order of their calls: it is what Gemini goes by where it does not know their ids."""
        for content in self.contents:
            parts = content["parts"]
            assert isinstance(parts, list)
            places = [at for at, part in enumerate(parts) if id(part) in self._ranks]
            ranked = sorted((parts[at] for at in places), key=lambda part: self._ranks[id(part)])
            for at, part in zip(places, ranked, strict=True):
                parts[at] = part

    def _stand_in(self) -> None:
        """The first call of a turn must be signed (https://ai.google.dev/gemini-api/docs/thought-signatures,
        seen 2026-11); one that
        another model made can't be.
        """
        for content in self.contents:
            parts = content["parts"]
            assert isinstance(parts, list)
            calls = [part for part in parts if "functionCall" in part]
            if calls and "thoughtSignature" not in calls[0]:
                calls[0]["thoughtSignature"] = STAND_IN


def _sendable(part: AnyPart) -> AnyPart:
    """Without what Gemini could not have made, and would refuse."""
    if isinstance(part, Thought) and (part.sealed or part.id or not _is_ours(part)):
        return replace(part, sealed=None, id=None, signature=part.signature if _is_ours(part) else None)
    if isinstance(part, ToolCall) and not _is_ours(part):
        return replace(part, signature=None)
    return part


def _is_ours(part: Thought | ToolCall) -> bool:
    return part.signature is None or (part.origin in (None, DIALECT) and is_base64(part.signature))


def _lost_fields(part: Part) -> list[str]:
    lost = ["cache_control"] if part.cache else []
    if isinstance(part, Thought) and part.sealed:
        lost.append("sealed")
    if isinstance(part, Thought | ToolCall) and not _is_ours(part):
        lost.append("signature")
    if part.extra and part.origin != DIALECT:
        lost += part.extra
    if isinstance(part, Text) and part.citations:
        lost.append("citations")
    if isinstance(part, Media) and part.detail not in (None, "auto"):
        lost.append("detail")
    if isinstance(part, Media) and part.text is not None and part.name is not None:
        lost.append("title")
    return lost
