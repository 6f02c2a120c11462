"""Secrets come in: typed without echo, or from a file that nobody else reads.

Decides that nothing secret is ever an argument of a command or stands in the environment: those are
seen in the history of a shell and in the list of processes.
"""

import getpass
import os
import stat
import sys
import warnings
from pathlib import Path

from api.exits import EXIT_USAGE
from api.output import refuse
from cardcore.errors import system_words
from cardcore.text import Text, words

_FILE_BYTES_MAX = 1024
#: Whatever is set of these lets others read it, or runs it.
_FOREIGN_BITS = 0o177


def ask_secret(what: Text, otherwise: Text | str) -> str:
    """Something typed without echo; without a terminal the command ends with usage."""
    if not sys.stdin.isatty():
        refuse(
            words(
                f"{what.zh}须在终端键入，而这里没有终端；请用 {otherwise} 给出文件",
                f"{what.en}: is typed at a terminal, and there is none; "
                f"give a file with {otherwise}",
            ),
            EXIT_USAGE,
        )
    with warnings.catch_warnings():
        # Where echo cannot be switched off, nothing is typed at all.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(words(f"{what.zh}：", f"{what.en}: "))
        except getpass.GetPassWarning:
            refuse(
                words(
                    f"此终端不能隐藏键入的内容；请用 {otherwise}",
                    f"this terminal cannot hide what is typed; use {otherwise}",
                ),
                EXIT_USAGE,
            )


def read_secret_file(path: Path, option: str) -> str:
    """The first line of a file that only its owner can read; of any other the command ends."""
    try:
        # A pipe that nobody writes into is told at once, as no plain file.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            is_private = stat.S_ISREG(found.st_mode) and not found.st_mode & _FOREIGN_BITS
            content = file.read(_FILE_BYTES_MAX + 1) if is_private else b""
    except OSError as error:
        fault = system_words(error)
        refuse(words(f"{option} {path}：{fault}", f"{option} {path}: {fault}"), EXIT_USAGE)
    if not is_private:
        refuse(
            words(
                f"{option} {path}：他人可读，或不是普通文件；请先 `chmod 600`",
                f"{option} {path}: others can read it, or it is no plain file; `chmod 600` it",
            ),
            EXIT_USAGE,
        )
    try:
        return content[:_FILE_BYTES_MAX].decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        refuse(
            words(
                f"{option} {path}：不是 UTF-8 文本；首行应为密语",
                f"{option} {path}: is no text in UTF-8; its first line is the secret",
            ),
            EXIT_USAGE,
        )
