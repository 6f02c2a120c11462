"""Up to where a run read the logs of load hosts; what of a discount rests on known tariffs: days
closed before knew of none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("load_logs", sa.Text(), nullable=True))
    op.add_column(
        "discounts",
        sa.Column(
            "known_discount_fen", sa.BigInteger(), nullable=False, server_default=sa.text("0")
        ),
    )
