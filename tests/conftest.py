"""What every test gets: a guard against blocking the event loop, bounded hypothesis profiles, free ports."""

import socket
from collections.abc import Callable, Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

settings.register_profile("ci", max_examples=60, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("prove", max_examples=2_000, deadline=None, print_blob=True)
settings.load_profile("ci")


class _EveryFunction(frozenset[str]):
    """Holds every name, so that a whole file may block."""

    def __contains__(self, name: object) -> bool:
        return True


# Files whose calls may block the event loop, and why.
MAY_BLOCK = (
    "chatvault/audit/writer.py",  # a record is written ahead of its call: one write() into the page cache
    "chatvault/access/budget.py",  # a time zone's rules are read once, a small file
)


@pytest.fixture(autouse=True)
def no_blocking() -> Iterator[BlockBuster]:
    """Fail a test in which code of ours makes a blocking call inside a running event loop."""
    with blockbuster_ctx("chatvault") as guard:
        for function in guard.functions.values():
            for file in MAY_BLOCK:
                function.can_block_in(file, _EveryFunction())
        yield guard


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listened on a moment ago."""
    return _free_port()


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """Gives n different free TCP ports on 127.0.0.1."""

    def take(n: int) -> list[int]:
        probes = [socket.socket() for _ in range(n)]
        try:
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            return [int(probe.getsockname()[1]) for probe in probes]
        finally:
            for probe in probes:
                probe.close()

    return take
