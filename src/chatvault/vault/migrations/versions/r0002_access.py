"""Who may do what, for how much: limits, budgets and their leases, rotated tokens, provider keys."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TOKEN_COLUMNS = ("parent_id", "idle_us", "max_requests", "networks", "limits")
_TABLES = ("provider_keys", "events", "reconciled", "leases", "budget_periods", "budgets", "former_digests")


def upgrade() -> None:
    op.add_column("projects", sa.Column("limits", sa.JSON))
    op.add_column("users", sa.Column("created_at", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("users", sa.Column("active", sa.Boolean, nullable=False, server_default="1"))
    op.add_column("users", sa.Column("limits", sa.JSON))
    op.add_column("tokens", sa.Column("parent_id", sa.Text))
    op.add_column("tokens", sa.Column("idle_us", sa.BigInteger))
    op.add_column("tokens", sa.Column("max_requests", sa.BigInteger))
    op.add_column("tokens", sa.Column("networks", sa.JSON))
    op.add_column("tokens", sa.Column("limits", sa.JSON))
    op.create_index("ix_tokens_project", "tokens", ["project_id", "created_at", "id"])
    op.create_index("ix_tokens_parent", "tokens", ["parent_id"])
    op.create_index("ix_tokens_expires", "tokens", ["expires_at"])
    _make_former_digests()
    _make_budgets()
    _make_events()
    _make_provider_keys()


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
    for index in ("ix_tokens_project", "ix_tokens_parent", "ix_tokens_expires"):
        op.drop_index(index, "tokens")
    for column in _TOKEN_COLUMNS:
        op.drop_column("tokens", column)
    for column in ("created_at", "active", "limits"):
        op.drop_column("users", column)
    op.drop_column("projects", "limits")


def _make_former_digests() -> None:
    op.create_table(
        "former_digests",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("token_id", sa.Text, sa.ForeignKey("tokens.id"), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_former_digests_token", "former_digests", ["token_id"])


def _make_budgets() -> None:
    op.create_table(
        "budgets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, sa.ForeignKey("projects.id")),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("per", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("hard", sa.Boolean, nullable=False),
        sa.Column("allow_unbounded", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("ix_budgets_subject", "budgets", ["scope", "subject"])
    op.create_index("ix_budgets_project", "budgets", ["project_id"])
    op.create_table(
        "budget_periods",
        sa.Column("budget_id", sa.Text, primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True),
        sa.Column("committed", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("budget_id", sa.Text, primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True),
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_leases_chain", "leases", ["chain"])
    op.create_table(
        "reconciled",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
    )


def _make_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.Column("recorded_at", sa.BigInteger),
        sa.Column("sent_at", sa.BigInteger),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger),
    )
    op.create_index("ix_events_next", "events", ["next_at"])


def _make_provider_keys() -> None:
    op.create_table(
        "provider_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, sa.ForeignKey("projects.id")),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("last4", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("master_id", sa.Text, nullable=False),
        sa.Column("nonce", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_index("ix_provider_keys_provider", "provider_keys", ["provider", "project_id"])
