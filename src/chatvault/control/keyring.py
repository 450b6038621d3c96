"""The vault's provider keys, open: in the memory of control alone, and from there, as header fields, with the workers.

A key that cannot be opened stays in the vault as it is, and is said to be so; calls that need it are refused, for no
other may pay for them.
"""

import asyncio
import logging
from typing import Final

import msgspec

from chatvault.config.snapshot import Keys, KeySnapshot, Snapshot
from chatvault.control.feed_server import FeedServer
from chatvault.control.master_keys import MasterKeys, read_master_keys
from chatvault.control.options import ControlOptions
from chatvault.core.errors import ClientError, OperatorError
from chatvault.core.secrets import Secret
from chatvault.providers.keyed import keyed, not_keyed
from chatvault.vault.keys import Kept, ProviderKey, ProviderKeys
from chatvault.vault.master import MasterKey
from chatvault.vault.seal import seal, unseal

_NO_MASTER: Final = "the master key {} that it is sealed under is not here"

_log = logging.getLogger(__name__)


class Held(msgspec.Struct, frozen=True):
    """A key that was not revoked. `secret` is None where it cannot be opened, and `fault` says why."""

    key: ProviderKey
    master_id: str
    secret: Secret | None
    fault: str | None = None


class Rotated(msgspec.Struct, frozen=True):
    master_id: str
    """The master key that all keys are sealed under now."""
    resealed: int
    """How many were sealed anew."""
    former_removed: bool
    """No other master key is left in the file. One that is given stays where it is."""


class Keyring:
    """`load` comes first. Methods raise OperatorError where the vault or the master key's file cannot be used."""

    def __init__(self, store: ProviderKeys, masters: MasterKeys, feed: FeedServer) -> None:
        self._store = store
        self._masters = masters
        self._feed = feed
        self._held: dict[str, Held] = {}
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        """Open all there are, and hand them to the workers that are connected; the others are welcomed with them."""
        for key, sealed in await self._store.live():
            held = self._held[key.id] = self._opened((key, sealed))
            if held.fault is not None:
                _log.error(
                    "The key %s of the provider %s cannot be opened: %s.", key.id, key.provider, held.fault
                )
        await self._feed.configure(self.attached(self._feed.snapshot))

    def _opened(self, kept: Kept) -> Held:
        key, sealed = kept
        master = self._masters.find(sealed.master_id)
        if master is None:
            return Held(key, sealed.master_id, None, _NO_MASTER.format(sealed.master_id))
        try:
            return Held(key, sealed.master_id, unseal(master, key.seat, sealed))
        except ValueError as error:
            return Held(key, sealed.master_id, None, str(error))

    # --- for workers

    async def push(self) -> list[int]:
        """The workers that had not acknowledged it in time, those included that cannot be reached."""
        return await self._feed.configure(self.attached(self._feed.snapshot), everywhere=True)

    def attached(self, snapshot: Snapshot) -> Snapshot:
        """The configuration with the keys that are held now."""
        keys: Keys = {}
        for held in self._held.values():
            provider = snapshot.providers.get(held.key.provider)
            if provider is None or not_keyed(provider) is not None:
                continue
            groups = keys.setdefault(provider.name, {})
            group = groups.get(held.key.project or "", ())
            if held.secret is not None:
                group = (*group, KeySnapshot(held.key.id, keyed(provider, held.secret.reveal())))
            groups[held.key.project or ""] = group
        return msgspec.structs.replace(snapshot, keys=keys)

    # --- changes

    async def add(self, key: ProviderKey, secret: Secret) -> None:
        """Seal it and keep it."""
        async with self._changing:
            master = self._masters.newest or await self._first_master()
            sealed = seal(master, key.seat, secret)
            await self._store.add(key, sealed)
            self._held[key.id] = Held(key, sealed.master_id, secret)

    async def revoke(self, key_id: str, at_us: int) -> None:
        async with self._changing:
            await self._store.revoke(key_id, at_us)
            self._held.pop(key_id, None)

    async def rotate(self) -> Rotated:
        """Seal all under a new master key, or under the one of a rotation that was not finished. Ended at any point, it
        can be repeated: until all are sealed anew, both master keys are there. Raises ClientError where a key cannot be
        opened, or the master key is not made here."""
        async with self._changing:
            closed = sorted(held.key.id for held in self._held.values() if held.secret is None)
            if closed:
                raise ClientError(
                    f"These keys cannot be opened: {', '.join(closed)}. Bring back the master key they are sealed "
                    "under, or revoke them; then rotate.",
                    code="provider_keys_closed",
                    status=409,
                )
            master = self._masters.newest
            begun = self._masters.file_keys > 1 if self._masters.own_file else self._others(master)
            if master is None or not begun:
                master = await asyncio.to_thread(self._masters.make)
            resealed = await self._reseal(master)
            return Rotated(master.id, resealed, await self._removed_former())

    def _others(self, master: MasterKey | None) -> bool:
        """Whether something is sealed under another one."""
        return master is not None and any(held.master_id != master.id for held in self._held.values())

    async def _reseal(self, master: MasterKey) -> int:
        fresh: list[tuple[Kept, Secret]] = []
        for held in self._held.values():
            if held.master_id != master.id and held.secret is not None:
                key = msgspec.structs.replace(held.key, version=held.key.version + 1)
                fresh.append(((key, seal(master, key.seat, held.secret)), held.secret))
        if not await self._store.reseal([kept for kept, _ in fresh]):
            raise OperatorError(
                "The vault's keys were changed by another program; restart the gateway, and rotate again.",
                code="provider_keys_changed",
            )
        for (key, _), secret in fresh:
            self._held[key.id] = Held(key, master.id, secret)
        return len(fresh)

    async def _removed_former(self) -> bool:
        try:
            await asyncio.to_thread(self._masters.keep_newest)
        except OperatorError as error:
            _log.warning(
                "All keys are sealed anew, but the former master key is still there: %s", error.message
            )
            return False
        return True

    async def _first_master(self) -> MasterKey:
        """Not while something is sealed under one that is missing: two would then be needed for ever."""
        if self._held:
            raise OperatorError(
                "The master key is missing that the vault's keys are sealed under; no other is made beside it. Bring "
                "it back, or revoke those keys.",
                code="master_key_missing",
            )
        return await asyncio.to_thread(self._masters.make)

    # --- how they are

    def held(self, key_id: str) -> Held | None:
        return self._held.get(key_id)

    def fault(self, held: Held) -> str | None:
        """Why no call is signed with it."""
        if held.fault is not None:
            return f"it cannot be opened: {held.fault}"
        provider = self._feed.snapshot.providers.get(held.key.provider)
        if provider is None:
            return "its provider is not configured"
        return not_keyed(provider)

    def report(self) -> dict[str, object]:
        """What health tells of them."""
        unusable = {held.key.id: why for held in self._held.values() if (why := self.fault(held)) is not None}
        return {"held": len(self._held), "unusable": unusable}

    def problems(self) -> list[str]:
        """What the operator has to mend."""
        snapshot, found = self._feed.snapshot, [*self._masters.faults]
        for held in self._held.values():
            why = self.fault(held)
            if why is not None and held.key.provider in snapshot.providers:
                found.append(f"The key {held.key.id} of the provider {held.key.provider} is not used: {why}.")
        keys = snapshot.keys or {}
        for provider in snapshot.providers.values():
            if provider.vault_only and provider.name not in keys:
                found.append(
                    f"The provider {provider.name} has no key: it is `vault_only`, and the vault has none for it."
                )
        return found


async def open_keyring(options: ControlOptions, store: ProviderKeys, feed: FeedServer) -> Keyring:
    """With all that can be opened; the workers have it. Raises OperatorError where the vault cannot be read."""
    masters = await asyncio.to_thread(read_master_keys, options.secrets, options.data_dir, options.master_key)
    keyring = Keyring(store, masters, feed)
    await keyring.load()
    return keyring
