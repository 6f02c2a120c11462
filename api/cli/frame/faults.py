"""What ends a command early, in a sentence: what, where, what to do.

Decides which faults of the machine under us are said so; ours stay tracebacks. Leaves refusals to
the commands.
"""

import errno
import sqlite3
import sys
import warnings
from collections.abc import Mapping, Sequence

import typer
from typer import _click as click

from api.cli.frame.mistakes import usage_mistake
from api.cli.frame.program import app
from api.cli.frame.stopping import was_stopped
from api.exits import EXIT_INTERRUPTED, EXIT_REFUSED, EXIT_USAGE
from api.settings import SettingsRefusedError
from cardcore.errors import (
    KeyServiceError,
    KeyServiceUnavailableError,
    KeyStateError,
    KeyUsageError,
    UnknownKeyError,
    placed_system_words,
)
from cardcore.keys import InsecureKeyServiceWarning
from cardcore.text import Text, shorten, words
from settlement.engine import WorkerLostError
from settlement.errors import SettlementError
from terminals.errors import JournalError


def run(arguments: Sequence[str]) -> int:
    """A command line as one process; returns its exit code. `KeyboardInterrupt` for a command that
    was stopped, also where a library says so in its own way.
    """
    # Said once in words; a Python warning with a source line helps nobody at a terminal.
    warnings.simplefilter("ignore", InsecureKeyServiceWarning)
    try:
        exit_code = int(app(arguments, prog_name="onecard", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(f"{error.format_message()}\n")
        return EXIT_USAGE
    except click.exceptions.UsageError as error:
        return _say(usage_mistake(error), EXIT_USAGE)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except SettingsRefusedError as error:
        return _say(str(error), EXIT_USAGE)
    except Exception as error:
        if is_interruption(error) or was_stopped():
            raise KeyboardInterrupt from error
        sentence = sentence_of(error)
        if sentence is None:
            raise
        return _say(sentence, EXIT_REFUSED)
    if exit_code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt  # the library swallows it and says nothing
    return exit_code


def sentence_of(error: Exception) -> str | None:
    """What to say of a fault of the machine under us; None for one that is ours."""
    if isinstance(error, KeyServiceUnavailableError):
        return words(
            f"{error}。未作任何判定；待其应答后重复此命令。",
            f"{error}. Nothing was decided; repeat the command when it answers.",
        )
    if isinstance(error, KeyServiceError):
        said = with_next_step(error)
        return words(f"密钥服务拒绝：{said}。", f"The key service refuses: {said}.")
    if isinstance(error, WorkerLostError):
        return words(f"{error}。未作任何更改。", f"{error}. Nothing was changed.")
    if isinstance(error, SettlementError):
        return words(
            f"{error}。未作任何更改；`onecard verify` 指出损坏之处。",
            f"{error}. Nothing was changed; `onecard verify` names what is damaged.",
        )
    if isinstance(error, JournalError):
        return words(
            f"终端流水出错：{error}。未作任何更改；由备份恢复该目录。",
            f"A journal of the terminals failed: {error}. Nothing was changed; restore the folder "
            "from a copy.",
        )
    cause = _cause(error)
    if type(cause) is sqlite3.DatabaseError:  # what is no more than damage has no class of its own
        said = shorten(str(cause))
        return words(
            f"数据库已损坏：`{said}`。由备份恢复该目录。",
            f"The database is damaged: `{said}`. Restore the folder from a copy.",
        )
    if isinstance(cause, OSError):
        fault = placed_system_words(cause)
        return _of_path(fault) if cause.errno in _PATH_ERRORS else _of_disk(fault)
    if isinstance(cause, sqlite3.OperationalError):
        return _of_disk(
            _DATABASE_WORDS.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF, _DATABASE_FAILED)
        )
    return None


#: What to do about a refusal of a key service that cannot know who asks.
_KEY_STEPS: Mapping[type[KeyServiceError], Text] = {
    UnknownKeyError: Text("所持有的：`onecard hsm keys`", "what it holds: `onecard hsm keys`"),
    KeyUsageError: Text("各密钥的用途：`onecard hsm keys`", "the use of each: `onecard hsm keys`"),
    KeyStateError: Text(
        "各密钥的状态：`onecard hsm keys`；启用：`onecard hsm ceremony activate`",
        "the state of each: `onecard hsm keys`; to use one: `onecard hsm ceremony activate`",
    ),
}


def with_next_step(
    error: KeyServiceError, further: Mapping[type[KeyServiceError], Text] = _KEY_STEPS
) -> str:
    """What a key service refuses, and what to do, where its kind alone tells; `further` has kinds
    that only some commands meet.
    """
    steps = {**_KEY_STEPS, **further}
    step = next((steps[each] for each in type(error).__mro__ if each in steps), None)
    return str(error) if step is None else words(f"{error}；{step.zh}", f"{error}; {step.en}")


#: What SQLite says by the number of its error (its primary code is the lowest byte).
_DATABASE_WORDS = {
    sqlite3.SQLITE_BUSY: Text("另一进程占用着数据库", "another process holds the database"),
    sqlite3.SQLITE_LOCKED: Text("另一进程占用着数据库", "another process holds the database"),
    sqlite3.SQLITE_READONLY: Text("数据库只读", "the database is read-only"),
    sqlite3.SQLITE_IOERR: Text("数据库读写出错", "the database could not be read or written"),
    sqlite3.SQLITE_FULL: Text("磁盘没有空间", "no room is left on the disk"),
    sqlite3.SQLITE_CANTOPEN: Text("数据库打不开", "the database cannot be opened"),
}
_DATABASE_FAILED = Text("数据库出错", "the database failed")
#: What is wrong with a path and not with the disk.
_PATH_ERRORS = {errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


def _of_path(said: Text) -> str:
    return words(
        f"{said.zh}。`ls` 看看那里有什么，另写一个路径再试",
        f"{said.en}. Look at what is there with `ls`, name another path and repeat the command",
    )


def _of_disk(said: Text) -> str:
    return words(
        f"{said.zh}。该目录可写吗，磁盘有空间吗？`onecard doctor` 会检查",
        f"{said.en}. Is the folder writable, and is there room on the disk? `onecard doctor` looks",
    )


def is_interruption(error: Exception) -> bool:
    """Whether a driver was stopped in the middle of a statement."""
    cause = _cause(error)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
    # For Ctrl-C DuckDB has its own class, or this type with these words and nothing else.
    at_the_keyboard = type(cause) is RuntimeError and str(cause) == "Query interrupted"
    return at_the_keyboard or type(cause).__name__ == "InterruptException"


def _cause(error: BaseException) -> BaseException:
    """The driver's own error inside a database library's."""
    found = getattr(error, "orig", None)
    return found if isinstance(found, BaseException) else error


def _say(message: str, exit_code: int) -> int:
    from api.output import complain  # noqa: PLC0415 - tables are loaded by whoever prints

    complain(message)
    return exit_code
