"""The baseline in C of `onecard bench tac`: `tac_loop.c`, compiled on the spot and run.

Decides where a compiler is looked for and what a failure means: there is then no such figure, and
the reason stands in its place. Leaves what is measured to `api.bench.tac`.
"""

import shutil
import struct
import subprocess
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from cardcore.keys import Algorithm, TacColumn
from cardcore.text import Text, shorten

#: What the loop takes as its argument for each suite.
_NAMES = {
    Algorithm.PBOC_3DES: "pboc-3des",
    Algorithm.SM4: "SM4-ECB",
    Algorithm.AES: "AES-128-ECB",
}
_COMPILERS = ("cc", "gcc", "clang")
_RUN_SECONDS_MAX = 120


class TacLoopMissingError(Exception):
    """No C loop on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class TacLoop:
    """The compiled loop."""

    program: Path

    def run(self, algorithm: Algorithm, master: bytes, column: TacColumn) -> tuple[float, int]:
        """Seconds for the whole column, and how many of its TACs are wrong.

        Raises `TacLoopMissingError` when libcrypto lacks the cipher.
        """
        header = struct.pack("=II", len(column), column.message_bytes)
        outcome = subprocess.run(  # noqa: S603 - the program we compiled
            [self.program, _NAMES[algorithm]],
            input=b"".join((header, master, column.factors, column.messages, column.tacs)),
            capture_output=True,
            timeout=_RUN_SECONDS_MAX,
            check=False,
        )
        if outcome.returncode != 0:
            raise TacLoopMissingError(
                Text(
                    f"本机的 libcrypto 没有 {_NAMES[algorithm]}",
                    f"libcrypto has no {_NAMES[algorithm]} on this machine",
                )
            )
        nanoseconds, wrong = outcome.stdout.split()
        return int(nanoseconds) / 1e9, int(wrong)


def compile_loop(folder: Path) -> TacLoop:
    """Compile the loop into a folder.

    Raises `TacLoopMissingError` without a C compiler, or without libcrypto.so.3.
    """
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        names = ", ".join(_COMPILERS)
        raise TacLoopMissingError(
            Text(f"没有 C 编译器（{names}）", f"no C compiler: none of {names} is there")
        )
    source, program = folder / "tac_loop.c", folder / "tac_loop"
    source.write_bytes(files("api.bench").joinpath("tac_loop.c").read_bytes())
    outcome = subprocess.run(  # noqa: S603 - the compiler of this machine
        [compiler, "-O2", "-o", program, source, "-l:libcrypto.so.3"],
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode != 0:
        said = outcome.stderr.strip().splitlines() or ["nothing"]
        why = shorten(said[0])
        raise TacLoopMissingError(
            Text(f"{compiler} 编译不成：`{why}`", f"{compiler} could not compile the loop: `{why}`")
        )
    return TacLoop(program)
