"""What control answers on the data port: a call waits for it, nothing goes upstream, and every wait ends."""

import asyncio
from pathlib import Path

import pytest

from chatvault.access.limits import Limited, Limits
from chatvault.feed.messages import MAX_QUESTION, MOST_QUESTIONS, Answer
from chatvault.gateway.routes import find_endpoint
from tests.fake.raw import Heard
from tests.gateway.harness import Gate, gateway, until

BODY = {"name": "ci"}


def code(heard: Heard) -> tuple[int, object]:
    error = heard.json["error"]
    assert isinstance(error, dict)
    return heard.status, error["code"]


async def mint(gate: Gate, body: object = BODY) -> Heard:
    return await gate.send(gate.post(body, "/v1/tokens"))


async def test_the_answer_of_control_is_the_clients(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.answers = {"tokens.create": (201, '{"token":"cv-1"}'), "tokens.revoke": (204, "")}
        heard = await mint(gate)
        assert (heard.status, heard.json) == (201, {"token": "cv-1"})
        assert heard.headers["content-type"] == "application/json"
        assert heard.headers["x-request-id"]
        gone = await gate.send(gate.get("/v1/tokens/tok_7", "DELETE"), quiet=0.3)
        assert gone.data.startswith(b"HTTP/1.1 204 ")
        assert gone.data.endswith(b"\r\n\r\n")
        asks = [(ask.what, ask.token, ask.body) for ask in gate.control.asks]
        token = gate.control.grant(gate.token).token
        assert asks == [("tokens.create", token, '{"name": "ci"}'), ("tokens.revoke", token, "tok_7")]
        assert gate.fake.stats.connections == 0
    assert not (await gate.records()).opened


async def test_a_refusal_of_control_is_an_error_of_the_clients(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.answers = {"tokens.create": (401, '{"error":{"code":"token_revoked"}}')}
        heard = await mint(gate)
        assert code(heard) == (401, "token_revoked")
        assert heard.headers["www-authenticate"] == "Bearer"


async def test_a_connection_goes_on_after_an_answer(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.answers = {"tokens.create": (201, "{}")}
        heard = await gate.send(gate.post(BODY, "/v1/tokens") + gate.get("/v1/models"), quiet=0.5)
        assert heard.data.count(b"HTTP/1.1 20") == 2
        assert heard.data.index(b"201 Created") < heard.data.index(b"200 OK")


async def test_while_control_is_away_it_is_503(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        assert (await gate.send(gate.get("/v1/models"))).status == 200
        await gate.control.stop()
        await until(lambda: not gate.worker.feed.connected)
        heard = await mint(gate)
        assert code(heard) == (503, "control_unavailable")
        assert heard.headers["retry-after"] == "2"
    (refused,) = (await gate.records()).refused
    assert (refused.code, refused.endpoint) == ("control_unavailable", "tokens")


async def test_a_question_is_not_asked_twice_when_control_returns(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate, asyncio.TaskGroup() as group:
        waiting = group.create_task(mint(gate))
        await until(lambda: gate.control.asks)
        await gate.control.stop()
        await gate.control.start()
        assert code(await waiting) == (503, "control_unavailable")
        assert len(gate.control.asks) == 1


async def test_an_answer_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatvault.gateway.questions._PATIENCE", 0.1)
    async with gateway(tmp_path) as gate:
        assert code(await mint(gate)) == (503, "control_unavailable")
        (ask,) = gate.control.asks
        gate.worker.answered(Answer(ask.number, 201, "{}"))
        gate.control.answers = {"tokens.create": (201, '{"token":"cv-2"}')}
        assert (await mint(gate)).json == {"token": "cv-2"}


async def test_a_client_that_left_harms_nobody(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        _, writer = await gate.open()
        writer.write(gate.post(BODY, "/v1/tokens"))
        await until(lambda: gate.control.asks)
        writer.transport.abort()
        await until(lambda: not gate.worker.connections)
        gate.worker.answered(Answer(gate.control.asks[0].number, 201, "{}"))
        assert (await gate.send(gate.get("/v1/models"))).status == 200


async def test_what_a_drain_has_ended_is_not_answered_again(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        _, writer = await gate.open()
        writer.write(gate.post(BODY, "/v1/tokens"))
        await until(lambda: gate.control.asks)
        token = gate.token
        await gate.control.revoke(token)
        gate.worker.answered(Answer(gate.control.asks[0].number, 201, "{}"))
    (refused,) = (await gate.records()).refused
    assert refused.code == "token_revoked"


async def test_questions_are_bounded_in_number_and_size(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate, asyncio.TaskGroup() as group:
        waiting = [group.create_task(mint(gate)) for _ in range(MOST_QUESTIONS)]
        await until(lambda: len(gate.control.asks) == MOST_QUESTIONS)
        assert code(await mint(gate)) == (503, "control_busy")
        for ask in gate.control.asks:
            gate.worker.answered(Answer(ask.number, 201, "{}"))
        assert {heard.status for heard in await asyncio.gather(*waiting)} == {201}
        assert code(await mint(gate, {"name": "n" * MAX_QUESTION})) == (413, "body_too_large")
        raw = gate.post(b'{"name": "\xff"}', "/v1/tokens")
        assert code(await gate.send(raw)) == (400, "invalid_utf8")


async def test_a_token_whose_endpoints_leave_it_out_mints_none(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = gate.control.token(endpoints=("chat.*",))
        heard = await gate.send(gate.post(BODY, "/v1/tokens", token=token))
        assert code(heard) == (403, "endpoint_not_allowed")
        assert not gate.control.asks


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (b"GET", b"/v1/tokens"), (b"DELETE", b"/v1/tokens"), (b"PUT", b"/v1/tokens"), (b"GET", b"/v1/tokens/tok_1"),
        (b"POST", b"/v1/tokens/tok_1"), (b"DELETE", b"/v1/tokens/tok_1/x"), (b"DELETE", b"/v1/tokens/"),
        (b"PATCH", b"/v1/tokens/tok_1"),
    ],
)  # fmt: skip
def test_nothing_else_under_the_path_is_served(method: bytes, path: bytes) -> None:
    assert find_endpoint(method, path) is None


async def test_a_question_counts_by_the_limits(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.answers = {"tokens.create": (201, "{}")}
        limits = (Limited("token", "tok_1", Limits(requests_per_minute=2, concurrent=1)),)
        token = gate.control.token(limits=limits)
        for left in ("1", "0"):
            heard = await gate.send(gate.post(BODY, "/v1/tokens", token=token))
            assert (heard.status, heard.headers["x-ratelimit-remaining-requests"]) == (201, left)
        heard = await gate.send(gate.post(BODY, "/v1/tokens", token=token))
        assert code(heard) == (429, "rate_limited")
        assert len(gate.control.asks) == 2
