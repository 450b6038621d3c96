"""The hub's messages, written as items."""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from chatvault.wire.hub.conversation import Conversation, Message
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.hub.paths import message_path, part_path
from chatvault.wire.hub.search import Search
from chatvault.wire.json_value import Values, encode, put
from chatvault.wire.openai.chat.citations import flat, flat_citation
from chatvault.wire.openai.media import audio_format, data_url, file_name
from chatvault.wire.openai.responses.proofs import ORIGIN, carried
from chatvault.wire.openai.responses.searches import search_item

Placed = list[tuple[AnyPart, str]]
"""Parts with their paths in the client's request."""


class ItemsWriter:
    __slots__ = ("_custom", "_dropped", "_items", "_own", "_searches")

    def __init__(self, dropped: Dropped, *, own: bool) -> None:
        """`own`: the client spoke this dialect itself."""
        self._dropped = dropped
        self._own = own
        self._items: list[object] = []
        self._custom: set[str] = set()
        self._searches: dict[str, Search] = {}

    def write(self, conversation: Conversation, first: int) -> list[object]:
        """The messages from `first` on."""
        for at, message in enumerate(conversation.messages):
            if at >= first:
                placed = [(part, part_path(conversation, at, n)) for n, part in enumerate(message.parts)]
                self._message(message, placed, message_path(conversation, at))
        return self._items

    def _message(self, message: Message, placed: Placed, path: str) -> None:
        shown: Placed = []
        thoughts: list[tuple[Thought, str]] = []
        begins = len(self._items)
        for part, at in placed:
            if not isinstance(part, Thought):
                self._think(thoughts)
            if isinstance(part, Thought):
                if thoughts and (part.id is None or part.id != thoughts[-1][0].id):
                    self._think(thoughts)
                thoughts.append((part, at))
            elif isinstance(part, ToolCall):
                self._say(message, shown, path)
                self._items.append(self._call(part, at))
            elif isinstance(part, ToolResult):
                self._items.append(self._result(part, at))
            elif isinstance(part, Unknown) and not (part.origin == ORIGIN and ".content[" in at):
                self._say(message, shown, path)
                self._unknown(part, at)
            else:
                shown.append((part, at))
        self._think(thoughts)
        self._say(message, shown, path)
        if not placed and len(self._items) == begins:
            self._items.append(self._item(message, [], path))
        if message.name is not None:
            self._dropped.add(f"{path}.name")

    def _unknown(self, part: Unknown, path: str) -> None:
        if part.origin == ORIGIN:
            self._items.append(part.raw)
        elif part.search is not None:
            self._search(part.search)
            for name in part.search.other:
                self._dropped.add(f"{path}.{name}")
        else:
            self._dropped.add(path)

    def _search(self, search: Search) -> None:
        """One item, also of those who tell in two parts what was asked and what was found."""
        asked = self._searches.get(search.id)
        if asked is None:
            self._searches[search.id] = search
            self._items.append(search_item(search))
            return
        whole = msgspec.structs.replace(asked, sources=search.sources, failed=search.failed)
        at = self._items.index(search_item(asked))
        self._items[at] = search_item(whole)

    def _think(self, thoughts: list[tuple[Thought, str]]) -> None:
        """The thoughts of one reasoning item. Only its provider can read it again: those of others are
        dropped."""
        if not thoughts:
            return
        last = thoughts[-1][0]
        if last.origin != ORIGIN or not (self._own or last.id):
            for _, path in thoughts:
                self._dropped.add(path)
        else:
            item: Values = {"type": "reasoning"}
            put(item, id=last.id)
            texts = [thought for thought, _ in thoughts if thought.text or thought.summary]
            item["summary"] = [{"type": "summary_text", "text": each.text} for each in texts if each.summary]
            content = [{"type": "reasoning_text", "text": each.text} for each in texts if not each.summary]
            put(item, content=content or None, encrypted_content=last.sealed)
            self._items.append(item)
        thoughts.clear()

    def _say(self, message: Message, shown: Placed, path: str) -> None:
        """What was gathered of a message's own content."""
        if not shown:
            return
        written = [
            part
            for each, at in shown
            if (part := self._part(each, at, said=message.role == "assistant")) is not None
        ]
        plain = self._plain(message, shown)
        shown.clear()
        if plain is not None:
            self._items.append(self._item(message, plain, path))
        elif written:
            self._items.append(self._item(message, written, path))

    def _plain(self, message: Message, shown: Placed) -> str | None:
        """A message of text alone; what another dialect's model said in several pieces is one."""
        texts = [
            part.text for part, _ in shown if isinstance(part, Text) and not (part.citations or part.extra)
        ]
        if len(texts) < len(shown) or (self._own and shown[0][1].endswith("]")):
            return None
        alone = len(shown) == 1 or (message.role == "assistant" and not self._own)
        return "".join(texts) if alone else None

    def _item(self, message: Message, content: object, path: str) -> Values:
        item: Values = {"role": message.role, "content": content}
        if message.role == "assistant" and isinstance(content, list):
            item = {"type": "message", **item}
            if not self._own:
                # The published types know such a message by its id alone.
                id = blake2b(encode(content), digest_size=16).hexdigest()
                item |= {"id": f"msg_{id}", "status": "completed"}
        item.update(self._extra(message.extra, message.origin, path))
        return item

    def _extra(
        self, extra: Mapping[str, msgspec.Raw] | None, origin: str | None, path: str
    ) -> Mapping[str, msgspec.Raw]:
        if not extra:
            return {}
        if origin == ORIGIN:
            return extra
        for name in extra:
            self._dropped.add(f"{path}.{name}")
        return {}

    def _call(self, part: ToolCall, path: str) -> Values:
        item: Values = {"type": "custom_tool_call" if part.custom else "function_call"}
        item |= {"call_id": part.id, "name": part.name}
        if part.custom:
            self._custom.add(part.id)
            item["input"] = part.arguments
        else:
            item["arguments"] = part.arguments or ("" if self._own else "{}")
        if part.signature:
            if self._own:
                proof = carried(part.origin, "call", part.signature)
                self._items.append({"type": "reasoning", "summary": [], "encrypted_content": proof})
            else:
                self._dropped.add(f"{path}.signature")
        self._cache(part.cache, path)
        item.update(self._extra(part.extra, part.origin, path))
        return item

    def _result(self, part: ToolResult, path: str) -> Values:
        kind = "custom_tool_call_output" if part.call in self._custom else "function_call_output"
        inside = [(each, each.path or f"{path}.content[{n}]") for n, each in enumerate(part.parts)]
        content = [
            written for each, at in inside if (written := self._part(each, at, said=False)) is not None
        ]
        first = part.parts[0] if len(part.parts) == 1 else None
        item: Values = {"type": kind, "call_id": part.call, "output": content}
        if isinstance(first, Text) and not first.extra and not (self._own and inside[0][1].endswith("]")):
            item["output"] = first.text
        elif not content:
            item["output"] = ""
        if part.failed:
            self._dropped.add(f"{path}.is_error")
        self._cache(part.cache, path)
        item.update(self._extra(part.extra, part.origin, path))
        return item

    def _cache(self, cache: str | None, path: str) -> None:
        if cache is not None:
            self._dropped.add(f"{path}.cache_control")

    def _part(self, part: AnyPart, path: str, *, said: bool) -> object | None:
        """`said`: by the model."""
        if isinstance(part, Unknown):
            if part.origin == ORIGIN:
                return part.raw
            self._dropped.add(path)
            return None
        self._cache(part.cache, path)
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text}
        if isinstance(part, Text):
            out: Values = {"type": "output_text" if said else "input_text", "text": part.text}
            if said:
                out["annotations"] = self._citations(part, path)
            elif part.citations:
                self._dropped.add(f"{path}.citations")
        else:
            media = self._media(part, path) if isinstance(part, Media) else None
            if media is None:
                self._dropped.add(path)
                return None
            out = media
        out.update(self._extra(part.extra, part.origin, path))
        return out

    def _citations(self, part: Text, path: str) -> list[object]:
        if part.origin == ORIGIN:
            return list(part.citations)
        end = len(part.text)
        if (part.origin or "").startswith("openai."):
            found = [flat_citation(raw, end) for raw in part.citations]
        else:
            found = [flat(each, 0, end) for each in part.cited]
        told: list[object] = [each for each in found if each is not None]
        if len(told) < len(part.citations):
            self._dropped.add(f"{path}.citations")
        return told

    def _media(self, part: Media, path: str) -> Values | None:
        ours = part.origin is not None and part.origin.startswith("openai.")
        if part.file is not None and not ours:
            return None  # another provider's file
        if part.text is not None:
            if part.name:
                self._dropped.add(f"{path}.title")
            return {"type": "input_text", "text": part.text}
        out: Values = {}
        link = part.url if part.data is None else data_url(part.mime, part.data, part.kind)
        if part.kind == "image":
            put(out, image_url=link, file_id=part.file, detail=part.detail or (None if self._own else "auto"))
            return {"type": "input_image", **out}
        if part.kind == "document":
            name = part.name or (file_name(part.mime) if part.data is not None else None)
            data = link if part.data is not None else None
            put(out, filename=name, file_data=data, file_url=part.url, file_id=part.file)
            return {"type": "input_file", **out}
        if part.kind == "audio" and part.data is not None and self._own:
            said = {"data": part.data, "format": audio_format(part.mime)}
            return {"type": "input_audio", "input_audio": said}
        return {"type": "input_video", "video_url": link} if part.kind == "video" and self._own else None
