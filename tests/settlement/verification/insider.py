"""An insider with the city's folder: damages anything at random, and knows what cannot be seen.

A blow is one change of one byte, file, row, table or trigger, or an earlier state put back. What
`docs/clearing.md` lists as not to be found is not counted: `is_invisible` is that list.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

DATABASE = "control.sqlite"
#: Where the office keeps its own.
KINDS = ("raw", "facts", "runs", "inputs", "seals")
#: Refusals since the last closed day are not sealed yet (`test_insider` changes what came before);
#: nobody signs a secret that was wrong.
_UNSEALED = {"refusals", "wrong_secrets"}


def contents(folder: Path) -> list[str]:
    """What the database says, however its pages hold it; a sentence of its own if it is damaged."""
    try:
        with closing(sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchall()
            return [str(found), *connection.iterdump()]
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return [f"damaged: {error}"]


def act(folder: Path, *statements: str) -> int:
    """Change rows past every trigger, and put the triggers back as they were; rows changed."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        count = sum(connection.execute(each).rowcount for each in statements)
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()
    return count


class Insider:
    """Seeded; `earlier` is a copy of the city as it was before its last day was closed."""

    def __init__(self, folder: Path, earlier: Path, seed: int) -> None:
        self._folder, self._earlier, self._dice = folder, earlier, Random(seed)
        self._before = contents(folder)

    def strike(self) -> str:
        """One blow at random; what it was. Empty when nothing has changed that could be seen."""
        blow = self._dice.choice(BLOWS)
        said = blow(self)
        return said if said and not self._is_invisible(said) else ""

    def _is_invisible(self, said: str) -> bool:
        """Bytes of the database that no row is read from: free space, counters of its header."""
        return said.startswith("database byte") and contents(self._folder) == self._before

    def _file(self) -> Path:
        kind = self._dice.choice(KINDS)
        return self._dice.choice(
            sorted(path for path in (self._folder / kind).rglob("*") if path.is_file())
        )

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._folder))

    def flip(self) -> str:
        """A bit of a file."""
        return self._flip(self._file(), "bit of")

    def flip_database(self) -> str:
        """A bit of the database."""
        return self._flip(self._folder / DATABASE, "database byte of")

    def _flip(self, path: Path, what: str) -> str:
        data = bytearray(path.read_bytes())
        place = self._dice.randrange(len(data))
        data[place] ^= 1 << self._dice.randrange(8)
        path.write_bytes(data)
        return f"{what} {self._name(path)} at {place}"

    def delete(self) -> str:
        """A file."""
        path = self._file()
        path.unlink()
        return f"deleted {self._name(path)}"

    def cut(self) -> str:
        """A file loses its end."""
        path = self._file()
        data = path.read_bytes()
        path.write_bytes(data[: self._dice.randrange(len(data))])
        return f"cut {self._name(path)}"

    def add(self) -> str:
        """A copy of a file, under another name beside it."""
        path = self._file()
        other = path.with_name(f"{self._dice.randrange(10**6)}{path.suffix}")
        shutil.copyfile(path, other)
        return f"added {self._name(other)}"

    def swap(self) -> str:
        """A file's bytes for another one's."""
        path, other = self._file(), self._file()
        if path.read_bytes() == other.read_bytes():
            return ""
        shutil.copyfile(other, path)
        return f"{self._name(other)} in place of {self._name(path)}"

    def _table(self) -> str:
        with closing(sqlite3.connect(self._folder / DATABASE)) as connection:
            names = [
                name
                for (name,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
                )
                if name not in _UNSEALED | {"alembic_version"}
                and connection.execute(f"SELECT count(*) FROM {name}").fetchone() != (0,)
            ]
        return str(self._dice.choice(names))

    def _row(self, table: str) -> str:
        """A condition that is true of one row."""
        with closing(sqlite3.connect(self._folder / DATABASE)) as connection:
            key = [
                name
                for _, name, _, _, _, rank in connection.execute(f"PRAGMA table_info({table})")
                if rank
            ]
            rows = connection.execute(f"SELECT {', '.join(map(_quoted, key))} FROM {table}")
            values = self._dice.choice(sorted(rows.fetchall()))
        return " AND ".join(f"{name} = {each}" for name, each in zip(key, values, strict=True))

    def delete_row(self) -> str:
        """A row goes."""
        table = self._table()
        statement = f"DELETE FROM {table} WHERE {self._row(table)}"
        return statement if act(self._folder, statement) else ""

    def change_cell(self) -> str:
        """A number one more, a text with another end."""
        table = self._table()
        with closing(sqlite3.connect(self._folder / DATABASE)) as connection:
            names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
        name = self._dice.choice(names)
        statement = (
            f"UPDATE OR IGNORE {table} SET {name} = CASE WHEN typeof({name}) = 'integer' "
            f"THEN {name} + 1 WHEN {name} IS NULL THEN '1' "
            f"ELSE substr({name}, 1, length({name}) - 1) || '7' END WHERE {self._row(table)}"
        )
        try:
            act(self._folder, statement)
        except sqlite3.IntegrityError:
            return ""
        return statement if contents(self._folder) != self._before else ""

    def schema(self) -> str:
        """A table, an index or a trigger goes, or a foreign one comes."""
        with closing(sqlite3.connect(self._folder / DATABASE)) as connection:
            kind, name = self._dice.choice(
                connection.execute(
                    "SELECT type, name FROM sqlite_master WHERE sql IS NOT NULL AND "
                    "name <> 'alembic_version' ORDER BY name"
                ).fetchall()
            )
            statement = self._dice.choice(
                [f"DROP {kind} {name}"] * 3
                + [
                    f"CREATE TRIGGER extra BEFORE INSERT ON {table} BEGIN SELECT 1; END"
                    for table in ("days", "files")
                ]
            )
            connection.execute(statement)
            connection.commit()
        return statement

    def restore_database(self) -> str:
        """Yesterday's database is put back."""
        shutil.copyfile(self._earlier / DATABASE, self._folder / DATABASE)
        return "database of an earlier state"

    def restore_folder(self) -> str:
        """Yesterday's files of one kind are put back, and nothing else."""
        kind = self._dice.choice(("raw", "facts", "runs", "seals"))
        shutil.rmtree(self._folder / kind)
        shutil.copytree(self._earlier / kind, self._folder / kind)
        return f"{kind} of an earlier state"


def _quoted(name: str) -> str:
    return f"quote({name})"


#: Every blow; those of which there are most kinds come more often.
BLOWS: tuple[Callable[[Insider], str], ...] = (
    Insider.flip,
    Insider.flip,
    Insider.flip_database,
    Insider.flip_database,
    Insider.delete,
    Insider.cut,
    Insider.add,
    Insider.swap,
    Insider.delete_row,
    Insider.delete_row,
    Insider.change_cell,
    Insider.change_cell,
    Insider.change_cell,
    Insider.schema,
    Insider.restore_database,
    Insider.restore_folder,
)
