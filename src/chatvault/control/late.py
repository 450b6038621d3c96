"""A store of grants that is not open yet: who asks, waits. So workers are welcomed before the database is
loaded."""

import asyncio
from collections.abc import Sequence

from chatvault.access.grant import Whose
from chatvault.access.holder import Holder
from chatvault.access.store import GrantSource


class LateGrants:
    """A `GrantSource` that hands on to another, once that is there."""

    def __init__(self) -> None:
        self._source: GrantSource | None = None
        self._there = asyncio.Event()

    def open(self, source: GrantSource) -> None:
        self._source = source
        self._there.set()

    async def holders(self, digests: Sequence[bytes]) -> dict[bytes, Holder]:
        return await (await self._opened()).holders(digests)

    async def revoked_since(self, at_us: int) -> Whose:
        return await (await self._opened()).revoked_since(at_us)

    async def _opened(self) -> GrantSource:
        await self._there.wait()
        assert self._source is not None
        return self._source
