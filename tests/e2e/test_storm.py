"""The crash test: load, and SIGKILL for everybody."""

import asyncio

import pytest

from chatvault.fake import FakeProvider
from tests.e2e.gateway import Gateway
from tests.e2e.storm import Storm, account
from tests.e2e.test_disk import delete_ledger


async def survive(gateway: Gateway, provider: FakeProvider, seconds: float, seed: int) -> None:
    storm = Storm(gateway, provider, seed)
    await storm.rage(seconds)
    print(storm.tally.kills, storm.tally.sent, storm.tally.answered, storm.tally.broken, storm.tally.left)
    rows = await account(storm)
    assert storm.tally.answered > 50
    assert len(storm.tally.kills) == 4
    assert {"completed", "interrupted", "client_gone"} <= {row["state"] for row in rows}
    assert await gateway.stop() == 0
    await gateway.verify()
    assert await gateway.rows() == rows
    await asyncio.to_thread(delete_ledger, gateway)
    await gateway.start()
    assert await gateway.level(30.0) == rows


async def test_a_storm_of_kills_loses_no_call_and_counts_none_twice(
    gateway: Gateway, provider: FakeProvider
) -> None:
    await survive(gateway, provider, 14.0, seed=20261121)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(6))
async def test_a_long_storm_of_kills_loses_no_call_and_counts_none_twice(
    gateway: Gateway, provider: FakeProvider, seed: int
) -> None:
    await survive(gateway, provider, 40.0, seed)
