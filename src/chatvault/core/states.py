"""The closed sets a record chooses its words from."""

from typing import Final, Literal, get_args

State = Literal[
    "completed",  # the whole answer reached the client
    "client_gone",  # the client left before the answer was whole
    "upstream_cut",  # the provider's answer ended before it was whole
    "stalled",  # the provider fell silent in the middle of its answer
    "error_in_band",  # the provider reported an error inside a stream that began well
    "upstream_error",  # the provider refused, failed, or answered with what is not its dialect
    "refused",  # the gateway refused the call; nothing went upstream
    "ended_by_gateway",  # drain, revocation or budget ended it
    "gateway_error",  # the gateway failed
    "interrupted",  # the gateway died; closed at the next start
]
"""How a call ended."""

UsageSource = Literal["provider", "counted", "estimated", "unknown"]
"""Who says what was used: the provider, a tokenizer, an estimate, nobody."""

CostSource = Literal["prices", "counted", "estimated", "provider", "free", "unknown"]
"""Where a cost comes from: the price book (over a usage that the provider told, a tokenizer counted, or that is
estimated), the provider's own word, nothing was billed, nowhere.
"""

STATES: Final[tuple[State, ...]] = get_args(State)
USAGE_SOURCES: Final[tuple[UsageSource, ...]] = get_args(UsageSource)
COST_SOURCES: Final[tuple[CostSource, ...]] = get_args(CostSource)
