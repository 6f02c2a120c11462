"""From one schema to the next, by Alembic's migrations.

Decides that all steps are one transaction. Leaves when there is a step to take to `database`, which
imports this file only then: most databases are up to date.
"""

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from settlement.store.tables import METADATA

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """Take every step up to the newest schema, in the transaction of this connection: two processes
    may open a city at the same moment, and the second finds the first one's revision when the write
    lock is its own.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    # The folder's name would otherwise be split at characters a folder may contain.
    config.set_main_option("path_separator", "newline")
    scripts = ScriptDirectory(str(_MIGRATIONS))

    def upgrade(revision: Any, _: MigrationContext) -> Any:  # noqa: ANN401 - Alembic's types
        return scripts._upgrade_revs("head", revision)  # noqa: SLF001 - as its documents show

    with EnvironmentContext(config, scripts, fn=upgrade) as steps:
        steps.configure(connection=connection, target_metadata=METADATA, transactional_ddl=True)
        steps.run_migrations()
