"""`/health`: a sign of life for everyone, and the state of all parts for those who may see it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import Response

from chatvault.control.access_tokens import TokenState
from chatvault.control.answers import answer
from chatvault.control.auth import Gate, Permit, everyone
from chatvault.control.feed_server import FeedServer
from chatvault.control.keyring import Keyring
from chatvault.control.ports import Keeper
from chatvault.control.signed import Coverage
from chatvault.core.clock import iso, now_us
from chatvault.core.errors import ChatVaultError
from chatvault.ledger.queries import LedgerQueries
from chatvault.ledger.state import RecorderState

STALE_US = 30_000_000
"""A recorder whose state is older does not run."""


class Parts(msgspec.Struct, frozen=True):
    """What health is asked of. `coverage` blocks, and is called in a thread."""

    version: str
    feed: FeedServer
    keeper: Keeper
    coverage: Callable[[], Coverage]
    vault: Callable[[], Awaitable[object]]
    """Asks the vault something; raises OperatorError."""
    queries: LedgerQueries
    keyring: Keyring
    access: Callable[[], Mapping[str, TokenState]] = dict
    """How the access tokens are, by provider."""
    webhook: Callable[[], Awaitable[dict[str, object] | None]] | None = None
    """How the events are that go there; raises OperatorError."""


class Health:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started = time.monotonic()
        self._one_at_a_time = asyncio.Lock()

    async def details(self) -> dict[str, object]:
        """All there is to say. `problems` is empty while all is well."""
        parts = self._parts
        problems: list[str] = []
        workers = self._workers(problems)
        journal = await self._journal(problems)
        recorder = await self._recorder(problems)
        databases = {
            "vault": await _state(parts.vault, problems),
            "ledger": await _state(parts.queries.positions, problems),
        }
        access = self._access(problems)
        problems += parts.keyring.problems()
        return {
            "status": "degraded" if problems else "ok",
            "problems": problems,
            "version": parts.version,
            "uptime_seconds": round(time.monotonic() - self._started, 3),
            "config_version": parts.feed.snapshot.version,
            "workers": workers,
            "journal": journal,
            "recorder": recorder,
            "databases": databases,
            "access_tokens": access,
            "webhook": await self._webhook(problems),
            "provider_keys": parts.keyring.report(),
        }

    async def _webhook(self, problems: list[str]) -> dict[str, object] | None:
        if self._parts.webhook is None:
            return None
        try:
            state = await self._parts.webhook()
        except ChatVaultError:
            return None  # the vault's own state says it
        if state is not None and state["fault"] is not None:
            problems.append(f"Events do not reach the webhook: {state['fault']}")
        return state

    def _access(self, problems: list[str]) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, state in self._parts.access().items():
            if state.fault is not None:
                problems.append(f"No new access token for the provider {name}: {state.fault}")
            found[name] = {
                "got_at": None if state.got_at is None else iso(state.got_at),
                "expires_at": None if state.expires_at is None else iso(state.expires_at),
                "fault": state.fault,
            }
        return found

    def _workers(self, problems: list[str]) -> list[dict[str, object]]:
        feed = self._parts.feed
        connected = {one.worker: one for one in feed.connected()}
        found: list[dict[str, object]] = []
        for number in sorted({*range(feed.expected), *connected}):
            one = connected.get(number)
            if one is None:
                problems.append(f"Worker {number} is not connected.")
                found.append({"worker": number, "connected": False})
                continue
            health = {} if one.health is None else msgspec.structs.asdict(one.health)
            health.pop("used", None)
            if health.get("journal_fault"):
                problems.append(f"Worker {number}: {health['journal_fault']}")
            if health.get("limits_fault"):
                problems.append(f"Worker {number} does not share its limits: {health['limits_fault']}")
            seen = {"worker": number, "connected": True, "pid": one.pid, "chain": one.chain}
            found.append({**seen, "silent_seconds": one.silent, **health})
        return found

    async def _journal(self, problems: list[str]) -> dict[str, object]:
        keeper = self._parts.keeper
        if keeper.fault:
            problems.append(keeper.fault)
        state: dict[str, object] = {"key": keeper.fingerprint, "fault": keeper.fault}
        try:
            async with self._one_at_a_time:
                seen = await asyncio.to_thread(self._parts.coverage)
        except (ChatVaultError, OSError) as error:
            problems.append(f"The journal cannot be read: {error}")
            return state
        signed = None if seen.at is None else iso(seen.at)
        return {
            **state,
            "last_signature": seen.number,
            "last_signed_at": signed,
            "unsigned_lines": seen.unsigned,
            "open_chains": seen.chains,
        }

    async def _recorder(self, problems: list[str]) -> dict[str, object] | None:
        try:
            state = await self._parts.queries.lag()
        except ChatVaultError as error:
            problems.append(error.message)
            return None
        if state is None:
            problems.append("The recorder has not run yet.")
            return None
        return _lag(state, problems)


def health_router(health: Health, gate: Gate) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/health", dependencies=[Depends(everyone)])
    async def alive() -> Response:
        """Whether the control plane answers."""
        return answer({"status": "ok"})

    @router.get("/health/details", dependencies=[Depends(Permit(gate, "health:read"))])
    async def details() -> Response:
        """The state of workers, journal, recorder, databases and feed."""
        return answer(await health.details())

    return router


def _lag(state: RecorderState, problems: list[str]) -> dict[str, object]:
    running = now_us() - state.at < STALE_US
    if not running:
        problems.append(f"The recorder does not run: it was last seen at {iso(state.at)}.")
    if state.error is not None:
        problems.append(state.error)
    problems += [f"{broken.file}, line {broken.line}: {broken.why}" for broken in state.broken]
    seen = msgspec.to_builtins(state)
    assert isinstance(seen, dict)
    whole = {name: getattr(state, name) for name in state.__struct_fields__ if name not in ("at", "broken")}
    return {**whole, "running": running, "seen_at": iso(state.at), "broken": seen.get("broken", [])}


async def _state(ask: Callable[[], Awaitable[object]], problems: list[str]) -> str:
    """`ok`, or the code of what is wrong."""
    try:
        await ask()
    except ChatVaultError as error:
        problems.append(error.message)
        return error.code
    return "ok"
