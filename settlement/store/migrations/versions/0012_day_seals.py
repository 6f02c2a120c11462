"""Which day of the city a closed day is, and what the key service signed under it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Null for no day of a city that this version opens: older ones are refused by their format.
    op.add_column("days", sa.Column("number", sa.BigInteger(), nullable=True))
    op.add_column("days", sa.Column("key_version", sa.Integer(), nullable=True))
    op.add_column("days", sa.Column("signature", sa.String(128), nullable=True))
    op.create_index("ix_days_number", "days", ["number"], unique=True)
