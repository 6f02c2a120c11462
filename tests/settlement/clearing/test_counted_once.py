"""Each total counts what its name says, each of a tally's ways to be counted on its own."""

from dataclasses import replace

import pytest

from cardcore.records.kinds import RecordKind
from settlement.clearing.tally import Tally
from settlement.clearing.totals import RunTotals, clear
from settlement.dispositions import Disposition, Note, Reason
from tests.settlement.clearing.test_clear import bucket

RIDES = Tally(
    disposition=int(Reason.NONE.disposition),
    reason=int(Reason.NONE),
    application=0,
    sector=1,
    issuer=7,
    kind=int(RecordKind.PURCHASE),
    operator=101,
    fare_class=0,
    notes=0,
    late=True,
    by_log=False,
    centre=0,
    records=3,
    amount_fen=480,
    tariff_fen=600,
    excess_fen=0,
    known_discount_fen=0,
    passed_on=(),
)
#: One reason of every disposition.
OF_DISPOSITION = {each.disposition: each for each in reversed(Reason)}


def totals(*tallies: Tally) -> RunTotals:
    return clear([bucket(0, list(tallies))]).totals


def of(reason: Reason) -> Tally:
    return replace(RIDES, disposition=int(reason.disposition), reason=int(reason))


@pytest.mark.parametrize("reason", Reason)
def test_a_late_record_is_counted_late_only_when_it_is_accepted(reason: Reason) -> None:
    is_accepted = reason.disposition is Disposition.ACCEPTED
    assert totals(of(reason)).late == (3 if is_accepted else 0)
    assert totals(RIDES, of(reason)).late == (6 if is_accepted else 3)
    assert totals(replace(of(reason), late=False)).late == 0


@pytest.mark.parametrize("disposition", Disposition)
def test_money_and_notes_are_those_of_accepted_records_alone(disposition: Disposition) -> None:
    noted = replace(of(OF_DISPOSITION[disposition]), notes=int(Note.HOTLISTED_LATE))
    found, is_accepted = totals(noted), disposition is Disposition.ACCEPTED
    assert found.charged_fen == (480 if is_accepted else 0)
    assert found.tariff_fen == (600 if is_accepted else 0)
    assert found.notes["hotlisted_late"] == (3 if is_accepted else 0)
    assert found.claims_fen == (480 if disposition is Disposition.CLAIM else 0)
    assert found.records == 3
