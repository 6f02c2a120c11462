"""`onecard bench tac`: its figures, its baselines, and answers that are not taken on trust."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.bench import tac as bench_tac
from api.bench import tac_loop
from api.bench.keys import bench_key_service, bench_tac_master
from api.bench.tac_loop import TacLoopMissingError, compile_loop
from api.cli.frame.program import app
from cardcore.crypto import SUITES
from cardcore.keys import Algorithm, KeyService, ProofReason, TacColumn

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
RATE = "records_per_second"


def bench() -> dict[str, object]:
    result = CliRunner().invoke(app, ["bench", "tac", "--records", "2000", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def test_the_json_has_the_keys_of_every_bench_and_a_figure_of_each_suite() -> None:
    document = bench()
    assert list(document)[:6] == [
        "records",
        "seconds",
        RATE,
        "baseline_seconds",
        "ratio",
        "peak_rss_mib",
    ]
    suites = document["suites"]
    assert isinstance(suites, dict)
    assert list(suites) == ["pboc-3des", "sm4", "aes"]
    for suite in suites.values():
        assert suite["one_core"][RATE] > 0
        assert suite["cryptography"][RATE] > 0
        assert (suite["two_cores"] is None) == (document["cores"] == 1)
    assert document[RATE] == suites["pboc-3des"]["one_core"][RATE]


def test_without_a_compiler_the_figure_is_null_and_the_reason_stands_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tac_loop, "_COMPILERS", ("no-such-compiler",))
    suites = bench()["suites"]
    assert isinstance(suites, dict)
    for suite in suites.values():
        assert suite["c_loop"][RATE] is None
        assert "no-such-compiler" in suite["c_loop"]["reason"]
        assert suite["one_core"]["ratio_to_c_loop"] is None


def test_the_table_for_people_has_the_same_figures_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tac_loop, "_COMPILERS", ("no-such-compiler",))
    result = CliRunner().invoke(app, ["bench", "tac", "--records", "1000"])
    assert result.exit_code == 0, result.output
    for text in ("pboc-3des", "one core", "–", "no C loop: no C compiler"):
        assert text in result.output


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "broken"
    compiler.write_text("#!/bin/sh\necho 'cannot find libcrypto' >&2\nexit 1\n", encoding="utf-8")
    compiler.chmod(0o755)
    monkeypatch.setattr(tac_loop, "_COMPILERS", (str(compiler),))
    with pytest.raises(TacLoopMissingError, match="cannot find libcrypto"):
        compile_loop(tmp_path)


@pytest.mark.parametrize("algorithm", bench_tac.SUITE_NAMES)
def test_made_up_records_are_true_but_for_the_forged(algorithm: Algorithm) -> None:
    case = bench_tac.make_case(algorithm, 300)
    suite, column = SUITES[algorithm], case.column
    for row in range(300):
        key = suite.diversify(bench_tac_master(algorithm), column.factors[8 * row : 8 * row + 8])
        is_true = (
            suite.tac(key, column.messages[22 * row : 22 * row + 22])
            == (column.tacs[4 * row : 4 * row + 4])
        )
        assert is_true == (case.answer[row] == ProofReason.PROVEN)
    assert case.answer.count(ProofReason.WRONG) == 1


@needs_compiler
def test_the_loop_in_c_finds_the_same_forgeries(tmp_path: Path) -> None:
    loop = compile_loop(tmp_path)
    for algorithm in bench_tac.SUITE_NAMES:
        case = bench_tac.make_case(algorithm, 30_000)
        seconds, wrong = loop.run(algorithm, bench_tac_master(algorithm), case.column)
        assert seconds > 0
        assert wrong == case.answer.count(ProofReason.WRONG) == 3


class Believer:
    """A key service that proves everything at once."""

    def prove_tacs(self, _label: str, column: TacColumn) -> bytes:
        return bytes(len(column))


def test_a_fast_service_that_misses_a_forgery_gets_no_figure() -> None:
    case = bench_tac.make_case(Algorithm.AES, 1_000)
    believer: KeyService = Believer()  # type: ignore[assignment]  # it proves and does no more
    with pytest.raises(AssertionError, match="forged"):
        bench_tac.port_seconds(believer, case)
    with bench_key_service(1) as service:
        assert bench_tac.port_seconds(service, case) > 0


def test_too_few_records_are_a_usage_error() -> None:
    result = CliRunner().invoke(app, ["bench", "tac", "--records", "10"])
    assert result.exit_code == 2
