"""The simulated provider from the shell."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable

from typer.testing import Result


def test_it_serves_until_it_is_told_to_end() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "chatvault", "fake", "--api-key", "right", "--marker", "x-mark"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
        assert found is not None
        body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "hello"}]}).encode()
        headers = {"content-type": "application/json", "authorization": "Bearer right", "x-mark": "one"}
        request = urllib.request.Request(f"{found[1]}/v1/chat/completions", body, headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["choices"][0]["message"]["content"] == "hello"
        with urllib.request.urlopen(f"{found[1]}/stats", timeout=10) as answer:
            assert json.load(answer)["ids"] == ["one"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_help_says_what_it_is_for(chatvault: Callable[..., Result]) -> None:
    assert "cut-after-3" in chatvault("fake", "--help").stdout
