"""The gateway stands in the test's own loop, as in tests/gateway; the clients in processes of their own."""

from tests.gateway.conftest import pytest_asyncio_loop_factories, reading_what_it_runs_on

__all__ = ["pytest_asyncio_loop_factories", "reading_what_it_runs_on"]
