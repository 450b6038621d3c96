"""The benchmark as a whole, quickly; and its parts that need a program."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from chatvault.bench.nginx import nginx, nginx_path
from chatvault.bench.own_gateway import environ_without_providers
from chatvault.bench.processes import Helper

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_quickly() -> None:
    began = time.monotonic()
    words = [sys.executable, "-m", "chatvault", "bench", "--quick", "--json"]
    done = subprocess.run(
        words, env=environ_without_providers(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 45  # ten seconds, beside other work
    report = json.loads(done.stdout)
    assert not report["lagged"]
    for case in ("whole", "stream"):
        assert [row["target"] for row in report["cases"][case]] == [
            "bare proxy",
            "OpenAI to Anthropic",
            "Anthropic to OpenAI",
            "gateway",
        ]
        for row in report["cases"][case]:
            assert row["errors"] == 0
            assert row["rps"] > 1
        assert [sorted(row["times"]) for row in report["cases"][case]] == [["bare proxy"]] * 4
    assert all(row["cpu_us"] > 0 for row in report["cases"]["whole"][1:])
    assert report["memory"]["last_mb"] > 5


@pytest.mark.skipif(nginx_path() is None, reason="nginx is not installed")
def test_nginx(tmp_path: Path) -> None:
    program = nginx_path()
    assert program is not None
    with (
        Helper("upstream", ["1", "1"]) as upstream,
        nginx(program, tmp_path / "nginx", int(upstream.hear())) as (port, pid),
    ):
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/v1/chat/completions", b"{}", timeout=10
        ) as answer:
            assert json.load(answer)["choices"]
        assert pid > 0
