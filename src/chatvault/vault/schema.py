"""The tables of the vault. A test proves that the migrations under `migrations/` make the same.

Times are integer microseconds since the epoch. No secret is here in the clear: a token is kept as its keyed
digest, a provider key sealed; the keys of both lie elsewhere.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

REVISIONS: Final = ("0001", "0002")
"""All revisions of the migrations, oldest first. The last is what `metadata` describes."""

metadata = MetaData()

projects = Table(
    "projects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),  # False: its tokens count as revoked
    Column("limits", JSON(none_as_null=True)),
)

users = Table(
    "users",
    metadata,
    Column("project_id", Text, ForeignKey("projects.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False, server_default="0"),
    Column("active", Boolean, nullable=False, server_default="1"),  # False: its tokens count as revoked
    Column("limits", JSON(none_as_null=True)),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # client, management
    Column("project_id", Text, ForeignKey("projects.id"), nullable=False),
    Column("user_id", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("models", JSON(none_as_null=True)),  # patterns; NULL: all
    Column("endpoints", JSON(none_as_null=True)),  # patterns; NULL: all but account-wide ones
    Column("tags", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("parent_id", Text),  # the token that minted it; it ends with that one
    Column("idle_us", BigInteger),  # without a call for so long, it has expired
    Column("max_requests", BigInteger),
    Column("networks", JSON(none_as_null=True)),  # addresses and networks; NULL: all
    Column("limits", JSON(none_as_null=True)),
    ForeignKeyConstraint(["project_id", "user_id"], ["users.project_id", "users.id"]),
)

Index("ix_tokens_created", tokens.c.created_at, tokens.c.id)
Index("ix_tokens_revoked", tokens.c.revoked_at)

Index("ix_tokens_project", tokens.c.project_id, tokens.c.created_at, tokens.c.id)
Index("ix_tokens_parent", tokens.c.parent_id)
Index("ix_tokens_expires", tokens.c.expires_at)

former_digests = Table(  # of tokens that were rotated, as long as their grace lasts
    "former_digests",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("token_id", Text, ForeignKey("tokens.id"), nullable=False),
    Column("until", BigInteger, nullable=False),
)

Index("ix_former_digests_token", former_digests.c.token_id)

budgets = Table(
    "budgets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("scope", Text, nullable=False),  # token, user, project, model
    Column("subject", Text, nullable=False),
    Column("project_id", Text, ForeignKey("projects.id")),  # whose it is; NULL for the scope `model`
    Column("amount", BigInteger, nullable=False),  # pico-dollars
    Column("per", Text, nullable=False),  # day, week, month, total
    Column("timezone", Text, nullable=False),
    Column("hard", Boolean, nullable=False),
    Column("allow_unbounded", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),  # it holds no more
)

Index("ix_budgets_subject", budgets.c.scope, budgets.c.subject)
Index("ix_budgets_project", budgets.c.project_id)

# Of each budget (or a token's `max_requests`, named `<token id>/requests`) and period. What is committed is out of
# control's hands: leased to chains that live, or used by chains that were accounted for.
budget_periods = Table(
    "budget_periods",
    metadata,
    Column("budget_id", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("committed", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),  # by chains that were accounted for
)

leases = Table(
    "leases",
    metadata,
    Column("budget_id", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("chain", Text, primary_key=True),  # the life of a worker that may spend it
    Column("amount", BigInteger, nullable=False),
)

Index("ix_leases_chain", leases.c.chain)

reconciled = Table(  # calls of unknown cost whose real one was told later
    "reconciled",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),  # pico-dollars
)

events = Table(  # thresholds that were passed: on record once each, and sent to the webhook
    "events",
    metadata,
    Column("id", Text, primary_key=True),  # says what happened, so that it happens once
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("content", JSON, nullable=False),
    Column("recorded_at", BigInteger),
    Column("sent_at", BigInteger),
    Column("tries", BigInteger, nullable=False),
    Column("next_at", BigInteger),  # NULL: nothing is to be sent
)

Index("ix_events_next", events.c.next_at)

provider_keys = Table(
    "provider_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("project_id", Text, ForeignKey("projects.id")),  # NULL: for all projects
    Column("name", Text, nullable=False),
    Column("last4", Text, nullable=False),
    Column("version", BigInteger, nullable=False),  # counts how often it was sealed
    Column("master_id", Text, nullable=False),  # the master key it is sealed with
    Column("nonce", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # AES-256-GCM
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

Index("ix_provider_keys_provider", provider_keys.c.provider, provider_keys.c.project_id)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
