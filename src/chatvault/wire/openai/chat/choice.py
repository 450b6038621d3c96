"""One choice of a chat answer: its message, whole or in pieces, as parts of the hub. There is one mapping
for both."""

from typing import Final, Literal

import msgspec

from chatvault.wire.hub.events import (
    AnyEvent,
    CitationTold,
    Finished,
    FinishReason,
    PartBegun,
    PartEnded,
    SignatureTold,
    TextDelta,
)
from chatvault.wire.hub.parts import Media, Refusal, Text, Thought, Unknown
from chatvault.wire.json_value import Values, name_of, object_of, objects_of, raw, text_of
from chatvault.wire.openai.chat.calls import Calls, text_pieces
from chatvault.wire.openai.chat.citations import citations_in
from chatvault.wire.openai.chat.content import ORIGIN
from chatvault.wire.openai.chat.finish import READ
from chatvault.wire.openai.chat.thoughts import detail_text, origin_of
from chatvault.wire.openai.logprobs import chat_logprobs
from chatvault.wire.openai.media import split_url
from chatvault.wire.taken import unread

Kind = Literal["text", "refusal", "thought"]


_EMPTY: Final = Text(text="")


class ChoiceReader:
    """Feed it messages or pieces of one, then its end. Parts follow each other; calls may overlap."""

    __slots__ = (
        "_at",
        "_audio",
        "_calls",
        "_detail",
        "_held",
        "_key",
        "_kind",
        "_next",
        "_refused",
        "finished",
        "index",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.finished: Finished | None = None
        self._next = 0
        self._kind: Kind | None = None
        self._at = 0
        """The open part, if `_kind` says there is one."""
        self._key: object = None
        """What tells one thought from the next."""
        self._detail = False
        """Its text comes from details, so that the plain text is the same again."""
        self._refused = False
        self._calls = Calls(index)
        self._audio: Values = {}
        self._held: list[msgspec.Raw] = []
        """Citations that came before the text."""

    def feed(self, message: Values, logprobs: object = None) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        content = message.get("content")
        chances = chat_logprobs(logprobs) if logprobs else None
        told = raw(chances) if chances is not None else None
        if message.get("reasoning_details") or message.get("reasoning_content") or message.get("reasoning"):
            self._think(message, events, told if not content else None)
        if isinstance(content, str):
            if content or (told is not None and self._kind == "text"):
                self._tell("text", content, events, told)
        elif content:
            self._pieces(content, events)
        if len(message) > 1 or (content is None and message):
            self._others(message, events, told)
        return events

    def more(self, text: str | None, thought: str | None) -> list[AnyEvent] | None:
        """What `feed` gives for a piece with these and nothing else; None where it has to have a closer look."""
        if self._held or (thought and self._detail):
            return None
        events: list[AnyEvent] = []
        if thought:
            self._thought(thought, events)
        if text:
            self._tell("text", text, events)
        return events

    def finish(self, word: object, sequence: object) -> None:
        """`word` is the provider's; `sequence` the stop sequence that was met, for those that tell it."""
        if not isinstance(word, str) or not word:
            return
        reason: FinishReason = READ.get(word, "stop")
        met = None
        if reason == "stop":
            if self._calls:
                reason = "tool_calls"  # also said `stop` where a call was demanded by name
            elif self._refused:
                reason = "refusal"
            elif isinstance(sequence, str) and sequence and sequence not in READ:
                reason, met = "stop_sequence", sequence
        self.finished = Finished(reason=reason, said=word, sequence=met, choice=self.index)

    def end(self) -> list[AnyEvent]:
        """Ends what is open."""
        events: list[AnyEvent] = []
        if self._held:
            self._tell("text", "", events)
            self._cite(events)
        self._close(events)
        events += self._calls.end()
        if self._audio:
            self._begin(_spoken(self._audio), events, whole=True)
            self._audio = {}
        return events

    def ended(self) -> Finished:
        """For a stream that is whole and gave no reason."""
        return self.finished or Finished(reason="tool_calls" if self._calls else "stop", choice=self.index)

    def _think(self, message: Values, events: list[AnyEvent], logprobs: msgspec.Raw | None) -> None:
        plain = text_of(message.get("reasoning_content")) or text_of(message.get("reasoning"))
        for detail in objects_of(message.get("reasoning_details")):
            text, signature, sealed = (
                detail_text(detail),
                name_of(detail.get("signature")),
                name_of(detail.get("data")),
            )
            if not (text or signature or sealed):
                continue
            self._detail = self._detail or bool(text)
            if not text and plain and not self._detail:
                self._thought(plain, events, logprobs)
                plain = ""
            self._detailed(detail, text, signature, sealed, events)
        if plain and not self._detail:
            self._thought(plain, events, logprobs)

    def _detailed(
        self, detail: Values, text: str, signature: str | None, sealed: str | None, events: list[AnyEvent]
    ) -> None:
        id, origin = name_of(detail.get("id")), origin_of(detail) or ORIGIN
        key = (id or detail.get("index"), origin)
        if self._kind == "thought" and self._key is None:
            self._key = key  # its text came plain
        if self._kind != "thought" or self._key != key:
            summary = detail.get("type") == "reasoning.summary"
            self._begin(Thought(id=id, summary=summary, origin=origin), events)
            self._kind, self._key = "thought", key
        if text:
            events.append(TextDelta(index=self._at, text=text, choice=self.index))
        if signature or sealed:
            events.append(
                SignatureTold(index=self._at, signature=signature, sealed=sealed, choice=self.index)
            )

    def _thought(self, text: str, events: list[AnyEvent], logprobs: msgspec.Raw | None = None) -> None:
        if self._kind != "thought":
            self._begin(Thought(origin=ORIGIN), events)
            self._kind, self._key = "thought", None
        events.append(TextDelta(index=self._at, text=text, choice=self.index, logprobs=logprobs))

    def _tell(
        self, kind: Kind, text: str, events: list[AnyEvent], logprobs: msgspec.Raw | None = None
    ) -> None:
        if self._kind != kind:
            self._begin(_EMPTY if kind == "text" else Refusal(text=""), events)
            self._kind = kind
            self._refused = self._refused or kind == "refusal"
        events.append(TextDelta(index=self._at, text=text, choice=self.index, logprobs=logprobs))

    def _cite(self, events: list[AnyEvent]) -> None:
        for held in self._held:
            cited = citations_in(object_of(msgspec.json.decode(held)))
            events.append(
                CitationTold(index=self._at, raw=held, origin=ORIGIN, choice=self.index, cited=cited)
            )
        self._held.clear()

    def _pieces(self, content: object, events: list[AnyEvent]) -> None:
        for kind, piece in text_pieces(content):
            if kind == "text":
                self._tell("text", text_of(piece.get("text")), events)
            elif kind == "thinking":
                if text := text_of(piece.get("text")):
                    self._thought(text, events)
            elif kind == "refusal":
                self._tell("refusal", text_of(piece.get("refusal")), events)
            elif kind in ("image_url", "image"):
                self._image(piece, events)
            else:
                self._begin(Unknown(kind=kind, raw=raw(piece), origin=ORIGIN), events, whole=True)

    def _others(self, message: Values, events: list[AnyEvent], logprobs: msgspec.Raw | None) -> None:
        if refusal := text_of(message.get("refusal")):
            self._tell("refusal", refusal, events, logprobs)
        if annotations := message.get("annotations"):
            for annotation in objects_of(annotations):
                self._held.append(raw(annotation))
        if self._held and self._kind == "text":
            self._cite(events)
        if images := message.get("images"):
            for image in objects_of(images):
                self._image(image, events)
        if audio := object_of(message.get("audio")):
            _gather(self._audio, audio)
        if calls := message.get("tool_calls"):
            for call in objects_of(calls):
                self._close(events)
                self._called(self._calls.feed(call, self._next), events)
        if old := object_of(message.get("function_call")):
            self._close(events)
            self._called(self._calls.feed_old(old, self._next), events)

    def _called(self, told: list[AnyEvent], events: list[AnyEvent]) -> None:
        self._next += sum(1 for event in told if type(event) is PartBegun)
        events += told

    def _image(self, image: Values, events: list[AnyEvent]) -> None:
        inner = image.get("image_url")
        url = name_of(inner) or name_of(object_of(inner).get("url"))
        if url is None:
            self._begin(Unknown(kind="image", raw=raw(image), origin=ORIGIN), events, whole=True)
            return
        mime, data, link = split_url(url)
        self._begin(Media(kind="image", mime=mime, data=data, url=link, origin=ORIGIN), events, whole=True)

    def _begin(
        self, part: Text | Refusal | Thought | Media | Unknown, events: list[AnyEvent], *, whole: bool = False
    ) -> None:
        self._close(events)
        self._at = self._next
        self._next += 1
        events.append(PartBegun(index=self._at, part=part, choice=self.index))
        if whole:
            events.append(PartEnded(index=self._at, choice=self.index))

    def _close(self, events: list[AnyEvent]) -> None:
        if self._kind is not None:
            events.append(PartEnded(index=self._at, choice=self.index))
            self._kind = self._key = None


_JOINED: Final = ("data", "transcript")


def _gather(audio: Values, piece: Values) -> None:
    """Pieces of base64 are whole numbers of bytes each, but the last: they may be joined."""
    for name, value in piece.items():
        if name in _JOINED and isinstance(value, str):
            audio[name] = text_of(audio.get(name)) + value
        elif value is not None:
            audio[name] = value


def _spoken(audio: Values) -> Media:
    rest = dict(audio)
    data, name = text_of(rest.pop("data", None)), name_of(rest.get("id"))
    return Media(kind="audio", data=data, name=name, extra=unread(rest), origin=ORIGIN)
