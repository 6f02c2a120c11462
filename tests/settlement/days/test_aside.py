"""Which files a run goes on without."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from settlement.days.aside import AsideReason, decode_aside, encode_aside, leave_out
from settlement.intake.answers import FileRow
from tests.settlement.days.test_closing import NOW, file_of, row_of

PLACES = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9)), unique=True)


def row_at(sender: int, sequence: int) -> FileRow:
    file = file_of(NOW.date(), NOW.date())
    return row_of(
        replace(file, sender=sender, sequence=sequence, content_hash=f"{sender:032}{sequence:032}")
    )


@given(PLACES, st.data())
def test_the_later_files_of_a_sender_wait_as_for_a_gap(
    places: list[tuple[int, int]], data: st.DataObject
) -> None:
    rows = [row_at(*place) for place in places]
    bad = data.draw(st.sets(st.sampled_from(rows))) if rows else set()
    faults = {row.file.content_hash: AsideReason.RAW_DAMAGED for row in bad}
    left, aside = leave_out(rows, faults)
    assert len(left) + len(aside) == len(rows)
    for row in left:
        assert row not in bad
        assert all(
            row.file.sequence < each.file.sequence
            for each in bad
            if each.file.sender == row.file.sender
        )
    for each in aside:
        is_bad = each.content_hash in faults
        assert (each.why is AsideReason.RAW_DAMAGED) == is_bad
        assert is_bad or any(
            row.file.sender == each.sender and row.file.sequence < each.sequence for row in bad
        )
    assert decode_aside(encode_aside(aside)) == aside


def test_without_faults_nothing_is_left_out() -> None:
    rows = (row_at(1, 2), row_at(1, 1))
    assert leave_out(rows, {}) == (rows, ())
    assert decode_aside(None) == ()
    for reason in AsideReason:
        assert reason.text.zh
        assert reason.text.en
