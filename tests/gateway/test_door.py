"""The door through a real worker: limits and budgets hold on every path, and the record says what was reserved and
charged."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.access.budget import Budget
from chatvault.access.limits import Limited, Limits
from chatvault.config.schema import LimitsConfig, RateConfig, ServerConfig
from chatvault.config.snapshot import Face
from chatvault.core.charge import Charge
from chatvault.feed.frames import frame
from chatvault.feed.messages import Balances, Borrow, CallIn, GaveBack, Lent
from chatvault.pricing.price import Price, upper_bound
from tests.fake.raw import Heard, chat
from tests.gateway.harness import KEY, Gate, gateway, until
from tests.gateway.test_refusals import code_of, message_of

HELLO = chat("fake/echo", max_tokens=10)
STREAM = chat("fake/echo", stream=True, max_tokens=10)
MESSAGES = {"model": "fake/echo", "max_tokens": 10, "messages": [{"role": "user", "content": "hello there"}]}
BUDGET = Budget(id="bud_1", scope="token", subject="tok_1", amount=10**12)
ENDLESS = Budget(id="tok_1/requests", scope="token", subject="tok_1", amount=2, unit="requests")


def limited(gate: Gate, **limits: Any) -> str:
    return gate.control.token(limits=(Limited("token", "tok_1", Limits(**limits)),))


async def test_requests_are_counted_on_every_path(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = limited(gate, requests_per_minute=5)
        paths: list[tuple[str, object]] = [
            ("/v1/chat/completions", HELLO),
            ("/v1/messages", MESSAGES),
            ("/v1/embeddings", {"model": "fake/echo", "input": "x"}),
            (
                "/api/chat",
                {"model": "fake/echo", "messages": [{"role": "user", "content": "x"}], "stream": False},
            ),
            ("/v1/some/new/thing", {"model": "fake/echo"}),
        ]
        for path, body in paths:
            heard = await gate.send(gate.post(body, path, token=token))
            assert code_of(heard) != "rate_limited" if heard.status != 200 else True
        for path, body in paths:
            heard = await gate.send(gate.post(body, path, token=token))
            assert heard.status == 429, path
        assert len((await gate.records()).opened) == 5
        records = await gate.records()
        assert {line.code for line in records.refused} == {"rate_limited"}


async def test_a_refusal_says_which_limit_whose_and_when(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = limited(gate, requests_per_minute=1)
        first = await gate.send(gate.post(HELLO, token=token))
        assert first.headers["x-ratelimit-limit-requests"] == "1"
        assert first.headers["x-ratelimit-remaining-requests"] == "0"
        refused = await gate.send(gate.post(HELLO, token=token))
        assert (refused.status, code_of(refused)) == (429, "rate_limited")
        assert "1 requests a minute of the token tok_1 is reached (1 within the last minute)" in message_of(
            refused
        )
        assert 58 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        claude = await gate.send(gate.post(MESSAGES, "/v1/messages", token=token))
        assert claude.json["error"]["type"] == "rate_limit_error"  # type: ignore[index]
        assert claude.headers["anthropic-ratelimit-requests-limit"] == "1"
        assert "x-ratelimit-limit-requests" not in claude.headers
        free = await gate.send(gate.post(HELLO))
        assert (
            "x-ratelimit-limit-requests" not in free.headers
            or free.headers["x-ratelimit-limit-requests"] != "1"
        )


async def test_tokens_of_models_are_reserved_and_settled(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = limited(gate, tokens_per_minute=700)
        first = await gate.send(gate.post(HELLO, token=token))
        used = first.json["usage"]["total_tokens"]  # type: ignore[index]
        second = await gate.send(gate.post(HELLO, token=token))
        assert second.status == 200, "what was not used is free again"
        assert int(second.headers["x-ratelimit-remaining-tokens"]) <= 700 - 2 * used
        large = await gate.send(gate.post(chat("fake/echo", max_tokens=5, user="x" * 4000), token=token))
        assert (large.status, code_of(large)) == (429, "rate_limited")
        assert "This call alone is above the limit" in message_of(large)


async def test_calls_under_way_are_limited_and_freed_when_they_end_in_whatever_way(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = limited(gate, concurrent=1)
        reader, writer = await gate.open()
        writer.write(gate.post(chat("fake/stall-after-2", stream=True), token=token))
        await reader.readuntil(b"data:")
        refused = await gate.send(gate.post(HELLO, token=token))
        assert (refused.status, code_of(refused)) == (429, "too_many_calls")
        writer.close()
        await gate.settled()
        for model in ("fake/fail-500", "fake/cut-after-3", "fake/echo"):
            await gate.send(gate.post(chat(model, stream=True), token=token))
        assert (await gate.send(gate.post(HELLO, token=token))).status == 200


async def test_a_shadow_refuses_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = limited(gate, requests_per_minute=1, shadow=True)
        for _ in range(3):
            assert (await gate.send(gate.post(HELLO, token=token))).status == 200
        said = [line.shadowed for line in (await gate.records()).closed]
        assert said == [(), ("token:tok_1:requests_per_minute",), ("token:tok_1:requests_per_minute",)]


async def test_models_and_addresses_are_limited_by_configuration(tmp_path: Path) -> None:
    limits = LimitsConfig(models={"fake/e*": RateConfig(requests_per_minute=2)})
    async with gateway(tmp_path, limits=limits) as gate:
        for token in (gate.token, gate.control.token()):
            assert (await gate.send(gate.post(HELLO, token=token))).status == 200
        refused = await gate.send(gate.post(HELLO))
        assert "of the model fake/echo is reached" in message_of(refused)
        assert (await gate.send(gate.post(chat("fake/simulated")))).status == 200
        await gate.control.configure(
            msgspec.structs.replace(
                gate.control.snapshot,
                limits=LimitsConfig(address=RateConfig(requests_per_minute=1)),
                server=ServerConfig(trusted_proxies=("127.0.0.1",)),
            )
        )
        for address in ("192.0.2.1", "192.0.2.2"):
            assert (await gate.send(gate.post(HELLO, x_forwarded_for=address))).status == 200
        assert "of this address" in message_of(await gate.send(gate.post(HELLO, x_forwarded_for="192.0.2.1")))


async def test_a_changed_limit_holds_at_once_and_goes_on_counting(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = limited(gate, requests_per_hour=100)
        for _ in range(3):
            await gate.send(gate.post(HELLO, token=token))
        grant = gate.control.grant(token)
        key = next(key for key, granted in gate.control.grants.items() if granted.grant is grant)
        tighter = msgspec.structs.replace(
            grant, limits=(Limited("token", "tok_1", Limits(requests_per_hour=3)),)
        )
        gate.control.grants[key] = msgspec.structs.replace(gate.control.grants[key], grant=tighter)
        await gate.control.forget(token)
        assert (await gate.send(gate.post(HELLO, token=token))).status == 429


# --- budgets


async def test_a_call_reserves_its_worst_case_and_is_charged_its_cost(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.budgets["bud_1"] = 10**12
        token = gate.control.token(budgets=(BUDGET,))
        heard = await gate.send(gate.post(HELLO, token=token))
        assert heard.status == 200
        records = await gate.records()
        (opened,), closed = records.opened, records.only()
        assert opened.reserved is not None
        assert closed.cost is not None
        assert closed.cost < opened.reserved
        assert opened.budgets == (Charge("bud_1", 0, opened.reserved, opened.reserved),)
        assert closed.budgets == (Charge("bud_1", 0, closed.cost, closed.cost),)
        assert gate.control.heard[1:] == [Borrow("bud_1", 0, opened.reserved)] or isinstance(
            gate.control.heard[0], Balances
        )


async def test_what_does_not_fit_is_refused_before_it_goes_out(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.budgets["bud_1"] = 1_000_000
        token = gate.control.token(budgets=(BUDGET,))
        refused = await gate.send(gate.post(HELLO, token=token))
        assert (refused.status, code_of(refused)) == (429, "budget_exceeded")
        assert "$0.000001 is left" in message_of(refused)
        assert refused.json["error"]["type"] == "insufficient_quota"  # type: ignore[index]
        unbounded = await gate.send(gate.post(chat("fake/echo"), token=token))
        assert (unbounded.status, code_of(unbounded)) == (429, "budget_unbounded")
        assert (await gate.records()).opened == []


async def test_a_number_of_calls_is_a_budget_too(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.budgets["tok_1/requests"] = 2
        token = gate.control.token(budgets=(ENDLESS,))
        statuses = [(await gate.send(gate.post(chat("fake/echo"), token=token))).status for _ in range(3)]
        assert statuses == [200, 200, 429]
        upload = await gate.send(gate.post({"model": "fake/echo"}, "/v1/some/new/thing", token=token))
        assert upload.status == 429
        records = await gate.records()
        assert [charge.held for line in records.closed for charge in line.budgets] == [1, 2]


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        ("fake/cut-after-3", True),
        ("fake/fail-500", True),
        ("fake/fail-400", False),
        ("fake/stall-after-2", True),
    ],
)
async def test_where_the_cost_is_not_known_the_reservation_is_kept(
    tmp_path: Path, model: str, kept: bool
) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.budgets["bud_1"] = 10**12
        token = gate.control.token(budgets=(BUDGET,))
        if model.startswith("fake/stall"):
            reader, writer = await gate.open()
            writer.write(gate.post(chat(model, stream=True, max_tokens=10), token=token))
            await reader.readuntil(b"data:")
            writer.close()
        else:
            await gate.send(gate.post(chat(model, stream=True, max_tokens=10), token=token))
        await gate.settled()
        records = await gate.records()
        (opened,), closed = records.opened, records.only()
        assert opened.reserved
        assert [charge.amount for charge in closed.budgets] == [opened.reserved if kept else 0]
        assert closed.budgets[0].held == closed.budgets[0].amount


async def test_a_stream_is_charged_too(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.budgets["bud_1"] = 10**12
        token = gate.control.token(budgets=(BUDGET,))
        await gate.send(gate.post(STREAM, token=token))
        closed = (await gate.records()).only()
        assert closed.cost
        assert closed.budgets == (Charge("bud_1", 0, closed.cost, closed.cost),)


async def test_a_stream_that_goes_on_beyond_its_reservation_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_if_five_tokens_were_asked_for(price: Price, size: int, most: int, *, choices: int) -> int | None:
        return upper_bound(price, size, 5, choices=choices)

    monkeypatch.setattr("chatvault.gateway.admission.upper_bound", as_if_five_tokens_were_asked_for)
    async with gateway(tmp_path) as gate:
        gate.control.budgets["bud_1"] = 10**12
        token = gate.control.token(budgets=(BUDGET,))
        heard = await gate.send(
            gate.post(chat("fake/pace-10ms+events-400", stream=True, max_tokens=400), token=token), quiet=3
        )
        assert b"budget_exceeded" in heard.data
        assert b"[DONE]" not in heard.data
        await gate.settled()
        (closed,) = (await gate.records()).closed
        assert (closed.state, closed.code) == ("ended_by_gateway", "budget_exceeded")
        assert closed.bytes_out < 200_000


async def test_a_stream_that_keeps_to_its_limit_goes_on(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.budgets["bud_1"] = 10**12
        token = gate.control.token(budgets=(BUDGET,))
        heard = await gate.send(
            gate.post(chat("fake/pace-10ms+events-40", stream=True, max_tokens=40), token=token)
        )
        assert b"[DONE]" in heard.data


async def test_a_client_that_leaves_while_its_call_waits_holds_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.lends = False
        token = gate.control.token(
            budgets=(BUDGET,),
            limits=(Limited("token", "tok_1", Limits(requests_per_minute=1, concurrent=1)),),
        )
        _, writer = await gate.open()
        writer.write(gate.post(HELLO, token=token))
        await until(lambda: any(isinstance(each, Borrow) for each in gate.control.heard))
        writer.close()
        await until(lambda: not gate.worker.connections)
        gate.control.say(frame(Lent("bud_1", 0, 10**12)))
        assert (await gate.send(gate.post(HELLO, token=token))).status == 200, "nothing of it counted"
        assert len((await gate.records()).opened) == 1


async def test_without_control_a_budgeted_call_waits_not_for_ever(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.budgets["bud_1"] = 10**12
        token, plain = gate.control.token(budgets=(BUDGET,)), gate.token
        assert (await gate.send(gate.post(HELLO, token=token))).status == 200
        assert (await gate.send(gate.post(HELLO, token=plain))).status == 200
        await gate.control.stop()
        await until(lambda: not gate.worker.feed.connected)
        refused = await gate.send(gate.post(HELLO, token=token))
        assert (refused.status, code_of(refused)) == (503, "control_unavailable")
        assert (await gate.send(gate.post(HELLO, token=plain))).status == 200


async def test_what_is_called_in_is_given_back(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.budgets["bud_1"] = 10**12
        token = gate.control.token(budgets=(BUDGET,))
        await gate.send(gate.post(HELLO, token=token))
        gate.control.say(frame(CallIn("bud_1", 0)))
        await until(lambda: any(isinstance(each, GaveBack) for each in gate.control.heard))
        closed = (await gate.records()).only()
        assert closed.cost is not None
        assert gate.control.budgets["bud_1"] == 10**12 - closed.cost


async def test_when_the_journal_cannot_be_written_nothing_is_held(tmp_path: Path) -> None:
    full = False

    def write(handle: int, data: bytes) -> int:

        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(handle, data)

    async with gateway(tmp_path, write=write) as gate:
        gate.control.budgets["bud_1"] = 10**12
        token = gate.control.token(
            budgets=(BUDGET,), limits=(Limited("token", "tok_1", Limits(requests_per_minute=2)),)
        )
        await gate.send(gate.post(HELLO, token=token))
        full = True
        assert (await gate.send(gate.post(HELLO, token=token))).status == 503
        full = False
        await until(lambda: gate.worker.journal.fault is None)
        assert (await gate.send(gate.post(HELLO, token=token))).status == 200
        closed = (await gate.records()).closed
        assert sum(line.cost or 0 for line in closed) == closed[-1].budgets[0].held


async def test_a_retry_is_reserved_again(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.budgets["bud_1"] = 10**12
        token = gate.control.token(budgets=(BUDGET,))
        await gate.send(gate.post(HELLO, token=token))
        await gate.send(gate.post(chat("fake/die-on-reuse", max_tokens=10), token=token))
        records = await gate.records()
        for line in records.attempted:
            assert line.budgets[0].amount == 2 * (line.reserved or 0)


async def test_a_crowd_passes_no_limit_and_no_budget(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.budgets["bud_1"] = 4_000_000_000
        token = gate.control.token(
            budgets=(BUDGET,), limits=(Limited("token", "tok_1", Limits(requests_per_minute=30)),)
        )
        answers: list[Heard] = await asyncio.gather(
            *(gate.send(gate.post(HELLO, token=token)) for _ in range(60))
        )
        await gate.settled()
        passed = sum(heard.status == 200 for heard in answers)
        assert 0 < passed <= 30
        closed = (await gate.records()).closed
        charged = sum(charge.amount for line in closed for charge in line.budgets)
        assert charged <= 4_000_000_000
        assert {heard.status for heard in answers} <= {200, 429}


async def test_a_stream_that_broke_is_not_charged_by_the_little_its_provider_had_told(tmp_path: Path) -> None:
    """Anthropic tells the input first, with one token of output, and the output at the end."""
    async with gateway(tmp_path, providers={}) as gate:
        fake = gate.control.snapshot.providers["fake"]
        face = Face(fake.base_url, {"x-api-key": KEY})
        speaks = msgspec.structs.replace(
            fake,
            faces={"anthropic": face, "openai": Face(fake.base_url, fake.headers)},
            dialects=("anthropic.messages",),
        )
        await gate.control.configure(
            msgspec.structs.replace(gate.control.snapshot, providers={"fake": speaks})
        )
        gate.control.budgets["bud_1"] = 10**12
        token = gate.control.token(budgets=(BUDGET,))
        wanted = {**MESSAGES, "model": "fake/events-40+cut-after-20", "max_tokens": 40, "stream": True}
        heard = await gate.send(gate.post(wanted, "/v1/messages", token=token))
        assert b"message_start" in heard.data
        await gate.settled()
        records = await gate.records()
        (opened,), closed = records.opened, records.only()
        assert closed.state == "upstream_cut"
        assert closed.usage is not None
        assert (closed.usage_source, closed.cost_source) == ("estimated", "estimated")
        assert closed.usage.output > 10
        assert [charge.amount for charge in closed.budgets] == [opened.reserved]
