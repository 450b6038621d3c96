"""Processes of the benchmark: started, ended with it, and what the kernel says of the time and memory they took."""

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from chatvault.bench.load import Order, Outcome
from chatvault.core.errors import OperatorError

_PROC: Final = Path("/proc")
_STARTING: Final = 10.0
_BEYOND: Final = 60.0
"""Seconds that the load may take beyond what it was asked for."""


class Helper:
    """A module of the benchmark in a process of its own, spoken with a line at a time."""

    def __init__(self, module: str, words: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"chatvault.bench.{module}", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for the benchmark, whose end closes the pipe
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def hear(self, patience: float = _STARTING) -> bytes:
        """A line that it says. Raises OperatorError where none comes."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], patience)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            raise OperatorError(
                f"A process of the benchmark failed ({self._process.args!r}).", code="bench_failed"
            )
        return line

    def tell(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()


class Load:
    """The load generator, as the benchmark uses it."""

    def __init__(self, helper: Helper) -> None:
        self._helper = helper

    def __call__(self, order: Order) -> Outcome:
        """Raises OperatorError where the load cannot be made."""
        self._helper.tell(msgspec.json.encode(order))
        return msgspec.json.decode(self._helper.hear(order.seconds + _BEYOND), type=Outcome)


def tree(pid: int) -> list[int]:
    """The process and its descendants that are alive."""
    found = [pid]
    try:
        for task in os.listdir(_PROC / str(pid) / "task"):
            for child in (_PROC / str(pid) / "task" / task / "children").read_text().split():
                found += tree(int(child))
    except (FileNotFoundError, ProcessLookupError):
        return []
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has taken; 0 if it is gone. The clock ticks every 10 ms."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident memory in MB (2^20 bytes); 0 if it is gone."""
    try:
        found = re.search(r"VmRSS:\s+(\d+)", (_PROC / str(pid) / "status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return int(found[1]) / 1024 if found is not None else 0.0


def expect_linux() -> None:
    """Raises OperatorError where the kernel does not say what processes took."""
    if not (_PROC / "self" / "stat").exists():
        raise OperatorError(
            "The benchmark reads /proc, which only Linux has. Run it on Linux.", code="not_linux"
        )


def wait_port(port: int, patience: float = _STARTING) -> None:
    """Until something listens there. Raises OperatorError."""
    import socket

    until = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise OperatorError(f"Nothing listens on 127.0.0.1:{port}.", code="bench_failed") from None
            time.sleep(0.02)
