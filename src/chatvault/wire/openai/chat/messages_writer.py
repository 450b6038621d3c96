"""The hub's messages, written as chat has them: tool results are messages of their own, and come before all
else a message says."""

from chatvault.wire.hub.conversation import Conversation, Message
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.hub.paths import message_path, part_path
from chatvault.wire.json_value import Values, objects_of, put
from chatvault.wire.openai.chat.citations import annotation, flat, nested
from chatvault.wire.openai.chat.content import ORIGIN
from chatvault.wire.openai.chat.content_writer import ContentWriter, own_extra
from chatvault.wire.openai.chat.messages import OLD_CALL
from chatvault.wire.openai.chat.quirks import ChatQuirks
from chatvault.wire.openai.chat.thoughts import details_of
from chatvault.wire.openai.chat.tools import put_cache

Placed = list[tuple[AnyPart, str]]
"""Parts with their paths in the client's request."""


class MessagesWriter:
    __slots__ = ("_content", "_dropped", "_names", "_own", "_quirks")

    def __init__(self, quirks: ChatQuirks, dropped: Dropped, *, own: bool) -> None:
        """`own`: the client spoke chat itself."""
        self._quirks = quirks
        self._dropped = dropped
        self._own = own
        self._content = ContentWriter(dropped, caches=quirks.caches or own)
        self._names: dict[str, str] = {}

    def write(self, conversation: Conversation) -> list[Values]:
        written: list[Values] = []
        for at, message in enumerate(conversation.messages):
            plain = self._plain(message)
            if plain is not None and message.role != "assistant":
                written.append(plain)
                continue
            path = message_path(conversation, at)
            placed = [(part, part_path(conversation, at, n)) for n, part in enumerate(message.parts)]
            if message.role != "assistant":
                written += self._other(message, placed, path)
            else:
                said = plain or self._assistant(message, placed, path)
                last = written[-1] if written and written[-1]["role"] == "assistant" else None
                # What others say in several items is one message here: results have to follow their
                # calls at once.
                if last is not None and not self._own and not (last["content"] and said["content"]):
                    _join(last, said)
                else:
                    written.append(said)
        return written

    def _plain(self, message: Message) -> Values | None:
        """A message that is one text, as nearly all are; None for any other. The same as the long way gives."""
        if len(message.parts) != 1 or message.name is not None or message.extra:
            return None
        part = message.parts[0]
        if type(part) is not Text or part.cache is not None or part.extra or part.citations or part.cited:
            return None
        return {"role": self._role(message), "content": part.text}

    def _role(self, message: Message) -> str:
        """Only OpenAI knows the role `developer`, and reads `system` as the same."""
        return "system" if message.role == "developer" and not self._own else message.role

    def _other(self, message: Message, placed: Placed, path: str) -> list[Values]:
        written: list[Values] = []
        shown: Placed = []
        for part, at in placed:
            if isinstance(part, ToolResult):
                result, left = self._result(part, at)
                written.append(result)
                shown += left
        results = bool(written)
        shown += [(part, at) for part, at in placed if not isinstance(part, ToolResult)]
        for part, at in shown:
            self._uncited(part, at)
        content = self._content.content(shown)
        if content is None and (results or message.parts):
            return written
        out: Values = {"role": self._role(message), "content": content if content is not None else ""}
        put(out, name=message.name)
        out.update(own_extra(message.extra, message.origin, path, self._dropped))
        return [*written, out]

    def _result(self, part: ToolResult, path: str) -> tuple[Values, Placed]:
        """The message, and what of the result it cannot hold: chat has only text there, the rest follows as
        the user's."""
        old = part.call.startswith(OLD_CALL)
        inside: Placed = [(each, each.path or f"{path}.content[{n}]") for n, each in enumerate(part.parts)]
        kept = [
            each for each in inside if self._own or not isinstance(each[0], Media) or each[0].text is not None
        ]
        left = [each for each in inside if each not in kept]
        out: Values = {"role": "function" if old else "tool"}
        if not old:
            out["tool_call_id"] = part.call
        put(out, name=part.name or (self._names.get(part.call) if old else None))
        if part.failed:
            self._dropped.add(f"{path}.is_error")
        for each, at in kept:
            self._uncited(each, at)
        content = self._content.content(kept)
        if content is None:
            content = "(The result is in the next message.)" if left else ""
        out["content"] = content
        out.update(own_extra(part.extra, part.origin, path, self._dropped))
        put_cache(out, part.cache, path, self._dropped, caches=self._quirks.caches or self._own)
        return out, left

    def _assistant(self, message: Message, placed: Placed, path: str) -> Values:
        thoughts: list[Thought] = []
        shown: Placed = []
        calls: list[object] = []
        out: Values = {"role": "assistant"}
        put(out, name=message.name)
        for part, at in placed:
            if isinstance(part, Thought) and not (part.origin == ORIGIN and ".content[" in at):
                thoughts.append(part) if self._quirks.thoughts else self._dropped.add(at)
            elif isinstance(part, ToolCall):
                self._names[part.id] = part.name
                if part.id.startswith(OLD_CALL):
                    out["function_call"] = {"name": part.name, "arguments": part.arguments}
                else:
                    calls.append(self._call(part, at))
            elif isinstance(part, Unknown) and part.origin == ORIGIN and ".tool_calls[" in at:
                calls.append(part.raw)
            elif isinstance(part, Refusal) and ".content[" not in at:
                out["refusal"] = part.text
            elif isinstance(part, Media) and part.kind == "audio" and part.file and part.origin == ORIGIN:
                out["audio"] = {"id": part.file}
            else:
                shown.append((part, at))
        out["content"] = self._content.content(shown)
        self._annotate(out, shown)
        if calls:
            out["tool_calls"] = calls
        elif out["content"] is None and len(out) == 2:
            out["content"] = ""
        _think(out, thoughts)
        out.update(own_extra(message.extra, message.origin, path, self._dropped))
        return out

    def _uncited(self, part: AnyPart, path: str) -> None:
        """Only what the model says has annotations."""
        if isinstance(part, Text) and part.citations:
            self._dropped.add(f"{path}.citations")

    def _annotate(self, out: Values, shown: Placed) -> None:
        found: list[object] = []
        begin = 0
        for part, path in shown:
            if not isinstance(part, Text):
                continue
            told = _annotations(part, begin)
            found += [each for each in told if each is not None]
            if None in told:
                self._dropped.add(f"{path}.citations")
            begin += len(part.text)
        if found:
            out["annotations"] = found

    def _call(self, part: ToolCall, path: str) -> Values:
        out: Values = {"id": part.id}
        if part.custom:
            out |= {"type": "custom", "custom": {"name": part.name, "input": part.arguments}}
        else:
            arguments = part.arguments or ("" if self._own else "{}")
            out |= {"type": "function", "function": {"name": part.name, "arguments": arguments}}
        if part.signature:
            out["extra_content"] = {"google": {"thought_signature": part.signature}}
        out.update(own_extra(part.extra, part.origin, path, self._dropped))
        put_cache(out, part.cache, path, self._dropped, caches=self._quirks.caches or self._own)
        return out


def _annotations(part: Text, begin: int) -> list[Values | None]:
    """None for one that is not carried; `begin` is where the part begins among all that is shown."""
    end = begin + len(part.text)
    origin = part.origin or ""
    if origin.startswith("openai."):
        return [annotation(raw, origin, end) for raw in part.citations]
    found: list[Values | None] = [nested(flat(each, begin, end)) for each in part.cited]
    return found + [None] * (len(part.citations) > len(part.cited))


def _join(one: Values, two: Values) -> None:
    for name, value in two.items():
        known = one.get(name)
        if isinstance(known, list) and isinstance(value, list):
            one[name] = [*known, *value]
        elif name == "reasoning_content" and isinstance(known, str):
            one[name] = f"{known}\n\n{value}"
        elif not known:
            one[name] = value
    for at, detail in enumerate(objects_of(one.get("reasoning_details"))):
        detail["index"] = at
    if not one["content"] and ("tool_calls" in one or "reasoning_content" in one):
        one["content"] = None


def _think(out: Values, thoughts: list[Thought]) -> None:
    text = "\n\n".join(thought.text for thought in thoughts if thought.text)
    if text:
        out["reasoning_content"] = text
    details = [detail for at, thought in enumerate(thoughts) for detail in details_of(thought, at)]
    if details:
        out["reasoning_details"] = details
