"""What is limited, for whom, to how much: the values. How it is counted is in `window.py` and `limiter.py`."""

from typing import Final, Literal

import msgspec

Scope = Literal["token", "user", "project", "model", "address"]
"""Whose limit or budget it is."""
Unit = Literal["requests", "tokens"]
"""`tokens` are those of the model: input and output together."""
SPANS: Final = {"minute": 60, "hour": 3600, "day": 86_400}
"""Seconds of the windows there are. Each slides: `day` is the last 24 hours, at any moment."""


USUAL_OUTPUT: Final = 512
"""Tokens that an answer is thought to have, until it has; and a call whose usage nobody knows."""


class Rule(msgspec.Struct, frozen=True, gc=False):
    """At most `most` units within any `seconds`. `limit` is the rule's name in `Limits`."""

    limit: str
    unit: Unit
    seconds: int
    most: int


class Limits(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """None: no limit of that kind. `shadow` only records what would have been refused."""

    requests_per_minute: int | None = None
    requests_per_hour: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_hour: int | None = None
    tokens_per_day: int | None = None
    concurrent: int | None = None
    """Calls under way at a time."""
    shadow: bool = False

    def rules(self) -> tuple[Rule, ...]:
        """The windows that these limits ask for."""
        return tuple(
            Rule(f"{unit}_per_{span}", unit, seconds, most)
            for unit in _UNITS
            for span, seconds in SPANS.items()
            if (most := getattr(self, f"{unit}_per_{span}")) is not None
        )


_UNITS: Final[tuple[Unit, ...]] = ("requests", "tokens")


class Limited(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Limits, and whose they are: `subject` is a public id (a token's, a user's as `project/user`, a project's), a
    model's public name, or an address."""

    scope: Scope
    subject: str
    limits: Limits
