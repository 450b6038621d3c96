"""Guessing at tokens: counted by address, refused unasked beyond the limit, while tokens that are known go on."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.access.credential import digest, new_token
from chatvault.access.limits import Limited, Limits
from chatvault.config.schema import LimitsConfig, ServerConfig
from chatvault.core.clock import now_us
from chatvault.gateway.worker import Worker
from tests.fake.raw import Heard, chat, written
from tests.gateway.feed import PEPPER
from tests.gateway.harness import CHAT, Gate, gateway, until
from tests.gateway.test_refusals import code_of

HELLO = chat("fake/echo")
FEW = LimitsConfig(failures_per_minute=5)
BEHIND = ServerConfig(trusted_proxies=("127.0.0.1",), drain_timeout=0.2)


def unknown(gate: Gate) -> str:
    token = gate.control.token()
    gate.control.grants.popitem()
    return token


async def ask(gate: Gate, token: str, **headers: str) -> Heard:
    return await gate.send(gate.post(HELLO, token=token, **headers))


async def guess(gate: Gate, times: int, **headers: str) -> Counter[str]:
    """So many tokens that nobody knows."""
    return Counter([code_of(await ask(gate, unknown(gate), **headers)) for _ in range(times)])


async def test_beyond_the_limit_nothing_is_looked_up_and_known_tokens_go_on(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=FEW) as gate:
        assert (await ask(gate, gate.token)).status == 200
        assert await guess(gate, 5) == {"token_unknown": 5}
        looked_up = gate.control.lookups
        refused = await ask(gate, unknown(gate))
        assert (refused.status, code_of(refused)) == (429, "too_many_failures")
        assert 58 <= int(refused.headers["retry-after"]) <= 60
        new = gate.control.token()
        assert code_of(await ask(gate, new)) == "too_many_failures", (
            "a good token that is new here waits, too"
        )
        assert gate.control.lookups == looked_up
        assert (await ask(gate, gate.token)).status == 200
        assert (await ask(gate, new, authorization="")).status == 401, "to send nothing is no guess"


@pytest.mark.parametrize("kind", ["malformed", "revoked", "the same again", "basic", "x-api-key"])
async def test_every_kind_of_wrong_credential_counts(tmp_path: Path, kind: str) -> None:
    async with gateway(tmp_path, limits=FEW) as gate:
        revoked, same = gate.control.token(revoked=True), unknown(gate)
        headers: dict[str, dict[str, Any]] = {
            "malformed": {"authorization": "Bearer sk-wrong"},
            "revoked": {"token": revoked},
            "the same again": {"token": same},
            "basic": {"authorization": "Basic dXNlcjpwYXNz"},
        }
        request = (
            written(HELLO, CHAT, x_api_key=same) if kind == "x-api-key" else gate.post(HELLO, **headers[kind])
        )
        codes = [(await gate.send(request)).status for _ in range(7)]
        assert codes == [401] * 5 + [429] * 2


async def test_an_expired_token_is_no_guess(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=FEW) as gate:
        expired = gate.control.token(expires_at=now_us() - 1)
        codes = {code_of(await ask(gate, expired)) for _ in range(12)}
        assert codes == {"token_expired"}
        assert (await ask(gate, gate.control.token())).status == 200


async def test_zero_counts_nothing_and_a_changed_limit_holds_at_once(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=LimitsConfig(failures_per_minute=0)) as gate:
        assert await guess(gate, 30) == {"token_unknown": 30}
        old = gate.control.snapshot
        await gate.control.configure(_with(old, FEW))
        assert await guess(gate, 7) == {"token_unknown": 5, "too_many_failures": 2}


def _with(snapshot: Any, limits: LimitsConfig) -> Any:
    return msgspec.structs.replace(snapshot, version=snapshot.version + 1, limits=limits)


async def test_after_a_minute_it_may_try_again(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=FEW) as gate:
        grants, ahead = gate.worker.grants, [0.0]
        now = gate.worker.now
        grants._now = lambda: now() + ahead[0]
        await guess(gate, 5)
        new = gate.control.token()
        assert (await ask(gate, new)).status == 429
        ahead[0] = 61.0
        assert (await ask(gate, new)).status == 200


async def test_what_was_good_before_is_asked_again_though_its_address_guesses(tmp_path: Path) -> None:
    """A worker that lost control, or was told of a change, has forgotten its tokens; that is not their fault."""
    async with gateway(tmp_path, limits=FEW) as gate:
        assert (await ask(gate, gate.token)).status == 200
        await guess(gate, 6)
        await gate.control.forget(gate.token)
        assert (await ask(gate, gate.token)).status == 200
        await gate.control.stop()
        await until(lambda: not gate.worker.feed.connected)
        await gate.control.start()
        await until(lambda: gate.worker.feed.connected)
        assert (await ask(gate, gate.token)).status == 200
        await gate.control.revoke(gate.token)
        assert code_of(await ask(gate, gate.token)) == "token_revoked"
        assert code_of(await ask(gate, gate.token)) == "too_many_failures", "now it is not known any more"


async def test_who_leaves_before_the_answer_is_counted_all_the_same(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=FEW) as gate:
        gate.control.deaf = True
        tokens = [unknown(gate) for _ in range(5)]
        for token in tokens:
            _, writer = await gate.open()
            writer.write(gate.post(HELLO, token=token))
        await until(lambda: gate.control.lookups == 5)
        for connection in [*gate.worker.connections]:
            connection._transport.abort()
        await until(lambda: not gate.worker.connections)
        gate.control.deaf = False
        for key in [*gate.worker.grants._waiting]:
            gate.worker.feed.ask(key)
        await until(lambda: not gate.worker.grants._waiting)
        assert code_of(await ask(gate, unknown(gate))) == "too_many_failures"


async def test_clients_behind_a_trusted_proxy_are_told_apart(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=FEW, server=BEHIND) as gate:
        assert await guess(gate, 6, x_forwarded_for="203.0.113.1") == {
            "token_unknown": 5,
            "too_many_failures": 1,
        }
        assert (await ask(gate, gate.control.token(), x_forwarded_for="203.0.113.2")).status == 200
        spoofed = await ask(gate, gate.control.token(), x_forwarded_for="198.51.100.7, 203.0.113.1")
        assert spoofed.status == 429, "what stands left of the proxy's own word is the client's"
        assert await guess(gate, 6, x_forwarded_for="2001:db8::1") == {
            "token_unknown": 5,
            "too_many_failures": 1,
        }
        neighbour = await ask(gate, gate.control.token(), x_forwarded_for="2001:db8::ffff:1")
        assert neighbour.status == 429, "one network of 64 bits is one client"
        assert (await ask(gate, gate.control.token(), x_forwarded_for="2001:db8:0:1::1")).status == 200


async def test_a_forwarded_address_that_nobody_trusted_wrote_changes_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=FEW) as gate:
        codes = Counter(
            [
                code_of(await ask(gate, unknown(gate), x_forwarded_for=f"203.0.113.{number}"))
                for number in range(8)
            ]
        )
        assert codes == {"token_unknown": 5, "too_many_failures": 3}


async def test_everyone_behind_one_address_goes_on_through_a_flood_of_guesses(tmp_path: Path) -> None:
    async with gateway(tmp_path, limits=FEW) as gate:
        known = [gate.control.token() for _ in range(20)]
        answers = await asyncio.gather(*(ask(gate, token) for token in known))
        assert {heard.status for heard in answers} == {200}
        flood, calls = await asyncio.gather(
            guess(gate, 100), asyncio.gather(*(ask(gate, token) for token in known * 3))
        )
        assert {heard.status for heard in calls} == {200}
        assert flood == {"token_unknown": 5, "too_many_failures": 95}
        lines = (await gate.records()).refused
        assert sum(line.count for line in lines) <= 100
    records = await gate.records()
    assert sum(line.count for line in records.refused) == 100
    assert {line.token for line in records.refused} == {None}


async def test_a_look_up_that_is_answered_after_a_revocation_opens_nothing(tmp_path: Path) -> None:
    """Control sends what it read before a push never after it; here the worker is told in that order."""
    async with gateway(tmp_path) as gate:
        gate.control.deaf = True
        asked = asyncio.create_task(ask(gate, gate.token))
        await until(lambda: gate.control.lookups == 1)
        await gate.control.revoke(gate.token)
        gate.control.deaf = False
        for key in [*gate.worker.grants._waiting]:
            gate.worker.feed.ask(key)
        assert code_of(await asked) == "token_revoked"
        assert code_of(await ask(gate, gate.token)) == "token_revoked"
        assert gate.fake.stats.requests == 0


async def test_the_digest_decides_and_not_the_letters(tmp_path: Path) -> None:
    """What is compared is a keyed digest in a table: letters of a token that are right tell nothing apart."""
    async with gateway(tmp_path) as gate:
        assert (await ask(gate, gate.token)).status == 200
        worker: Worker = gate.worker
        assert all(len(key) == 32 and gate.token.encode() not in key for key in worker.grants._known)
        near = gate.token[:-7] + ("a" if gate.token[-7] != "a" else "b") + gate.token[-6:]
        assert code_of(await ask(gate, near)) == "token_malformed"
        assert code_of(await ask(gate, new_token())) == "token_unknown"


async def test_a_clock_that_jumps_ends_tokens_and_frees_no_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expiry goes by the wall clock, there and back; limits and guesses by one that only goes forward."""
    hour = 3_600_000_000_000
    async with gateway(tmp_path, limits=FEW) as gate:
        limit = Limited("token", "tok_1", Limits(requests_per_minute=2))
        limited = gate.control.token(limits=(limit,))
        ending = gate.control.token(expires_at=now_us() + 600_000_000)
        assert [(await ask(gate, limited)).status for _ in range(3)] == [200, 200, 429]
        assert await guess(gate, 6) == {"token_unknown": 5, "too_many_failures": 1}
        known = gate.worker.grants._former
        known[digest(PEPPER, ending.encode())] = None  # so that its look-up is no guess
        assert (await ask(gate, ending)).status == 200
        for shift, status in (
            (hour, 401),
            (0, 200),
            (-hour, 200),
            (10_000 * hour, 401),
            (-10_000 * hour, 200),
        ):
            monkeypatch.setattr("chatvault.gateway.call.time_ns", lambda shift=shift: time.time_ns() + shift)
            assert (await ask(gate, ending)).status == status, shift
            assert (await ask(gate, limited)).status == 429, shift
            assert await guess(gate, 1) == {"too_many_failures": 1}, shift
