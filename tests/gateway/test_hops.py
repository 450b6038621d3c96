"""Calls that come back to the gateway that sent them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.config.snapshot import ProviderSnapshot
from chatvault.gateway.hops import FIELD, name_of
from tests.fake.raw import chat
from tests.gateway.harness import Gate, gateway

OTHER = "0123456789abcdef"


async def sent(gate: Gate, model: str = "fake/echo", **fields: str) -> str | None:
    """What the provider was told of the way."""
    assert (await gate.send(gate.post(chat(model), **fields))).status == 200
    assert gate.fake.last is not None
    return gate.fake.last.headers.get(FIELD.decode())


async def test_a_request_says_which_gateways_it_came_through(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        own = gate.worker.grants.hop.decode()
        assert len(own) == 16
        assert await sent(gate) == own
        assert await sent(gate, x_chatvault_hop=OTHER) == f"{OTHER}, {own}"
        assert await sent(gate, x_chatvault_hop=f"{OTHER}, {OTHER}") == f"{OTHER}, {OTHER}, {own}"
        for odd in ("anything", f"{OTHER}; x", ", ".join([OTHER] * 17)):
            assert await sent(gate, x_chatvault_hop=odd) == own


async def test_a_vendor_is_not_told(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        snapshot = gate.worker.snapshot
        fake = msgspec.structs.replace(snapshot.providers["fake"], vendor=True)
        changed = msgspec.structs.replace(snapshot, version=snapshot.version + 1, providers={"fake": fake})
        await gate.control.configure(changed)
        assert await sent(gate, x_chatvault_hop=OTHER) is None


@pytest.mark.parametrize("before", ["", f"{OTHER}, "])
async def test_a_call_that_came_from_here_is_refused_in_the_clients_dialect(
    tmp_path: Path, before: str
) -> None:
    body = {"model": "fake/echo", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    async with gateway(tmp_path) as gate:
        hop = before + gate.worker.grants.hop.decode()
        for path in ("/v1/chat/completions", "/v1/messages", "/api/chat"):
            # Whatever it brings for a token: the operator must see what is wrong.
            heard = await gate.send(gate.post(body, path, x_chatvault_hop=hop, authorization="Bearer sk-any"))
            assert heard.status == 508
            assert b"leads back to it" in heard.body
        claude: Any = (await gate.send(gate.post(body, "/v1/messages", x_chatvault_hop=hop))).json
        assert (claude["type"], claude["error"]["code"]) == ("error", "loop_detected")
        assert gate.fake.stats.requests == 0
        records = await gate.records()
    assert not records.opened
    assert {line.code for line in records.refused} == {"loop_detected"}


async def test_a_provider_that_is_the_gateway_itself_goes_round_once(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        snapshot = gate.worker.snapshot
        here = ProviderSnapshot(
            name="here",
            kind="openai",
            base_url=gate.base_url,
            headers={"authorization": f"Bearer {gate.token}"},
        )
        providers = {**snapshot.providers, "here": here}
        await gate.control.configure(
            msgspec.structs.replace(snapshot, version=snapshot.version + 1, providers=providers)
        )
        heard = await gate.send(gate.post(chat("here/here/fake/echo")))
        assert heard.status == 508
        assert b"leads back to it" in heard.body
        await gate.settled(1)
        records = await gate.records()
    (outer,) = records.closed
    assert (outer.state, outer.status) == ("upstream_error", 508)
    assert [line.code for line in records.refused] == ["loop_detected"]


def test_the_name_is_the_same_in_each_life_and_tells_nothing() -> None:
    assert name_of(b"pepper") == name_of(b"pepper") != name_of(b"salt")
    assert b"pepper" not in name_of(b"pepper")
