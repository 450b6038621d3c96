"""The first schema: calls, how far each chain is applied, prices."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "usage_logs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.Text),
        sa.Column("project_id", sa.Text),
        sa.Column("token_id", sa.Text),
        sa.Column("model_name", sa.Text),
        sa.Column("model_resolved", sa.Text),
        sa.Column("provider", sa.Text),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("status_code", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("cached_tokens", sa.BigInteger),
        sa.Column("cache_write_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("usage_source", sa.Text, nullable=False),
        sa.Column("cost", sa.BigInteger),
        sa.Column("cost_source", sa.Text, nullable=False),
        sa.Column("cost_bound", sa.BigInteger),
        sa.Column("price_version", sa.Text),
        sa.Column("latency_ms", sa.Integer),
        sa.Column("ttft_ms", sa.Integer),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("stream", sa.Integer),
        sa.Column("finish_reason", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("error_details", sa.Text),
        sa.Column("request_metadata", sa.Text),
        sa.Column("trace_id", sa.Text),
        sa.Column("upstream_id", sa.Text),
        sa.Column("chain", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_usage_logs_timestamp", "usage_logs", ["timestamp"])
    op.create_index("ix_usage_logs_token", "usage_logs", ["token_id", "timestamp"])
    op.create_index("ix_usage_logs_model", "usage_logs", ["model_name", "timestamp"])
    op.create_table(
        "positions",
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("segment", sa.Integer, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_table(
        "prices",
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("rates", sa.Text, nullable=False),
        sa.Column("tiers", sa.Text, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("prices")
    op.drop_table("positions")
    op.drop_table("usage_logs")
