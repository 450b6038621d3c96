"""What all routes share: a policy, one shape of errors, request ids, bounded bodies."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from chatvault.control.api import create_app, policy_of
from chatvault.control.auth import PERMISSIONS, Caller, Gate, Permit
from chatvault.control.edge import MAX_BODY, Edge, Message, Receive, Scope, Send
from chatvault.core.errors import OperatorError, PermissionDenied, Unavailable
from chatvault.core.secrets import Secret
from tests.control.plane import OWNER, PEPPER, Plane, client, open_plane


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path) as opened:
        yield opened


OPEN = {("/health", "GET")}


async def test_every_route_states_its_policy_and_keeps_it(plane: Plane) -> None:
    seen = set()
    async with client(Edge(plane.app)) as nobody:
        for path, methods in plane.app.openapi()["paths"].items():
            for method in methods:
                seen.add((path, method.upper()))
                answer = await nobody.request(method.upper(), path.replace("{", "").replace("}", ""), json={})
                if (path, method.upper()) in OPEN:
                    assert answer.status_code == 200
                else:
                    assert answer.status_code == 401, f"{method} {path} lets anybody in"
                    assert answer.headers["www-authenticate"] == "Bearer"
    assert len(seen) >= 11
    assert seen >= OPEN


def test_a_route_without_a_policy_is_refused() -> None:
    router = APIRouter()

    @router.get("/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(ValueError, match="states no policy"):
        create_app([router], "http://data", "0")
    assert policy_of(router.routes[0]) is None
    assert policy_of("no route at all") is None


async def test_the_policies_are_known_permissions(plane: Plane) -> None:
    async def nothing() -> None: ...

    assert policy_of(APIRoute("/x", nothing)) is None
    permit = Permit(plane.gate, "usage:read")
    assert permit.permission in PERMISSIONS


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_token"),
        ("Basic dXNlcjpwYXNz", "missing_token"),
        ("Bearer ", "missing_token"),
        ("Bearer wrong", "invalid_token"),
        ("Bearer cv-\xff", "invalid_token"),
    ],
)
async def test_bad_credentials(plane: Plane, header: str | None, code: str) -> None:
    async with client(Edge(plane.app)) as nobody:
        fields = [] if header is None else [(b"authorization", header.encode("latin-1"))]
        answer = await nobody.get("/usage", headers=fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)


async def test_the_owners_socket_needs_no_token(plane: Plane) -> None:
    async def owned(scope: Scope, receive: Receive, send: Send) -> None:
        scope["server"] = (OWNER, None)
        await Edge(plane.app)(scope, receive, send)

    async with client(owned) as owner:
        assert (await owner.get("/manage/tokens")).status_code == 200
        assert (await owner.post("/manage/tokens", json={"name": "n"})).status_code == 201
    assert plane.journal.acts == [("owner", "token.create")]


async def test_a_caller_without_the_permission_is_refused(plane: Plane) -> None:
    class Narrow(Gate):
        async def caller(self, request: object) -> Caller:
            return Caller("narrow", frozenset({"usage:read"}))

    permit = Permit(Narrow(plane.vault, PEPPER, plane.sign_ins), "tokens:write")
    with pytest.raises(PermissionDenied, match="tokens:write"):
        await permit(None)  # type: ignore[arg-type]


def test_a_weak_management_token_is_refused(plane: Plane) -> None:
    with pytest.raises(OperatorError, match="too short"):
        Gate(plane.vault, PEPPER, plane.sign_ins, Secret("short"))


async def test_errors_have_one_shape_and_every_answer_an_id(plane: Plane) -> None:
    answers = [
        await plane.http.get("/nothing"),
        await plane.http.get("/v1/models"),
        await plane.http.get("/v1"),
        await plane.http.put("/health"),
        await plane.http.post("/manage/tokens", content=b"{no json"),
        await plane.http.post("/manage/tokens"),
        await plane.http.get("/usage", params={"limit": "many"}),
        await plane.http.post(
            "/manage/tokens", content=b"\xff", headers={"content-type": "application/json"}
        ),
    ]
    codes = [(a.status_code, a.json()["error"]["code"]) for a in answers]
    assert codes == [
        (404, "not_found"),
        (404, "wrong_port"),
        (404, "wrong_port"),
        (405, "method_not_allowed"),
        (400, "invalid_json"),
        (400, "invalid_json"),
        (400, "invalid_request"),
        (400, "invalid_request"),
    ]
    assert "http://127.0.0.1:4000/v1/models" in answers[1].json()["error"]["message"]
    assert answers[3].headers["allow"] == "GET"
    assert answers[6].json()["error"]["param"] == "limit"
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == len(answers)
    for answer in answers:
        assert set(answer.json()["error"]) == {"message", "type", "code", "param"}
        assert answer.headers["cache-control"] == "no-store"


async def test_a_body_that_is_too_large_is_refused(plane: Plane) -> None:
    answer = await plane.http.post("/manage/tokens", content=b" " * (MAX_BODY + 1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


async def _ask(app: object) -> httpx2.Response:
    async with client(Edge(app)) as http:  # type: ignore[arg-type]
        return await http.get("/")


async def test_what_fails_unforeseen_is_a_500_without_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a secret of ours")

    answer = await _ask(broken)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
    assert "a secret of ours" in caplog.text


async def test_an_error_of_ours_keeps_its_status_and_hint() -> None:
    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        raise Unavailable("Later.", code="busy", retry_after=3)

    answer = await _ask(busy)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")


@pytest.mark.parametrize("error", [RuntimeError("x"), Unavailable("x", code="x")])
async def test_an_answer_that_has_begun_is_cut_not_continued(error: Exception) -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    with pytest.raises(type(error)):
        await Edge(half)({"type": "http"}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_other_protocols_are_none_of_ours() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    await Edge(never)({"type": "websocket"}, never, never)  # type: ignore[arg-type]


async def test_a_route_that_fails_unforeseen_is_a_500_of_the_same_shape(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(plane.queries, "rows", broken)
    answer = await plane.http.get("/usage")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
    assert "secret" not in answer.text
    assert "a secret of ours" in caplog.text
