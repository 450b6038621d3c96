"""A chat answer, whole or streamed, read into the hub's events through one mapping."""

import re
from typing import Final

import msgspec

from chatvault.core.usage import Usage
from chatvault.wire.hub.events import (
    AnyEvent,
    Begun,
    Ended,
    Failed,
    Pinged,
    UsageTold,
)
from chatvault.wire.json_value import Values, decode, list_of, name_of, number_of, object_of, objects_of
from chatvault.wire.openai.chat.choice import ChoiceReader
from chatvault.wire.openai.chat.plain_reader import decode_chunk, read_plain
from chatvault.wire.openai.retold import failure_of, usage_of
from chatvault.wire.sse import EventSplitter, data_of, events

_ERROR_EVENT: Final = re.compile(rb"(?:^|[\r\n])event: ?error[\r\n]")


class AnswerReader:
    """What is known of an answer. Feed it chunks (a whole answer is one), then its end."""

    __slots__ = ("_begun", "_choices", "_cited", "_titles", "_usage", "_whole", "failed")

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._begun = False
        self._choices: dict[int, ChoiceReader] = {}
        self._usage: Usage | None = None
        self._cited: list[str] = []
        self._titles: dict[str, str] = {}
        """Of pages that were found, by their addresses."""
        self.failed = False

    def feed(self, value: Values) -> list[AnyEvent]:
        if self.failed:
            return []
        found: list[AnyEvent] = []
        if not self._begun:
            self._begin(value, found)
        self._learn(value)
        if choices := value.get("choices"):
            for choice in objects_of(choices):
                self._choice(choice, found)
        error = _error_in(value)
        if error is not None:
            self._fail(error, found)
        return found

    def plain(self, data: bytes) -> list[AnyEvent] | None:
        """The events of a chunk that says nothing but more of a text, as nearly all do; None for any other,
        which `feed` takes. The same as `feed` gives."""
        if not self._begun or self.failed:
            return None
        try:
            chunk = decode_chunk(data)
        except (msgspec.DecodeError, RecursionError):
            return None
        if len(chunk.choices) != 1:
            return None
        choice = chunk.choices[0]
        reader = self._choices.get(choice.index)
        delta = choice.delta
        return (
            reader.more(delta.content, delta.reasoning_content or delta.reasoning)
            if reader is not None
            else None
        )

    def end(self, *, whole: bool) -> list[AnyEvent]:
        """`whole`: the answer said so. Else it is, if all its choices gave a reason."""
        if self.failed:
            return []
        found: list[AnyEvent] = []
        done = whole or (bool(self._choices) and all(choice.finished for choice in self._choices.values()))
        if done:
            if self._cited:
                self._cite(found)
            for choice in self._choices.values():
                found += choice.end()
        if self._usage is not None:
            found.append(UsageTold(usage=self._usage))
        if done:
            for choice in self._choices.values():
                found.append(choice.ended())
            found.append(Ended())
        return found

    def _begin(self, value: Values, found: list[AnyEvent]) -> None:
        if not (value.get("id") or value.get("model") or value.get("choices")):
            return
        self._begun = True
        begun = Begun(
            id=name_of(value.get("id")),
            model=name_of(value.get("model")),
            created=number_of(value.get("created")) or None,
            service_tier=name_of(value.get("service_tier")),
        )
        found.append(begun)

    def _choice(self, value: Values, found: list[AnyEvent]) -> None:
        index = number_of(value.get("index")) or 0
        reader = self._choices.get(index)
        if reader is None:
            reader = self._choices[index] = ChoiceReader(index)
        # Perplexity sends both; a stream's message is all that was said so far, a whole answer's delta is
        # empty (seen in recorded
        # answers, 2026-11).
        message = value.get("message") if self._whole else value.get("delta")
        if not isinstance(message, dict):
            message = value.get("delta") if self._whole else value.get("message")
        if isinstance(message, dict):
            found += reader.feed(message, value.get("logprobs"))
        elif isinstance(text := value.get("text"), str) and (text or value.get("logprobs")):
            # Completions, and those who send them in the place of chat.
            found += reader.feed({"content": text}, value.get("logprobs"))
        if (word := value.get("finish_reason")) is not None:
            reader.finish(word, value.get("stop_reason") or value.get("matched_stop"))
        if value.get("error"):
            self._fail(failure_of(value["error"]), found)

    def _learn(self, value: Values) -> None:
        usage = value.get("usage")
        if not usage and "x_groq" in value:
            usage = object_of(value["x_groq"]).get("usage")
        if usage:
            self._usage = usage_of(usage) or self._usage
        if "citations" in value:
            # Perplexity's (https://docs.perplexity.ai/api-reference/chat-completions-post, seen 2026-11), in
            # each chunk.
            self._cited = [
                url for each in list_of(value["citations"]) if (url := name_of(each))
            ] or self._cited
        for each in objects_of(value.get("search_results")):
            url, title = name_of(each.get("url")), name_of(each.get("title"))
            if url and title:
                self._titles[url] = title

    def _cite(self, found: list[AnyEvent]) -> None:
        first = next(iter(self._choices.values()), None)
        if first is None:
            return
        found += first.feed(
            {
                "role": "assistant",
                "annotations": [
                    {"type": "url_citation", "url_citation": {"url": url, "title": self._titles.get(url, "")}}
                    for url in self._cited
                ],
            }
        )

    def _fail(self, error: Failed, found: list[AnyEvent]) -> None:
        if self._usage is not None:
            found.append(UsageTold(usage=self._usage))
        found.append(error)
        self.failed = True


def _error_in(value: Values) -> Failed | None:
    if error := value.get("error"):
        return failure_of(error)
    if "choices" in value:
        return None
    if value.get("object") == "error" or (value.get("type") == "error" and "message" in value):
        return failure_of(value)  # vLLM's, and what routers let through
    detail = value.get("detail")
    if isinstance(detail, dict) and "message" in detail:
        return failure_of(
            detail
        )  # OpenAI's own, when audio runs out of tokens (seen in recorded answers, 2026-11)
    return failure_of(detail) if isinstance(detail, str) and detail else None


def read_reply(body: bytes) -> list[AnyEvent]:
    """Raises ValueError for what is no chat answer."""
    plain = read_plain(body)
    if plain is not None:
        return plain.events()
    value = decode(body)
    if not isinstance(value, dict):
        raise ValueError("The answer is not a JSON object.")
    reader = AnswerReader(whole=True)
    found = reader.feed(value)
    if not reader.failed and not isinstance(value.get("choices"), list):
        raise ValueError("The answer has no choices.")
    return found + reader.end(whole=True)


class ChatStreamReader:
    """Packets in, events out. Only the end, and what comes with it, is held: usage follows the finish reason
    here, and precedes it in the hub."""

    __slots__ = ("_done", "_reader", "_splitter")

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._reader = AnswerReader(whole=False)
        self._done = False

    def feed(self, data: bytes) -> list[AnyEvent]:
        whole = self._splitter.feed(data)
        return self._read(whole) if whole else []

    def end(self) -> list[AnyEvent]:
        partial = bytes(self._splitter.partial)
        self._splitter.partial.clear()
        # A last event without its blank line is no event, but some providers end so.
        try:
            found = self._read(partial) if partial.strip().endswith((b"}", b"[DONE]")) else []
        except ValueError:
            found = []  # cut within its last event
        if not self._done:
            self._done = True
            found += self._reader.end(whole=False)
        return found

    def _read(self, whole: bytes) -> list[AnyEvent]:
        if whole.find(b"\n") == len(whole) - 2 and whole.startswith(b'data: {"') and not self._done:
            told = self._reader.plain(whole[6:-2]) if b'"tool_calls":[' not in whole else None
            if told is not None:
                return told
        found: list[AnyEvent] = []
        for event in events(whole):
            if self._done:
                break
            # Nearly all events are this one line, which needs no closer look.
            plain = event.startswith(b'data: {"') and event.count(b"\n") == 2 and event.endswith(b"}\n\n")
            data = event[6:-2] if plain else data_of(event)
            if data is None:
                found.append(Pinged())
                continue
            if not plain and data.strip() == b"[DONE]":
                self._done = True
                found += self._reader.end(whole=True)
                continue
            try:
                value = decode(data)
            except ValueError:
                value = None
            failed = not plain and _ERROR_EVENT.search(event) is not None
            if isinstance(value, dict):
                found += self._reader.feed({"error": value} if failed and "error" not in value else value)
            elif failed:
                found += self._reader.feed({"error": data.decode(errors="replace")})
            elif data.strip():
                raise ValueError("An event of the stream is not a JSON object.")
        return found
