"""What all migrations come to, as a script: `python -m tests.settlement.store.newest_schema` writes
`settlement/store/newest.sql` anew, after a migration was added.
"""

from sqlalchemy import create_engine

from settlement.store.database import NEWEST_SQL
from settlement.store.upgrade import migrate

_HEAD = """\
-- What all migrations come to in a new SQLite file, in their order. Written by
-- tests/settlement/store/newest_schema.py, and a test proves that it is the same: never by hand.
"""


def migrated_schema() -> str:
    """The script: every table, index and trigger, then the rows that migrations leave."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        migrate(connection)
        made = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        ).scalars()
        statements = [f"{sql};\n" for sql in made]
        names = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid"
        ).scalars()
        rows = {
            name: connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in names.all()
        }
    engine.dispose()
    # A migration leaves no rows in a new database but its own number.
    (revision,) = rows.pop("alembic_version")[0]
    assert not any(rows.values()), rows
    statements.append(f"INSERT INTO alembic_version VALUES ('{revision}');\n")
    return _HEAD + "".join(statements)


if __name__ == "__main__":
    NEWEST_SQL.write_text(migrated_schema(), encoding="utf-8")
