"""`/manage/provider-keys`: keys of provider accounts, kept sealed, for all projects or for one of them."""

import difflib
import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import Field, SecretStr
from starlette.responses import Response

from chatvault.access.store import PeopleStore
from chatvault.control.answers import answer
from chatvault.control.auth import Caller, Gate, Permit
from chatvault.control.feed_server import FeedServer
from chatvault.control.forms import Form, Identifier, Name
from chatvault.control.keyring import Held, Keyring, Rotated
from chatvault.control.ports import Journal, Recorded
from chatvault.core.clock import iso, now_us
from chatvault.core.errors import ClientError, NotFound
from chatvault.core.ids import short_id
from chatvault.core.secrets import Secret
from chatvault.providers.keyed import not_keyed
from chatvault.vault.keys import Kept, ProviderKey, ProviderKeys

_TELLING: Final = 12
"""Characters of a key from which its last four may be shown."""
_KEY: Final = re.compile(r"[!-~]+")


class NewProviderKey(Form):
    """What `POST /manage/provider-keys` takes."""

    provider: Annotated[str, Field(min_length=1, max_length=64)]
    key: Annotated[SecretStr, Field(min_length=1, max_length=8192)]
    name: Name | None = None
    """The provider's, where it is left out."""
    project_id: Identifier | None = None
    """Whose calls it is for; left out: those of all projects that have none of their own."""


class KeyManager:
    """What can be done with provider keys. Methods raise ClientError, NotFound, JournalError, OperatorError."""

    def __init__(
        self, store: ProviderKeys, people: PeopleStore, keyring: Keyring, feed: FeedServer, journal: Journal
    ) -> None:
        self._store = store
        self._people = people
        self._keyring = keyring
        self._feed = feed
        self._journal = journal

    async def add(self, who: str, wanted: NewProviderKey) -> tuple[ProviderKey, list[int]]:
        """The key, and the workers that have not acknowledged it in time."""
        self._check_provider(wanted.provider)
        secret = Secret(wanted.key.get_secret_value().strip())
        if not _KEY.fullmatch(secret.reveal()):
            raise ClientError(
                "key: has a character that no key has (a blank, a line end, a quote that is not ASCII?).",
                code="invalid_request",
                param="key",
            )
        project = wanted.project_id
        if project is not None and await self._people.project(project) is None:
            raise NotFound(f"There is no project {project!r}.", code="project_not_found", param="project_id")
        key = ProviderKey(
            id=short_id("key"),
            provider=wanted.provider,
            project=project,
            name=wanted.name or wanted.provider,
            last4=secret.reveal()[-4:] if len(secret.reveal()) >= _TELLING else "",
            created_at=now_us(),
        )
        with Recorded(self._journal, who, "key.add", key.id, after=_recorded(key)):
            await self._keyring.add(key, secret)
        return key, await self._keyring.push()

    async def get(self, key_id: str) -> Kept:
        """Raises NotFound."""
        kept = await self._store.get(key_id)
        if kept is None:
            raise NotFound(
                f"There is no provider key {key_id[:40]!r}.", code="provider_key_not_found", param="key_id"
            )
        return kept

    async def page(
        self, limit: int, cursor: str | None, provider: str | None, project: str | None
    ) -> tuple[list[Kept], str | None]:
        found = await self._store.page(limit + 1, provider=provider, project=project, after=cursor or "")
        return (found, None) if len(found) <= limit else (found[:limit], found[limit - 1][0].id)

    async def revoke(self, who: str, key_id: str) -> list[int]:
        """The workers that may still use it: they have not acknowledged it in time."""
        key, _ = await self.get(key_id)
        if key.revoked_at is None:
            with Recorded(self._journal, who, "key.revoke", key_id, _recorded(key)):
                await self._keyring.revoke(key_id, now_us())
        return await self._keyring.push()

    async def rotate_master(self, who: str) -> Rotated:
        with Recorded(self._journal, who, "key.rotate_master", "master"):
            return await self._keyring.rotate()

    def fault(self, key: ProviderKey) -> str | None:
        """Why no call is signed with it; None too for one that was revoked."""
        held: Held | None = self._keyring.held(key.id)
        return None if held is None else self._keyring.fault(held)

    def _check_provider(self, name: str) -> None:
        providers = self._feed.snapshot.providers
        provider = providers.get(name)
        if provider is None:
            near = difflib.get_close_matches(name, providers, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise NotFound(
                f"No provider {name[:64]!r} is configured.{hint} Configure it first; with `vault_only: true` it needs "
                "no key there.",
                code="provider_not_found",
                param="provider",
            )
        why = not_keyed(provider)
        if why is not None:
            raise ClientError(
                f"The provider {name!r} takes no keys of the vault: {why}.",
                code="provider_not_keyed",
                param="provider",
            )


def provider_keys_router(manager: KeyManager, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/manage/provider-keys", tags=["provider keys"])
    read, write = Permit(gate, "keys:read"), Permit(gate, "keys:write")
    Writer = Annotated[Caller, Depends(write)]

    @router.post("", status_code=201)
    async def add(caller: Writer, wanted: NewProviderKey) -> Response:
        """Keep a key. Answers when every worker uses it; the key itself is never shown again."""
        key, missing = await manager.add(caller.who, wanted)
        return answer({**_shown(manager, key), "unacknowledged": missing}, 202 if missing else 201)

    @router.get("", dependencies=[Depends(read)])
    async def page(
        provider: str | None = None,
        project_id: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: str | None = None,
    ) -> Response:
        """Keys, but for what they are."""
        found, following = await manager.page(limit, cursor, provider, project_id)
        return answer({"data": [_shown(manager, key) for key, _ in found], "cursor": following})

    @router.post("/rotate-master")
    async def rotate_master(caller: Writer) -> Response:
        """Seal all keys anew, under a new master key."""
        return answer(await manager.rotate_master(caller.who))

    @router.get("/{key_id}", dependencies=[Depends(read)])
    async def get(key_id: str) -> Response:
        """One key, but for what it is."""
        key, _ = await manager.get(key_id)
        return answer(_shown(manager, key))

    @router.delete("/{key_id}", status_code=204)
    async def revoke(caller: Writer, key_id: str) -> Response:
        """Revoke a key, and remove what is sealed of it. Answers when no worker uses it any more."""
        missing = await manager.revoke(caller.who, key_id)
        if missing:
            return answer({"key_id": key_id, "revoked": True, "unacknowledged": missing}, 202)
        return Response(status_code=204)

    return router


def _shown(manager: KeyManager, key: ProviderKey) -> dict[str, object]:
    """A key as the API shows it."""
    fault = manager.fault(key)
    return {
        "key_id": key.id,
        "provider": key.provider,
        "project_id": key.project,
        "name": key.name,
        "last4": key.last4 or None,
        "created_at": iso(key.created_at),
        "revoked_at": None if key.revoked_at is None else iso(key.revoked_at),
        "usable": key.revoked_at is None and fault is None,
        "fault": fault,
    }


def _recorded(key: ProviderKey) -> dict[str, object]:
    """Without its name and its last characters: a chained line cannot be erased."""
    return {"provider": key.provider, "project": key.project}
