"""The tables of the ledger. A test proves that the migrations under `migrations/` make the same.

`usage_logs` has one row a call (a flood of refused calls shares one, see `calls`). Its columns are in the
order of `rows.values`. Times are integer microseconds since the epoch, money is integer pico-dollars. NULL is
unknown, or does not apply; it is never 0.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

REVISIONS: Final = ("0001", "0002")
"""All revisions of the migrations, oldest first. The last is what `metadata` describes."""

metadata = MetaData()

usage_logs = Table(
    "usage_logs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("timestamp", BigInteger, nullable=False),  # when the call began
    Column("user_id", Text),
    Column("project_id", Text),
    Column("token_id", Text),
    Column("model_name", Text),  # the public name
    Column("model_resolved", Text),  # what the provider says it used, else the name it was asked for
    Column("provider", Text),
    Column("endpoint", Text, nullable=False),
    Column("status_code", Integer, nullable=False),  # what the client saw; 0 if it saw none
    Column("state", Text, nullable=False),
    Column("input_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("cache_write_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("usage_source", Text, nullable=False),
    Column("cost", BigInteger),
    Column("cost_source", Text, nullable=False),
    Column("cost_bound", BigInteger),  # the most it may have cost, where the cost is unknown
    Column("price_version", Text),
    Column("latency_ms", Integer),
    Column("ttft_ms", Integer),
    Column("attempts", Integer, nullable=False),
    Column("calls", Integer, nullable=False),  # how many refused calls of one kind the row stands for; else 1
    Column("stream", Integer),  # 0 or 1
    Column("finish_reason", Text),
    Column("error_code", Text),
    Column("error_details", Text),  # from the erasable part
    Column("request_metadata", Text),  # JSON, from the erasable part
    Column("trace_id", Text),
    Column("upstream_id", Text),
    Column("chain", Text, nullable=False),  # where the journal has the line the row is made from
    Column("seq", BigInteger, nullable=False),
)

# Each costs about 0.6 us a row (docs/performance.md). The recent calls, of all, of one token, of one model; a
# report over a span of time reads by the first. Others would be paid by every call for a question that few
# ask.
Index("ix_usage_logs_timestamp", usage_logs.c.timestamp)
Index("ix_usage_logs_token", usage_logs.c.token_id, usage_logs.c.timestamp)
Index("ix_usage_logs_model", usage_logs.c.model_name, usage_logs.c.timestamp)

positions = Table(
    "positions",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("segment", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),  # bytes of the segment, uncompressed, that are applied
    Column("seq", BigInteger, nullable=False),  # of the last line applied
    Column("digest", Text, nullable=False),  # of the last line applied
)

counts = Table(  # what tokenizers counted afterwards: it holds in `usage_logs` over an estimate
    "counts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cost", BigInteger),
    Column("cost_source", Text, nullable=False),
    Column("tokenizer", Text, nullable=False),
    Column("chain", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
)

prices = Table(
    "prices",
    metadata,
    Column("version", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("rates", Text, nullable=False),  # JSON: pico-dollars a unit, by usage field
    Column(
        "tiers", Text, nullable=False
    ),  # JSON: [usage field, from this many input tokens on, pico-dollars a unit]
    Column("first_seen", BigInteger, nullable=False),
)
