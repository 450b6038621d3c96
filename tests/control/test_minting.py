"""Sub-tokens, asked for over a real feed: narrower, shorter-lived, and gone with what they were minted by."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.access.grant import Bounds
from chatvault.access.limits import Limited, Limits
from chatvault.access.token import DEEPEST
from chatvault.control import minting
from chatvault.control.minting import Minting
from chatvault.core.clock import from_iso, now_us
from chatvault.feed.messages import Answer, Ask, Granted, Lookup, Revoke
from tests.control.plane import Plane, open_plane
from tests.control.worker import connected

HOUR = 3_600_000_000


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path) as opened:
        Minting(opened.vault, opened.tokens).listen(opened.feed.questions)
        yield opened


async def top(plane: Plane, **wanted: object) -> dict[str, Any]:
    made = await plane.http.post("/manage/tokens", json={"name": "top", **wanted})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def asked(plane: Plane, what: str, token: str, body: str) -> tuple[int, Any]:
    """What a worker hears."""
    async with connected(plane.feed_path) as worker:
        await worker.next()
        worker.say(Ask(7, what, token, body))
        while not isinstance(answer := await worker.next(), Answer):
            pass
        assert answer.number == 7
        return answer.status, json.loads(answer.body) if answer.body else None


async def mint(plane: Plane, token: str, **wanted: object) -> dict[str, Any]:
    status, found = await asked(plane, "tokens.create", token, json.dumps({"name": "below", **wanted}))
    assert status == 201, found
    assert isinstance(found, dict)
    return found


async def refused(plane: Plane, token: str, **wanted: object) -> tuple[int, str, str | None]:
    body = json.dumps({"name": "below", **wanted})
    status, found = await asked(plane, "tokens.create", token, body)
    return status, found["error"]["code"], found["error"]["param"]


async def granted(plane: Plane, secret: str) -> Granted:
    async with connected(plane.feed_path) as worker:
        await worker.next()
        worker.say(Lookup(plane.digest(secret).hex()))
        while not isinstance(answer := await worker.next(), Granted):
            pass
        return answer


async def test_a_minted_token_is_bound_by_its_own_and_by_those_above(plane: Plane) -> None:
    above = await top(
        plane, project_id="team", user_id="ada", models=["gpt-*"], networks=["10.0.0.0/8"],
        limits={"requests_per_hour": 9}, max_requests=5,
    )  # fmt: skip
    wanted = {
        "models": ["*-mini"],
        "endpoints": ["chat.*"],
        "limits": {"concurrent": 1},
        "max_requests": 2,
        "idle_hours": 1.5,
        "tags": ["ci"],
        "metadata": {"job": "7"},
        "networks": ["10.1.0.0/16"],
    }
    made = await mint(plane, above["token_id"], **wanted)
    assert {name: made[name] for name in wanted} == wanted
    assert (made["project_id"], made["user_id"], made["parent_id"]) == ("team", "ada", above["token_id"])
    grant = (await granted(plane, made["token"])).grant
    assert grant is not None
    assert grant.parents == (above["token_id"],)
    assert grant.within == (Bounds(("gpt-*",), None, ("10.0.0.0/8",)),)
    assert grant.allows_model("gpt-5-mini")
    assert not grant.allows_model("o4-mini")
    assert not grant.allows_model("gpt-5")
    assert not grant.allows_endpoint("tokens")
    assert grant.limits == (
        Limited("token", made["token_id"], Limits(concurrent=1)),
        Limited("token", above["token_id"], Limits(requests_per_hour=9)),
    )
    assert {budget.subject: budget.amount for budget in grant.budgets} == {
        made["token_id"]: 2,
        above["token_id"]: 5,
    }


async def test_it_is_on_record_as_its_parents_doing(plane: Plane) -> None:
    above = await top(plane)
    made = await mint(plane, above["token_id"])
    who, what, subject, _, after = plane.journal.lines[-1]
    assert (who, what, subject) == (above["token_id"], "token.create", made["token_id"])
    assert after is not None
    assert after["parent"] == above["token_id"]
    assert made["token"] not in str(plane.journal.lines)


async def test_it_always_has_an_end_and_none_after_its_parents(plane: Plane) -> None:
    endless = (await top(plane))["token_id"]
    hour = from_iso((await mint(plane, endless))["expires_at"])
    assert abs(hour - now_us() - HOUR) < HOUR / 60
    long = from_iso((await mint(plane, endless, duration_hours=48))["expires_at"])
    assert abs(long - now_us() - 48 * HOUR) < HOUR / 60
    short = await top(plane, duration_hours=0.5)
    made = await mint(plane, short["token_id"])
    assert made["expires_at"] == short["expires_at"]
    assert await refused(plane, short["token_id"], duration_hours=0.6) == (
        403,
        "cannot_widen",
        "duration_hours",
    )
    late = {"expires_at": "2099-01-01T00:00:00Z"}
    assert await refused(plane, short["token_id"], **late) == (403, "cannot_widen", "expires_at")
    both = {"expires_at": "2099-01-01T00:00:00Z", "duration_hours": 1}
    assert await refused(plane, endless, **both) == (400, "invalid_request", "expires_at")
    assert (await refused(plane, endless, expires_at="2020-01-01T00:00:00Z"))[0] == 400


async def test_what_its_parent_may_not_it_cannot_ask_for(plane: Plane) -> None:
    narrow = (await top(plane, models=["gpt-*"], endpoints=["chat.*", "tokens", "account.files"]))["token_id"]
    assert await refused(plane, narrow, models=["o4"]) == (403, "cannot_widen", "models")
    assert await refused(plane, narrow, endpoints=["embeddings"]) == (403, "cannot_widen", "endpoints")
    assert await refused(plane, narrow, endpoints=["account.batches"]) == (403, "cannot_widen", "endpoints")
    await mint(plane, narrow, models=["gpt-5", "o*"], endpoints=["chat.*", "account.files"])
    wide = (await top(plane))["token_id"]
    assert await refused(plane, wide, endpoints=["account.*"]) == (403, "cannot_widen", "endpoints")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ("", "invalid_json", None),
        ("{", "invalid_json", None),
        ("[]", "invalid_request", None),
        ("{}", "invalid_request", "name"),
        ('{"name":"n","project_id":"p"}', "invalid_request", "project_id"),
        ('{"name":"n","user_id":"u"}', "invalid_request", "user_id"),
        ('{"name":"n","kind":"management"}', "invalid_request", "kind"),
        ('{"name":"n","networks":["x"]}', "invalid_request", "networks"),
        ('{"name":"n","limits":{"concurrent":-1}}', "invalid_request", "limits.concurrent"),
    ],
)
async def test_what_cannot_be_read_is_refused(plane: Plane, body: str, code: str, param: str | None) -> None:
    above = await top(plane)
    status, found = await asked(plane, "tokens.create", above["token_id"], body)
    assert (status, found["error"]["code"], found["error"]["param"]) == (400, code, param)
    assert [what for _, what in plane.journal.acts] == ["token.create"]


async def test_tokens_are_minted_so_deep_and_no_deeper(plane: Plane) -> None:
    made = await top(plane)
    line = [made["token_id"]]
    for _ in range(DEEPEST):
        made = await mint(plane, line[-1])
        line.append(made["token_id"])
    grant = (await granted(plane, made["token"])).grant
    assert grant is not None
    assert grant.parents == tuple(line[-2::-1])
    assert (await refused(plane, line[-1]))[:2] == (403, "tokens_too_deep")


async def test_so_many_hold_below_one_and_no_more(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minting, "MOST_BELOW", 3)
    above = (await top(plane))["token_id"]
    first = (await mint(plane, above))["token_id"]
    await mint(plane, first)
    await mint(plane, above)
    assert (await refused(plane, above))[:2] == (409, "too_many_tokens")
    assert (await refused(plane, first))[:2] == (409, "too_many_tokens")
    assert await asked(plane, "tokens.revoke", above, first) == (204, None)
    await mint(plane, above)


async def test_a_child_is_revoked_by_its_parent_alone(plane: Plane) -> None:
    above, other = (await top(plane))["token_id"], (await top(plane))["token_id"]
    made = await mint(plane, above)
    child = made["token_id"]
    grandchild = (await mint(plane, child))["token_id"]
    for asking, named in (
        (other, child),
        (above, grandchild),
        (child, child),
        (above, above),
        (above, "tok_x"),
    ):
        status, found = await asked(plane, "tokens.revoke", asking, named)
        assert (status, found["error"]["code"]) == (404, "token_not_found")
    async with connected(plane.feed_path) as worker:
        await worker.next()
        worker.say(Ask(1, "tokens.revoke", above, child))
        heard = [await worker.next()]
        while not isinstance(heard[-1], Answer):
            heard.append(await worker.next())
    *_, revoke, answer = heard
    assert isinstance(revoke, Revoke)
    assert revoke.whose.tokens == (child,)
    assert answer == Answer(1, 204)
    assert plane.journal.acts[-1] == (above, "token.revoke")
    assert (await granted(plane, made["token"])).reason == "revoked"


async def test_it_dies_with_its_parent(plane: Plane) -> None:
    above = await top(plane, project_id="team")
    child = await mint(plane, above["token_id"])
    below = await mint(plane, child["token_id"])
    await plane.http.patch("/manage/projects/team", json={"active": False})
    assert (await granted(plane, below["token"])).reason == "revoked"
    assert (await refused(plane, child["token_id"]))[:2] == (401, "token_revoked")
    await plane.http.patch("/manage/projects/team", json={"active": True})
    await plane.http.patch(f"/manage/tokens/{above['token_id']}", json={"duration_hours": 0.1})
    grant = (await granted(plane, below["token"])).grant
    assert grant is not None
    assert grant.expires_at is not None
    assert grant.expires_at < now_us() + HOUR / 9
    await plane.http.delete(f"/manage/tokens/{above['token_id']}")
    assert (await granted(plane, below["token"])).reason == "revoked"
    assert (await refused(plane, child["token_id"]))[:2] == (401, "token_revoked")


async def test_a_token_that_expired_meanwhile_mints_none(plane: Plane) -> None:
    above = await top(plane, duration_hours=1)
    token = await plane.vault.get(above["token_id"])
    assert token is not None
    await plane.vault.change(msgspec.structs.replace(token, expires_at=now_us() - 1))
    assert (await refused(plane, above["token_id"]))[:2] == (401, "token_expired")


async def test_what_cannot_be_recorded_is_not_minted(plane: Plane) -> None:
    above = await top(plane)
    plane.journal.full = True
    assert (await refused(plane, above["token_id"]))[:2] == (503, "journal_unavailable")
    assert [token.id for token in await plane.vault.page(9)] == [above["token_id"]]
