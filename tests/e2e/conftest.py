"""A simulated provider in the test's own loop, and gateways that end with the test."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from chatvault.fake import FakeProvider
from tests.e2e.gateway import Gateway

# These look into /proc and set limits of other processes, which only Linux lets them do.
collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]

KEY = "sk-provider-0123456789abcdefghij"
Begin = Callable[..., Awaitable[Gateway]]


def configured(provider: FakeProvider, more: str = "", drain: str = "2s") -> str:
    """A config.yaml with that provider as `sim`."""
    return f"""\
server:
  drain_timeout: {drain}
audit:
  sign_interval: 1s
providers:
  sim:
    base_url: {provider.base_url}
    api_key: {KEY}
prices:
  sim/*: {{input: 1, output: 4}}
{more}"""


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    """It lists the ids that the gateway gives its calls."""
    async with FakeProvider(marker="x-request-id", patience_s=60) as fake:
        yield fake


@pytest.fixture
async def begin(provider: FakeProvider, tmp_path: Path) -> AsyncIterator[Begin]:
    """Starts a gateway in front of `provider`; arguments as of `configured`, `env` and `words` as of `Gateway`."""
    async with AsyncExitStack() as stack:

        async def start(
            more: str = "",
            *,
            drain: str = "2s",
            env: dict[str, str] | None = None,
            words: tuple[str, ...] = (),
            home: str = ".",
        ) -> Gateway:
            folder = tmp_path / home
            folder.mkdir(exist_ok=True)
            gateway = Gateway(folder, config=configured(provider, more, drain), env=env, words=words)
            stack.push_async_callback(gateway.end)
            await gateway.start()
            return gateway

        yield start


@pytest.fixture
async def gateway(begin: Begin) -> Gateway:
    return await begin()
