"""What happened to a call and why, as a value: made from its row of the ledger, its lines of the journal, and what is
known now of the limits and budgets that counted it. Plain functions; `explain.py` gathers, `story.py` tells."""

from typing import Final, Literal

import msgspec

from chatvault.access.limits import Limited
from chatvault.access.reading import Reading
from chatvault.audit.lines import Attempted, Closed, Opened, Refused
from chatvault.audit.trail import Step
from chatvault.control.forms import shown_limits
from chatvault.control.limits import shown_window
from chatvault.core.charge import Charge
from chatvault.core.clock import iso
from chatvault.core.money import dollars
from chatvault.core.usage import Usage
from chatvault.ledger.queries import Call, KnownPrice
from chatvault.pricing.price import Price, bill

View = dict[str, object]
Aside = Literal["none", "kept", "erased"]
"""Whether a line has a part that can be erased, and what became of it."""

_MULTIPLIED: Final = frozenset(("prices", "counted", "estimated"))
"""Sources of a cost that is usage times price."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a call. `steps` is empty where its lines are gone with their segment. `budgets` are those
    that had to pay or may have refused it, as they are now, by id; `limits` those that may have refused it, as they
    hold now, and `windows` how full these are, as far as anything counts in them."""

    row: Call
    steps: list[Step]
    private: dict[str, object] | None = None
    aside: Aside = "none"
    price: KnownPrice | None = None
    budgets: dict[str, View] = {}
    limits: tuple[Limited, ...] = ()
    windows: list[Reading] = []

    @property
    def end(self) -> Closed | Refused | None:
        line = self.steps[-1].line if self.steps else None
        return line if isinstance(line, Closed | Refused) else None

    @property
    def opened(self) -> Opened | None:
        return next((step.line for step in self.steps if isinstance(step.line, Opened)), None)

    def windows_of(self, limited: Limited) -> list[Reading]:
        return [row for row in self.windows if (row.scope, row.subject) == (limited.scope, limited.subject)]

    @property
    def message(self) -> str | None:
        """What was said of it when it failed."""
        text = (self.private or {}).get("error")
        return text if isinstance(text, str) else None


def refusal(found: Found) -> View | None:
    """Why a call was refused; None for one that was not."""
    row = found.row
    if row["state"] != "refused":
        return None
    return {
        "code": row["error_code"],
        "message": found.message,
        "calls": row["calls"],
        "limits_now": [
            {
                "scope": each.scope,
                "subject": each.subject,
                "limits": shown_limits(each.limits),
                "windows": [shown_window(row) for row in found.windows_of(each)],
            }
            for each in found.limits
        ],
        "budgets_now": list(found.budgets.values()),
    }


def attempts(found: Found) -> list[View]:
    """Each try of a provider: the first is what the call was opened with."""
    opened = found.opened
    if opened is None:
        return []
    tried: list[View] = [_attempt(opened, 1, None)]
    return tried + [
        _attempt(step.line, step.line.number, step.line.after)
        for step in found.steps
        if isinstance(step.line, Attempted)
    ]


def _attempt(line: Opened | Attempted, number: int, after: str | None) -> View:
    return {
        "number": number,
        "at": iso(line.at),
        "provider": line.provider,
        "target": line.target,
        "after": after,
        **_money("reserved", line.reserved),
    }


def usage(found: Found) -> View:
    """What was used, and who says so."""
    used = _used(found)
    counts = (
        {}
        if used is None
        else {name: count for name in Usage.__struct_fields__ if (count := getattr(used, name))}
    )
    return {"source": found.row["usage_source"], **counts}


def _used(found: Found) -> Usage | None:
    row, end = found.row, found.end
    if row["usage_source"] == "counted":  # what a tokenizer counted afterwards holds over the line
        return Usage(input=row["input_tokens"] or 0, output=row["output_tokens"] or 0)
    if isinstance(end, Closed):
        return end.usage
    return None


def cost(found: Found) -> View:
    """What it cost, where that comes from, and how it was reckoned: each multiplication."""
    row = found.row
    lines: list[View] = []
    used, price = _used(found), found.price
    if row["cost_source"] in _MULTIPLIED and used is not None and price is not None:
        known = Price(
            version=row["price_version"],
            provider=price.provider,
            model=price.model,
            source=price.source,
            rates=price.rates,
            tiers=price.tiers,
        )
        lines = [_multiplied(*part) for part in bill(known, used)]
    return {
        **_money("cost", row["cost"]),
        "source": row["cost_source"],
        **_money("bound", row["cost_bound"]),
        "price": None
        if price is None
        else {
            "version": row["price_version"],
            "provider": price.provider,
            "model": price.model,
            "source": price.source,
        },
        "lines": lines,
    }


def _multiplied(field: str, units: int, rate: int | None) -> View:
    due = None if rate is None else units * rate
    return {"field": field, "units": units, **_money("rate", rate), **_money("amount", due)}


def budgets(found: Found) -> list[View]:
    """What each budget had reserved for it, and was charged. Exact dollars, or calls."""
    end, opened = found.end, found.opened
    charged = end.budgets if isinstance(end, Closed) else ()
    reserved = {
        (each.budget, each.start): each.amount for each in (opened.budgets if opened is not None else ())
    }
    for step in found.steps:
        if isinstance(step.line, Attempted):
            reserved |= {(each.budget, each.start): each.amount for each in step.line.budgets}
    return [_paid(each, reserved.get((each.budget, each.start)), found) for each in charged]


def _paid(charge: Charge, reserved: int | None, found: Found) -> View:
    calls = charge.budget.endswith("/requests")
    shown = (lambda amount: amount) if calls else dollars
    return {
        "budget_id": charge.budget,
        "unit": "requests" if calls else "money",
        "period_start": None if charge.start == 0 else iso(charge.start),
        "reserved": None if reserved is None else shown(reserved),
        "charged": shown(charge.amount),
        "now": found.budgets.get(charge.budget),
    }


def timings(found: Found) -> View:
    """Microseconds; None where they are not on record."""
    end = found.end
    closed = end if isinstance(end, Closed) else None
    return {
        "began_at": iso(found.row["timestamp"]),
        "ended_at": None if closed is None else iso(closed.at),
        "latency_us": None if closed is None else closed.latency_us,
        "first_byte_us": None if closed is None else closed.ttft_us,
        "bytes_out": None if closed is None else closed.bytes_out,
    }


def record(found: Found) -> View:
    """Where it is on record: its lines, in order, the one that the ledger was made from last."""
    row = found.row
    return {
        "chain": row["chain"],
        "seq": row["seq"],
        "private": found.aside,
        "lines": [
            {
                "type": step.line.__struct_config__.tag,
                "chain": step.chain,
                "segment": step.segment,
                "seq": step.line.seq,
                "digest": step.digest,
            }
            for step in found.steps
        ],
    }


def _money(name: str, amount: int | None) -> View:
    return {name: None if amount is None else dollars(amount), f"{name}_pico": amount}
