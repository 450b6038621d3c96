"""`/manage/budgets`: made, changed, ended; what is left of them, as the store and the workers say."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatvault.access.grant import Whose
from chatvault.access.purse import Key
from chatvault.access.store import Ask
from chatvault.feed.messages import Balance, Balances, CallIn, Forget
from tests.control.plane import Plane, open_plane
from tests.control.worker import connected


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path) as opened:
        yield opened


async def said(plane: Plane, method: str, path: str, status: int, body: object = None) -> Any:
    answer = await plane.http.request(method, f"/manage{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def made(plane: Plane, **wanted: object) -> dict[str, Any]:
    found = await said(
        plane, "POST", "/budgets", 201, {"scope": "project", "subject": "default", "amount": "1.00", **wanted}
    )
    assert isinstance(found, dict)
    return found


async def test_a_budget_is_made_and_shown(plane: Plane) -> None:
    budget = await made(plane, amount="12.5", per="month", timezone="Europe/Zurich")
    assert (budget["amount"], budget["left"], budget["settled"], budget["leased"]) == (
        "12.50",
        "12.50",
        "0.00",
        "0.00",
    )
    assert budget["period_start"] < budget["created_at"] < budget["period_end"]
    assert budget["period_start"].endswith(("T22:00:00.000000Z", "T23:00:00.000000Z"))
    assert (budget["hard"], budget["allow_unbounded"], budget["project_id"]) == (True, False, "default")
    assert await said(plane, "GET", f"/budgets/{budget['budget_id']}", 200) == budget
    assert (await said(plane, "GET", "/budgets", 200)) == {"data": [budget], "cursor": None}
    ((who, what, subject, before, after),) = plane.journal.lines
    assert (who, what, subject, before) == ("environment", "budget.create", budget["budget_id"], None)
    assert after is not None
    assert (after["amount"], after["scope"], after["subject"]) == (12_500_000_000_000, "project", "default")


async def test_each_scope_has_its_subject(plane: Plane) -> None:
    token = await said(plane, "POST", "/tokens", 201, {"name": "n", "project_id": "team", "user_id": "ada"})
    of_token = await made(plane, scope="token", subject=token["token_id"])
    of_user = await made(plane, scope="user", subject="ada", project_id="team")
    of_model = await made(plane, scope="model", subject="gpt-*")
    assert (of_token["project_id"], of_user["project_id"], of_model["project_id"]) == ("team", "team", None)
    assert of_user["subject"] == "team/ada"
    found = await said(plane, "GET", "/budgets?scope=user&subject=team/ada", 200)
    assert [each["budget_id"] for each in found["data"]] == [of_user["budget_id"]]
    of_team = await said(plane, "GET", "/budgets?project_id=team&limit=1", 200)
    assert of_team["cursor"] is not None
    (held,) = (await plane.vault.holders([plane.digest(token["token"])])).values()
    assert {each.id for each in held.budgets} == {each["budget_id"] for each in (of_token, of_user, of_model)}
    for wrong, code in (
        ({"scope": "token", "subject": "tok_none"}, "token_not_found"),
        ({"scope": "project", "subject": "none"}, "project_not_found"),
        ({"scope": "user", "subject": "bob", "project_id": "team"}, "user_not_found"),
        ({"scope": "user", "subject": "ada", "project_id": "none"}, "project_not_found"),
    ):
        assert (await said(plane, "POST", "/budgets", 404, {"amount": 1, **wrong}))["error"]["code"] == code


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"amount": "one"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "0.0000000000001"}, "amount"),
        ({"amount": "1e30"}, "amount"),
        ({"amount": 0.1}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"per": "year"}, "per"),
        ({"scope": "address"}, "scope"),
        ({"spent": 0}, "spent"),
    ],
)
async def test_a_wrong_wish_is_refused_and_names_the_field(
    plane: Plane, wanted: dict[str, object], param: str
) -> None:
    body = {"scope": "project", "subject": "default", "amount": "1", "per": "day", **wanted}
    error = (await said(plane, "POST", "/budgets", 400, body))["error"]
    assert error["param"].startswith(param)
    assert plane.journal.lines == []


async def test_what_is_left_is_told_from_store_and_workers(plane: Plane) -> None:
    budget = await made(plane)
    key: Key = (budget["budget_id"], 0)
    await plane.vault.budgets.lend([Ask(key, "chain_0", 5 * 10**10), Ask(key, "worker9-dead", 2 * 10**11)], 1)
    await plane.vault.budgets.account("worker9-dead", {key: 10**11})
    async with connected(plane.feed_path) as worker:
        await worker.next()
        worker.say(Balances((Balance(*key, 5 * 10**10, 10**10, 3 * 10**10),)))
        await worker.look_up(bytes(32))
        found = await said(plane, "GET", f"/budgets/{key[0]}", 200)
    assert (found["settled"], found["reserved"], found["leased"], found["left"]) == (
        "0.11",
        "0.03",
        "0.01",
        "0.85",
    )


async def test_a_change_reaches_the_workers(plane: Plane) -> None:
    budget = await made(plane)
    key: Key = (budget["budget_id"], 0)
    await plane.vault.budgets.lend([Ask(key, "chain_0", 10**11)], 1)

    async def account() -> bool:
        return False

    task = asyncio.get_running_loop().create_task(plane.lender.run(plane.vault.budgets, account))
    async with connected(plane.feed_path) as worker:
        await worker.next()
        raised = await said(plane, "PATCH", f"/budgets/{key[0]}", 200, {"amount": "2", "hard": False})
        assert (raised["amount"], raised["hard"], raised["unacknowledged"]) == ("2.00", False, [])
        assert await worker.next() == Forget(push=2, whose=Whose(projects=("default",)))
        await said(plane, "PATCH", f"/budgets/{key[0]}", 200, {"amount": "0.5"})
        heard = {type(await worker.next()) for _ in range(2)}
        assert heard == {Forget, CallIn}
        await said(plane, "PATCH", f"/budgets/{key[0]}", 200, {"amount": "0.50"})
        await said(plane, "DELETE", f"/budgets/{key[0]}", 204)
        await said(plane, "DELETE", f"/budgets/{key[0]}", 204)
        refused = await said(plane, "PATCH", f"/budgets/{key[0]}", 409, {"amount": "3"})
    assert refused["error"]["code"] == "budget_ended"
    assert [what for _, what in plane.journal.acts] == [
        "budget.create",
        "budget.change",
        "budget.change",
        "budget.end",
    ]
    assert (await said(plane, "GET", f"/budgets/{key[0]}", 200))["ended_at"] is not None
    task.cancel()


async def test_a_worker_that_does_not_answer_is_named(plane: Plane) -> None:
    budget = await made(plane)
    async with connected(plane.feed_path, auto=False) as worker:
        await worker.next()
        late = await said(plane, "PATCH", f"/budgets/{budget['budget_id']}", 202, {"amount": "2"})
        assert late["unacknowledged"] == [0]
        ended = await said(plane, "DELETE", f"/budgets/{budget['budget_id']}", 202)
        assert ended == {"budget_id": budget["budget_id"], "ended": True, "unacknowledged": [0]}


async def test_strange_budgets_and_half_questions(plane: Plane) -> None:
    assert (await said(plane, "GET", "/budgets/bud_none", 404))["error"]["code"] == "budget_not_found"
    await said(plane, "DELETE", "/budgets/bud_none", 404)
    assert (await said(plane, "GET", "/budgets?scope=token", 400))["error"]["param"] == "scope"


async def test_nothing_changes_that_cannot_be_recorded(plane: Plane) -> None:
    budget = await made(plane)
    plane.journal.full = True
    await said(plane, "PATCH", f"/budgets/{budget['budget_id']}", 503, {"amount": "2"})
    await said(plane, "POST", "/budgets", 503, {"scope": "project", "subject": "default", "amount": "1"})
    assert (await said(plane, "GET", "/budgets", 200))["data"] == [budget]
