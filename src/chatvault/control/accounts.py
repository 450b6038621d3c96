"""Accounting for the chains of workers that are dead: what they used of their leases stays committed, the rest comes
back."""

import asyncio
from pathlib import Path

from chatvault.access.store import LeaseStore
from chatvault.audit.holds import dead_chain_holds
from chatvault.control.lender import Lender
from chatvault.core.errors import JournalError


class Accounts:
    """`folder` is the journal's. A chain that is not of this journal (another host's, of a vault that is shared) is
    left to whoever has it."""

    def __init__(self, folder: Path, store: LeaseStore, lender: Lender) -> None:
        self._folder = folder
        self._store = store
        self._lender = lender
        self._one_at_a_time = asyncio.Lock()

    async def settle(self) -> bool:
        """Account for every chain that has leases and whose writer is dead; whether there was one. Raises
        OperatorError."""
        async with self._one_at_a_time:
            wanted: dict[str, list[tuple[str, int]]] = {}
            for lease in await self._store.leases():
                wanted.setdefault(lease.chain, []).append(lease.key)
            settled = False
            for chain, keys in wanted.items():
                held = await asyncio.to_thread(self._held, chain, keys)
                if held is not None:
                    await self._lender.account(self._store, chain, held)
                    settled = True
            return settled

    def _held(self, chain: str, keys: list[tuple[str, int]]) -> dict[tuple[str, int], int] | None:
        try:
            return dead_chain_holds(self._folder, chain, keys)
        except OSError as error:
            raise JournalError(
                f"The journal's chain {chain} cannot be read: {error.strerror or error}. "
                "Make it readable for this user; until then what it was lent stays reserved."
            ) from error
