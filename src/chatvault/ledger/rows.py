"""From a line of the journal to a row of the ledger: plain functions, the same row from the same line
always."""

from typing import Final

import msgspec

from chatvault.audit.lines import Closed, Counted, Priced, Refused
from chatvault.core.usage import Usage
from chatvault.ledger.batch import Entry

Value = str | int | None
Row = tuple[Value, ...]

_MOST: Final = 2**63 - 1
_json = msgspec.json.Encoder(order="deterministic").encode


def values(entry: Entry) -> Row:
    """A row of `usage_logs`, its values in the order of the columns."""
    line = entry.line
    return _closed(entry, line) if isinstance(line, Closed) else _refused(entry, line)


def price_values(line: Priced) -> Row:
    """A row of `prices`, its values in the order of the columns."""
    return (
        line.version,
        line.provider,
        line.model,
        line.source,
        _json(line.rates).decode(),
        _json(line.tiers).decode(),
        line.at,
    )


def count_values(chain: str, line: Counted) -> Row:
    """A row of `counts`, its values in the order of the columns."""
    cost, source = line.cost, line.cost_source
    if cost is not None and cost > _MOST:
        cost, source = None, "unknown"
    tokens = _tokens(line.usage)
    return (line.id, tokens[0], tokens[3], cost, source, line.tokenizer, chain, line.seq)


def _closed(entry: Entry, line: Closed) -> Row:
    cost, source, bound = line.cost, line.cost_source, line.bound
    if cost is not None and cost > _MOST:
        cost, source = None, "unknown"
    if bound is not None and bound > _MOST:
        bound = None
    ttft = line.ttft_us
    return (
        line.id,
        line.opened_at,
        line.user,
        line.project,
        line.token,
        line.model,
        line.resolved or line.target,
        line.provider,
        line.endpoint,
        line.status,
        line.state,
        *_tokens(line.usage),
        line.usage_source,
        cost,
        source,
        bound,
        line.price,
        (line.latency_us + 500) // 1000,
        None if ttft is None else (ttft + 500) // 1000,
        line.attempts,
        1,
        1 if line.stream else 0,
        line.finish,
        line.code,
        entry.error,
        entry.metadata,
        line.trace,
        line.upstream_id,
        entry.chain,
        line.seq,
    )


def _refused(entry: Entry, line: Refused) -> Row:
    """Nothing went upstream: no provider, no attempt, no tokens, and certainly no cost."""
    nothing = (None, None, None, None, None)
    return (
        line.id,
        line.at,
        line.user,
        line.project,
        line.token,
        line.model,
        None,
        None,
        line.endpoint,
        line.status,
        "refused",
        *nothing,
        "unknown",
        0,
        "free",
        None,
        None,
        None,
        None,
        0,
        line.count,
        None,
        None,
        line.code,
        entry.error,
        entry.metadata,
        line.trace,
        None,
        entry.chain,
        line.seq,
    )


def _tokens(usage: Usage | None) -> Row:
    """Input, cached, cache-write, output and reasoning tokens. A count that no 64 bits can hold is a
    provider's nonsense, and unknown: it must neither stop the recorder nor be changed into another number."""
    if usage is None:
        return (None, None, None, None, None)
    write = usage.cache_write + usage.cache_write_1h
    counts = (usage.input, usage.cached, write, usage.output, usage.reasoning)
    if (
        counts[0] | counts[1] | counts[2] | counts[3] | counts[4]
    ) >> 63:  # one of them is not within 0 .. 2^63 - 1
        return tuple(count if 0 <= count <= _MOST else None for count in counts)
    return counts
