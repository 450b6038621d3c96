"""Sub-tokens, networks and idleness through real processes: two workers, control, the ledger."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chatvault.bench.own_gateway import OwnGateway

CHAT = {"model": "fake/echo", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def gateway() -> Iterator[OwnGateway]:
    with OwnGateway(["--fake", "--workers", "2"]) as running:
        yield running


def asked(gateway: OwnGateway, method: str, path: str, token: str, body: object = None) -> tuple[int, Any]:
    """Over a connection of its own, so that either worker may answer."""
    connection = http.client.HTTPConnection("127.0.0.1", int(gateway.url.rpartition(":")[2]), timeout=20)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        data = answer.read()
        return answer.status, json.loads(data) if data else None
    finally:
        connection.close()


def chat(gateway: OwnGateway, token: str) -> tuple[int, str | None]:
    status, body = asked(gateway, "POST", "/v1/chat/completions", token, CHAT)
    return status, body["error"]["code"] if "error" in body else None


def made(gateway: OwnGateway, **wanted: object) -> dict[str, Any]:
    found: dict[str, Any] = gateway.control.request("POST", "/manage/tokens", {"name": "top", **wanted})
    return found


def test_a_token_mints_one_that_is_narrower_and_ends_with_it(gateway: OwnGateway) -> None:
    top = made(gateway, limits={}, duration_hours=2)
    status, child = asked(
        gateway, "POST", "/v1/tokens", top["token"], {"name": "job", "endpoints": ["chat.*"], "tags": ["ci"]}
    )
    assert (status, child["parent_id"], child["tags"]) == (201, top["token_id"], ["ci"])
    for _ in range(4):
        assert chat(gateway, child["token"]) == (200, None)
    assert asked(gateway, "POST", "/v1/tokens", child["token"], {"name": "x"})[0] == 403
    assert asked(gateway, "POST", "/v1/tokens", top["token"], {"name": "x", "duration_hours": 3})[0] == 403
    status, second = asked(gateway, "POST", "/v1/tokens", top["token"], {"name": "job 2"})
    assert status == 201
    path = f"/v1/tokens/{second['token_id']}"
    assert asked(gateway, "DELETE", path, child["token"])[0] == 403
    assert asked(gateway, "DELETE", path, second["token"])[0] == 404
    assert chat(gateway, second["token"])[0] == 200
    assert asked(gateway, "DELETE", path, top["token"]) == (204, None)
    assert {chat(gateway, second["token"]) for _ in range(4)} == {(401, "token_revoked")}
    gateway.control.request("DELETE", f"/manage/tokens/{top['token_id']}")
    assert {chat(gateway, child["token"]) for _ in range(4)} == {(401, "token_revoked")}


def test_a_token_of_other_networks_is_refused(gateway: OwnGateway) -> None:
    elsewhere = made(gateway, networks=["10.0.0.0/8"])
    assert {chat(gateway, elsewhere["token"]) for _ in range(4)} == {(403, "network_not_allowed")}


def test_an_idle_token_expires_and_use_on_any_worker_keeps_it(gateway: OwnGateway) -> None:
    """Control hears of uses every two seconds, and waits so long twice."""
    idle = {"limits": {}, "idle_hours": 2 / 3600}
    left, kept = made(gateway, **idle), made(gateway, **idle)
    until = time.monotonic() + 12
    assert chat(gateway, left["token"])[0] == 200
    while time.monotonic() < until:
        assert chat(gateway, kept["token"])[0] == 200
        time.sleep(0.4)
    assert {chat(gateway, left["token"]) for _ in range(6)} == {(401, "token_expired")}
    assert chat(gateway, kept["token"])[0] == 200
