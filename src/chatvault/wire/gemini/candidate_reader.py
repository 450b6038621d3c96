"""One candidate of an answer, chunk by chunk."""

from typing import Final

import msgspec
from msgspec.structs import replace

from chatvault.wire.call_ids import made_id
from chatvault.wire.gemini.grounding import GROUNDING, read_citations, read_search
from chatvault.wire.gemini.logprobs import read_logprobs
from chatvault.wire.gemini.names import DIALECT, camel
from chatvault.wire.gemini.part_reader import media, unknown
from chatvault.wire.gemini.partial_args import PartialArguments
from chatvault.wire.gemini.signatures import unpack
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    CitationTold,
    PartBegun,
    PartEnded,
    SignatureTold,
    TextDelta,
)
from chatvault.wire.hub.parts import Text, Thought, ToolCall, Unknown
from chatvault.wire.hub.search import Search
from chatvault.wire.json_value import Values, encode, obj, objects_of, raw, text

_NOTHING: Final = msgspec.Raw(b"{}")
_CITED: Final = (GROUNDING, "citationMetadata", "urlContextMetadata")


class CandidateReader:
    """Text and thoughts go on over chunks until a part of another kind, or a signature, ends them."""

    __slots__ = (
        "_args",
        "_calls",
        "_choice",
        "_cited",
        "_index",
        "_logprobs",
        "_open",
        "_said",
        "_search",
        "_seed",
        "_texts",
        "called",
        "searches",
    )

    def __init__(self, choice: int, seed: str) -> None:
        self._choice = choice
        self._seed = seed
        self._index = -1
        self._open: type[Text] | type[Thought] | type[ToolCall] | None = None
        self._calls = 0
        self._args = PartialArguments()
        self._cited: Values = {}
        self._texts = 0
        """Text parts that this chunk still has, whose end its citations wait for."""
        self._logprobs: object = None
        self._said: list[str] = []
        """The text that is open, or was the last: what citations are counted in."""
        self._search: Search | None = None
        """To be told once the text that rests on it has ended."""
        self.called = False
        self.searches = 0

    def read(self, candidate: Values, out: list[AnyEvent]) -> None:
        content = obj(candidate.get("content"))
        parts = objects_of(camel(content).get("parts")) if content is not None else []
        self._cited = {name: candidate[name] for name in _CITED if candidate.get(name)}
        grounding = obj(self._cited.get(GROUNDING))
        if grounding is not None:
            queries = camel(grounding).get("webSearchQueries")
            self.searches += len(queries) if isinstance(queries, list) else 0
            search = read_search(grounding, made_id(self._seed, self._choice, 0, "search"))
            self._search = search or self._search
        self._logprobs = candidate.get("logprobsResult")
        self._texts = sum(map(_is_text, parts)) if self._cited else 0
        for part in parts:
            self._part(camel(part), out)
        self._cite(out)
        if self._logprobs is not None and self._open is Text:
            self._delta("", out)

    def finish(self, out: list[AnyEvent]) -> None:
        self._close(out)
        search, self._search = self._search, None
        if search is not None:
            self._begin(None, out)
            part = Unknown(kind=GROUNDING, raw=_NOTHING, search=search, origin=DIALECT)
            out.append(PartBegun(index=self._index, part=part, choice=self._choice))
            out.append(PartEnded(index=self._index, choice=self._choice))

    def _part(self, part: Values, out: list[AnyEvent]) -> None:
        said, signature = text(part.get("text")), text(part.get("thoughtSignature"))
        if said is not None:
            if self._cited:
                self._texts -= _is_text(part)
            if part.get("thought") is True:
                self._thought(said, signature, out)
            else:
                self._say(said, signature, out)
            return
        call = obj(part.get("functionCall"))
        if call is not None:
            self._call(camel(call), signature, out)
            return
        if not part:
            return
        self._close(out)
        self._begin(None, out)
        out.append(PartBegun(index=self._index, part=media(part) or unknown(part), choice=self._choice))
        out.append(PartEnded(index=self._index, choice=self._choice))

    def _begin(self, kind: type[Text] | type[Thought] | type[ToolCall] | None, out: list[AnyEvent]) -> None:
        self._close(out)
        self._index += 1
        self._open = kind

    def _say(self, said: str, signature: str | None, out: list[AnyEvent]) -> None:
        if said:
            if self._open is not Text:
                self._begin_text(out)
            self._said.append(said)
            self._delta(said, out)
        if signature is not None:
            # The signature of a text stands behind it, as a thought of its own that says nothing.
            self._close(out)
            self._thought("", signature, out)

    def _delta(self, said: str, out: list[AnyEvent]) -> None:
        logprobs = read_logprobs(self._logprobs) if self._logprobs is not None else None
        self._logprobs = None
        if said or logprobs is not None:
            out.append(TextDelta(index=self._index, text=said, choice=self._choice, logprobs=logprobs))

    def _thought(self, said: str, signature: str | None, out: list[AnyEvent]) -> None:
        if not said and signature is None:
            return
        found = unpack(said, signature) if signature is not None else Thought(text=said, origin=DIALECT)
        if self._open is not Thought:
            self._begin(Thought, out)
            begun = replace(found, text="", signature=None, sealed=None)
            out.append(PartBegun(index=self._index, part=begun, choice=self._choice))
        if said:
            out.append(TextDelta(index=self._index, text=said, choice=self._choice))
        if signature is not None:
            out.append(
                SignatureTold(
                    index=self._index, signature=found.signature, sealed=found.sealed, choice=self._choice
                )
            )
            self._close(out)

    def _call(self, call: Values, signature: str | None, out: list[AnyEvent]) -> None:
        """A whole call, or a step of one that is told in steps: a name first, then assignments, then
        nothing.
        """
        name, partial = text(call.get("name")), objects_of(call.get("partialArgs"))
        goes_on = call.get("willContinue") is True
        if name is not None or self._open is not ToolCall:
            self._begin(ToolCall, out)
            self._calls += 1
            self.called = True
            made = text(call.get("id")) or made_id(self._seed, self._choice, self._calls, name)
            begun = ToolCall(id=made, name=name or "", arguments="", origin=DIALECT)
            out.append(PartBegun(index=self._index, part=begun, choice=self._choice))
        if signature is not None:
            out.append(SignatureTold(index=self._index, signature=signature, choice=self._choice))
        if partial:
            self._arguments("".join(map(self._args.feed, partial)), out)
        elif call.get("args") is not None or (name is not None and not goes_on):
            self._arguments(encode(call.get("args") or {}).decode(), out)
            self._open = None
            out.append(PartEnded(index=self._index, choice=self._choice))
            return
        if not goes_on:
            self._close(out)

    def _arguments(self, said: str, out: list[AnyEvent]) -> None:
        if said:
            out.append(ArgumentsDelta(index=self._index, text=said, choice=self._choice))

    def _close(self, out: list[AnyEvent]) -> None:
        if self._open is None:
            return
        if self._open is ToolCall:
            self._arguments(self._args.end(), out)
        if self._open is Text and not self._texts:
            self._cite(out)
        self._open = None
        out.append(PartEnded(index=self._index, choice=self._choice))

    def _cite(self, out: list[AnyEvent]) -> None:
        """The chunk's citations belong to the last text there is; to an empty one if it has ended already."""
        cited, self._cited = self._cited, {}
        if not cited:
            return
        if self._open is not Text:
            self._begin_text(out)
        found = read_citations(obj(cited.get(GROUNDING)) or {}, "".join(self._said))
        out.append(
            CitationTold(index=self._index, raw=raw(cited), origin=DIALECT, choice=self._choice, cited=found)
        )

    def _begin_text(self, out: list[AnyEvent]) -> None:
        self._said = []
        self._begin(Text, out)
        out.append(PartBegun(index=self._index, part=Text(text=""), choice=self._choice))


def _is_text(part: Values) -> bool:
    return bool(text(part.get("text"))) and part.get("thought") is not True
