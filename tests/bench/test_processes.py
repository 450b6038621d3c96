"""Processes are started, looked at, and ended."""

import os
import subprocess
import sys
import time

import pytest

from chatvault.bench.processes import Helper, cpu_seconds, rss_mb, tree, wait_port
from chatvault.core.errors import OperatorError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_what_a_process_took() -> None:
    before = cpu_seconds(os.getpid())
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert 0.05 <= cpu_seconds(os.getpid()) - before < 5
    assert rss_mb(os.getpid()) > 5


def test_a_process_that_is_gone_took_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert (cpu_seconds(child.pid), rss_mb(child.pid), tree(child.pid)) == (0.0, 0.0, [])


def test_a_tree_has_its_branches() -> None:
    with Helper("upstream", ["1", "1"]) as helper:
        helper.hear()
        assert helper.pid in tree(os.getpid())
    assert helper.pid not in tree(os.getpid())


def test_a_helper_that_fails_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with Helper("upstream", ["nonsense"]) as helper, pytest.raises(OperatorError, match="failed"):
        helper.hear()
    assert "ValueError" in capfd.readouterr().err


def test_waiting_for_a_port_is_bounded(free_port: int) -> None:
    with pytest.raises(OperatorError, match=str(free_port)):
        wait_port(free_port, 0.05)
