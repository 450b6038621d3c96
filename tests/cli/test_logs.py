"""Calls as they end, in a shell."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from typer.testing import Result

from chatvault.bench.own_gateway import OwnGateway, environ_without_providers
from chatvault.cli.logs import line
from chatvault.sdk.control import Refusal
from tests.cli.conftest import call, recorded

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def ids(gateway: OwnGateway) -> list[str]:
    token = gateway.token("logs")["token"]
    made = [
        call(gateway, token, "fake/echo")[1],
        call(gateway, token, "fake/cut-after-2", stream=True)[1],
        call(gateway, token, "no/such")[1],
    ]
    for id in made:
        recorded(gateway, id)
    return made


@pytest.fixture
def run(gateway: OwnGateway, chatvault: Run) -> Run:
    def here(*words: str) -> Result:
        return chatvault("logs", *words, "--data-dir", str(gateway.data_dir))

    return here


@contextmanager
def following(gateway: OwnGateway, *words: str) -> Iterator[Callable[[], str]]:
    """`chatvault logs --follow` in a process; gives what reads its next line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chatvault", "logs", "--follow", *words, "--data-dir", str(gateway.data_dir)],
        env=environ_without_providers(),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    out, rest = process.stdout, b""

    def next_line() -> str:
        nonlocal rest
        until = time.monotonic() + 10
        while b"\n" not in rest:
            ready, _, _ = select.select([out], [], [], max(0.0, until - time.monotonic()))
            assert ready, "no line came"
            part = os.read(out.fileno(), 65536)
            assert part, "it ended"
            rest += part
        text, _, rest = rest.partition(b"\n")
        return text.decode()

    try:
        yield next_line
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    finally:
        process.kill()
        process.wait()
        out.close()


def test_the_last_calls_the_newest_last(run: Run, ids: list[str]) -> None:
    said = run().stdout.splitlines()
    assert len(said) == 3
    assert "completed" in said[0]
    assert "fake/echo -> fake/echo" in said[0]
    assert "6 in" in said[0]
    assert " $0." in said[0]
    assert "upstream_cut" in said[1]
    assert "refused" in said[2]
    assert "model_not_found" in said[2]


def test_for_machines(run: Run, ids: list[str]) -> None:
    assert [json.loads(text)["id"] for text in run("--json").stdout.splitlines()] == ids


def test_limit_and_state(run: Run, ids: list[str]) -> None:
    assert [json.loads(text)["id"] for text in run("--json", "--limit", "2").stdout.splitlines()] == ids[1:]
    assert run("--limit", "0").stdout == ""
    assert [
        json.loads(text)["id"] for text in run("--json", "--state", "upstream_cut").stdout.splitlines()
    ] == ids[1:2]
    assert run("--model", "fake/none", "--since", "1h").stdout == ""
    done = run("--state", "fine")
    assert isinstance(done.exception, Refusal)
    assert "completed" in done.exception.message


def test_follow_shows_calls_as_they_end_once(gateway: OwnGateway, ids: list[str]) -> None:
    token = gateway.token("follow")["token"]
    with following(gateway, "--json", "--limit", "1") as next_line:
        assert json.loads(next_line())["id"] == ids[-1]
        for _ in range(2):
            began = time.monotonic()
            id = call(gateway, token)[1]
            assert json.loads(next_line())["id"] == id
            assert time.monotonic() - began < 4


def test_follow_survives_the_death_of_control(gateway: OwnGateway, ids: list[str]) -> None:
    token = gateway.token("survivor")["token"]
    recorded(gateway, call(gateway, token)[1])
    with following(gateway, "--limit", "1", "--state", "completed") as next_line:
        assert "fake/echo" in next_line()
        id = call(gateway, token, "fake/simulated")[1]
        assert "fake/simulated" in next_line()
        os.kill(control_pid(gateway), signal.SIGKILL)
        assert call(gateway, token, "fake/reasoner")[0] == 200
        assert "fake/reasoner" in next_line()
    assert recorded(gateway, id)["state"] == "completed"


def control_pid(gateway: OwnGateway) -> int:
    """The child of the supervisor that owns the admin socket: the one with FastAPI loaded is the largest."""
    from chatvault.bench.processes import rss_mb, tree

    worker = gateway.worker_pid()
    return max((pid for pid in tree(gateway.pid) if pid not in (worker, gateway.pid)), key=rss_mb)


def row(**changes: object) -> dict[str, object]:
    whole: dict[str, object] = {
        "timestamp": "2026-01-31T17:00:00.000000Z", "state": "completed", "status_code": 200,
        "model_name": "m", "endpoint": "e", "provider": "p", "model_resolved": "r",
        "input_tokens": 1234, "output_tokens": 5, "cost": "0.01", "cost_bound": None,
        "latency_ms": 1500, "ttft_ms": None, "calls": 1, "error_code": None,
    }  # fmt: skip
    return whole | changes


def test_a_line_says_what_is_unknown() -> None:
    assert "1,234 in" in line(row())
    assert "1,500 ms" in line(row())
    assert "first token 20 ms" in line(row(ttft_ms=20))
    unknown = line(row(cost=None, input_tokens=None, cost_bound="0.5", state="interrupted", status_code=0))
    assert "unknown, at most $0.5" in unknown
    assert "? in" in unknown
    assert " ms" not in unknown
    assert "unknown" in line(row(cost=None))


def test_a_line_of_a_refusal() -> None:
    refused = line(
        row(
            state="refused",
            provider=None,
            model_name=None,
            status_code=401,
            calls=1200,
            error_code="invalid_token",
        )
    )
    assert "1,200 refused" in refused
    assert refused.endswith("(invalid_token)")
    assert " in " not in refused


def test_a_name_cannot_command_the_terminal() -> None:
    assert "\x1b" not in line(row(model_name="\x1b[2Jgone", error_code="\x1b]0;"))
    assert len(line(row(model_name="m" * 5000))) < 300
