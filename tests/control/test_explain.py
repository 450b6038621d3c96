"""What happened to a call and why: a real journal, a real ledger, a real vault."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatvault.access.budget import Budget
from chatvault.access.limits import Limits
from chatvault.access.reading import Reading
from chatvault.access.store import KeptBudget
from chatvault.access.token import Token
from chatvault.audit.lines import Attempted, Closed, Line, Priced, Refused
from chatvault.audit.segments import chains, private_path
from chatvault.audit.writer import ChainWriter
from chatvault.core.charge import Charge
from chatvault.core.usage import Usage
from chatvault.feed.messages import Readings, ShowLimits
from chatvault.ledger.batch import Batch, Entry
from chatvault.ledger.place import ledger_place
from chatvault.ledger.state import RecorderState, write_state
from chatvault.ledger.store import Ledger
from tests.audit.samples import aside, closed, open_writer, opened
from tests.control.plane import Plane, open_plane
from tests.control.worker import connected

PRICED = Priced(
    at=1,
    version="p1",
    provider="fake",
    model="fake-1",
    source="config",
    rates={"input": 2, "output": 10, "request": 7},
)


class Stage:
    def __init__(self, plane: Plane, data: Path) -> None:
        self.plane = plane
        self.data = data
        self.journal: ChainWriter = open_writer(data)

    def write(self, *lines: Line) -> None:
        for line in lines:
            self.journal.append(line)
        kept = [line for line in lines if isinstance(line, Closed | Refused)]
        entries = [Entry(self.journal.chain, line) for line in kept]
        prices = [line for line in lines if isinstance(line, Priced)]
        ledger = Ledger.open(ledger_place(self.data))
        ledger.apply(Batch(entries, prices, [], len(lines), 100))
        ledger.close()

    async def told(self, id: str, status: int = 200) -> Any:
        answer = await self.plane.http.get(f"/manage/explain/{id}")
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_plane(tmp_path) as plane:
        made = aside(Stage, plane, tmp_path)
        yield made
        aside(made.journal.close)


def call(**more: Any) -> Closed:
    line = closed("a")
    changes = {
        "usage": Usage(input=100, output=5), "cost": 257, "price": "p1", "latency_us": 2_500, "ttft_us": 1_500, **more,
    }  # fmt: skip
    for name, value in changes.items():
        setattr(line, name, value)
    return line


async def test_a_call_is_told_with_each_multiplication_and_what_paid(stage: Stage) -> None:
    await stage.plane.vault.budgets.add(
        KeptBudget(budget=Budget(id="bud_1", scope="project", subject="default", amount=10**13), project="default", created_at=1)
    )  # fmt: skip
    first, last = (
        opened("a"),
        call(attempts=2, budgets=(Charge("bud_1", 0, 257, 257), Charge("tok_1/requests", 0, 1, 1))),
    )
    first.budgets = (Charge("bud_1", 0, 1000, 1000), Charge("tok_1/requests", 0, 1, 1))
    again = Attempted(
        at=5, id="a", number=2, provider="fake", target="fake-1", reserved=1000, after="stale_connection",
        budgets=(Charge("bud_1", 0, 2000, 2000),),
    )  # fmt: skip
    aside(stage.write, PRICED, first, again, last)
    told = await stage.told("a")
    lines = told["cost"]["lines"]
    assert [(line["field"], line["units"], line["rate_pico"], line["amount_pico"]) for line in lines] == [
        ("request", 1, 7, 7),
        ("input", 100, 2, 200),
        ("output", 5, 10, 50),
    ]
    assert sum(line["amount_pico"] for line in lines) == told["cost"]["cost_pico"] == 257
    assert told["cost"]["price"] == {
        "version": "p1",
        "provider": "fake",
        "model": "fake-1",
        "source": "config",
    }
    assert [(each["number"], each["after"]) for each in told["attempts"]] == [
        (1, None),
        (2, "stale_connection"),
    ]
    assert told["usage"] == {"source": "provider", "input": 100, "output": 5}
    money, calls = told["budgets"]
    assert (money["reserved"], money["charged"], money["now"]["amount"]) == (
        "0.000000002",
        "0.000000000257",
        "10.00",
    )
    assert (calls["unit"], calls["reserved"], calls["charged"], calls["now"]) == ("requests", 1, 1, None)
    assert (told["timings"]["latency_us"], told["timings"]["first_byte_us"]) == (2_500, 1_500)
    assert told["refusal"] is None
    record = told["record"]
    assert [(line["type"], line["seq"]) for line in record["lines"]] == [
        ("opened", 3),
        ("attempt", 4),
        ("closed", 5),
    ]
    assert record["lines"][-1]["digest"] == stage.journal.head[1]
    assert (record["chain"], record["seq"], record["private"]) == (stage.journal.chain, 5, "none")
    story = "\n".join(told["story"])
    assert "The token tok_1 (project default) asked for 'fast'" in story
    assert "It went to fake, as 'fake-1'." in story
    assert "Attempt 2 went to fake, after stale_connection." in story
    assert "It was answered whole, with status 200, after 3 ms; its first byte came after 2 ms." in story
    assert "It used 100 tokens in and 5 out, as the provider says." in story
    assert "It cost $0.000000000257, by the price book." in story
    assert "Budget bud_1: $0.000000002 was reserved of it and $0.000000000257 charged." in story
    assert f"line 5 of the chain {stage.journal.chain}, segment 1" in story


async def test_what_is_unknown_is_said_to_be(stage: Stage) -> None:
    unknown = {
        "usage": None,
        "usage_source": "unknown",
        "cost": None,
        "cost_source": "unknown",
        "state": "upstream_cut",
    }
    aside(stage.write, PRICED, opened("a"), call(**unknown, bound=4000, code="upstream_reset"))
    told = await stage.told("a")
    assert (told["cost"]["cost"], told["cost"]["bound_pico"], told["cost"]["lines"]) == (None, 4000, [])
    story = "\n".join(told["story"])
    assert (
        "The provider's answer ended before it was whole, with status 200 (upstream_reset), after 3 ms"
        in story
    )
    assert "What it used is not known." in story
    assert "What it cost is not known; it was $0.000000004 at most." in story
    unbound = call(**unknown)
    unbound.id = "b"
    aside(stage.write, unbound)
    assert "What it cost is not known, and no bound of it is." in (await stage.told("b"))["story"]


async def test_a_refusal_is_told_with_what_refused_it_and_how_that_stands(stage: Stage) -> None:
    vault = stage.plane.vault
    await vault.add(Token(id="tok_1", name="n", created_at=1, limits=Limits(requests_per_hour=5)), b"1" * 32)
    why = "The limit of 5 requests an hour of the token tok_1 is reached. Try again in 60 s."
    private = aside(stage.journal.private, "r", "refusal", {"error": why})
    line = Refused(
        at=9, id="r", status=429, code="rate_limited", endpoint="chat.completions", count=3, token="tok_1",
        project="default", private=private,
    )  # fmt: skip
    aside(stage.write, line)
    window = Reading("token", "tok_1", "requests_per_hour", 5, 5, 61.6, 3000, False, 0)
    async with connected(stage.plane.feed_path) as worker, asyncio.TaskGroup() as group:
        await worker.next()
        asking = group.create_task(stage.told("r"))
        asked = await worker.next()
        assert isinstance(asked, ShowLimits)
        assert (asked.scope, asked.subject) == ("token", "tok_1")
        worker.say(Readings(asked.number, (window,)))
    told = asking.result()
    refusal = told["refusal"]
    assert (refusal["code"], refusal["message"], refusal["calls"]) == ("rate_limited", why, 3)
    (limits,) = refusal["limits_now"]
    assert (limits["scope"], limits["subject"], limits["limits"]) == (
        "token",
        "tok_1",
        {"requests_per_hour": 5},
    )
    assert [(row["limit"], row["used"], row["left"]) for row in limits["windows"]] == [
        ("requests_per_hour", 5, 0)
    ]
    assert refusal["budgets_now"] == []
    said = "Now: 5 of 5 requests per hour of the token tok_1 are used; the first of it frees in 62 s."
    assert said in told["story"]
    story = told["story"]
    assert "It was refused with 429, rate_limited: nothing went to a provider." in story[0]
    assert story[1] == f"What was said of it: {why}"
    assert story[2].startswith("Its line stands for 3 calls")
    assert (told["attempts"], told["budgets"], told["cost"]["cost"]) == ([], [], "0.00")
    assert told["record"]["private"] == "kept"


async def test_limits_that_count_nothing_and_budgets_are_told_as_they_are(stage: Stage) -> None:
    vault = stage.plane.vault
    limits = Limits(requests_per_hour=5, concurrent=2)
    await vault.add(Token(id="tok_1", name="n", created_at=1, limits=limits), b"1" * 32)
    budget = Budget(id="bud_1", scope="token", subject="tok_1", amount=5 * 10**12, per="month")
    await vault.budgets.add(KeptBudget(budget=budget, project="default", created_at=1))
    shared: dict[str, Any] = {
        "status": 429,
        "endpoint": "chat.completions",
        "token": "tok_1",
        "project": "default",
    }
    codes = {"r": "too_many_calls", "b": "budget_exceeded", "m": "model_not_allowed"}
    aside(stage.write, *(Refused(at=9, id=id, code=code, **shared) for id, code in codes.items()))
    told = await stage.told("r")
    quiet = "Now: nothing counts in the limits of the token tok_1 (5 requests per hour, 2 at a time)."
    assert quiet in told["story"]
    told = await stage.told("b")
    (now,) = told["refusal"]["budgets_now"]
    assert (now["budget_id"], now["left"], told["refusal"]["limits_now"]) == ("bud_1", "5.00", [])
    assert now["period_end"] is not None
    assert any(
        line.startswith("Now: bud_1, $5.00 of the token tok_1, $0.00 settled") for line in told["story"]
    )
    told = await stage.told("m")
    assert (told["refusal"]["limits_now"], told["refusal"]["budgets_now"]) == ([], [])


async def test_what_was_erased_is_said_to_be(stage: Stage) -> None:
    private = aside(stage.journal.private, "r", "refusal", {"error": "secret"})
    aside(
        stage.write,
        Refused(at=9, id="r", status=401, code="token_unknown", endpoint="unknown", private=private),
    )
    path = private_path(stage.journal.folder, stage.journal.chain, 1)
    aside(path.write_bytes, b"")
    told = await stage.told("r")
    assert (told["record"]["private"], told["refusal"]["message"]) == ("erased", None)
    assert "What was said of it, and by whom it was asked, was erased." in told["story"]
    assert told["story"][0].startswith("Somebody asked for unknown. It was refused with 401")


async def test_a_call_of_a_segment_that_is_gone_is_told_from_the_ledger(stage: Stage) -> None:
    aside(stage.write, PRICED, opened("a"), call())
    for segment in aside(chains, stage.journal.folder)[stage.journal.chain]:
        aside(segment.path.unlink)
    told = await stage.told("a")
    assert (told["record"]["lines"], told["attempts"], told["cost"]["lines"]) == ([], [], [])
    assert told["cost"]["cost_pico"] == 257
    assert told["story"][-1].endswith("the segment is gone from the journal.")


async def test_an_unknown_one_is_404_with_what_may_be_the_reason(stage: Stage) -> None:
    aside(stage.write, opened("a"), call())
    error = (await stage.told("nobody", 404))["error"]
    assert (error["code"], error["param"]) == ("call_not_found", "id")
    assert "behind" not in error["message"]
    state = RecorderState(at=1, bytes_behind=5, lines_behind=1, seconds_behind=12.0)
    aside(write_state, stage.data, state)
    assert "12 s behind" in (await stage.told("nobody", 404))["error"]["message"]


async def test_what_a_tokenizer_counted_is_multiplied_instead(stage: Stage) -> None:
    aside(stage.write, PRICED, opened("a"), call(usage_source="counted", cost_source="counted", cost=257))
    told = await stage.told("a")
    assert sum(line["amount_pico"] for line in told["cost"]["lines"]) == 257
    assert "as a tokenizer counted afterwards" in "\n".join(told["story"])
