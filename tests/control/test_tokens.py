"""`/manage/tokens`: shown once, kept as a digest, recorded before it is so, revoked everywhere."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatvault.access.credential import well_formed
from chatvault.access.grant import Whose
from chatvault.core.clock import from_iso, now_us
from chatvault.feed.messages import Revoke, Welcome
from tests.control.plane import MANAGEMENT, Plane, client, open_plane
from tests.control.worker import connected


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path) as opened:
        yield opened


async def made(plane: Plane, **wanted: object) -> dict[str, Any]:
    answer = await plane.http.post("/manage/tokens", json={"name": "n", **wanted})
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


async def test_a_new_token_is_shown_once_and_kept_as_a_digest(plane: Plane) -> None:
    token = await made(
        plane,
        name="laptop",
        project_id="team",
        user_id="ada",
        models=["gpt-*"],
        endpoints=["chat.*"],
        tags=["a"],
        metadata={"k": "v"},
    )
    assert well_formed(token["token"].encode())
    assert token["expires_at"] is None
    assert token["project_id"] == "team"
    assert await plane.digest_known(token["token"])
    listed = await plane.http.get("/manage/tokens")
    kept = {name: token[name] for name in token if name != "token"}
    assert listed.json()["data"] == [{**kept, "request_count": None}], "there is no ledger"
    alone = await plane.http.get(f"/manage/tokens/{token['token_id']}")
    assert alone.json() == listed.json()["data"][0]
    for file in plane.data.rglob("*"):
        assert file.is_dir() or token["token"].encode() not in file.read_bytes()


async def test_the_journal_says_what_was_made_without_names(plane: Plane) -> None:
    token = await made(plane, name="Ada's laptop", tags=["t"], metadata={"k": "v"}, models=["m"])
    [(who, what, subject, before, after)] = plane.journal.lines
    assert (who, what, subject, before) == ("environment", "token.create", token["token_id"], None)
    assert after == {
        "project": "default",
        "user": None,
        "kind": "client",
        "expires_at": None,
        "models": ("m",),
        "endpoints": None,
    }


async def test_expiry_is_a_duration_or_a_time(plane: Plane) -> None:
    hours = await made(plane, duration_hours=1.5)
    assert abs(from_iso(hours["expires_at"]) - now_us() - 5_400_000_000) < 5_000_000
    at = await made(plane, expires_at="2099-01-01T00:00:00+00:00")
    assert at["expires_at"] == "2099-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"name": ""}, "name"),
        ({}, "name"),
        ({"name": "n", "nmae": "n"}, "nmae"),
        ({"name": "n", "project_id": "no blanks"}, "project_id"),
        ({"name": "n", "duration_hours": 0}, "duration_hours"),
        ({"name": "n", "duration_hours": 1, "expires_at": "2099-01-01"}, "expires_at"),
        ({"name": "n", "expires_at": "2001-01-01"}, "expires_at"),
        ({"name": "n", "expires_at": "soon"}, "expires_at"),
        ({"name": "n", "models": []}, "models"),
        ({"name": "n", "kind": "root"}, "kind"),
    ],
)
async def test_a_wrong_wish_is_refused_and_names_the_field(
    plane: Plane, wanted: dict[str, object], param: str
) -> None:
    answer = await plane.http.post("/manage/tokens", json=wanted)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert param in error["message"]
    assert plane.journal.lines == []


async def test_pages_hold_each_token_once(plane: Plane) -> None:
    ids = [(await made(plane))["token_id"] for _ in range(5)]
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = (await plane.http.get("/manage/tokens", params=query)).json()
        seen += [token["token_id"] for token in page["data"]]
        if page["cursor"] is None:
            break
        query["cursor"] = page["cursor"]
    assert seen == ids[::-1]
    for bad in ("x", "1-tok_x"):
        answer = await plane.http.get("/manage/tokens", params={"cursor": bad})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_cursor")
    assert (await plane.http.get("/manage/tokens", params={"limit": 0})).status_code == 400


async def test_revoked_by_id_or_by_the_token_itself_and_again_without_harm(plane: Plane) -> None:
    one, two = await made(plane), await made(plane)
    for _ in range(2):
        answer = await plane.http.delete(f"/manage/tokens/{one['token_id']}")
        assert (answer.status_code, answer.content) == (204, b"")
    answer = await plane.http.request("DELETE", "/manage/tokens", json={"token": two["token"]})
    assert answer.status_code == 204
    page = (await plane.http.get("/manage/tokens")).json()["data"]
    assert all(token["revoked_at"] is not None for token in page)
    acts = [what for _, what in plane.journal.acts]
    assert acts == ["token.create", "token.create", "token.revoke", "token.revoke"]


async def test_what_is_not_there_cannot_be_shown_or_revoked(plane: Plane) -> None:
    for answer in (
        await plane.http.get("/manage/tokens/tok_x"),
        await plane.http.delete("/manage/tokens/tok_x"),
        await plane.http.request("DELETE", "/manage/tokens", json={"token": "cv-x"}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "token_not_found")


async def test_a_revocation_returns_when_the_worker_has_acknowledged_it(tmp_path: Path) -> None:
    async with open_plane(tmp_path, expected=1, patience=2) as plane:
        token = await made(plane)
        async with connected(plane.feed_path) as worker:
            assert isinstance(await worker.next(), Welcome)
            answer = await plane.http.delete(f"/manage/tokens/{token['token_id']}")
            assert answer.status_code == 204
            assert await worker.next() == Revoke(push=1, whose=Whose(tokens=(token["token_id"],)))


async def test_a_worker_that_did_not_acknowledge_is_named(tmp_path: Path) -> None:
    async with open_plane(tmp_path, expected=1) as plane:
        token = await made(plane)
        answer = await plane.http.delete(f"/manage/tokens/{token['token_id']}")
        assert answer.status_code == 202
        assert answer.json() == {"token_id": token["token_id"], "revoked": True, "unacknowledged": [0]}


async def test_nothing_is_changed_that_the_journal_cannot_take(plane: Plane) -> None:
    token = await made(plane)
    plane.journal.full = True
    answer = await plane.http.post("/manage/tokens", json={"name": "n"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "journal_unavailable")
    assert "Make room" in answer.json()["error"]["message"]
    assert (await plane.http.delete(f"/manage/tokens/{token['token_id']}")).status_code == 503
    [kept] = (await plane.http.get("/manage/tokens")).json()["data"]
    assert kept["revoked_at"] is None


async def test_a_change_that_fails_after_it_was_recorded_is_recorded_as_failed(plane: Plane) -> None:
    other = sqlite3.connect(plane.vault.path)
    other.execute("BEGIN IMMEDIATE")
    answer = await plane.http.post("/manage/tokens", json={"name": "n"})
    other.close()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "vault_locked")
    assert plane.journal.acts == [("environment", "token.create"), ("environment", "token.create.failed")]
    assert plane.journal.lines[1][4] == {"code": "vault_locked"}


async def test_management_tokens_wither_too(plane: Plane) -> None:
    token = await made(plane, kind="management")
    async with client(plane.edge, token["token"]) as other:
        assert (await other.get("/manage/tokens")).status_code == 200
        made_by_it = await other.post("/manage/tokens", json={"name": "n"})
        assert made_by_it.status_code == 201
        assert plane.journal.lines[-1][0] == token["token_id"]
        assert (
            await plane.http.request("DELETE", "/manage/tokens", json={"token": token["token"]})
        ).status_code == 204
        answer = await other.get("/manage/tokens")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "revoked_token")


async def test_an_expired_management_token_says_so(plane: Plane) -> None:
    token = await made(plane, kind="management", duration_hours=0.00001)
    await asyncio.sleep(0.04)
    async with client(plane.edge, token["token"]) as other:
        answer = await other.get("/manage/tokens")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "expired_token")


async def test_a_client_token_does_not_open_the_control_plane(plane: Plane) -> None:
    token = await made(plane)
    async with client(plane.edge, token["token"]) as other:
        answer = await other.get("/manage/tokens")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_token")
    assert MANAGEMENT not in answer.text
