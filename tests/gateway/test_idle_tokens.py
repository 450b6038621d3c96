"""Grants that end when they are idle: a worker forgets what it has not seen used, and says what it has."""

from pathlib import Path

from chatvault.feed.messages import Granted
from tests.gateway.harness import Gate, gateway


class Clock:
    def __init__(self, gate: Gate) -> None:
        self.passed = 0.0
        gate.worker.grants._now = lambda: gate.worker.loop.time() + self.passed


async def status(gate: Gate, token: str) -> int:
    return (await gate.send(gate.get("/v1/models", token=token))).status


async def test_one_that_is_used_is_looked_up_once_and_told_of(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        clock = Clock(gate)
        token, plain = gate.control.token(idle=60_000_000, parents=("tok_above",)), gate.control.token()
        for _ in range(5):
            assert await status(gate, token) == 200
            assert await status(gate, plain) == 200
            clock.passed += 59
        assert gate.control.lookups == 2
        assert sorted(gate.worker.grants.take_used()) == sorted(
            [gate.control.grant(token).token, "tok_above"]
        )
        assert gate.worker.grants.take_used() == ()
        await status(gate, token)
        assert gate.worker._health().used != ()


async def test_one_that_is_not_seen_used_is_looked_up_again(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        clock = Clock(gate)
        token = gate.control.token(idle=60_000_000)
        assert await status(gate, token) == 200
        clock.passed += 61
        assert await status(gate, token) == 200
        assert gate.control.lookups == 2
        clock.passed += 61
        key = next(
            key for key, said in gate.control.grants.items() if said.grant == gate.control.grant(token)
        )
        gate.control.grants[key] = Granted(key, None, "expired")
        for _ in range(2):
            heard = await gate.send(gate.get("/v1/models", token=token))
            assert (heard.status, heard.json["error"]["code"]) == (401, "token_expired")  # type: ignore[index]
        assert gate.control.lookups == 3


async def test_what_cannot_be_told_is_503_and_asked_again(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = gate.control.token(idle=60_000_000)
        (key,) = [key for key, said in gate.control.grants.items() if said.grant and said.grant.idle]
        known = gate.control.grants[key]
        gate.control.grants[key] = Granted(key, None, "unavailable")
        heard = await gate.send(gate.get("/v1/models", token=token))
        assert (heard.status, heard.json["error"]["code"]) == (503, "control_unavailable")  # type: ignore[index]
        gate.control.grants[key] = known
        assert await status(gate, token) == 200
