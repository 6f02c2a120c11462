"""Who closed a day together with the first, where two had to."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("days", sa.Column("confirmed_by", sa.String(80), nullable=True))
