"""The load host's log: in it before MAC2 leaves, without holes, in a chain, in signed files; every
fault of it is named by its entry.
"""

import hashlib
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.crypto import signatures
from cardcore.keys import Algorithm, InsecureKeyServiceWarning, KeyRef, KeyState, KeyUsage
from cardcore.records import load_log as layout
from cardcore.records.kinds import Funding
from cardcore.records.load_log import (
    ENTRY_BYTES,
    HEADER,
    AllowedLoad,
    LoadLogFaultError,
    chain_start,
    decode_load_log,
    encode_entry,
    read_entries,
)
from cardcore.records.payloads import LoadPayload
from cardcore.records.record import decode_record
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import published_vault
from terminals.errors import JournalDamagedError, JournalFullError
from terminals.journal import load_log as shell
from terminals.journal.journal import Journal
from terminals.journal.load_log import LoadLog
from terminals.link.connection import InProcessConnection
from terminals.partners.load_host import LoadHost
from terminals.tap.terminal import Terminal
from terminals.taps import Fare, TapOutcome, TapResult
from tests.terminals.citizen_cards import a_citizen
from tests.terminals.equipment import (
    KEYS,
    LABEL,
    NOON,
    REFS,
    ROLES,
    SCHEME,
    a_card,
    a_device,
    a_load_host,
    a_request,
    an_open_journal,
    balance,
    records_of,
)
from tests.terminals.faults import PowerCutError, TornConnection, cut_power_at, run_and_kill

SECRET = bytes(range(32))
PUBLIC = signatures.public_key(Algorithm.ED25519, SECRET)


def sign(message: bytes) -> bytes:
    return signatures.sign(Algorithm.ED25519, SECRET, message)


def a_log(folder: Path, hear: Callable[[str], None] = lambda _: None) -> LoadLog:
    return LoadLog.open(folder / "loads.sqlite", issuer=SCHEME.issuer, on_step=hear)


def a_kiosk(journal: Journal, log: LoadLog) -> Terminal:
    return Terminal(ROLES["kiosk"], a_device("kiosk"), journal, a_load_host(log=log))


def pay_in(
    kiosk: Terminal, card: object, name: str, amount_fen: int = 5000, **more: object
) -> TapResult:
    request = replace(a_request(name, "kiosk", Fare(amount_fen, amount_fen)), **more)  # type: ignore[arg-type]
    return kiosk.tap(card, request, NOON)  # type: ignore[arg-type]


def a_load(number: int = 1, amount_fen: int = 5000) -> AllowedLoad:
    return AllowedLoad(
        *(number, 0, f"0310584{1:013d}", 1, b"\1\2\3\4", 7, 100, amount_fen),
        *("584000000005", NOON, b"mac1", b"mac2", Funding.CASH),
    )


def loads_in(log: LoadLog) -> tuple[AllowedLoad, ...]:
    first = log.plan_file(key_version=1, now=NOON)
    assert first is not None
    return decode_load_log(log.build_file(first, sign), PUBLIC).loads


def test_what_the_host_allowed_stands_in_the_log_as_card_and_kiosk_said_it(tmp_path: Path) -> None:
    card = a_citizen()
    with an_open_journal(tmp_path) as journal, a_log(tmp_path) as log:
        kiosk = a_kiosk(journal, log)
        for number, (application, payload) in enumerate(
            [
                ("transit", b""),
                ("purse", LoadPayload(Funding.BENEFIT).encode()),
                ("purse", LoadPayload(Funding.REFUND, "584000000001", 3).encode()),
            ]
        ):
            connection = InProcessConnection(card)
            result = pay_in(
                kiosk, connection, f"{number}", application=application, payload=payload
            )
            assert result.outcome.done
        loads = loads_in(log)
        records = [decode_record(each) for each in records_of(journal)]
    assert [each.number for each in loads] == [1, 2, 3]
    assert [each.funding for each in loads] == [Funding.CASH, Funding.BENEFIT, Funding.REFUND]
    assert (loads[2].debit_terminal, loads[2].debit_serial) == ("584000000001", 3)
    for load, record in zip(loads, records, strict=True):
        shared = ("application", "card_number", "online_counter", "balance_before_fen")
        for name in (*shared, "amount_fen", "terminal", "time", "key_version"):
            assert getattr(load, name) == getattr(record, name), name


def test_a_load_that_never_came_about_is_in_the_log_all_the_same(tmp_path: Path) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal, a_log(tmp_path) as log:
        kiosk = a_kiosk(journal, log)
        torn = TornConnection(card, 4, after=False)  # before CREDIT
        assert pay_in(kiosk, torn, "one").outcome is TapOutcome.CARD_REMOVED
        assert pay_in(kiosk, InProcessConnection(card), "one").outcome is TapOutcome.APPROVED
        allowed = loads_in(log)
        assert len(records_of(journal)) == 1
    # The second MAC1 has the counter of the first: the first was never used.
    assert [each.online_counter for each in allowed] == [0, 0]
    assert [each.balance_before_fen for each in allowed] == [0, 0]


@pytest.mark.parametrize("part", ["before", "written", "durable"])
def test_mac2_never_leaves_a_host_that_lost_power_before_its_log_had_the_load(
    tmp_path: Path, part: str
) -> None:
    card = a_card()
    journal, log = an_open_journal(tmp_path), a_log(tmp_path, cut_power_at(f"allowed {part}"))
    with pytest.raises(PowerCutError), journal, log:
        pay_in(a_kiosk(journal, log), InProcessConnection(card), "one")
    assert balance(card) == 0
    with an_open_journal(tmp_path) as journal, a_log(tmp_path) as log:
        assert pay_in(a_kiosk(journal, log), InProcessConnection(card), "one").outcome.done
        numbers = [each.number for each in loads_in(log)]
    assert numbers == ([1, 2] if part == "durable" else [1])


def test_killed_at_every_step_the_log_holds_whatever_was_loaded(tmp_path: Path) -> None:
    for step in ("allowed before", "allowed written", "allowed durable"):
        folder = tmp_path / step
        folder.mkdir()
        card = a_card()

        def work(hear: Callable[[str], None], folder: Path = folder) -> None:
            with an_open_journal(folder) as journal, a_log(folder, hear) as log:
                pay_in(a_kiosk(journal, log), InProcessConnection(card), "one")  # noqa: B023

        assert run_and_kill(work, step)
        with a_log(folder) as log:
            kept = log.append(a_load()).number - 1
        assert kept == (1 if step == "allowed durable" else 0)


def test_a_full_disk_allows_no_load(tmp_path: Path) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal, a_log(tmp_path) as log:
        database = log._database
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        kiosk, before = a_kiosk(journal, log), 0
        for number in range(200):
            result = pay_in(kiosk, InProcessConnection(card), f"{number}", 1)
            if not result.outcome.done:
                break
            before += 1
        assert result.outcome is TapOutcome.HOST_UNAVAILABLE
        assert balance(card) == before == len(records_of(journal))
        with pytest.raises(JournalFullError):
            log.append(a_load())
        database.execute("PRAGMA max_page_count = 1073741823")
        assert pay_in(kiosk, InProcessConnection(card), "again", 1).outcome.done
        assert [each.number for each in loads_in(log)] == list(range(1, before + 2))


def test_two_processes_at_one_log_leave_no_hole(tmp_path: Path) -> None:
    with a_log(tmp_path) as one, a_log(tmp_path) as two:
        numbers = [log.append(a_load()).number for log in (one, two, two, one)]
        assert numbers == [1, 2, 3, 4]
        assert [each.number for each in loads_in(one)] == numbers


def test_files_go_on_where_the_last_one_ended_and_stay_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "ENTRIES_MAX", 2)
    with a_log(tmp_path) as log:
        assert log.plan_file(key_version=1, now=NOON) is None
        for _ in range(3):
            log.append(a_load())
        assert [log.plan_file(key_version=1, now=NOON) for _ in range(3)] == [1, 3, None]
        data = [log.build_file(first, sign) for first in (1, 3)]
        log.append(a_load())
        assert log.plan_file(key_version=2, now=NOON + timedelta(days=1)) == 4
        assert log.files() == ((1, 1), (3, 1), (4, 2))
        path = log.write_file(1, sign, tmp_path)
        assert log.write_file(1, sign, tmp_path) == path
        assert path.read_bytes() == data[0]
        with pytest.raises(KeyError):
            log.build_file(2, sign)
        data.append(log.build_file(4, sign))
    first, second, third = (decode_load_log(each, PUBLIC) for each in data)
    assert second.follows(first)
    assert third.follows(second)
    assert not third.follows(first)
    assert not first.follows(second)


@pytest.mark.parametrize("change", ["altered", "missing", "swapped", "of another issuer"])
def test_a_damaged_log_is_named_by_its_entry_and_left_as_it_is(tmp_path: Path, change: str) -> None:
    with a_log(tmp_path) as log:
        for amount in range(1, 5):
            log.append(a_load(amount_fen=amount))
    path, issuer = tmp_path / "loads.sqlite", SCHEME.issuer
    with closing(sqlite3.connect(path)) as database:
        match change:
            case "altered":
                (entry,) = database.execute("SELECT entry FROM allowed WHERE number = 3").fetchone()
                spoilt = entry[:30] + bytes((entry[30] ^ 1,)) + entry[31:]
                database.execute("UPDATE allowed SET entry = ? WHERE number = 3", (spoilt,))
            case "missing":
                database.execute("DELETE FROM allowed WHERE number = 3")
            case "swapped":
                database.execute("UPDATE allowed SET number = 9 WHERE number = 3")
            case _:
                issuer = bytes(8)
        database.commit()
    named = 1 if change == "of another issuer" else 3
    for _ in range(2):
        with pytest.raises(JournalDamagedError, match=f"entry {named}:"):
            LoadLog.open(path, issuer=issuer)


def a_file(count: int = 3) -> bytes:
    entries, previous = list[bytes](), chain_start(SCHEME.issuer)
    for number in range(1, count + 1):
        entries.append(encode_entry(a_load(number, 100 * number), previous))
        previous = entries[-1][-layout.HASH_BYTES :]
    header = layout.LoadLogHeader(
        SCHEME.issuer, 1, 1, count, chain_start(SCHEME.issuer), NOON, Algorithm.ED25519
    )
    return layout.encode_load_log(header, entries, sign)


FILE = a_file()


def test_a_file_reads_back_what_was_written() -> None:
    read = decode_load_log(FILE, PUBLIC)
    assert [(each.number, each.amount_fen) for each in read.loads] == [(1, 100), (2, 200), (3, 300)]
    assert (read.header.issuer, read.header.entry_count) == (SCHEME.issuer, 3)
    other = signatures.public_key(Algorithm.ED25519, bytes(32))
    with pytest.raises(LoadLogFaultError, match="not signed by its host"):
        decode_load_log(FILE, other)


@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
def test_no_byte_of_a_file_can_be_changed(position: int, bits: int) -> None:
    changed = FILE[:position] + bytes((FILE[position] ^ bits,)) + FILE[position + 1 :]
    with pytest.raises(LoadLogFaultError):
        decode_load_log(changed, PUBLIC)


@given(st.integers(0, len(FILE) - 1))
def test_a_cut_file_is_named(length: int) -> None:
    with pytest.raises(LoadLogFaultError) as raised:
        decode_load_log(FILE[:length], PUBLIC)
    assert raised.value.kind == ("truncated" if length >= 4 else "not_a_load_log")
    with pytest.raises(LoadLogFaultError) as raised:
        decode_load_log(FILE + b"\0", PUBLIC)
    assert raised.value.kind == "too_long"


def damaged(entries: list[bytes], kind: str) -> Iterator[bytes]:
    """The entries of `FILE` as a host that signs anything might have put them."""
    for number, entry in enumerate(entries, start=1):
        if number != 2:
            yield entry
        elif kind == "altered":
            yield entry[:40] + b"\xff" + entry[41:]
        elif kind == "damaged":
            funding = next(each for each in AllowedLoad.FIELDS if each.name == "funding")
            spoilt = (
                entry[: funding.offset] + b"\x77" + entry[funding.offset + 1 : AllowedLoad.SIZE]
            )
            previous = entries[0][-layout.HASH_BYTES :]
            yield spoilt + hashlib.sha256(layout.TAG + previous + spoilt).digest()
        elif kind == "number_wrong":
            yield (9).to_bytes(4, "big") + entry[4:]


@pytest.mark.parametrize("kind", ["altered", "number_wrong", "damaged", "truncated"])
def test_a_fault_inside_is_named_by_its_entry(kind: str) -> None:
    whole = FILE[HEADER.size :][: 3 * ENTRY_BYTES]
    entries = [whole[at : at + ENTRY_BYTES] for at in range(0, len(whole), ENTRY_BYTES)]
    data = b"".join(damaged(entries, kind)) if kind != "truncated" else whole[: ENTRY_BYTES + 9]
    with pytest.raises(LoadLogFaultError) as raised:
        read_entries(data, 1, chain_start(SCHEME.issuer))
    assert (raised.value.kind, raised.value.entry) == (kind, 2)


@pytest.mark.parametrize(
    "payload",
    [
        LoadPayload(Funding.REFUND),
        LoadPayload(Funding.CASH, "584000000001", 3),
        LoadPayload(Funding.REFUND, "584000000001", 0),
    ],
    ids=["refund of nothing", "cash for a debit", "refund of no serial"],
)
def test_a_refund_names_the_debit_it_gives_back_and_nothing_else_does(
    tmp_path: Path, payload: LoadPayload
) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal, a_log(tmp_path) as log:
        before = card.image()
        with pytest.raises(ValueError, match="a refund names the debit"):
            pay_in(
                a_kiosk(journal, log), InProcessConnection(card), "one", payload=payload.encode()
            )
        with pytest.raises(ValueError, match="payload"):
            pay_in(a_kiosk(journal, log), InProcessConnection(card), "two", payload=b"?")
        assert card.image() == before
        assert log.plan_file(key_version=1, now=NOON) is None


def test_the_log_of_a_remote_key_service_is_signed_by_its_key(tmp_path: Path) -> None:
    """The file is signed through the port, as batch files are."""
    from tests.terminals.equipment import SIGNING

    with a_log(tmp_path) as log:
        log.append(a_load())
        first = log.plan_file(key_version=SIGNING.version, now=NOON)
        assert first == 1
        data = log.build_file(first, lambda message: KEYS.sign(SIGNING, message))
    assert decode_load_log(data, KEYS.public_key(SIGNING)).header.key_version == 1


@pytest.mark.parametrize(
    ("first", "previous", "kind"),
    [(0, bytes(32), "not_a_load_log"), (2**32 - 1, bytes(32), "not_a_load_log"),
     (1, bytes(32), "altered")],
)  # fmt: skip
def test_a_log_begins_with_its_issuer_and_counts_from_one(
    first: int, previous: bytes, kind: str
) -> None:
    """Signed by the host all the same: a second log beside the first, or numbers that are none."""
    entry = encode_entry(a_load(first), previous)
    header = layout.LoadLogHeader(SCHEME.issuer, 1, first, 1, previous, NOON)
    if first > 1:
        header = replace(header, entry_count=2)
    entries = [entry] * header.entry_count
    with pytest.raises(LoadLogFaultError) as raised:
        decode_load_log(layout.encode_load_log(header, entries, sign), PUBLIC)
    assert raised.value.kind == kind


def test_a_load_key_out_of_use_loads_nothing_and_stops_no_kiosk(tmp_path: Path) -> None:
    vault = published_vault(REFS)
    for state in (KeyState.RETIRING, KeyState.DESTROYED):
        vault.move(KeyRef(KeyUsage.LOAD, LABEL, 1), state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        service = InProcessKeyService(vault)
    with an_open_journal(tmp_path) as journal, a_log(tmp_path) as log:
        host = LoadHost(service, LABEL, log)
        kiosk = Terminal(ROLES["kiosk"], a_device("kiosk"), journal, host)
        card = a_card()
        result = pay_in(kiosk, InProcessConnection(card), "one")
        assert result.outcome is TapOutcome.CARD_KEY_UNKNOWN
        assert (balance(card), records_of(journal)) == (0, [])
        assert log.plan_file(key_version=1, now=NOON) is None
