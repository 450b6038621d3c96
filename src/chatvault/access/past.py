"""What was used before a worker began, as far as the ledger knows: its windows go on with it."""

from collections.abc import Iterable
from typing import Final

import msgspec

from chatvault.access.limits import Limited, Scope

GRAINS: Final = 64
"""A span is told in so many parts, each with the time of its last call."""
RECORDED: Final[frozenset[Scope]] = frozenset(("token", "user", "project"))
"""Scopes whose windows go on: those of models and addresses begin empty."""


class Used(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Calls and tokens of a part of a span. `at` is when the last of them began, microseconds since the epoch."""

    at: int
    calls: int
    tokens: int


class Span(msgspec.Struct, frozen=True, array_like=True):
    """The last `seconds`, the earliest first."""

    seconds: int
    used: tuple[Used, ...]


class Past(msgspec.Struct, frozen=True, array_like=True):
    """Of whoever is limited; `scope` and `subject` as in `Limited`."""

    scope: Scope
    subject: str
    spans: tuple[Span, ...]


def spans_of(limited: Iterable[Limited]) -> dict[tuple[Scope, str], set[int]]:
    """Whose past is to be told, and the lengths of their windows."""
    found: dict[tuple[Scope, str], set[int]] = {}
    for each in limited:
        if each.scope in RECORDED:
            spans = {rule.seconds for rule in each.limits.rules()}
            if spans:
                found.setdefault((each.scope, each.subject), set()).update(spans)
    return found
