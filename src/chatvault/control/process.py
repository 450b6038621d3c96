"""The control process, put together.

The order is that of need: workers cannot serve before they were welcomed, so the feed comes first, then the
database that answers their look-ups, then the journal's keeper, then FastAPI, which takes the longest to
import.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chatvault.config.runtime import ADMIN_SOCKET, FEED_SOCKET
from chatvault.config.schema import AuditConfig
from chatvault.control.accounts import Accounts
from chatvault.control.feed_server import FeedServer, open_feed
from chatvault.control.late import LateGrants
from chatvault.control.lender import Lender
from chatvault.control.options import ControlOptions, Status
from chatvault.control.sockets import listen_privately
from chatvault.core.errors import ChatVaultError, OperatorError
from chatvault.core.secrets import private_random

if TYPE_CHECKING:
    from chatvault.control.assembly import Plane
    from chatvault.control.keyring import Keyring
    from chatvault.control.stores import Stores
    from chatvault.vault.keys import ProviderKeys

    OpenStores = Callable[[Path, AuditConfig, str], AbstractAsyncContextManager[Stores]]
    OpenKeyring = Callable[[ControlOptions, ProviderKeys, FeedServer], Awaitable[Keyring]]

_RECOVER_AFTER = (0.1, 1.0)
"""Seconds after a worker's connection was lost: its locks may outlive its sockets for a moment."""

_log = logging.getLogger(__name__)


async def run_control(options: ControlOptions, status: Status, stop: asyncio.Event) -> None:
    """Run until `stop`. Raises OperatorError for what the operator has to mend.

    `status` hears, in this order: `{"ready": True, "first": None | {"management_token": str | None,
    "client_token": str | None}}` once; then, after each reload that `options.reload` asked for,
    `{"reloaded": {"version", "unacknowledged", "restart_needed"}}` or `{"reload_failed": message}`.
    """
    try:
        await _run(options, status, stop)
    except BaseExceptionGroup as group:
        raise _innermost(group) from None


async def _run(options: ControlOptions, status: Status, stop: asyncio.Event) -> None:
    pepper = await asyncio.to_thread(_pepper, options.data_dir)
    grants = LateGrants()
    lost = asyncio.Event()
    lender = Lender()
    async with open_feed(
        options.runtime / FEED_SOCKET,
        grants,
        pepper,
        msgspec.structs.replace(options.snapshot, keys=None),
        expected=options.snapshot.server.workers,
        pace=options.pace,
        gone=lambda hello: lost.set(),
        lender=lender,
    ) as feed:
        open_stores, open_keyring = await asyncio.to_thread(_stores)
        async with open_stores(options.data_dir, options.snapshot.audit, options.version) as stores:
            feed.idleness.open(stores.queries, stores.vault)
            feed.recall.open(stores.past)
            keyring = await open_keyring(options, stores.vault.keys, feed)
            grants.open(stores.vault)  # not before: a call that begins has to find its key
            accounts = Accounts(stores.keeper.writer.folder, stores.vault.budgets, lender)
            owner = options.runtime / ADMIN_SOCKET
            build = await asyncio.to_thread(_plane)
            place = os.fspath(owner)
            plane = await asyncio.to_thread(build, options, pepper, place, feed, stores, lender, keyring)
            with await asyncio.to_thread(listen_privately, owner) as listener:
                sockets = [listener] if options.listener is None else [listener, options.listener]
                async with asyncio.TaskGroup() as group:
                    beside = (
                        group.create_task(lender.run(stores.vault.budgets, accounts.settle)),
                        group.create_task(_recover(stores, accounts, lost)),
                    )
                    await _serve(options, plane, stores, sockets, status, stop)
                    for task in beside:
                        task.cancel()


async def _serve(
    options: ControlOptions,
    plane: "Plane",
    stores: "Stores",
    sockets: list[socket.socket],
    status: Status,
    stop: asyncio.Event,
) -> None:
    async with asyncio.TaskGroup() as group:
        beside = [
            group.create_task(stores.keeper.run()),
            group.create_task(_reloads(options, plane, status)),
            group.create_task(plane.access.run()),
            group.create_task(plane.counter.run()),
            group.create_task(plane.cleanup.run()),
            group.create_task(plane.sign_ins.run()),
            group.create_task(plane.alarm.thresholds.run()),
            group.create_task(plane.alarm.deliveries.run()),
        ]
        first = await plane.first_start.make()
        serving = group.create_task(plane.http.run_on(sockets))
        await plane.http.ready.wait()
        status({"ready": True, "first": None if first is None else msgspec.structs.asdict(first)})
        if first is not None and options.told is None:
            await plane.first_start.told()
        elif first is not None:
            beside.append(group.create_task(_told(options.told, plane)))
        await stop.wait()
        plane.http.stop()
        await serving
        for task in beside:
            task.cancel()


async def _recover(stores: "Stores", accounts: Accounts, lost: asyncio.Event) -> None:
    """At first, and when a worker is gone: close what was left open, and account for what was lent."""
    pauses: tuple[float, ...] = (0.0,)
    while True:
        for pause in pauses:
            await asyncio.sleep(pause)
            try:
                await stores.keeper.recover()
                await accounts.settle()
            except (
                OperatorError,
                OSError,
            ) as error:  # the keeper looks again by itself, and so does the lender
                _log.error("What a worker left open could not be closed yet: %s", error)
        await lost.wait()
        lost.clear()
        pauses = _RECOVER_AFTER


async def _told(told: asyncio.Event | None, plane: "Plane") -> None:
    """Not before somebody has seen the tokens: whoever is killed until then makes others at the next start."""
    assert told is not None
    await told.wait()
    await plane.first_start.told()


async def _reloads(options: ControlOptions, plane: "Plane", status: Status) -> None:
    if options.reload is None:
        return
    while True:
        await options.reload.wait()
        options.reload.clear()
        try:
            done = await plane.reload("signal")
        except ChatVaultError as error:
            _log.error("The configuration stays as it was: %s", error.message)
            status({"reload_failed": error.message})
        else:
            status({"reloaded": msgspec.structs.asdict(done)})


def _pepper(data_dir: Path) -> bytes:
    path = data_dir / "secrets" / "pepper"
    try:
        return private_random(path)
    except OSError as error:
        raise OperatorError(
            f"The key of the tokens, {path}, cannot be read or made: {error.strerror or error}. "
            "Make the data folder writable for this user, or choose another with --data-dir.",
            code="data_dir_unwritable",
        ) from None


# Imports that take long, in a thread, while the feed already works.


def _stores() -> tuple["OpenStores", "OpenKeyring"]:
    from chatvault.control.keyring import open_keyring
    from chatvault.control.stores import open_stores

    return open_stores, open_keyring


def _plane() -> "Callable[[ControlOptions, bytes, str, FeedServer, Stores, Lender, Keyring], Plane]":
    from chatvault.control.assembly import build

    return build


def _innermost(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error in it, if it is one; else the group."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup) and len(found.exceptions) == 1:
        found = found.exceptions[0]
    return found
