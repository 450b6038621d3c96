"""What nobody would send who means well, at every parameter and field of every route: told what is wrong, never a 500,
and nothing is changed that was not meant to be."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from chatvault.control.forms import Form
from chatvault.core import clock
from tests.control.plane import MANAGEMENT, Plane, client, open_plane
from tests.control.test_usage import write

INJECTIONS = (
    "'; DROP TABLE tokens; --",
    '" OR ""="',
    "' OR 1=1 --",
    "%' UNION SELECT digest FROM tokens --",
    "a'||(SELECT digest FROM tokens)||'",
    "\\'; DELETE FROM projects WHERE 1=1; --",
    "*",
    "%",
    "_",
)
TEXTS = (
    *INJECTIONS,
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "default\n",
    "ｄefault",  # full-width
    "dеfault",  # a Cyrillic e
    "default\u200b",
    "..",
    "../../etc/passwd",
    "%2e%2e",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "x" * 10_000,
    "9" * 400,
    "-1",
    "1e400",
    "nan",
    "0x10",
    "2026-02-30T00:00:00Z",
    "0000-00-00",
    "99999-01-01T00:00:00Z",
    "9999-12-31T23:59:59+23:59",
    "0001-01-01T00:00:00+14:00",
    "999999999d",
)
VALUES: tuple[object, ...] = (
    *TEXTS,
    None,
    True,
    -1,
    0,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    10**400,
    -(10**400),
    1.5,
    1e308,
    -1e308,
    [],
    [None],
    ["a"] * 2000,
    [["a"]],
    {},
    {"a": "b"},
    {"__proto__": {"admin": True}},
    {"$ne": None},
)
HARMLESS = {
    "name": "n",
    "project_id": "default",
    "user_id": "u1",
    "scope": "project",
    "subject": "default",
    "amount": "1",
    "grace_hours": 1,
    "token": "cv-x",
    "provider": "fake",
    "key": "sk-x",
    "cost": "1",
}


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    await asyncio.to_thread(write, tmp_path)
    async with open_plane(tmp_path) as opened:
        await opened.http.post("/manage/users", json={"user_id": "u1"})
        yield opened


@pytest.fixture
async def ids(plane: Plane) -> dict[str, str]:
    """What there is, by the name of the parameter that names it in a path."""
    token = (await plane.http.post("/manage/tokens", json={"name": "n"})).json()["token_id"]
    wanted = {"scope": "project", "subject": "default", "amount": "1"}
    budget = (await plane.http.post("/manage/budgets", json=wanted)).json()["budget_id"]
    return {
        "token_id": token,
        "budget_id": budget,
        "user_id": "u1",
        "project_id": "default",
        "id": f"{1:032x}",
    }


def operations(plane: Plane) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of all that there is."""
    for path, methods in plane.app.openapi()["paths"].items():
        for method, described in methods.items():
            yield method.upper(), path, described


def fields(plane: Plane, described: dict[str, Any]) -> dict[str, Any]:
    """The body's fields, as they are described."""
    content = described.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return {}
    schema = content["schema"]
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = plane.app.openapi()["components"]["schemas"][name]["properties"]
    return found


def whole(answer: httpx2.Response, what: object) -> None:
    """An answer as they all are: no fault of ours, in JSON, in the shape of errors."""
    assert answer.status_code < 500, (what, answer.text)
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "code", "param"}, what
        assert len(error["message"]) < 2000, what
        for leak in ("Traceback", "sqlite", "SELECT ", "sqlalchemy", "pydantic"):
            assert leak not in error["message"].replace(str(what), ""), (what, error)


async def state(plane: Plane) -> dict[str, int]:
    """How much there is of each table."""

    def count() -> dict[str, int]:
        with sqlite3.connect(plane.data / "vault.db") as database:
            names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            return {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}

    return await asyncio.to_thread(count)


def path_with(path: str, value: str) -> str:
    before, _, rest = path.partition("{")
    return before + (value + rest.partition("}")[2] if rest else "")


async def send(plane: Plane, method: str, path: str, **options: Any) -> httpx2.Response:
    answer: httpx2.Response = await plane.http.request(method, path, **options)
    return answer


async def test_bad_values_in_every_parameter(plane: Plane) -> None:
    tried = 0
    for method, path, described in operations(plane):
        plain = path_with(path, "nobody")
        for parameter in described.get("parameters", ()):
            for text in TEXTS:
                if parameter["in"] == "path":
                    encoded = "".join(f"%{byte:02X}" for byte in text.encode())
                    url, query = path_with(path, encoded), {}
                else:
                    url, query = plain, {parameter["name"]: text}
                answer = await send(plane, method, url, params=query, json={} if method != "GET" else None)
                whole(answer, text)
                tried += 1
    assert tried > 1000


async def test_bad_values_in_every_field(plane: Plane, ids: dict[str, str]) -> None:
    before, tried = await state(plane), 0
    for method, path, described in operations(plane):
        known = fields(plane, described)
        url = path_with(path, ids.get(path.partition("{")[2].partition("}")[0], "nobody"))
        needed = {name: HARMLESS[name] for name in known if name in HARMLESS}
        for name in known:
            for value in VALUES:
                if isinstance(value, float) or (isinstance(value, int) and abs(value) > 2**64):
                    body = msgspec.json.encode(needed | {name: msgspec.Raw(str(value).encode())})
                else:
                    body = msgspec.json.encode(needed | {name: value})
                answer = await send(
                    plane, method, url, content=body, headers={"content-type": "application/json"}
                )
                whole(answer, value)
                tried += 1
    assert tried > 2000
    after = await state(plane)
    assert after.keys() == before.keys()
    assert all(after[name] >= before[name] for name in before), "nothing was removed"
    assert (await plane.http.get("/manage/projects/default")).status_code == 200


async def test_no_text_finds_what_it_does_not_name(plane: Plane) -> None:
    """An injection that worked would find everything."""
    await plane.http.post("/manage/tokens", json={"name": "n", "tags": ["t"], "user_id": "u1"})
    for path, _, described in [(p, m, d) for m, p, d in operations(plane) if m == "GET" and "{" not in p]:
        names = [each["name"] for each in described.get("parameters", ()) if each["in"] == "query"]
        for name in set(names) - {"limit", "cursor", "after", "group_by"}:
            for text in INJECTIONS:
                answer = await plane.http.get(path, params={name: text})
                if answer.status_code == 200 and "data" in answer.json():
                    assert answer.json()["data"] == [], (path, name, text)


async def test_texts_are_kept_as_they_came(plane: Plane) -> None:
    for text in INJECTIONS:
        made = (await plane.http.post("/manage/tokens", json={"name": text, "tags": [text]})).json()
        listed = (await plane.http.get("/manage/tokens", params={"tag": text})).json()["data"]
        assert [each["token_id"] for each in listed] == [made["token_id"]]
        assert listed[0]["name"] == text
        gone = await plane.http.post("/manage/tokens/revoke", json={"tag": text})
        assert gone.json()["revoked"] == 1


SERVER_SIDE: dict[str, object] = {
    "token_id": "tok_" + "0" * 20,
    "id": "x",
    "digest": "00" * 32,
    "parent_id": "tok_1",
    "parent": "tok_1",
    "created_at": "2020-01-01T00:00:00Z",
    "revoked_at": None,
    "revoked": False,
    "permissions": ["tokens:write"],
    "who": "owner",
    "ended_at": None,
    "settled": "0",
    "left": "1000",
    "leased": "0",
    "period_start": "2020-01-01T00:00:00Z",
    "request_count": 0,
    "last_used_at": None,
    "version": 2,
}


async def test_no_field_is_taken_that_is_not_a_forms_own(plane: Plane) -> None:
    """Neither one that nobody knows, nor one that the server sets."""
    forms = 0
    for method, path, described in operations(plane):
        known = fields(plane, described)
        if not known:
            continue
        forms += 1
        url = path_with(path, "nobody")
        needed = {name: HARMLESS[name] for name in known if name in HARMLESS}
        before = await state(plane)
        odd: dict[str, object] = {"Name": "n", "constructor": "x", "model_config": {}}
        for name, value in (SERVER_SIDE | odd).items():
            if name in known:
                continue
            answer = await send(plane, method, url, json=needed | {name: value})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, name), (method, path)
        assert await state(plane) == before
    assert forms >= 9
    assert all(form.model_config.get("extra") == "forbid" for form in _all(Form))


def _all(kind: type[Form]) -> Iterator[type[Form]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _all(each)


async def test_nothing_of_a_token_can_be_changed_but_what_its_form_has(plane: Plane) -> None:
    made = (await plane.http.post("/manage/tokens", json={"name": "n"})).json()
    for name in ("kind", "project_id", "user_id", "parent_id", "token", "created_at", "revoked_at"):
        answer = await plane.http.patch(f"/manage/tokens/{made['token_id']}", json={name: "management"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)


BODIES: tuple[tuple[bytes, str], ...] = (
    (b"", "application/json"),
    (b"null", "application/json"),
    (b"[]", "application/json"),
    (b'"text"', "application/json"),
    (b"[" * 100_000, "application/json"),
    (b"[" * 5000 + b"]" * 5000, "application/json"),
    (b'{"name":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001, "application/json"),
    (b'{"name":"a","name":"b"}', "application/json"),
    (b'{"name":NaN}', "application/json"),
    (b'{"name":1e999}', "application/json"),
    (b'{"name":' + b"9" * 100_000 + b"}", "application/json"),
    (b"\xff\xfe{\x00}\x00", "application/json"),
    (b'{"name":"\xed\xa0\x80"}', "application/json"),
    (b'{"name":"\\ud800"}', "application/json"),
    (b'{"name":"n"}', "text/plain"),
    (b'{"name":"n"}', "application/xml"),
    (b"<name>n</name>", "application/xml"),
    (b"name=n", "application/x-www-form-urlencoded"),
    (b"--x\r\n", "multipart/form-data; boundary=x"),
    (b"--x\r\n", "multipart/form-data"),
    (b'{"name":"n"}', "application/json; charset=utf-16"),
    (b'{"name":"n"}', "\xff"),
)


@pytest.mark.parametrize(("body", "kind"), BODIES, ids=range(len(BODIES)))
async def test_bodies_of_every_wrong_kind(plane: Plane, body: bytes, kind: str) -> None:
    before = await state(plane)
    for method, path, described in operations(plane):
        if "requestBody" not in described:
            continue
        url = path_with(path, "nobody")
        answer = await send(
            plane, method, url, content=body, headers=[(b"content-type", kind.encode("latin-1"))]
        )
        whole(answer, body[:50])
        if kind.startswith("application/json; charset") or b'"name":"b"' in body or b"ud800" in body:
            continue
        assert answer.status_code >= 400, (method, path)
    if b'"n"' not in body and b'"b"' not in body:
        assert await state(plane) == before


PATHS = (
    "/manage/tokens/../projects",
    "/manage/./tokens",
    "//manage/tokens",
    "/manage//tokens",
    "/manage/tokens/",
    "/manage/tokens/%2e%2e/projects",
    "/manage%2ftokens",
    "/MANAGE/tokens",
    "/manage/tokens%00",
    "/manage/tokens;x=1",
    "/health/../manage/tokens",
    "/health%2fdetails",
    "/health/..%2fmanage/tokens",
    "/" + "x" * 60_000,
)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:30])
async def test_no_spelling_of_a_path_goes_round_a_policy(plane: Plane, path: str) -> None:
    scope: dict[str, Any] = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "query_string": b"",
        "path": path.replace("%2f", "/").replace("%2e", ".").replace("%00", "\0"), "raw_path": path.encode(),
        "headers": [(b"host", b"control")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def note(message: Any) -> None:
        sent.append(message)

    await plane.edge(scope, receive, note)
    assert sent[0]["status"] in (307, 401, 404)
    if sent[0]["status"] == 307:
        assert dict(sent[0]["headers"])[b"location"].startswith(b"http://control/")


async def test_two_credentials_are_none(plane: Plane) -> None:
    good = f"Bearer {MANAGEMENT}".encode()
    async with client(plane.edge) as http:
        for pair in ([good, good], [b"Bearer x", good], [good, b"Bearer x"]):
            answer = await http.get("/manage/tokens", headers=[(b"authorization", value) for value in pair])
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
        for name in ("x-api-key", "api-key", "cookie", "proxy-authorization", "x-management-token"):
            answer = await http.get("/manage/tokens", headers={name: MANAGEMENT})
            assert answer.status_code == 401


async def test_a_clients_token_opens_nothing_here(plane: Plane) -> None:
    made = (await plane.http.post("/manage/tokens", json={"name": "n"})).json()
    async with client(plane.edge, made["token"]) as http:
        for method, path, _ in operations(plane):
            if path == "/health":
                continue
            answer = await http.request(method, path_with(path, made["token_id"]), json={})
            assert answer.status_code in (401, 429), (method, path)


async def test_an_id_is_found_by_all_of_its_letters(plane: Plane) -> None:
    made = (await plane.http.post("/manage/tokens", json={"name": "n"})).json()["token_id"]
    for near in (made.upper(), made + " ", made[:-1], made + "%00", made[:-1] + "?", made[:-1] + "_", "%25"):
        assert (await plane.http.get(f"/manage/tokens/{near}")).status_code == 404, near
    for look_alike in ("ｄefault", "dеfault", "Default", "default%20", "default%0A", "default%E2%80%8B"):
        assert (await plane.http.get(f"/manage/projects/{look_alike}")).status_code == 404
        wanted = {"project_id": look_alike}
        assert (await plane.http.post("/manage/projects", json=wanted)).status_code in (201, 400)
    listed = (await plane.http.get("/manage/projects")).json()["data"]
    assert {each["project_id"] for each in listed} == {"default", "Default"}


async def test_expiry_goes_by_the_wall_clock_there_and_back(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"name": "n", "kind": "management", "duration_hours": 1}
    token = (await plane.http.post("/manage/tokens", json=wanted)).json()["token"]
    now = clock.now_us

    async def status() -> int:
        async with client(plane.edge, token) as http:
            return int((await http.get("/manage/tokens")).status_code)

    assert await status() == 200
    monkeypatch.setattr("chatvault.control.auth.now_us", lambda: now() + 2 * 3_600_000_000)
    assert await status() == 401
    monkeypatch.setattr("chatvault.control.auth.now_us", lambda: now() - 10 * 3_600_000_000)
    assert await status() == 200


async def test_budgets_stand_in_the_period_that_the_wall_clock_says(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"scope": "project", "subject": "default", "amount": "5", "per": "day"}
    made = (await plane.http.post("/manage/budgets", json=wanted)).json()
    now, day = clock.now_us, 86_400_000_000
    starts = []
    for shift in (0, day, 0, -day, 400 * day, -20_000 * day):
        monkeypatch.setattr("chatvault.control.budgets.now_us", lambda shift=shift: now() + shift)
        answer = await plane.http.get(f"/manage/budgets/{made['budget_id']}")
        assert answer.status_code == 200, shift
        assert answer.json()["left"] == "5.00"
        starts.append(answer.json()["period_start"])
    assert starts[0] == starts[2]
    assert starts[3] < starts[0] < starts[1] < starts[4]
