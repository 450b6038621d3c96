"""Tokens that hold only for clients of some networks, as proxies that are believed tell where these are."""

from pathlib import Path

from chatvault.access.grant import Bounds
from chatvault.config.schema import ServerConfig
from tests.gateway.harness import CHAT, gateway

ASK = {"model": "fake/echo", "messages": [{"role": "user", "content": "hi"}]}


async def test_a_client_elsewhere_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        here, elsewhere = (
            gate.control.token(networks=("127.0.0.0/8",)),
            gate.control.token(networks=("10.0.0.0/8",)),
        )
        assert (await gate.send(gate.post(ASK, CHAT, token=here))).status == 200
        for _ in range(2):
            heard = await gate.send(gate.post(ASK, CHAT, token=elsewhere))
            assert (heard.status, heard.json["error"]["code"]) == (403, "network_not_allowed")  # type: ignore[index]
            assert "127.0.0.1" in heard.json["error"]["message"]  # type: ignore[index]
        assert (await gate.send(gate.get("/v1/models", token=elsewhere))).status == 403
        forged = gate.post(ASK, CHAT, token=elsewhere, x_forwarded_for="10.0.0.1")
        assert (await gate.send(forged)).status == 403
    records = await gate.records()
    assert len(records.opened) == 1
    assert {line.code for line in records.refused} == {"network_not_allowed"}
    assert sum(line.count for line in records.refused) == 4


async def test_a_proxy_that_is_believed_says_where_the_client_is(tmp_path: Path) -> None:
    server = ServerConfig(drain_timeout=0.2, trusted_proxies=("127.0.0.1",))
    async with gateway(tmp_path, server=server) as gate:
        token = gate.control.token(networks=("10.0.0.0/8",), within=(Bounds(networks=("10.1.0.0/16",)),))
        for address, status in (("10.1.0.1", 200), ("10.2.0.1", 403), ("10.1.0.1, 11.0.0.1", 403), ("", 403)):
            ask = gate.post(ASK, CHAT, token=token, x_forwarded_for=address)
            assert (await gate.send(ask)).status == status, address
