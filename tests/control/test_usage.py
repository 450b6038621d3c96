"""`/usage`, over a ledger that was really written."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatvault.audit.lines import Closed, Refused
from chatvault.control.when import moment
from chatvault.core.clock import from_iso, now_us
from chatvault.core.errors import ClientError
from chatvault.ledger.batch import Batch, Entry
from chatvault.ledger.place import ledger_place
from chatvault.ledger.store import Ledger
from tests.control.plane import Plane, open_plane

AT = from_iso("2026-01-31T17:00:00Z")


def call(number: int, **more: object) -> Closed:
    values: dict[str, object] = {
        "at": AT + number,
        "id": f"{number:032x}",
        "opened_at": AT + number * 1_000_000,
        "state": "completed",
        "status": 200,
        "token": "tok_a",
        "project": "default",
        "endpoint": "chat.completions",
        "model": "fast",
        "provider": "fake",
        "usage_source": "provider",
        "cost": 150_000_000_000 * number,
        "cost_source": "prices",
    }
    return Closed(**{**values, **more})  # type: ignore[arg-type]


CALLS: list[Closed | Refused] = [
    call(1),
    call(2, token="tok_b", model="slow", cost=1),
    call(3, state="client_gone", cost=None, cost_source="unknown", bound=7_000_000_000_000),
    Refused(at=AT + 4_000_000, id=f"{4:032x}", status=401, code="invalid_token", endpoint="chat.completions"),
]


def write(data: Path) -> None:
    ledger = Ledger.open(ledger_place(data))
    ledger.apply(Batch([Entry("w0", line) for line in CALLS], [], [], len(CALLS), 100))
    ledger.close()


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    await asyncio.to_thread(write, tmp_path)
    async with open_plane(tmp_path) as opened:
        yield opened


async def ids(plane: Plane, **query: str | int) -> list[int]:
    answer = await plane.http.get("/usage", params=query)
    assert answer.status_code == 200, answer.text
    return [int(row["id"], 16) for row in answer.json()["data"]]


async def test_rows_come_newest_first_with_exact_money(plane: Plane) -> None:
    rows = (await plane.http.get("/usage")).json()["data"]
    assert [int(row["id"], 16) for row in rows] == [4, 3, 2, 1]
    assert [(row["cost"], row["cost_pico"]) for row in rows] == [
        ("0.00", 0),
        (None, None),
        ("0.000000000001", 1),
        ("0.15", 150_000_000_000),
    ]
    assert rows[1]["cost_bound"] == "7.00"
    assert rows[3]["timestamp"] == "2026-01-31T17:00:01.000000Z"
    assert rows[3]["token_id"] == "tok_a"


async def test_filters_narrow_the_question(plane: Plane) -> None:
    assert await ids(plane, token="tok_b") == [2]
    assert await ids(plane, model="fast", state="client_gone") == [3]
    assert await ids(plane, since="2026-01-31T17:00:03Z") == [4, 3]
    assert await ids(plane, since="2026-01-31T17:00:03+00:00", until="2026-01-31T17:00:04Z") == [3]
    assert await ids(plane, since="1h") == []
    assert await ids(plane, provider="none") == []


async def test_pages(plane: Plane) -> None:
    first = (await plane.http.get("/usage", params={"limit": 3})).json()
    assert len(first["data"]) == 3
    rest = (await plane.http.get("/usage", params={"limit": 3, "cursor": first["cursor"]})).json()
    assert [int(row["id"], 16) for row in rest["data"]] == [1]
    assert rest["cursor"] is None


async def test_one_call_is_found_by_its_request_id(plane: Plane) -> None:
    found = await plane.http.get(f"/usage/{2:032x}")
    assert found.json()["model_name"] == "slow"
    missing = await plane.http.get(f"/usage/{9:032x}")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "call_not_found")


async def test_the_summary_sums_exactly_and_owns_up_to_what_is_unknown(plane: Plane) -> None:
    rows = (await plane.http.get("/usage/summary")).json()["data"]
    by_model = {row["model"]: row for row in rows}
    assert by_model["fast"]["calls"] == 2
    assert by_model["fast"]["failed"] == 1
    assert (by_model["fast"]["cost"], by_model["fast"]["unpriced"]) == ("0.15", 1)
    assert by_model["fast"]["bound"] == "7.00"
    assert by_model["slow"]["cost"] == "0.000000000001"
    gone = (await plane.http.get("/usage/summary", params={"group_by": "state,token"})).json()["data"]
    [unknown] = [row for row in gone if row["state"] == "client_gone"]
    assert (unknown["cost"], unknown["cost_pico"], unknown["token"]) == (None, None, "tok_a")


async def test_the_summary_of_nothing(plane: Plane) -> None:
    [row] = (await plane.http.get("/usage/summary", params={"group_by": "", "model": "none"})).json()["data"]
    assert (row["calls"], row["first"], row["cost"]) == (0, None, None)


async def test_what_ends_is_followed(plane: Plane) -> None:
    start = (await plane.http.get("/usage/follow")).json()
    assert start["data"] == []
    news = (await plane.http.get("/usage/follow", params={"after": 2})).json()
    assert [int(row["id"], 16) for row in news["data"]] == [3, 4]
    assert news["after"] == start["after"]


@pytest.mark.parametrize(
    ("path", "query", "param"),
    [
        ("/usage", {"state": "fine"}, "state"),
        ("/usage", {"since": "yesterday"}, "since"),
        ("/usage", {"cursor": "x"}, "cursor"),
        ("/usage/summary", {"group_by": "colour"}, "group_by"),
    ],
)
async def test_a_wrong_question_names_what_is_wrong(
    plane: Plane, path: str, query: dict[str, str], param: str
) -> None:
    answer = await plane.http.get(path, params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_a_missing_ledger_is_a_503_that_says_so(tmp_path: Path) -> None:
    async with open_plane(tmp_path) as plane:
        answer = await plane.http.get("/usage")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_missing")


def test_times() -> None:
    assert moment("2026-01-31", "since") == from_iso("2026-01-31T00:00:00Z")
    assert abs(moment("2h", "since") - (now_us() - 7_200_000_000)) < 1_000_000
    with pytest.raises(ClientError, match="since is no time"):
        moment("2026-13-01", "since")
