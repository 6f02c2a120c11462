"""Who closed a day together with the first, which files it went on without; facts of a file that no
day has settled can be made again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("days", sa.Column("confirmed_by", sa.String(80), nullable=True))
    op.add_column("days", sa.Column("set_aside", sa.Text(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER facts_refuse_update")
        op.execute(
            "CREATE TRIGGER facts_refuse_update BEFORE UPDATE ON facts "
            "WHEN NEW.content_hash <> OLD.content_hash OR NEW.bucket <> OLD.bucket "
            "OR NEW.row_count <> OLD.row_count OR (SELECT settlement_day FROM files "
            "WHERE files.content_hash = OLD.content_hash) IS NOT NULL "
            "BEGIN SELECT RAISE(ABORT, 'facts of a closed day are append-only'); END"
        )
