"""`/manage/tokens`: bounds, limits, changes, rotation, many revoked at once, and how tokens were used."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.access.grant import Whose
from chatvault.access.limits import Limited, Limits
from chatvault.feed.messages import Forget, Revoke
from chatvault.ledger.batch import Batch, Entry
from chatvault.ledger.place import ledger_place
from chatvault.ledger.store import Ledger
from tests.audit.samples import aside, closed
from tests.control.plane import Plane, open_plane
from tests.control.worker import connected


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path) as opened:
        yield opened


async def said(plane: Plane, method: str, path: str, status: int, body: object = None) -> Any:
    answer = await plane.http.request(method, f"/manage/tokens{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def made(plane: Plane, **wanted: object) -> dict[str, Any]:
    found = await said(plane, "POST", "", 201, {"name": "n", **wanted})
    assert isinstance(found, dict)
    return found


async def test_all_bounds_come_back_and_reach_the_grant(plane: Plane) -> None:
    wanted = {
        "networks": ["10.0.0.0/8", "::1"],
        "idle_hours": 1.5,
        "max_requests": 7,
        "limits": {"requests_per_minute": 3, "concurrent": 2},
    }
    token = await made(plane, **wanted)
    assert {name: token[name] for name in wanted} == wanted
    (holder,) = (await plane.vault.holders([plane.digest(token["token"])])).values()
    grant = holder.grant()
    assert (grant.networks, grant.idle) == (("10.0.0.0/8", "::1"), 5_400_000_000)
    assert grant.limits == (Limited("token", token["token_id"], Limits(requests_per_minute=3, concurrent=2)),)
    assert [(budget.id, budget.amount) for budget in grant.budgets] == [(f"{token['token_id']}/requests", 7)]


async def test_a_token_without_limits_has_the_default_ones(plane: Plane) -> None:
    plane.default_limits = Limits(requests_per_hour=1000)
    assert (await made(plane))["limits"] == {"requests_per_hour": 1000}
    assert (await made(plane, limits={}))["limits"] is None
    assert (await made(plane, limits=None))["limits"] is None
    assert (await made(plane, kind="management"))["limits"] is None
    first = await plane.first_start.make()
    assert first is not None
    assert first.client_token is not None
    (holder,) = (await plane.vault.holders([plane.digest(first.client_token)])).values()
    assert holder.grant().limits == ()


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"networks": ["10.0.0.0/99"]}, "networks"),
        ({"networks": []}, "networks"),
        ({"idle_hours": 0}, "idle_hours"),
        ({"max_requests": -1}, "max_requests"),
        ({"max_requests": True}, "max_requests"),
        ({"limits": {"requests_per_hour": "9"}}, "limits.requests_per_hour"),
        ({"parent_id": "tok_1"}, "parent_id"),
        ({"token_id": "tok_1"}, "token_id"),
        ({"revoked_at": None}, "revoked_at"),
    ],
)
async def test_a_wrong_wish_is_refused_and_names_the_field(
    plane: Plane, wanted: dict[str, object], param: str
) -> None:
    error = (await said(plane, "POST", "", 400, {"name": "n", **wanted}))["error"]
    assert error["param"] == param
    assert plane.journal.lines == []


async def test_a_change_is_on_record_and_reaches_the_workers(plane: Plane) -> None:
    token = await made(plane, models=["a"], limits={"concurrent": 1}, name="Ada's")
    async with connected(plane.feed_path) as worker:
        await worker.next()
        path = f"/{token['token_id']}"
        changed = await said(
            plane, "PATCH", path, 200, {"models": None, "max_requests": 4, "limits": {}, "name": "x"}
        )
        assert (changed["models"], changed["max_requests"], changed["limits"], changed["name"]) == (
            None,
            4,
            None,
            "x",
        )
        assert changed["unacknowledged"] == []
        assert await worker.next() == Forget(push=1, whose=Whose(tokens=(token["token_id"],)))
        again = await said(plane, "PATCH", path, 200, {"name": "x"})
        assert again["unacknowledged"] == []
    (_, what, subject, before, after) = plane.journal.lines[-1]
    assert (what, subject, len(plane.journal.lines)) == ("token.change", token["token_id"], 2)
    assert before is not None
    assert after is not None
    assert (before["models"], before["limits"]) == (("a",), {"concurrent": 1})
    assert (after["models"], after["max_requests"], after.get("limits")) == (None, 4, None)
    assert "Ada" not in str(plane.journal.lines)


async def test_expiry_can_be_moved_and_taken_away(plane: Plane) -> None:
    token = await made(plane, duration_hours=1, tags=["a"], metadata={"k": "v"}, idle_hours=2)
    path = f"/{token['token_id']}"
    later = await said(
        plane, "PATCH", path, 200, {"expires_at": "2099-01-01", "idle_hours": None, "networks": ["::1"]}
    )
    assert (later["expires_at"][:10], later["idle_hours"], later["networks"]) == ("2099-01-01", None, ["::1"])
    assert (later["tags"], later["metadata"]) == (["a"], {"k": "v"})
    never = await said(plane, "PATCH", path, 200, {"expires_at": None, "tags": [], "metadata": {}})
    assert (never["expires_at"], never["tags"], never["metadata"]) == (None, [], {})
    await said(plane, "PATCH", path, 400, {"expires_at": "2001-01-01"})
    await said(plane, "PATCH", "/tok_none", 404, {"name": "x"})


async def test_a_rotated_token_has_a_new_secret_and_a_grace(plane: Plane) -> None:
    token = await made(plane)
    path = f"/{token['token_id']}"
    rotated = await said(plane, "POST", f"{path}/rotate", 200, {"grace_hours": 1})
    assert rotated["token_id"] == token["token_id"]
    assert rotated["token"] != token["token"]
    found = await plane.vault.holders([plane.digest(token["token"]), plane.digest(rotated["token"])])
    assert [holder.until is None for holder in found.values()].count(True) == 1
    at_once = await said(plane, "POST", f"{path}/rotate", 200, {"grace_hours": 0})
    found = await plane.vault.holders([plane.digest(each["token"]) for each in (token, rotated, at_once)])
    assert list(found) == [plane.digest(at_once["token"])]
    assert await said(plane, "DELETE", "", 204, {"token": at_once["token"]}) is None
    assert (await said(plane, "POST", f"{path}/rotate", 409, {}))["error"]["code"] == "token_revoked"
    assert (await said(plane, "PATCH", path, 409, {"name": "x"}))["error"]["code"] == "token_revoked"
    assert "cv-" not in str(plane.journal.lines)


async def test_a_former_secret_names_its_token_too(plane: Plane) -> None:
    token = await made(plane)
    await said(plane, "POST", f"/{token['token_id']}/rotate", 200, {})
    await said(plane, "DELETE", "", 204, {"token": token["token"]})
    assert (await said(plane, "GET", f"/{token['token_id']}", 200))["revoked_at"] is not None


async def test_many_are_revoked_at_once_everywhere(plane: Plane) -> None:
    tokens = [await made(plane, project_id="pq"[number % 2], user_id="ada") for number in range(4)]
    await made(plane, project_id="p", kind="management")
    async with connected(plane.feed_path) as worker:
        await worker.next()
        assert await said(plane, "POST", "/revoke", 200, {"project_id": "p"}) == {
            "revoked": 2,
            "unacknowledged": [],
        }
        push = await worker.next()
        assert isinstance(push, Revoke)
        assert set(push.whose.tokens) == {tokens[0]["token_id"], tokens[2]["token_id"]}
        assert (await said(plane, "POST", "/revoke", 200, {"project_id": "p"}))["revoked"] == 0
    assert (await said(plane, "POST", "/revoke", 400, {}))["error"]["code"] == "invalid_request"
    left = await said(plane, "GET", "?state=active&kind=client", 200)
    assert {each["project_id"] for each in left["data"]} == {"q"}
    (_, what, subject, _, after) = plane.journal.lines[5]
    assert (what, subject) == ("token.revoke_all", "p")
    assert after is not None
    assert after["project_id"] == "p"


async def test_the_list_is_filtered(plane: Plane) -> None:
    one = await made(plane, project_id="p", user_id="ada", tags=["x"])
    await made(plane, kind="management")

    async def found(query: str) -> list[str]:
        return [each["token_id"] for each in (await said(plane, "GET", f"?{query}", 200))["data"]]

    for query in ("project_id=p", "user_id=ada", "tag=x", "kind=client", "state=active&tag=x"):
        assert await found(query) == [one["token_id"]], query
    assert await found("state=revoked") == []
    assert await found("parent_id=tok_1") == []
    assert await found("project_id=' OR 1=1 --") == []
    await said(plane, "GET", "?state=gone", 400)


async def test_how_a_token_was_used_comes_from_the_ledger(plane: Plane) -> None:
    token = await made(plane)
    path = f"/{token['token_id']}"
    assert (await said(plane, "GET", path, 200))["request_count"] is None, (
        "not known while there is no ledger"
    )

    def write() -> None:
        ledger = Ledger.open(ledger_place(plane.data))
        lines = [
            msgspec.structs.replace(
                closed(f"call-{number}"), token=token["token_id"], opened_at=number * 1_000_000
            )
            for number in (1, 2, 3)
        ]
        ledger.apply(Batch([Entry("w0", line) for line in lines], [], [], 3, 100))
        ledger.close()

    aside(write)
    shown = await said(plane, "GET", path, 200)
    assert (shown["request_count"], shown["last_used_at"]) == (3, "1970-01-01T00:00:03.000000Z")
    (listed,) = (await said(plane, "GET", "", 200))["data"]
    assert listed == shown
