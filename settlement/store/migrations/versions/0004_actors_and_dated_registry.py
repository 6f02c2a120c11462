"""Who closed a day."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("days", sa.Column("closed_by", sa.String(80), nullable=True))
