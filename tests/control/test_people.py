"""`/manage/projects` and `/manage/users`: made, changed, switched off everywhere, never destroyed while in use."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatvault.access.grant import Whose
from chatvault.feed.messages import Forget, Revoke
from chatvault.ledger.place import ledger_place
from chatvault.ledger.store import Ledger
from tests.audit.samples import aside
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


async def test_a_project_is_made_and_shown(plane: Plane) -> None:
    limits = {"requests_per_minute": 5, "shadow": True}
    made = await said(
        plane, "POST", "/projects", 201, {"project_id": "team", "name": "The team", "limits": limits}
    )
    assert (made["project_id"], made["name"], made["active"], made["limits"]) == (
        "team",
        "The team",
        True,
        limits,
    )
    assert await said(plane, "GET", "/projects/team", 200) == made
    listed = await said(plane, "GET", "/projects?limit=1", 200)
    assert ([each["project_id"] for each in listed["data"]], listed["cursor"]) == (["default"], "default")
    following = await said(plane, "GET", "/projects?limit=1&cursor=default", 200)
    assert (following["data"], following["cursor"]) == ([made], None)
    assert (await said(plane, "POST", "/projects", 409, {"project_id": "team"}))["error"][
        "code"
    ] == "project_exists"
    assert (await said(plane, "GET", "/projects/none", 404))["error"]["code"] == "project_not_found"


async def test_changes_are_on_record_without_names(plane: Plane) -> None:
    await said(plane, "POST", "/projects", 201, {"project_id": "team", "name": "Secret name"})
    await said(plane, "PATCH", "/projects/team", 200, {"limits": {"concurrent": 2}, "name": "Other"})
    await said(plane, "POST", "/users", 201, {"user_id": "ada", "project_id": "team", "name": "Ada"})
    await said(plane, "PATCH", "/users/ada?project_id=team", 200, {"active": False})
    assert plane.journal.lines == [
        ("environment", "project.create", "team", None, {"active": True, "limits": None}),
        (
            "environment",
            "project.change",
            "team",
            {"active": True, "limits": None},
            {"active": True, "limits": {"concurrent": 2}},
        ),
        ("environment", "user.create", "team/ada", None, {"active": True, "limits": None}),
        (
            "environment",
            "user.change",
            "team/ada",
            {"active": True, "limits": None},
            {"active": False, "limits": None},
        ),
    ]


async def test_what_changes_nothing_is_not_on_record(plane: Plane) -> None:
    await said(plane, "PATCH", "/projects/default", 200, {"active": True})
    assert plane.journal.lines == []


async def test_nothing_changes_that_cannot_be_recorded(plane: Plane) -> None:
    plane.journal.full = True
    await said(plane, "PATCH", "/projects/default", 503, {"active": False})
    await said(plane, "POST", "/users", 503, {"user_id": "ada"})
    assert (await said(plane, "GET", "/projects/default", 200))["active"]
    assert (await said(plane, "GET", "/users", 200))["data"] == []


async def test_a_project_is_switched_off_and_on_everywhere(plane: Plane) -> None:
    token = await said(plane, "POST", "/tokens", 201, {"name": "n"})
    async with connected(plane.feed_path) as worker:
        await worker.next()
        off = await said(plane, "PATCH", "/projects/default", 200, {"active": False})
        assert (off["active"], off["unacknowledged"]) == (False, [])
        assert await worker.next() == Revoke(push=1, whose=Whose(projects=("default",)))
        assert (await plane.vault.holders([plane.digest(token["token"])])).popitem()[1].revoked
        await said(plane, "PATCH", "/projects/default", 200, {"active": True})
        assert await worker.next() == Forget(push=2, whose=Whose(projects=("default",)))
        assert not (await plane.vault.holders([plane.digest(token["token"])])).popitem()[1].revoked
        await said(plane, "PATCH", "/projects/default", 200, {"limits": {"requests_per_day": 1}})
        assert await worker.next() == Forget(push=3, whose=Whose(projects=("default",)))


async def test_a_worker_that_returns_hears_of_projects_and_users_that_are_switched_off(plane: Plane) -> None:
    await said(plane, "POST", "/users", 201, {"user_id": "ada"})
    await said(plane, "PATCH", "/users/ada", 200, {"active": False})
    await said(plane, "PATCH", "/projects/default", 200, {"active": False})
    async with connected(plane.feed_path) as worker:
        await worker.next()
        push = await worker.next()
    assert isinstance(push, Revoke)
    assert push.whose == Whose(projects=("default",), users=("default/ada",))


async def test_a_worker_that_does_not_answer_is_named(plane: Plane) -> None:
    async with connected(plane.feed_path, auto=False) as worker:
        await worker.next()
        late = await said(plane, "PATCH", "/projects/default", 202, {"active": False})
    assert late["unacknowledged"] == [0]


async def test_a_project_in_use_stays(plane: Plane) -> None:
    await said(plane, "POST", "/projects", 201, {"project_id": "empty"})
    await said(plane, "POST", "/projects", 201, {"project_id": "team"})
    await said(plane, "POST", "/tokens", 201, {"name": "n", "project_id": "team"})
    refused = await said(plane, "DELETE", "/projects/empty", 503)
    assert refused["error"]["code"] == "ledger_missing", "nobody can say whether calls refer to it"
    aside(lambda: Ledger.open(ledger_place(plane.data)).close())
    await said(plane, "DELETE", "/projects/empty", 204)
    await said(plane, "GET", "/projects/empty", 404)
    for project in ("team", "default"):
        refused = await said(plane, "DELETE", f"/projects/{project}", 409)
        assert refused["error"]["code"] == "project_in_use"
        await said(plane, "GET", f"/projects/{project}", 200)


async def test_users_belong_to_projects(plane: Plane) -> None:
    await said(plane, "POST", "/projects", 201, {"project_id": "team"})
    for project, user in (("default", "bob"), ("team", "ada"), ("team", "bob")):
        await said(plane, "POST", "/users", 201, {"user_id": user, "project_id": project})
    seen: list[tuple[str, str]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await said(plane, "GET", f"/users?limit=1{f'&cursor={cursor}' if cursor else ''}", 200)
        seen += [(each["project_id"], each["user_id"]) for each in page["data"]]
        cursor = page["cursor"]
    assert seen == [("default", "bob"), ("team", "ada"), ("team", "bob")]
    of_team = await said(plane, "GET", "/users?project_id=team", 200)
    assert [each["user_id"] for each in of_team["data"]] == ["ada", "bob"]
    assert (await said(plane, "GET", "/users/ada", 404))["error"]["code"] == "user_not_found"
    assert (await said(plane, "GET", "/users/ada?project_id=team", 200))["name"] == "ada"
    assert (await said(plane, "POST", "/users", 409, {"user_id": "bob"}))["error"]["code"] == "user_exists"
    missing = await said(plane, "POST", "/users", 404, {"user_id": "x", "project_id": "none"})
    assert missing["error"]["code"] == "project_not_found"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/projects", {"project_id": "../x"}, "project_id"),
        (
            "/projects",
            {"project_id": "x", "limits": {"requests_per_second": 1}},
            "limits.requests_per_second",
        ),
        ("/projects", {"project_id": "x", "limits": {"concurrent": -1}}, "limits.concurrent"),
        ("/projects", {"project_id": "x", "limits": {"concurrent": 1.5}}, "limits.concurrent"),
        ("/projects", {"project_id": "x", "limits": {"concurrent": 10**40}}, "limits.concurrent"),
        ("/projects", {"project_id": "x", "active": False}, "active"),
        ("/users", {"user_id": "'; DROP TABLE users; --"}, "user_id"),
        ("/users", {"user_id": "x" * 65}, "user_id"),
    ],
)
async def test_a_wrong_wish_is_refused_and_names_the_field(
    plane: Plane, path: str, body: object, param: str
) -> None:
    error = (await said(plane, "POST", path, 400, body))["error"]
    assert error["param"] == param
    assert plane.journal.lines == []


async def test_two_who_make_the_same_at_once_make_one(plane: Plane) -> None:
    answers = await asyncio.gather(
        *(plane.http.post("/manage/users", json={"user_id": "ada"}) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
