"""Allowed, recorded, stated: how each load of a purse stands, as an aligned table, and attacks."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from time import process_time

import pytest

from cardcore.records.kinds import Funding
from cardcore.records.load_log import AllowedLoad
from settlement.intake.load_log import LoggedLoad
from settlement.loads.ages import LoadLine, sum_by_agent
from settlement.loads.decide import JudgedLoad, RecordedLoad, judge_purse, merge_records
from settlement.loads.standings import LoadEvidence, LoadStanding

CARD, KIOSK, OTHER_KIOSK = f"{7:020}", "0000000000c1", "0000000000c2"
DAY = date(2026, 9, 1)
NOON = datetime(2026, 9, 1, 12)  # noqa: DTZ001 - the kiosk's wall clock


def entry(
    number: int, counter: int, before_fen: int, amount_fen: int, terminal: str = KIOSK
) -> LoggedLoad:
    """An entry of the log, a minute after the one before it."""
    time = NOON + timedelta(minutes=number)
    load = AllowedLoad(
        *(number, 0, CARD, 1, b"\1\2\3\4", counter, before_fen, amount_fen, terminal, time),
        *(b"mac1", b"mac2", Funding.CASH),
    )
    return LoggedLoad("0" * 16, DAY, load)


def record(of: LoggedLoad, *, proven: bool = True, **changes: object) -> RecordedLoad:
    """The record of an entry's load; its terminal serial is the entry's number."""
    load = of.load
    told = RecordedLoad(
        *(load.application, load.card_number, load.online_counter, load.amount_fen, load.terminal),
        *(load.time, proven, DAY, (f"{load.terminal}-{load.number:08d}",)),
    )
    return replace(told, **changes)  # type: ignore[arg-type] # the caller names fields


# log: counter:before+amount@kiosk, in its order | records: !n proven, ?n not proven, of entry n |
# how each entry stands, by number
STORIES = """
  0:0+50                     | !1     | confirmed by tac
  0:0+50                     | ?1     | recorded by none
  0:0+50                     |        | allowed_only by none
  0:0+50 1:20+50             | !2     | confirmed by later_mac1, confirmed by tac
  0:0+50 1:20+50             | ?1     | confirmed by later_mac1, allowed_only by none
  0:0+50 0:0+50              | !2     | void by other_tac, confirmed by tac
  0:0+50 0:0+50              |        | void by later_mac1, allowed_only by none
  0:0+50 0:0+50 1:50+10      |        | void by later_mac1, confirmed by later_mac1, allowed_only by none
  0:0+50 0:0+50              | ?1     | void by later_mac1, allowed_only by none
  0:0+50 0:0+99@2 1:40+10    |        | several_claim by later_mac1, several_claim by later_mac1, allowed_only by none
  0:0+50 0:0+99@2 1:60+10    |        | void by later_mac1, confirmed by later_mac1, allowed_only by none
  0:0+50 0:0+50@2 1:50+10    | !1     | confirmed by tac, void by other_tac, allowed_only by none
  0:0+50 1:70+10             |        | unexplained by later_mac1, allowed_only by none
  65535:0+50 1:50+10 2:60+10 | !3     | confirmed by later_mac1, confirmed by later_mac1, confirmed by tac
  65535:0+50 65535:0+50      | !1     | confirmed by tac, void by other_tac
"""  # noqa: E501 - a story is a line


@pytest.mark.parametrize("line", STORIES.strip().splitlines())
def test_how_allowed_loads_stand(line: str) -> None:
    log, records, expected = (part.strip() for part in line.split("|"))
    entries = [story_entry(number, text) for number, text in enumerate(log.split(), start=1)]
    told = [record(entries[int(each[1:]) - 1], proven=each[0] == "!") for each in records.split()]
    judged = judge_purse(entries, merge_records(told), DAY)
    by_number = {each.logged.load.number: each for each in judged if each.logged is not None}
    assert [
        f"{each.standing.name} by {each.evidence.name}".lower()
        for _, each in sorted(by_number.items())
    ] == expected.split(", ")
    assert len(judged) == len(entries)


def story_entry(number: int, text: str) -> LoggedLoad:
    counter, _, rest = text.partition(":")
    money, _, kiosk = rest.partition("@")
    before, amount = money.split("+")
    terminal = OTHER_KIOSK if kiosk else KIOSK
    return entry(number, int(counter), int(before) * 100, int(amount) * 100, terminal)


def only(judged: tuple[JudgedLoad, ...], standing: LoadStanding) -> JudgedLoad:
    (found,) = [each for each in judged if each.standing is standing]
    return found


def test_a_load_sent_twice_with_one_unsigned_byte_changed_is_one_load() -> None:
    allowed = entry(1, 0, 0, 5000)
    first = record(allowed)
    copies = [
        first,
        replace(first, record_ids=(f"{KIOSK}-00000099",)),  # another serial
        replace(first, card_number="9999" + first.card_number[4:]),  # another prefix
        replace(first, is_proven=False, known_on=DAY + timedelta(days=1)),
    ]
    for order in (copies, copies[::-1]):
        (judged,) = judge_purse([allowed], merge_records(order), DAY)
        assert (judged.standing, judged.amount_fen) == (LoadStanding.CONFIRMED, 5000)
        assert judged.recorded is not None
        assert judged.recorded.record_ids == (f"{KIOSK}-00000001", f"{KIOSK}-00000099")
        assert (judged.recorded.known_on, judged.is_matched) == (DAY, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_fen": 5001},
        {"terminal": OTHER_KIOSK},
        {"time": NOON},
        {"online_counter": 3},
        {"card_number": f"{8:020}"},
        {"application": 1},
    ],
)
def test_a_signed_byte_that_differs_is_another_load(changes: dict[str, object]) -> None:
    first = record(entry(1, 0, 0, 5000))
    assert len(merge_records([first, replace(first, **changes)])) == 2  # type: ignore[arg-type]


def test_recorded_and_never_allowed_is_a_contradiction_once_the_log_reaches_beyond_it() -> None:
    forged = record(entry(1, 0, 0, 5000))
    (awaited,) = judge_purse([], [forged], DAY)
    assert (awaited.standing, awaited.is_matched) == (LoadStanding.LOG_AWAITED, False)
    assert judge_purse([], [forged], None)[0].standing is LoadStanding.LOG_AWAITED
    (never,) = judge_purse([], [forged], DAY + timedelta(days=1))
    assert (never.standing, never.standing.is_alarm) == (LoadStanding.NEVER_ALLOWED, True)
    by_counter = judge_purse([entry(2, 1, 5000, 1000)], [forged], None)
    assert only(by_counter, LoadStanding.NEVER_ALLOWED).recorded == forged


def test_a_record_that_proves_nothing_of_a_load_nobody_allowed_is_a_claim_and_no_alarm() -> None:
    junk = record(entry(1, 0, 0, 4_290_000_000), proven=False)
    (judged,) = judge_purse([], [junk], DAY + timedelta(days=1))
    assert (judged.standing, judged.standing.is_alarm) == (LoadStanding.CLAIMED_ONLY, False)


def test_junk_records_do_not_move_how_allowed_loads_stand() -> None:
    entries = [entry(1, 40_000, 0, 5000), entry(2, 40_001, 5000, 5000)]
    quiet = judge_purse(entries, [], DAY)
    junk = [
        record(entry(9, counter, 0, 1), proven=False) for counter in (0, 7, 39_999, 40_002, 65_535)
    ]
    noisy = judge_purse(entries, junk, DAY)
    assert [each for each in noisy if each.logged is not None] == list(quiet)


def test_loads_that_neither_log_nor_records_know_are_a_contradiction() -> None:
    entries = [entry(1, 3, 0, 5000), entry(2, 7, 5000, 5000)]
    between = record(entry(9, 5, 0, 100))
    judged = judge_purse(entries, [between], DAY)
    unseen = [each for each in judged if each.logged is None and each.recorded is None]
    assert [(each.standing, each.counter, each.count) for each in unseen] == [
        (LoadStanding.NEVER_ALLOWED, 4, 2)
    ]
    assert unseen[0].known_on == DAY


def test_a_mac1_held_back_does_not_void_the_load_it_was_superseded_by() -> None:
    """The kiosk asks for 100 yuan, loads the card, then sends an older MAC1 for 1 yuan."""
    true, stale = entry(1, 0, 0, 10_000), entry(2, 0, 0, 100)
    before = judge_purse([true, stale], [], DAY)
    assert [each.standing for each in before] == [LoadStanding.VOID, LoadStanding.ALLOWED_ONLY]
    spent = judge_purse([true, stale, entry(3, 1, 50, 100)], [], DAY)
    assert [each.standing for each in spent[:2]] == [LoadStanding.SEVERAL_CLAIM] * 2
    kept = judge_purse([true, stale, entry(3, 1, 9_000, 100)], [], DAY)
    assert [each.standing for each in kept[:2]] == [LoadStanding.CONFIRMED, LoadStanding.VOID]


def test_a_later_proven_load_confirms_an_earlier_one_without_a_record() -> None:
    earlier, later = entry(1, 0, 0, 5000), entry(2, 1, 5000, 5000)
    (first, second) = judge_purse([earlier], [record(later)], DAY + timedelta(days=9))
    assert (first.standing, first.evidence) == (LoadStanding.CONFIRMED, LoadEvidence.LATER_TAC)
    assert not first.is_matched  # the agent's record is missing
    assert second.standing is LoadStanding.NEVER_ALLOWED


def test_a_void_load_with_a_record_does_not_match() -> None:
    entries = [entry(1, 0, 0, 5000), entry(2, 0, 0, 5000)]
    false_claim = record(entries[0], proven=False)
    assert [each.is_matched for each in judge_purse(entries, [], DAY)] == [True, False]
    assert [each.is_matched for each in judge_purse(entries, [false_claim], DAY)] == [False, False]


def test_the_cost_of_a_purse_is_linear() -> None:
    def seconds(count: int) -> float:
        entries = [entry(n, 5, 0, n) for n in range(1, count)]
        junk = [record(each, proven=False) for each in entries]
        begin = process_time()
        judge_purse(entries, merge_records(junk), DAY)
        return process_time() - begin

    # Twenty times as many: linear is 20, quadratic 400.
    assert seconds(40_000) < 100 * seconds(2_000)


def test_figures_stand_by_agent_and_say_how_old_the_oldest_is() -> None:
    matched = judge_purse([entry(1, 0, 0, 5000)], [record(entry(1, 0, 0, 5000))], DAY)
    open_ones = judge_purse([entry(2, 0, 0, 700)], [], DAY)
    lines = [
        *(LoadLine(each, 901, 3) for each in matched),
        *(LoadLine(each, 901, age) for each in open_ones for age in (4, 40)),
        *(LoadLine(each, None, 1) for each in open_ones),
    ]
    figures = [
        (each.agent, each.standing.name, each.loads, each.amount_fen, each.unmatched_fen,
         each.oldest_days)
        for each in sum_by_agent(lines)
    ]  # fmt: skip
    assert figures == [
        (901, "CONFIRMED", 1, 5000, 0, 0),
        (901, "ALLOWED_ONLY", 2, 1400, 1400, 40),
        (None, "ALLOWED_ONLY", 1, 700, 700, 1),
    ]
    assert open_ones[0].known_on == DAY


def test_every_standing_says_what_it_means_and_what_to_do_in_two_languages() -> None:
    for standing in LoadStanding:
        for text in (standing.text, standing.meaning, standing.advice):
            assert text.zh
            assert text.en
