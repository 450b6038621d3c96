"""What was recorded of Vertex AI: a client of Anthropic's API behind the gateway makes the very requests that its own client
made there, and hears the very answers; so does a client of Vertex AI."""

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chatvault.config.schema import Config, ProviderConfig
from chatvault.config.snapshot import ProviderSnapshot
from chatvault.providers.resolve import resolve
from tests.gateway.harness import gateway
from tests.net.peers import provider
from tests.recorded.asking import Asking
from tests.recorded.exchanges import FOLDER, Exchange, of_file
from tests.recorded.stand_in import StandIn, packets

pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif(
        not FOLDER.is_dir(), reason="CHATVAULT_RECORDED names no folder of recorded exchanges"
    ),
]
PATH = re.compile(r"/v1/projects/([^/]+)/locations/([^/]+)/publishers/anthropic/models/([^:]+):(\w+)")


def vertex(exchange: Exchange, port: int) -> ProviderSnapshot:
    found = PATH.fullmatch(exchange.path)
    assert found is not None
    account = ProviderConfig(
        base_url=f"http://127.0.0.1:{port}",
        project=found[1],
        location=found[2],
        headers={"authorization": "Bearer ya29"},
    )
    return resolve(Config(providers={"vertex": account}), {}, False, None).providers["vertex"]


def asked(exchange: Exchange, own: bool) -> tuple[str, dict[str, Any]]:
    """The path and the body of the client's request: `own` is a client of Vertex AI itself."""
    found = PATH.fullmatch(exchange.path)
    assert found is not None
    said = dict(exchange.request_body)
    if own:
        return f"/v1/projects/p/locations/l/publishers/vertex/models/{found[3]}:{found[4]}", said
    del said["anthropic_version"]
    return "/v1/messages", {"model": f"vertex/{found[3]}"} | said


@pytest.mark.parametrize("own", [False, True], ids=["anthropic", "vertex"])
async def test_recorded_calls_are_made_as_they_were(tmp_path: Path, own: bool) -> None:
    exchanges, there = list(of_file("vertex.anthropic")), StandIn()
    assert len(exchanges) == 10
    async with (
        provider(there.serve) as at,
        gateway(tmp_path, providers={"vertex": vertex(exchanges[0], at.port)}) as gate,
        Asking(gate.port) as client,
    ):
        for exchange in exchanges:
            there.answer = packets(exchange, "odd", Random(7))
            path, body = asked(exchange, own)
            answer = await client.ask(gate.post(body, path))
            assert there.target == exchange.path
            assert there.fields["authorization"] == "Bearer ya29"
            assert json.loads(there.body) == exchange.request_body
            assert (answer.status, answer.body) == (exchange.status, exchange.raw)
        await gate.settled(len(exchanges))
        records = await gate.records()
    assert [record.state for record in records.closed] == ["completed"] * len(exchanges)
    for record in records.closed:
        assert record.usage_source == "provider"
        assert record.cost_source == "prices"
        assert record.cost
