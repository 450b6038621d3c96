"""What happened to a call and why, told for people, a sentence each."""

from collections.abc import Iterator
from typing import Final

from chatvault.access.limits import Limited
from chatvault.access.reading import Reading
from chatvault.audit.lines import Attempted
from chatvault.control.explanation import Found, View, budgets
from chatvault.core.money import dollars

_ENDS: Final = {
    "completed": "It was answered whole",
    "client_gone": "The client left before the answer was whole",
    "upstream_cut": "The provider's answer ended before it was whole",
    "stalled": "The provider fell silent in the middle of its answer",
    "error_in_band": "The provider reported an error inside an answer that began well",
    "upstream_error": "The provider refused, failed, or could not be reached",
    "ended_by_gateway": "The gateway ended it",
    "gateway_error": "The gateway failed",
    "interrupted": "The gateway died meanwhile; the call was closed at the next start",
}
_SAID: Final = {
    "provider": "as the provider says",
    "counted": "as a tokenizer counted afterwards",
    "estimated": "which is an estimate: the provider did not say",
}
_RECKONED: Final = {
    "prices": "by the price book",
    "counted": "by the price book, for what was counted",
    "estimated": "by the price book, for what was estimated",
    "provider": "as the provider says",
    "free": "since nothing was billed",
}


def story(found: Found) -> list[str]:
    return list(_refused(found) if found.row["state"] == "refused" else _went(found))


def _refused(found: Found) -> Iterator[str]:
    row = found.row
    yield f"{_asked(found)} It was refused with {row['status_code']}, {row['error_code']}: nothing went to a provider."
    yield from _said(found)
    if row["calls"] > 1:
        yield (
            f"Its line stands for {row['calls']:,} calls that were refused for the same reason, from the same address "
            "within a second."
        )
    for limited in found.limits:
        windows = found.windows_of(limited)
        for window in windows:
            yield f"Now: {_window(window)}."
        if not windows:
            yield f"Now: nothing counts in the limits of the {limited.scope} {limited.subject} ({_limits(limited)})."
    for now in found.budgets.values():
        yield f"Now: {_state(now)}."
    yield from _on_record(found)


def _went(found: Found) -> Iterator[str]:
    row = found.row
    target = f", as {row['model_resolved']!r}" if row["model_resolved"] else ""
    where = f" It went to {row['provider']}{target}." if row["provider"] else ""
    yield f"{_asked(found)}{where}"
    for step in found.steps:
        if isinstance(step.line, Attempted):
            yield f"Attempt {step.line.number} went to {step.line.provider}, after {step.line.after}."
    yield from _ended(found)
    yield from _said(found)
    yield _usage(row)
    yield _cost(row)
    for paid in budgets(found):
        yield _paid(paid)
    yield from _on_record(found)


def _asked(found: Found) -> str:
    row = found.row
    who = f"The token {row['token_id']} (project {row['project_id']})" if row["token_id"] else "Somebody"
    what = f"{row['model_name']!r} by {row['endpoint']}" if row["model_name"] else row["endpoint"]
    return f"{who} asked for {what}."


def _ended(found: Found) -> Iterator[str]:
    row = found.row
    status = f", with status {row['status_code']}" if row["status_code"] else ""
    why = f" ({row['error_code']})" if row["error_code"] not in (None, row["state"]) else ""
    took = f", after {row['latency_ms']:,} ms" if row["latency_ms"] and row["state"] != "interrupted" else ""
    first = f"; its first byte came after {row['ttft_ms']:,} ms" if row["ttft_ms"] is not None else ""
    yield f"{_ENDS.get(row['state'], row['state'])}{status}{why}{took}{first}."


def _said(found: Found) -> Iterator[str]:
    if found.message is not None:
        yield f"What was said of it: {found.message}"
    elif found.aside == "erased":
        yield "What was said of it, and by whom it was asked, was erased."


def _usage(row: dict[str, object]) -> str:
    source = str(row["usage_source"])
    if source not in _SAID or row["input_tokens"] is None:
        return "What it used is not known."
    return (
        f"It used {row['input_tokens']:,} tokens in and {row['output_tokens'] or 0:,} out, {_SAID[source]}."
    )


def _cost(row: dict[str, object]) -> str:
    cost, bound = row["cost"], row["cost_bound"]
    if isinstance(cost, int):
        return f"It cost ${dollars(cost)}, {_RECKONED[str(row['cost_source'])]}."
    if isinstance(bound, int):
        return f"What it cost is not known; it was ${dollars(bound)} at most."
    return "What it cost is not known, and no bound of it is."


def _paid(paid: View) -> str:
    sign = "" if paid["unit"] == "requests" else "$"
    unit = " calls" if paid["unit"] == "requests" else ""
    reserved = "" if paid["reserved"] is None else f"{sign}{paid['reserved']}{unit} was reserved of it and "
    now = f" Now: {_state(paid['now'])}." if isinstance(paid["now"], dict) else ""
    return f"Budget {paid['budget_id']}: {reserved}{sign}{paid['charged']}{unit} charged.{now}"


def _window(row: Reading) -> str:
    if row.limit == "concurrent":
        return f"{row.used:,} calls of the {row.scope} {row.subject} are under way, of {row.most:,} at a time"
    frees = f"; the first of it frees in {row.frees:,.0f} s" if row.used else ""
    name = row.limit.replace("_", " ")
    return f"{row.used:,} of {row.most:,} {name} of the {row.scope} {row.subject} are used{frees}"


def _limits(limited: Limited) -> str:
    held = [f"{rule.most:,} {rule.limit.replace('_', ' ')}" for rule in limited.limits.rules()]
    if limited.limits.concurrent is not None:
        held.append(f"{limited.limits.concurrent:,} at a time")
    return ", ".join(held)


def _state(now: View) -> str:
    again = f"; it begins anew at {now['period_end']}" if now["period_end"] else ""
    ended = "; it has ended" if now["ended_at"] else ""
    return (
        f"{now['budget_id']}, ${now['amount']} of the {now['scope']} {now['subject']}, ${now['settled']} settled, "
        f"${now['reserved']} reserved, ${now['left']} left{again}{ended}"
    )


def _on_record(found: Found) -> Iterator[str]:
    row = found.row
    if not found.steps:
        yield f"Its line was number {row['seq']} of the chain {row['chain']}; the segment is gone from the journal."
        return
    last = found.steps[-1]
    yield (
        f"It is on record in line {last.line.seq} of the chain {last.chain}, segment {last.segment}, digest "
        f"{last.digest}."
    )
