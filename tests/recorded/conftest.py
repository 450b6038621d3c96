"""What is replayed through a worker runs on what a worker runs on."""

from tests.gateway.conftest import pytest_asyncio_loop_factories, reading_what_it_runs_on

__all__ = ["pytest_asyncio_loop_factories", "reading_what_it_runs_on"]
