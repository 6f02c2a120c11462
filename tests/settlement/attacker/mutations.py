"""Rules switched off, one at a time: small changes of the product's SQL, each with a name.

A mutation names the words it takes out of a script. When the script has them no more, it is the
test of the mutation that fails, so none of them is ever about nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

import duckdb
import pytest

from settlement.facts import columnar


@dataclass(frozen=True)
class Mutation:
    """A rule (R1 to R7, I3), what is left of it, and the words that are changed in a script."""

    rule: str
    name: str
    script: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.rule} {self.name}"


MUTATIONS = (
    Mutation(
        "R1",
        "variants of one run are all booked",
        "bucket_reuse",
        "FROM variant WHERE variant.id = record.id",
        "FROM variant WHERE variant.id = record.id AND record.id IN (FROM (SELECT id FROM record "
        "SEMI JOIN past USING (factor, terminal, sequence, time, tac)))",
    ),
    Mutation(
        "R1",
        "a settled movement is forgotten",
        "bucket_past",
        "WHERE is_posted(reason)",
        "WHERE false",
    ),
    Mutation(
        "R1",
        "the terminal's serial is part of the identity",
        "bucket_reuse",
        "factor, application, is_load, transaction_type, amount_fen, terminal, sequence,\n"
        "                signed_balance_fen, time, tac\n",
        "factor, application, is_load, transaction_type, amount_fen, terminal, sequence,\n"
        "                signed_balance_fen, time, tac, terminal_serial\n",
    ),
    Mutation(
        "R2",
        "the record says who is paid",
        "told",
        "coalesce(dated.owner, dated.participant) AS operator",
        "dated.operator AS operator",
    ),
    Mutation(
        "R3",
        "a missing TAC is believed",
        "told",
        "THEN reason_tac_missing()",
        "THEN reason_none()",
    ),
    Mutation(
        "R3",
        "a wrong TAC is believed",
        "told",
        "THEN reason_tac_wrong()",
        "THEN reason_none()",
    ),
    Mutation(
        "R4",
        "nobody waits for late files",
        "bucket_torn",
        "> getvariable('late_days')",
        "> -1",
    ),
    Mutation(
        "R5",
        "a debit is dated by its day alone",
        "bucket_decide",
        "least(judged.time, judged.time_max) AS dated",
        "judged.day::TIMESTAMP AS dated",
    ),
    Mutation(
        "R6",
        "a load is billed when its agent sends it",
        "bucket_log_bill",
        "WHERE log_verdict.is_due",
        "WHERE false",
    ),
    Mutation(
        "R7",
        "whoever comes may deliver",
        "told",
        "AND NOT coalesce(collected_until >= business_day_of(dated.time), false)",
        "AND false",
    ),
    Mutation(
        "I3",
        "a partner's card is paid for as ours",
        "told",
        "coalesce(number.centre, 0) AS centre",
        "0 AS centre",
    ),
)


@contextmanager
def switched_off(mutation: Mutation) -> Iterator[None]:
    """Runs of this process go without the rule."""
    folder = resources.files("settlement.reconciliation").joinpath("sql")
    if mutation.old not in folder.joinpath(f"{mutation.script}.sql").read_text("utf-8"):
        raise ValueError(f"{mutation} is about nothing")

    def run_script(connection: duckdb.DuckDBPyConnection, name: str) -> None:
        text = folder.joinpath(f"{name}.sql").read_text("utf-8")
        is_its = name == mutation.script
        connection.execute(text.replace(mutation.old, mutation.new) if is_its else text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columnar, "run_script", run_script)
        yield
