"""The version of a file's records: a terminal that writes the new one does not go back."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "files", sa.Column("version", sa.Integer(), nullable=False, server_default=sa.text("1"))
    )
