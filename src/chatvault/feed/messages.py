"""What goes over the feed. Each message is one JSON text, framed by its length (`frames.py`).

A connection begins with `Hello` from the worker and `Welcome` from control: a full resync, after which the
worker drops every grant it had cached. From then on control pushes; what it pushes after an answer to a
look-up was sent after it.
"""

import msgspec

from chatvault.access.grant import Grant, Whose
from chatvault.access.limits import Scope
from chatvault.access.past import Past
from chatvault.access.reading import Reading
from chatvault.config.snapshot import AccessToken, Snapshot

HEARTBEAT = 2.0
"""Seconds between two signs of life, each way."""
MOST_QUESTIONS = 64
"""Questions of a worker that may be under way."""
MAX_QUESTION = 64 << 10
"""Bytes of a question's body."""
SILENCE = 6.0
"""A peer that was silent for so many seconds is gone, whatever its socket says."""


class _Message(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type"):
    pass


# --- worker to control


class Hello(_Message, frozen=True, tag="hello"):
    worker: int
    """Its number, from 0."""
    pid: int
    chain: str
    """The chain it writes."""
    began: int = 0
    """When, microseconds since the epoch: what was used before then it has not counted. 0: it wants to know of nothing
    before."""


class Lookup(_Message, frozen=True, tag="lookup"):
    digest: str
    """Hex of the token's keyed digest."""


class Ack(_Message, frozen=True, tag="ack"):
    push: int


class Health(_Message, frozen=True, tag="health"):
    """The worker's sign of life, and what only it knows."""

    calls: int = 0
    """In flight."""
    connections: int = 0
    served: int = 0
    """Calls since it started."""
    journal_lines: int = 0
    journal_bytes: int = 0
    journal_slowest_us: int = 0
    """The longest write since the last sign of life."""
    journal_fault: str | None = None
    rss: int = 0
    """Resident memory, bytes."""
    limits_fault: str | None = None
    """Why limits are not shared, where they should be."""
    used: tuple[str, ...] = ()
    """Tokens that expire when they are idle, and were used since this was last said: they, and those they were minted
    by."""


class Balance(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the life of a worker has of one budget and period; as in `access.purse`."""

    budget: str
    start: int
    leased: int
    settled: int
    reserved: int


class Balances(_Message, frozen=True, tag="balances"):
    """`whole`: all there is, at the beginning of a connection; else what has changed since the last."""

    held: tuple[Balance, ...]
    whole: bool = False


class Borrow(_Message, frozen=True, tag="borrow"):
    """Calls need so much more of a budget than is leased."""

    budget: str
    start: int
    need: int


class GaveBack(_Message, frozen=True, tag="gave_back"):
    """So much of a lease is not needed, and is spent by nobody any more."""

    budget: str
    start: int
    amount: int


class Ask(_Message, frozen=True, tag="ask", gc=False):
    """A client asks on the data port what only control can answer. `number` counts the worker's questions; `token` is
    the public id of the token that asks, which the worker has checked; `body` is the client's own, as it came."""

    number: int
    what: str
    token: str
    body: str = ""


class PeriodOver(_Message, frozen=True, tag="period_over"):
    """The period has ended, and so has the last call that it paid for; so much of the lease was used."""

    budget: str
    start: int
    used: int


class Readings(_Message, frozen=True, tag="readings"):
    """The answer to `ShowLimits`. `more`: so many windows are not told. `shared`: it is what the store has of all
    workers; else what this one has counted."""

    number: int
    rows: tuple[Reading, ...]
    more: int = 0
    shared: bool = False


# --- control to worker


class Welcome(_Message, frozen=True, tag="welcome"):
    pepper: str
    """Hex of the key of token digests."""
    snapshot: Snapshot
    access: dict[str, AccessToken] = {}
    """As in `Access`."""


class Granted(_Message, frozen=True, tag="granted"):
    """The answer to a look-up. No grant: `reason` says why. `unknown`: there is no such token; `revoked`; `expired`: it
    was idle for too long; `unavailable`: whether it was cannot be told now, and it may be asked again."""

    digest: str
    grant: Grant | None = None
    reason: str | None = None


class Configure(_Message, frozen=True, tag="configure"):
    push: int
    snapshot: Snapshot


class Revoke(_Message, frozen=True, tag="revoke"):
    """Forget these grants, and end what they have in flight. To be acknowledged once that is so."""

    push: int
    whose: Whose


class Forget(_Message, frozen=True, tag="forget"):
    """Look these up again at their next use (they were changed). To be acknowledged."""

    push: int
    whose: Whose


class Access(_Message, frozen=True, tag="access"):
    """The access tokens that calls to providers are signed with, all of them, by provider. Not acknowledged: a worker
    that has not got the new one yet has an older one that still holds."""

    tokens: dict[str, AccessToken]


class Beat(_Message, frozen=True, tag="beat"):
    """Control's sign of life."""


class Lent(_Message, frozen=True, tag="lent"):
    """The answer to `Borrow`: so much more was leased; 0: not as much as was needed was to be had, and `left` is what
    nobody has of it."""

    budget: str
    start: int
    amount: int
    left: int = 0


class Answer(_Message, frozen=True, tag="answer", gc=False):
    """To an `Ask`; `body` is JSON, empty where there is none. It may never come: the worker gives up by itself."""

    number: int
    status: int
    body: str = ""


class CallIn(_Message, frozen=True, tag="call_in"):
    """Others need it: give back what is not needed of this lease. Answered by `GaveBack`, of 0 too."""

    budget: str
    start: int


class Recalled(_Message, frozen=True, tag="recalled"):
    """What was used before the worker began, by whoever a grant is limited with. It comes before the grant where the
    ledger answers fast, else after it."""

    past: tuple[Past, ...]


class ShowLimits(_Message, frozen=True, tag="show_limits"):
    """Say how full the windows are: all, or those of a scope, of a subject."""

    number: int
    scope: Scope | None = None
    subject: str | None = None


Lending = Balances | Borrow | GaveBack | PeriodOver
ToControl = Hello | Lookup | Ack | Health | Ask | Lending | Readings
ToWorker = (
    Welcome
    | Granted
    | Configure
    | Revoke
    | Forget
    | Access
    | Beat
    | Lent
    | CallIn
    | Answer
    | Recalled
    | ShowLimits
)
