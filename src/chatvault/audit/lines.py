"""The lines of the journal, as values. docs/journal.md describes the file; this is its vocabulary.

Chained lines hold pseudonymous ids only. What must stay erasable (addresses, error texts, metadata, bodies)
lies in the private part, and a line refers to it by a `Private`: a salted digest, and the place where the
text lies.
"""

from typing import Literal

import msgspec

from chatvault.core.charge import Charge
from chatvault.core.sizes import Sizes
from chatvault.core.states import CostSource, State, UsageSource
from chatvault.core.usage import Usage

FORMAT = 1
"""Version of the journal's format, in the first line of each chain."""

Heads = dict[str, tuple[int, str]]
"""By chain: the sequence number and the digest of its last line."""


class Private(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`digest`: SHA-256 (hex) of salt and data. `at`, `size`: where the line lies in the private file of the
    same segment, in bytes."""

    digest: str
    at: int
    size: int


class Line(msgspec.Struct, tag_field="type", omit_defaults=True, kw_only=True, gc=False):
    """`seq` counts from 1 within a chain; `prev` is the digest of the line before (empty in the first). The
    writer fills both."""

    seq: int = 0
    prev: str = ""
    at: int
    """Microseconds since the epoch."""


class ChainStarted(Line, tag="chain", kw_only=True):
    """The first line of a chain: one life of one writer."""

    chain: str
    writer: str
    format: int = FORMAT
    version: str = ""
    heads: Heads = {}
    """The heads of all chains on disk that are not sealed to their end."""


class ChainEnded(Line, tag="end", kw_only=True):
    """The last line of a life that ended in order."""


class Priced(Line, tag="price", kw_only=True):
    """The prices that later lines of this chain refer to by `version`."""

    version: str
    provider: str
    model: str
    source: str
    rates: dict[str, int]
    """Pico-dollars a unit, by the name of the usage field it prices; `request` is the fee of a call."""
    tiers: list[tuple[str, int, int]] = []
    """(usage field, from this many input tokens on, pico-dollars a unit)."""


class Opened(Line, tag="opened", kw_only=True):
    """Written before a byte goes upstream."""

    id: str
    token: str
    project: str
    user: str | None = None
    endpoint: str
    dialect: str
    model: str | None = None
    """The public name; None where the endpoint has none."""
    provider: str
    target: str | None = None
    """The model's name at the provider."""
    key: str | None = None
    """The id of the vault's key that signed it; None: the configuration's credential did."""
    price: str | None = None
    stream: bool = False
    input_bytes: int = 0
    reserved: int | None = None
    """The most the call may cost, in pico-dollars; None where that has no known bound."""
    budgets: tuple[Charge, ...] = ()
    """What is reserved of each budget that has to pay."""
    trace: str | None = None
    client: Private | None = None
    """Who is at the other end of the connection."""
    private: Private | None = None
    """What the client said about itself, and the request's body where bodies are kept."""


class Attempted(Line, tag="attempt", kw_only=True):
    """Written before each further attempt."""

    id: str
    number: int
    provider: str
    target: str | None = None
    price: str | None = None
    reserved: int | None = None
    after: str
    """The fault of the attempt before."""
    budgets: tuple[Charge, ...] = ()
    """What is reserved from now on, for this attempt and those before."""


class Closed(Line, tag="closed", kw_only=True):
    """All there is to say about a call: a row of the ledger is made from this line alone."""

    id: str
    opened_at: int
    state: State
    status: int
    """The status the client saw; 0 if it saw none."""
    token: str
    project: str
    user: str | None = None
    endpoint: str
    model: str | None = None
    provider: str | None = None
    target: str | None = None
    resolved: str | None = None
    """The model the provider says it used."""
    stream: bool = False
    attempts: int = 1
    usage: Usage | None = None
    usage_source: UsageSource = "unknown"
    sizes: Sizes | None = None
    """What an estimated usage was made of."""
    cost: int | None = None
    """Pico-dollars; None is unknown, never 0."""
    cost_source: CostSource = "unknown"
    bound: int | None = None
    """The most it may have cost, where `cost` is not known."""
    budgets: tuple[Charge, ...] = ()
    """What each budget is charged: the cost, or what was reserved where that is not known."""
    shadowed: tuple[str, ...] = ()
    """Limits that it would have passed, had they been more than shadows: scope, subject and limit, with colons."""
    price: str | None = None
    key: str | None = None
    """As in `Opened`."""
    latency_us: int = 0
    ttft_us: int | None = None
    finish: str | None = None
    code: str | None = None
    """The stable code of what went wrong (docs/errors.md)."""
    upstream_status: int | None = None
    upstream_id: str | None = None
    """The provider's request id."""
    bytes_out: int = 0
    trace: str | None = None
    client: Private | None = None
    private: Private | None = None
    """Error text, metadata and bodies of this call."""
    chain: str | None = None
    """For `interrupted`: the chain the call was opened in."""


class Counted(Line, tag="counted", kw_only=True):
    """A tokenizer has counted what a closed call used, whose provider did not say: this holds over the estimate."""

    id: str
    """Of the call."""
    usage: Usage
    cost: int | None = None
    cost_source: CostSource = "unknown"
    tokenizer: str
    """The package that counted with its version, and the vocabulary."""


class Refused(Line, tag="refused", kw_only=True):
    """A call that never went upstream; `count` of them from the same address share a line. Endpoint `control`: a
    sign-in at the control port."""

    id: str
    status: int
    code: str
    endpoint: str
    count: int = 1
    token: str | None = None
    project: str | None = None
    user: str | None = None
    model: str | None = None
    """Only a name that the configuration knows; anything else a client may have typed lies in `private`."""
    trace: str | None = None
    client: Private | None = None
    private: Private | None = None
    kinds: list[tuple[str, str, str | None, int]] | None = None
    """Code, endpoint, token and number, where more than one kind share a line; what they differ in is `several` (0, or
    left out) in the line's own members."""


class Admin(Line, tag="admin", kw_only=True):
    """A change made through the control plane. Values are public ids and settings, never secrets."""

    who: str
    what: str
    subject: str
    before: dict[str, object] | None = None
    after: dict[str, object] | None = None


class Event(Line, tag="event", kw_only=True):
    """Something that happened of itself, once by its id: so much of a budget is spent in a period."""

    id: str
    what: str
    subject: str
    """A budget's id, or `<token>/requests`."""
    start: int = 0
    """Of the period; 0 where the budget has no end."""
    percent: int
    spent: int
    """Charged to calls that have ended. Pico-dollars, or calls."""
    amount: int
    """Of the budget, then."""
    unit: Literal["money", "requests"] = "money"


class Signed(Line, tag="signed", kw_only=True):
    """Heads that control has signed: `signature` (hex) is Ed25519 over docs/journal.md's canonical text of
    `heads`, `at` and `number`."""

    number: int
    """Counts the signatures of this data folder, over all lives of control."""
    heads: Heads
    key: str
    """Fingerprint of the public key."""
    signature: str


class Sealed(Line, tag="sealed", kw_only=True):
    """A segment that is finished: compressed, never written again."""

    chain: str
    segment: int
    first: int
    last: int
    digest: str = msgspec.field(name="last_digest")
    """Of its last line. Every line's own digest is a member named `digest`, hence the other name in the
    file."""
    ended: bool = False
    """Nothing follows in this chain."""
    deleted: bool = False
    """Retention has removed the segment's file; this line stands for it."""


AnyLine = (
    ChainStarted
    | ChainEnded
    | Priced
    | Opened
    | Attempted
    | Closed
    | Counted
    | Refused
    | Admin
    | Event
    | Signed
    | Sealed
)
