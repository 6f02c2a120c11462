"""Up to where a run read the logs of load hosts."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("load_logs", sa.Text(), nullable=True))
