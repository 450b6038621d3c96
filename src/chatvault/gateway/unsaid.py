"""What a call used whose provider did not say: estimated from the sizes of what was asked and answered, and on record
as an estimate, with the sizes.

The figures are made here and not by the recorder, because a row of the ledger is made from one line, and must come out
the same however the way of estimating changes; it is arithmetic, and happens only where a provider said nothing.
"""

from typing import TYPE_CHECKING, Final

import msgspec

from chatvault.core.sizes import Sizes
from chatvault.core.states import State
from chatvault.core.usage import Usage
from chatvault.counting.estimate import estimate
from chatvault.counting.families import family_of
from chatvault.counting.measure import asked, keep, said, said_in_events

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

BROKEN: Final = frozenset(
    (
        "upstream_error",
        "client_gone",
        "upstream_cut",
        "stalled",
        "error_in_band",
        "ended_by_gateway",
        "gateway_error",
    )
)
"""States in which a stream's usage may be missing because its end is."""


def unsaid_usage(call: "Call", state: State) -> tuple[Usage, Sizes] | None:
    """None where nothing can be said: the call is of another kind, or nothing of an answer was there."""
    endpoint, outcome, admitted = call.endpoint, call.outcome, call.admitted
    if endpoint is None or admitted is None or not endpoint.conversation:
        return None
    tap, answer = outcome.tap, outcome.answer
    if tap is not None and tap.events and (state in BROKEN or state == "completed"):
        spoken, events = said_in_events(tap.plain, tap.plain_size, tap.last), tap.plain
    elif answer is not None and state == "completed":
        spoken, events = said(answer), 0
    else:
        return None
    kept = outcome.asked or (keep(admitted.body) if admitted.body else None)
    sizes = asked(kept) if kept is not None else Sizes()
    sizes = msgspec.structs.replace(sizes, said=spoken, events=events)
    return estimate(sizes, family_of(admitted.target)), sizes
