"""A worker: one process of the data plane, and what its calls share.

It holds the listening socket, the journal's chain, the pools, the grants and the configuration, and swaps the
configuration whole when control pushes another: calls under way end on what they began with.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final

import msgspec

from chatvault import __version__
from chatvault.access.grant import Whose
from chatvault.access.limiter import MICRO, Limiter
from chatvault.access.limits import Limits
from chatvault.access.reading import Reading, read
from chatvault.access.usual import Usual
from chatvault.audit.lines import Priced, Private
from chatvault.audit.redaction import redact
from chatvault.audit.writer import ChainWriter
from chatvault.config.networks import Networks, parse_networks
from chatvault.config.snapshot import AccessToken, Snapshot
from chatvault.core.clock import now_us
from chatvault.core.errors import ChatVaultError, JournalError, OperatorError, PermissionDenied, Unavailable
from chatvault.feed.messages import (
    Answer,
    CallIn,
    Granted,
    Health,
    Hello,
    Lent,
    Readings,
    Recalled,
    ShowLimits,
)
from chatvault.gateway.call import Call
from chatvault.gateway.connection import ClientConnection
from chatvault.gateway.door import overrun
from chatvault.gateway.entry import granted
from chatvault.gateway.feed_client import FeedClient
from chatvault.gateway.grants import Grants
from chatvault.gateway.key_turns import KeyTurns, turns_of
from chatvault.gateway.model_limits import ModelLimits, limits_of
from chatvault.gateway.questions import Questions
from chatvault.gateway.refusals import Refusals
from chatvault.gateway.shared_limits import SharedLimits
from chatvault.gateway.spending import Spending
from chatvault.gateway.upstreams import Contexts, Upstream
from chatvault.pricing.book import PriceBook
from chatvault.pricing.price import Price
from chatvault.routing.targets import Directory

log = logging.getLogger(__name__)

TICK: Final = 0.5
_SWEEP: Final = 60.0
"""Seconds between two looks for limits that count nothing any more."""


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`listener` listens already. `drain` is how long open calls may take after `stop`; None: as configured."""

    number: int
    listener: socket.socket
    feed: Path
    data_dir: Path
    snapshot: Snapshot
    """What the chain is opened with; control's own replaces it before the first call."""


class Worker:
    """What the calls of this process share. All of it is used from one event loop."""

    def __init__(self, options: WorkerOptions, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.now: Callable[[], float] = loop.time
        self.snapshot = options.snapshot
        self.journal = ChainWriter.open(
            options.data_dir / "journal",
            f"worker{options.number}",
            options.snapshot.audit,
            version=__version__,
        )
        self.refusals = Refusals(self)
        self.grants = Grants(self._look_up, granted, self.now)
        self.feed = FeedClient(options.feed, _hello(options, self.journal.chain), self, self._health)
        self.spending = Spending(self.feed.tell, self.now)
        self.questions = Questions(self.feed.tell, self.now)
        self.limiter = Limiter()
        self.address_limits: Limits | None = None
        self.usual = Usual()
        self.model_limits = ModelLimits({})
        self.book = PriceBook()
        self.directory = Directory({}, {}, (), None)
        self.shared = SharedLimits(loop, lambda: self._contexts(None))
        self.tokens: dict[str, AccessToken] = {}
        """What calls are signed with, by provider, where control gets it."""
        self.keys: dict[str, KeyTurns] = {}
        """By provider, where the vault has keys for it."""
        self.connections: set[ClientConnection] = set()
        self.calls: set[Call] = set()
        self.served = 0
        self.trusted: Networks = ()
        """Proxies whose `X-Forwarded-For` is believed."""
        self.held = 0
        """Bytes of request bodies in memory."""
        self.draining = False
        self.ready = asyncio.Event()
        self._contexts = Contexts()
        self._upstreams: dict[tuple[str, str], Upstream] = {}
        self._old_pools: list[Upstream] = []
        self._priced: set[str] = set()
        self._even = False
        self._sweep_at = 0.0

    # --- what the feed tells

    def welcome(self, pepper: bytes, snapshot: Snapshot) -> None:
        self.configure(snapshot)
        self.grants.begin(pepper)
        self.spending.begin()
        self.questions.begin()
        self.ready.set()

    def configure(self, snapshot: Snapshot) -> None:
        """Swap the configuration. Pools of providers that have not changed live on, and so do the vault's keys while
        control has not read them: it answers no look-up before it has, so that no call begins without them."""
        if snapshot.keys is None:
            snapshot = msgspec.structs.replace(snapshot, keys=self.snapshot.keys)
        kept, old = dict[tuple[str, str], Upstream](), self._upstreams
        for key, upstream in old.items():
            if snapshot.providers.get(key[0]) == upstream.provider:
                kept[key] = upstream
                upstream.forget_keys()
            else:
                self._old_pools.append(upstream)
        self._upstreams = kept
        self.book = PriceBook(snapshot.prices, models=snapshot.models)
        models = {name: (model.provider, model.model or name) for name, model in snapshot.models.items()}
        simulated = {name for name, provider in snapshot.providers.items() if provider.kind == "fake"}
        self.directory = Directory(
            models, snapshot.known, snapshot.providers, snapshot.default_provider, prefixed=simulated
        )
        only = frozenset(name for name, provider in snapshot.providers.items() if provider.vault_only)
        self.keys = turns_of(snapshot.keys or {}, only)
        self.shared.configure(snapshot.limits)
        self.trusted = parse_networks(snapshot.server.trusted_proxies)
        self.limiter.resize(snapshot.server.workers)
        self.grants.failures.resize(snapshot.limits.failures_per_minute, snapshot.server.workers)
        self.address_limits = limits_of(snapshot.limits.address)
        self.model_limits = ModelLimits(snapshot.limits.models)
        self.snapshot = snapshot

    def access(self, tokens: dict[str, AccessToken]) -> None:
        """Sign with these from now on. Pools live on, and calls under way end on what they began with."""
        self.tokens.clear()
        self.tokens.update(tokens)

    def granted(self, answer: Granted) -> None:
        self.grants.granted(answer)

    def answered(self, answer: Answer) -> None:
        self.questions.answered(answer)

    def lent(self, message: Lent) -> None:
        self.spending.lent(message)

    def call_in(self, message: CallIn) -> None:
        self.spending.call_in(message)

    def recalled(self, message: Recalled) -> None:
        shift = int(perf_counter() * MICRO) - now_us()
        for past in message.past:
            self.limiter.recall(past, shift)

    def show_limits(self, message: ShowLimits) -> None:
        rows, more = read(self.limiter, int(perf_counter() * MICRO), message.scope, message.subject)
        self.shared.look(rows, partial(self._looked, message.number, more))

    def _looked(self, number: int, more: int, rows: Sequence[Reading], shared: bool) -> None:
        self.feed.tell(Readings(number, tuple(rows), more, shared))

    def forget(self, whose: Whose) -> None:
        self.grants.forget(whose)

    def revoke(self, whose: Whose) -> None:
        """Forget these grants, and end what they have under way: calls whose client has left, and calls whose
        body still comes, too."""
        self.grants.forget(whose)
        coming = {connection.call for connection in self.connections if connection.call is not None}
        for call in self.calls | coming:
            if call.grant is not None and call.grant.concerns(whose):
                call.end_by_gateway(
                    PermissionDenied(
                        "This token was revoked while the call was under way.", code="token_revoked"
                    )
                )

    def _look_up(self, key: bytes) -> bool:
        return self.feed.ask(key)

    # --- what calls ask

    def upstream(self, name: str, family: str = "openai") -> Upstream:
        """The provider as it is asked in a family of dialects. Raises OperatorError where its configuration cannot be
        used, or is gone."""
        upstream = self._upstreams.get((name, family))
        if upstream is None:
            provider = self.snapshot.providers.get(name)
            if provider is None:
                raise OperatorError("it was taken out of the configuration")
            upstream = self._upstreams[name, family] = Upstream(provider, family, self._contexts, self.tokens)
        return upstream

    def put_price_on_record(self, price: Price) -> bool:
        """Once a chain for each price that its calls refer to. Whether it is there now."""
        if price.version in self._priced:
            return True
        try:
            self.journal.append(
                Priced(
                    at=now_us(),
                    version=price.version,
                    provider=price.provider,
                    model=price.model,
                    source=price.source,
                    rates=price.rates,
                    tiers=[*price.tiers],
                )
            )
        except JournalError as error:
            self.journal_failed(error)
            return False
        self._priced.add(price.version)
        return True

    def client_of(self, connection: ClientConnection) -> Private | None:
        """Where the record says who is at the other end of a connection."""
        known, journal = connection.client, self.journal
        if known is not None and known[0] == journal.segment and known[1] == connection.address:
            return known[2]
        agent = connection.agent
        private = journal.private(
            "",
            "client",
            {
                "address": connection.address,
                "user_agent": redact(agent[:256].decode("latin-1")) if agent is not None else None,
            },
        )
        connection.client = (journal.segment, connection.address, private)
        return private

    def journal_failed(self, error: JournalError) -> None:
        log.error("the journal could not be written: %s", error.message)

    # --- life

    def connect(self) -> ClientConnection:
        return ClientConnection(self)

    def tick(self) -> None:
        """Twice a second: deadlines; once a second: the journal and what was counted."""
        now = self.now()
        for connection in [*self.connections]:
            with connection.border():
                connection.tick(now)
        for upstream in (*self._upstreams.values(), *self._old_pools):
            upstream.pool.tick()
        self.grants.tick(now)
        self.questions.tick(now)
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP
            self.limiter.sweep(int(perf_counter() * MICRO))
            self.grants.failures.sweep(int(now * MICRO))
        self._even = not self._even
        if self._even:
            self.shared.tick()
            self.journal.tick()
            self.refusals.tick()
            self.spending.tick(now, now_us())
            for call in [*self.calls]:
                if call.held_of is not None and (error := overrun(call)) is not None:
                    call.end_by_gateway(error)
            self._old_pools = [upstream for upstream in self._old_pools if not upstream.pool.retire()]

    async def drain(self, seconds: Callable[[], float]) -> None:
        """Take no more, let open calls end, and end those that take too long. `seconds` may say less after a
        while."""
        self.draining = True
        for connection in [*self.connections]:
            connection.drain()
        began = ticked = self.now()
        while any(connection.call is not None for connection in self.connections) or self.calls:
            if self.now() >= began + seconds():
                break
            if self.now() - ticked >= TICK:
                ticked = self.now()
                self.tick()
            await asyncio.sleep(0.02)
        waiting = {connection.call for connection in self.connections if connection.call is not None}
        for call in waiting | self.calls:
            call.end_by_gateway(
                Unavailable(
                    "The gateway is shutting down and could not wait any longer.",
                    code="draining",
                    retry_after=2,
                )
            )
        self.refusals.tick()
        await asyncio.sleep(0)
        for connection in [*self.connections]:
            connection.finish()

    def close(self) -> None:
        """Close the journal's chain and all connections."""
        for upstream in (*self._upstreams.values(), *self._old_pools):
            upstream.pool.close()
        try:
            self.journal.close()
        except ChatVaultError as error:
            log.error("the journal's chain could not be ended: %s", error.message)

    def _health(self) -> Health:
        journal = self.journal
        return Health(
            calls=len(self.calls),
            connections=len(self.connections),
            served=self.served,
            journal_lines=journal.lines,
            journal_bytes=journal.bytes,
            journal_slowest_us=journal.take_slowest(),
            journal_fault=journal.fault,
            rss=_rss(),
            limits_fault=self.shared.fault,
            used=self.grants.take_used(),
        )


def _hello(options: WorkerOptions, chain: str) -> Hello:
    return Hello(options.number, os.getpid(), chain, now_us())


def _rss() -> int:
    """Resident memory in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:
        return 0
