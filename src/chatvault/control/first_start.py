"""What a data folder's first start makes: a management token and a client token, told once."""

from typing import Protocol

import msgspec

from chatvault.access.store import TokenStore
from chatvault.access.token import Kind
from chatvault.control.forms import LimitsForm
from chatvault.control.token_forms import NewToken
from chatvault.control.tokens import Tokens

_NOTE = "first_start"
_WHO = "control"


class Notes(TokenStore, Protocol):
    """A store that also remembers what was done."""

    async def count(self, kind: Kind = "client") -> int: ...

    async def note(self, key: str) -> str | None: ...

    async def set_note(self, key: str, value: str) -> None: ...


class First(msgspec.Struct, frozen=True):
    """The tokens themselves. None: not made, since the operator set one, or since there is one."""

    management_token: str | None
    client_token: str | None


class FirstStart:
    """`make`, tell, `told`. A start that is killed in between has told nobody: what it made is revoked by the
    next one, which makes new ones."""

    def __init__(self, store: Notes, tokens: Tokens, *, given: bool) -> None:
        """`given`: the operator has set a management token."""
        self._store = store
        self._tokens = tokens
        self._given = given

    async def make(self) -> First | None:
        """None when there is nothing new to tell. Raises OperatorError."""
        if await self._store.note(_NOTE) is None:
            await self._revoke_untold()
            management = None if self._given else await self._new("management")
            return First(management, await self._new("client"))
        if self._given or await self._store.count("management"):
            return None
        return First(await self._new("management"), None)

    async def told(self) -> None:
        """The tokens have reached the operator."""
        await self._store.set_note(_NOTE, "told")

    async def _new(self, kind: Kind) -> str:
        secret, _ = await self._tokens.create(_WHO, NewToken(name="first", kind=kind, limits=LimitsForm()))
        return secret

    async def _revoke_untold(self) -> None:
        for token in await self._store.page(1000):
            if token.revoked_at is None:
                await self._tokens.revoke(_WHO, token, push=False)
