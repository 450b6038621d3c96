"""An answer of one choice that is one text, as nearly all whole answers are: what is left of its events where
nothing else can be among them. Readers and writers may take it for a shorter way, which has to say the same as
the long one does.
"""

import msgspec

from chatvault.core.usage import Usage
from chatvault.wire.hub.events import (
    AnyEvent,
    Begun,
    Ended,
    Finished,
    PartBegun,
    PartEnded,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import Text

_EMPTY = Text(text="")
_BEGUN = PartBegun(index=0, part=_EMPTY)
_PART_ENDED = PartEnded(index=0)
_ENDED = Ended()


class PlainAnswer(msgspec.Struct, frozen=True, gc=False):
    begun: Begun
    text: str
    usage: Usage | None
    finished: Finished

    def events(self, *, usage_first: bool = False) -> list[AnyEvent]:
        """`usage_first`: usage is told before the text, not behind it."""
        told: list[AnyEvent] = [UsageTold(usage=self.usage)] if self.usage is not None else []
        text = TextDelta(index=0, text=self.text)
        if usage_first:
            return [self.begun, *told, _BEGUN, text, _PART_ENDED, self.finished, _ENDED]
        return [self.begun, _BEGUN, text, _PART_ENDED, *told, self.finished, _ENDED]


def plain_answer(events: list[AnyEvent]) -> PlainAnswer | None:
    """None if there is anything else among the events."""
    usage, rest = None, []
    for event in events:
        if type(event) is not UsageTold:
            rest.append(event)
        elif usage is None:
            usage = event.usage
        else:
            return None
    if len(rest) != 6:
        return None
    begun, opened, delta, closed, finished, ended = rest
    if type(begun) is not Begun or type(opened) is not PartBegun or type(delta) is not TextDelta:
        return None
    if type(closed) is not PartEnded or type(finished) is not Finished or type(ended) is not Ended:
        return None
    part = opened.part
    if type(part) is not Text or part.text or opened.choice or delta.logprobs is not None:
        return None
    if (
        part.extra
        or part.citations
        or part.cited
        or not opened.index == delta.index == closed.index
        or finished.choice
    ):
        return None
    return PlainAnswer(begun, delta.text, usage, finished)
