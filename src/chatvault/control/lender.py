"""Lends slices of budgets to workers, and calls them in when somebody else needs them.

Everything that workers say of budgets is taken in one after the other, in the order it was said, by one task (`run`):
what was given back is booked before what was asked after it. The store makes each booking one transaction, so that
control may be killed between any two of them. What is lent is booked before it is sent; what is given back is spent by
nobody before it is booked. So whatever is lost on the way errs on the safe side, until the worker says what it holds
(`Balances`, whole, when it connects) or its chain is accounted for.

What is spent is told from two places, the store and what workers say of themselves; a life goes over from one to the
other when it is accounted for. Whoever reads both holds `still`, so that nothing is counted twice or not at all.

Where not enough is left, chains that have ended are accounted for first, then the other workers are asked for what they
do not need; only then the answer is no. A no is remembered for a second, so that a crowd of calls against an empty
budget costs a crowd of answers, not of transactions.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final, Protocol, TypeVar

import msgspec

from chatvault.access.purse import Key
from chatvault.access.store import Ask, LeaseStore
from chatvault.core.errors import OperatorError
from chatvault.feed.frames import frame
from chatvault.feed.messages import Balance, Balances, Borrow, CallIn, GaveBack, Lending, Lent, PeriodOver

_PATIENCE: Final = 0.3
"""Seconds that others may take to give back what they don't need."""
_NO_FOR: Final = 1.0
"""Seconds a no is remembered."""
_RETRY: Final = 0.5
"""Seconds between two tries while the store cannot be asked."""

_log = logging.getLogger(__name__)

Account = Callable[[], Awaitable[bool]]
"""Accounts for chains that have ended; whether there were any."""


class Borrower(Protocol):
    """A worker's life, connected."""

    @property
    def chain(self) -> str: ...

    def send(self, data: bytes) -> None: ...


class _Late(msgspec.Struct, frozen=True):
    """Those who were asked to give back have had their time."""

    key: Key


class _CalledIn(msgspec.Struct, frozen=True):
    """A budget was lowered or ended: what is not in use comes back."""

    budget: str


class _No(msgspec.Struct, frozen=True):
    """So much, or more, was refused, since `left` was not enough; until then it is refused again unasked."""

    need: int
    left: int
    until: float


class _Short(msgspec.Struct):
    """Those who wait until others have given back; `answers` are still to come."""

    waiting: list[tuple[Borrower, Borrow]]
    answers: int


Result = TypeVar("Result")
_News = tuple[Borrower | None, Lending | _Late | _CalledIn]


class Lender:
    """`told`, `joined` and `lost` are called by the feed, before `run` has a store too."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._inbox: asyncio.Queue[_News] = asyncio.Queue()
        self._borrowers: dict[str, Borrower] = {}
        self._short: dict[Key, _Short] = {}
        self._no: dict[Key, _No] = {}
        self._balances: dict[tuple[str, Key], Balance] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._dead: set[str] = set()
        """Chains that were accounted for: whatever is still on its way from them counts no more."""
        self._changed: set[Key] = set()
        self.still = asyncio.Lock()
        """Held while a life, or its part in a period, goes over from what workers say into the store."""

    # --- what the feed says

    def joined(self, borrower: Borrower) -> None:
        self._borrowers[borrower.chain] = borrower

    def told(self, borrower: Borrower, message: Lending) -> None:
        if borrower.chain in self._dead:
            return
        if isinstance(message, Balances):
            self._note(borrower.chain, message)
            if not message.whole:
                return
        self._inbox.put_nowait((borrower, message))

    def lost(self, borrower: Borrower) -> None:
        """Its balances stay until its chain is accounted for."""
        if self._borrowers.get(borrower.chain) is borrower:
            del self._borrowers[borrower.chain]

    # --- what control asks

    def call_in(self, budget: str) -> None:
        """Have all of this budget given back that is not in use: it was lowered, or has ended."""
        self._inbox.put_nowait((None, _CalledIn(budget)))

    def balances(self) -> dict[tuple[str, Key], Balance]:
        """What workers last said they hold, by chain, of those that are not accounted for."""
        return dict(self._balances)

    def living(self) -> set[str]:
        """The chains of the workers that are connected."""
        return {chain for chain in self._borrowers if chain not in self._dead}

    def settled(self, keys: Collection[Key]) -> dict[Key, int]:
        """What workers say they were charged, of lives that are not accounted for."""
        found = dict.fromkeys(keys, 0)
        for (_, key), balance in self._balances.items():
            if key in found:
                found[key] += balance.settled
        return found

    def changed(self) -> set[Key]:
        """Of which budgets and periods what is spent may have changed since this was asked last."""
        found, self._changed = self._changed, set()
        return found

    def look_at(self, keys: Iterable[Key]) -> None:
        """What is spent of these, or what there is to spend, has changed otherwise."""
        self._changed.update(keys)

    async def account(self, store: LeaseStore, chain: str, held: Mapping[Key, int]) -> None:
        """A dead chain holds so much by its own record. From now on it is lent nothing, and what it used is in the
        store. Raises OperatorError."""
        async with self.still:
            self._dead.add(chain)
            await store.account(chain, held)
            for place in [place for place in self._balances if place[0] == chain]:
                del self._balances[place]
            self._changed.update(held)
        self._no.clear()

    # --- the one task

    async def run(self, store: LeaseStore, account: Account) -> None:
        """For ever. While the store cannot be asked, nothing is lent."""
        try:
            while True:
                news = [await self._inbox.get()]
                while not self._inbox.empty():
                    news.append(self._inbox.get_nowait())
                await self._take(news, store, account)
        finally:
            for timer in self._timers:
                timer.cancel()

    async def _take(self, news: list[_News], store: LeaseStore, account: Account) -> None:
        asks: list[tuple[Borrower, Borrow]] = []
        for borrower, message in news:
            if isinstance(message, Borrow):
                assert borrower is not None
                asks.append((borrower, message))
                continue
            if asks:
                await self._lend(asks, store, account)
                asks = []
            await self._until_done(lambda b=borrower, m=message: self._book(b, m, store))  # type: ignore[misc]
        if asks:
            await self._lend(asks, store, account)

    async def _book(
        self, borrower: Borrower | None, message: Lending | _Late | _CalledIn, store: LeaseStore
    ) -> None:
        match message:
            case GaveBack():
                assert borrower is not None
                key = (message.budget, message.start)
                if message.amount:
                    await store.give_back(borrower.chain, key, message.amount)
                    self._no.pop(key, None)
                short = self._short.get(key)
                if short is not None:
                    short.answers -= 1
                    await self._again(key, store, final=short.answers <= 0)
            case Balances():
                assert borrower is not None
                held = {(each.budget, each.start): each.leased for each in message.held}
                await store.resync(borrower.chain, held)
                self._no.clear()
            case PeriodOver():
                assert borrower is not None
                key = (message.budget, message.start)
                async with self.still:
                    await store.close_period(borrower.chain, key, message.used)
                    self._balances.pop((borrower.chain, key), None)
                    self._changed.add(key)
            case _Late():
                await self._again(message.key, store, final=True)
            case _CalledIn():
                for lease in await store.leases():
                    other = self._borrowers.get(lease.chain)
                    if lease.key[0] == message.budget and other is not None:
                        other.send(frame(CallIn(*lease.key)))

    async def _lend(self, asks: list[tuple[Borrower, Borrow]], store: LeaseStore, account: Account) -> None:
        now = asyncio.get_running_loop().time()
        open_asks = []
        for borrower, ask in asks:
            key = (ask.budget, ask.start)
            no = self._no.get(key)
            if no is not None and now < no.until and ask.need >= no.need:
                _answer(borrower, key, 0, no.left)
            else:
                open_asks.append((borrower, ask))
        short = await self._try(open_asks, store)
        if short and await self._accounted(account):
            short = await self._try(short, store)
        for borrower, ask in short:
            await self._call_others(borrower, ask, store)

    async def _try(
        self, asks: list[tuple[Borrower, Borrow]], store: LeaseStore
    ) -> list[tuple[Borrower, Borrow]]:
        """Those for whom not enough is left."""

        async def lend() -> list[tuple[tuple[Borrower, Borrow], int]]:
            async with self.still:
                living = self.living()
                here = [
                    pair
                    for pair in asks
                    if pair[0].chain in living and self._borrowers[pair[0].chain] is pair[0]
                ]
                if not here:
                    return []
                wanted = [Ask((ask.budget, ask.start), borrower.chain, ask.need) for borrower, ask in here]
                given = await store.lend(wanted, max(len(living), 1))
                return list(zip(here, given, strict=True))

        short = []
        for pair, amount in await self._until_done(lend):
            if amount:
                _answer(pair[0], (pair[1].budget, pair[1].start), amount)
            else:
                short.append(pair)
        return short

    async def _call_others(self, borrower: Borrower, ask: Borrow, store: LeaseStore) -> None:
        key = (ask.budget, ask.start)
        short = self._short.get(key)
        if short is not None:
            short.waiting.append((borrower, ask))
            return
        leases = await self._until_done(store.leases)
        holders = {lease.chain for lease in leases if lease.key == key and lease.amount}
        others = [
            other for chain, other in self._borrowers.items() if chain in holders and other is not borrower
        ]
        self._short[key] = _Short([(borrower, ask)], len(others))
        if not others:
            await self._again(key, store, final=True)
            return
        for other in others:
            other.send(frame(CallIn(*key)))
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._patience, self._inbox.put_nowait, (None, _Late(key)))
        self._timers = {timer for timer in self._timers if timer.when() > loop.time()} | {timer}

    async def _again(self, key: Key, store: LeaseStore, *, final: bool) -> None:
        """Try for those who wait for others to give back; what cannot be had is refused if this is the `final` try."""
        short = self._short.pop(key, None)
        if short is None:
            return
        short.waiting = await self._try(short.waiting, store)
        if not final:
            if short.waiting:
                self._short[key] = short
            return
        left = await self._until_done(lambda: store.left(key)) if short.waiting else 0
        for borrower, ask in short.waiting:
            _answer(borrower, key, 0, left)
            self._no[key] = _No(ask.need, left, asyncio.get_running_loop().time() + _NO_FOR)

    async def _accounted(self, account: Account) -> bool:
        try:
            return await account()
        except OperatorError as error:
            _log.error("Chains that have ended cannot be accounted for yet: %s", error.message)
            return False

    async def _until_done(self, act: Callable[[], Awaitable[Result]]) -> Result:
        """A booking must not be lost: it is tried until the store can be asked."""
        while True:
            try:
                return await act()
            except OperatorError as error:
                _log.error("Budgets cannot be booked, and nothing more is lent: %s", error.message)
                await asyncio.sleep(_RETRY)

    def _note(self, chain: str, message: Balances) -> None:
        if message.whole:
            for place in [place for place in self._balances if place[0] == chain]:
                del self._balances[place]
        for each in message.held:
            key = (each.budget, each.start)
            before = self._balances.get((chain, key))
            self._balances[chain, key] = each
            if before is None or before.settled != each.settled:
                self._changed.add(key)


def _answer(borrower: Borrower, key: Key, amount: int, left: int = 0) -> None:
    borrower.send(frame(Lent(key[0], key[1], amount, left)))
