"""The data plane runs on uvloop, as it does when it serves; what is marked `both_loops` runs on asyncio's own, too."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop
from blockbuster import BlockBuster

Factories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_loops: runs on uvloop and on asyncio's own event loop")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Factories:
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    if item.get_closest_marker("both_loops") is not None:
        factories["asyncio"] = asyncio.SelectorEventLoop
    return factories


@pytest.fixture(autouse=True)
def reading_what_it_runs_on(no_blocking: BlockBuster) -> None:
    """What a worker reads from disk when it starts, and about itself, may block."""
    read = no_blocking.functions["io.BufferedReader.read"]
    read.can_block_in("chatvault/pricing/book.py", "__init__")
    read.can_block_in("chatvault/pricing/facts.py", "__init__")
    read.can_block_in("chatvault/gateway/worker.py", "_rss")
