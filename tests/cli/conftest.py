"""What the tests of the commands share: a gateway that runs, calls through it, and commands asked as a shell does."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from chatvault.bench.own_gateway import OwnGateway, environ_without_providers
from chatvault.cli.main import app


@pytest.fixture(scope="module")
def gateway() -> Iterator[OwnGateway]:
    with OwnGateway(["--fake"], {"CHATVAULT_AUDIT_SIGN_INTERVAL": "200ms"}) as running:
        yield running


@pytest.fixture
def chatvault() -> Callable[..., Result]:
    """Runs a command in this process."""

    def run(*words: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, list(words), input=given)

    return run


@pytest.fixture
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command in a process of its own."""

    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "chatvault", *words],
            env=environ_without_providers() | settings,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def call(
    gateway: OwnGateway, token: str, model: str = "fake/echo", *, stream: bool = False
) -> tuple[int, str, bytes]:
    """A chat call: the status, the record's id, the body."""
    connection = http.client.HTTPConnection("127.0.0.1", int(gateway.url.rpartition(":")[2]), timeout=20)
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        try:
            data = answer.read()
        except http.client.HTTPException:
            data = b""
        return answer.status, answer.headers["x-request-id"] or "", data
    finally:
        connection.close()


def recorded(gateway: OwnGateway, id: str) -> dict[str, Any]:
    """The call's row, once the ledger has it."""
    until = time.monotonic() + 10
    while True:
        rows = gateway.control.request("GET", "/usage?limit=1000")["data"]
        for row in rows:
            if row["id"] == id:
                found: dict[str, Any] = row
                return found
        assert time.monotonic() < until, f"{id} is not in the ledger"
        time.sleep(0.05)
