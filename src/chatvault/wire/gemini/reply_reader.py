"""Gemini's answers as events: a whole reply is one chunk, a stream many, and both go through
`ReplyReader`.
"""

from typing import Final

from msgspec.structs import replace

from chatvault.core.clock import from_iso
from chatvault.core.usage import Usage
from chatvault.wire.gemini import finish
from chatvault.wire.gemini.candidate_reader import CandidateReader
from chatvault.wire.gemini.errors import failure
from chatvault.wire.gemini.names import camel
from chatvault.wire.gemini.usage import billed_searches, normalise
from chatvault.wire.hub.events import AnyEvent, Begun, Ended, Finished, UsageTold
from chatvault.wire.json_value import Values, integer, obj, objects_of, text

_OURS: Final = frozenset(
    ("candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId", "error")
)


class ReplyReader:
    """Chunks in, events out. `finish` tells the end, if the answer came to it."""

    __slots__ = ("_begun", "_choices", "_failed", "_finished", "_model", "_shape", "_usage")

    def __init__(self) -> None:
        self._begun = False
        self._model: str | None = None
        self._choices: dict[int, CandidateReader] = {}
        self._finished: dict[int, Finished] = {}
        self._shape: object = None
        self._usage: Usage | None = None
        self._failed = False

    def chunk(self, value: object) -> list[AnyEvent]:
        """Raises ValueError for what is no chunk of this dialect."""
        found = obj(value)
        if found is None:
            raise ValueError("not an object")
        chunk = camel(found)
        out: list[AnyEvent] = []
        if chunk.get("error") is not None:
            self._failed = True
            self._tell_usage(out)
            out.append(failure(chunk["error"]))
            return out
        if not self._begun:
            if not _OURS & chunk.keys():
                raise ValueError("no field of a Gemini answer")
            self._begun = True
            self._model = text(chunk.get("modelVersion"))
            out.append(_begun(chunk))
        finished = len(self._finished)
        for at, candidate in enumerate(objects_of(chunk.get("candidates"))):
            self._candidate(camel(candidate), at, chunk, out)
        feedback = obj(chunk.get("promptFeedback"))
        if feedback is not None and not self._choices:
            reason = text(camel(feedback).get("blockReason"))
            if reason:
                self._finished[0] = finish.blocked(reason)
        self._shape = chunk.get("usageMetadata") or self._shape
        if len(self._finished) > finished:
            self._tell_usage(out)
        return out

    def _candidate(self, candidate: Values, at: int, chunk: Values, out: list[AnyEvent]) -> None:
        index = candidate.get("index")
        choice = index if type(index) is int else integer(index)
        if choice is None:
            choice = at
        reader = self._choices.get(choice)
        if reader is None:
            reader = self._choices[choice] = CandidateReader(choice, text(chunk.get("responseId")) or "")
        reader.read(candidate, out)
        name = finish.said(candidate.get("finishReason"))
        if name is not None:
            detail = text(candidate.get("finishMessage"))
            self._finished[choice] = finish.finished(name, choice, called=reader.called, detail=detail)

    def _tell_usage(self, out: list[AnyEvent]) -> None:
        """Each chunk has the usage so far; it is told when a candidate ends, and when the stream does."""
        usage, self._shape = normalise(self._shape), None
        queries = sum(reader.searches for reader in self._choices.values())
        searches = billed_searches(self._model, queries)
        if searches:
            usage = replace(usage or self._usage or Usage(), searches=searches)
        if usage is not None and usage != self._usage:
            self._usage = usage
            out.append(UsageTold(usage=usage))

    def finish(self, *, whole: bool = False) -> list[AnyEvent]:
        """`Ended` is there only if each candidate told why it ended, or the prompt was refused. In a `whole` reply a
        candidate that does not tell has stopped.
        """
        out: list[AnyEvent] = []
        if self._failed:
            return out
        for reader in self._choices.values():
            reader.finish(out)
        if whole:
            for choice in self._choices.keys() - self._finished.keys():
                called = self._choices[choice].called
                self._finished[choice] = finish.finished("STOP", choice, called=called)
        self._tell_usage(out)
        if not self._finished or self._choices.keys() - self._finished.keys():
            return out
        out += [self._finished[choice] for choice in sorted(self._finished)]
        out.append(Ended())
        return out


def _begun(chunk: Values) -> Begun:
    usage = camel(obj(chunk.get("usageMetadata")) or {})
    return Begun(
        id=text(chunk.get("responseId")),
        model=text(chunk.get("modelVersion")),
        created=_created(text(chunk.get("createTime"))),
        service_tier=text(usage.get("serviceTier")),
    )


def _created(told: str | None) -> int | None:
    try:
        return from_iso(told) // 1_000_000 if told is not None else None
    except ValueError:
        return None
