"""Every test of the upstream client runs on asyncio's own event loop and on uvloop, against real sockets."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from chatvault.config.schema import Timeouts
from chatvault.net.origin import Origin, parse_origin
from chatvault.net.pool import Pool
from chatvault.net.proxy import Proxy
from tests.net.certificates import Certificates, make_certificates

Factories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]
QUICK = Timeouts(connect=2.0, first_byte=2.0, idle=2.0)


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Factories:
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


class Pools:
    """Makes pools; all are closed when the test is over."""

    def __init__(self) -> None:
        self.made: list[Pool] = []

    def __call__(
        self,
        origin: Origin | str | int,
        timeouts: Timeouts = QUICK,
        *,
        context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> Pool:
        if isinstance(origin, int):
            origin = f"http://127.0.0.1:{origin}"
        if isinstance(origin, str):
            origin = parse_origin(origin)
        pool = Pool(origin, timeouts, context=context, proxy=proxy)
        self.made.append(pool)
        return pool


@pytest.fixture
async def pools() -> AsyncIterator[Pools]:
    pools = Pools()
    yield pools
    for pool in pools.made:
        pool.close()
    await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def socket_path(tmp_path: Path) -> str:
    return str(tmp_path / "s")
