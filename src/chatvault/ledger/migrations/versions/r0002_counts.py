"""What tokenizers counted afterwards."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "counts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cost", sa.BigInteger),
        sa.Column("cost_source", sa.Text, nullable=False),
        sa.Column("tokenizer", sa.Text, nullable=False),
        sa.Column("chain", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("counts")
