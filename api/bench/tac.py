"""`onecard bench tac`: TACs proven through the port of the key service, beside two baselines.

Decides what is measured and that every answer is looked at: some TACs are forged, and a figure
counts only if exactly those were found. Every card occurs once, so that no key is derived for two
records; a real day is kinder. Leaves keys and workers to the composition root.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer

from api.bench.figures import figure as shown
from api.bench.keys import BENCH_LABEL, bench_key_service, bench_tac_master, bench_tacs
from api.bench.tac_loop import TacLoop, TacLoopMissingError, compile_loop
from api.output import JsonOption, print_json, print_table, progress_bar, say
from api.tables import Cell, Column, Table
from cardcore.crypto import SUITES
from cardcore.keys import Algorithm, KeyService, ProofReason, TacColumn
from cardcore.text import Text, text_of, words

SUITE_NAMES = {
    Algorithm.PBOC_3DES: "pboc-3des",
    Algorithm.SM4: "sm4",
    Algorithm.AES: "aes",
}
MESSAGE_BYTES = 22  # of a debit (cardcore.crypto.cryptograms)
_FORGED_EVERY = 10_007
#: The baselines take a record at a time and grow with their number only, so fewer will do.
_CRYPTOGRAPHY_ROWS_MAX, _C_ROWS_MAX = 50_000, 300_000
#: proc(5): writing 5 lets the peak of memory begin anew; the processes this thread started.
_CLEAR_REFS, _CHILDREN = Path("/proc/self/clear_refs"), Path("/proc/thread-self/children")
_STEPS = 5  # a suite: make the column, one core, two cores, cryptography, C

Rates = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A column of one suite, and the answer that is right for it."""

    algorithm: Algorithm
    column: TacColumn
    answer: bytes

    def first(self, rows: int) -> "Case":
        """The case of its first rows."""
        return Case(self.algorithm, self.column.part(0, rows), self.answer[:rows])


def make_case(algorithm: Algorithm, rows: int) -> Case:
    """A column of one debit of each of so many cards, some of its TACs forged by one bit."""
    random = np.random.default_rng(int(algorithm))
    # Serials as cards carry them: 16 digits, one card after the other, met in no order.
    numbers = (510_000_000_000 + random.permutation(rows)).astype(np.uint64)
    serials = np.zeros(rows, dtype=">u8")
    for place in range(16):
        serials |= numbers // np.uint64(10**place) % np.uint64(10) << np.uint64(4 * place)
    factors = serials.tobytes()
    messages = random.bytes(MESSAGE_BYTES * rows)
    tacs = bytearray(bench_tacs(algorithm, factors, messages, MESSAGE_BYTES))
    answer = bytearray(rows)
    for row in range(rows // 2 % _FORGED_EVERY, rows, _FORGED_EVERY):
        tacs[4 * row + row % 4] ^= 1 << row % 8
        answer[row] = ProofReason.WRONG
    column = TacColumn(
        bytes((algorithm,)) * rows,
        bytes((algorithm,)) * rows,
        factors,
        messages,
        MESSAGE_BYTES,
        bytes(tacs),
    )
    return Case(algorithm, column, bytes(answer))


def port_seconds(service: KeyService, case: Case) -> float:
    """Seconds of one call of the port, the better of two. The first prepares the process."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        answer = service.prove_tacs(BENCH_LABEL, case.column)
        seconds.append(time.perf_counter() - started)
        assert answer == case.answer, "a forged TAC was not found, or a true one refused"
    return min(seconds)


def cryptography_seconds(case: Case) -> float:
    """Seconds of one call of the suite for each record: derivation, then the TAC."""
    suite, master, column = SUITES[case.algorithm], bench_tac_master(case.algorithm), case.column
    wrong = bytearray(len(column))
    started = time.perf_counter()
    for row in range(len(column)):
        card_key = suite.diversify(master, column.factors[8 * row : 8 * row + 8])
        message = column.messages[MESSAGE_BYTES * row : MESSAGE_BYTES * (row + 1)]
        wrong[row] = suite.tac(card_key, message) != column.tacs[4 * row : 4 * row + 4]
    seconds = time.perf_counter() - started
    assert bytes(wrong) == case.answer, "the baseline disagrees"
    return seconds


def c_loop_rates(loop: TacLoop | Text, case: Case) -> Rates:
    """The figure of the C loop, or why there is none; `loop` is the reason where it is missing."""
    if isinstance(loop, Text):
        return {"records_per_second": None, "reason": loop}
    try:
        seconds, wrong = loop.run(case.algorithm, bench_tac_master(case.algorithm), case.column)
    except TacLoopMissingError as error:
        return {"records_per_second": None, "reason": text_of(error)}
    assert wrong == len(case.answer) - case.answer.count(ProofReason.PROVEN), "the loop disagrees"
    return {"records_per_second": round(len(case.answer) / seconds)}


def suite_rates(
    algorithm: Algorithm,
    rows: int,
    services: Mapping[int, KeyService],
    loop: TacLoop | Text,
    advance: Callable[[], None],
) -> Rates:
    """The figures of one suite; `services` by the number of processes."""
    case = make_case(algorithm, rows)
    advance()
    seconds, peaks_mib = {}, {}
    for processes, service in services.items():
        with suppress(OSError):
            _CLEAR_REFS.write_text("5", encoding="ascii")
        seconds[processes] = port_seconds(service, case)
        peaks_mib[processes] = peak_mib(["self", *(_workers() if processes > 1 else [])])
        advance()
    sample = case.first(_CRYPTOGRAPHY_ROWS_MAX)
    cryptography_rate = len(sample.answer) / cryptography_seconds(sample)
    advance()
    in_c = c_loop_rates(loop, case.first(_C_ROWS_MAX))
    advance()

    def rates(processes: int) -> Rates | None:
        if processes not in seconds:
            return None
        rate, c_rate = rows / seconds[processes], in_c["records_per_second"]
        return {
            "seconds": round(seconds[processes], 3),
            "records_per_second": round(rate),
            "ratio_to_cryptography": round(rate / cryptography_rate, 2),
            "ratio_to_c_loop": c_rate and round(rate / c_rate, 2),
            "peak_rss_mib": peaks_mib[processes],
        }

    return {
        "one_core": rates(1),
        "two_cores": rates(2),
        "cryptography": {"records_per_second": round(cryptography_rate)},
        "c_loop": in_c,
    }


def _workers() -> list[str]:
    """The processes this one started that run now: those of the key service."""
    with suppress(OSError):  # not every kernel lists children
        return _CHILDREN.read_text(encoding="ascii").split()
    return []


def peak_mib(processes: Iterable[str]) -> int:
    """The most memory each process had, summed; `getrusage` adds what a child had from its parent.

    This process's own has the column in it, and Python, and NumPy.
    """
    states = (Path("/proc", each, "status").read_text(encoding="utf-8") for each in processes)
    return sum(int(state.partition("VmHWM:")[2].split()[0]) for state in states) // 1024


def measure(rows: int) -> Rates:
    """Every suite, on one core and, where there are two, on two."""
    cores = len(os.sched_getaffinity(0))
    suites = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="onecard-bench-")))
        loop: TacLoop | Text
        try:
            loop = compile_loop(folder)
        except TacLoopMissingError as error:
            loop = text_of(error)
        advance = stack.enter_context(
            progress_bar(words("交易认证码", "TACs"), _STEPS * len(SUITE_NAMES))
        )
        services = {
            processes: stack.enter_context(bench_key_service(processes))
            for processes in (1, 2)
            if processes <= cores
        }
        for algorithm, name in SUITE_NAMES.items():
            suites[name] = suite_rates(algorithm, rows, services, loop, advance)
    main = suites[SUITE_NAMES[Algorithm.PBOC_3DES]]
    one_core, baseline = main["one_core"], main["cryptography"]["records_per_second"]
    return {
        "records": rows,
        "seconds": one_core["seconds"],
        "records_per_second": one_core["records_per_second"],
        "baseline_seconds": round(rows / baseline, 3),
        "ratio": one_core["ratio_to_cryptography"],
        "peak_rss_mib": one_core["peak_rss_mib"],
        "cores": cores,
        "suites": suites,
    }


def tac(
    records: Annotated[
        int,
        typer.Option(
            min=1_000, max=10_000_000, help=words("每套算法的笔数。", "TACs of each suite.")
        ),
    ] = 1_000_000,
    as_json: JsonOption = False,
) -> None:
    """Every answer is looked at: forged TACs are among them."""
    document = measure(records)
    if as_json:
        print_json(document)
        return
    suites = document["suites"].values()
    table = Table(
        Text(f"每套算法 {records:,} 个交易认证码", f"{records:,} TACs of each suite"),
        [
            Column(Text("每秒笔数", "records a second")),
            *(Column(Text(name, name), right=True) for name in SUITE_NAMES.values()),
        ],
    )
    for label, *path in _ROWS:
        table.add(label, *(_cell(suite, *path) for suite in suites))
    print_table(table)
    for reason in dict.fromkeys(each["c_loop"].get("reason") for each in suites):
        if reason:
            say(words(f"没有 C 循环：{reason.zh}", f"no C loop: {reason.en}"), style="dim")
    say(
        words(
            "每卡一笔，密钥逐卡分散，伪造的认证码均已发现；倍数为单核所得",
            "every card once, keys derived, forged TACs found; the multiples are of one core",
        ),
        style="dim",
    )


_ROWS = (
    (Text("单核", "one core"), "one_core", "records_per_second"),
    (Text("双核", "two cores"), "two_cores", "records_per_second"),
    (
        Text("逐笔调用 `cryptography`", "one call of `cryptography` each"),
        "cryptography",
        "records_per_second",
    ),
    (Text("libcrypto 之上的 C 循环", "loop in C over libcrypto"), "c_loop", "records_per_second"),
    (Text("`cryptography` 的倍数", "times `cryptography`"), "one_core", "ratio_to_cryptography"),
    (Text("C 循环的倍数", "times the loop in C"), "one_core", "ratio_to_c_loop"),
    (Text("单核内存峰值，MiB", "peak MiB, one core"), "one_core", "peak_rss_mib"),
    (Text("双核内存峰值，MiB", "peak MiB, two cores"), "two_cores", "peak_rss_mib"),
)


def _cell(suite: Rates, measured: str, figure: str) -> Cell:
    return shown(suite[measured] and suite[measured][figure])
