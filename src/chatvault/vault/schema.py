"""The tables of the vault. A test proves that the migrations under `migrations/` make the same.

Times are integer microseconds since the epoch. No secret is here: a token is kept as its keyed digest,
whose key lies in a file of its own.
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

REVISIONS: Final = ("0001",)
"""All revisions of the migrations, oldest first. The last is what `metadata` describes."""

metadata = MetaData()

projects = Table(
    "projects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),  # False: its tokens count as revoked
)

users = Table(
    "users",
    metadata,
    Column("project_id", Text, ForeignKey("projects.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
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
    ForeignKeyConstraint(["project_id", "user_id"], ["users.project_id", "users.id"]),
)

Index("ix_tokens_created", tokens.c.created_at, tokens.c.id)
Index("ix_tokens_revoked", tokens.c.revoked_at)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
