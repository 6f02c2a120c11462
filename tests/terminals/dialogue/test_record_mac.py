"""The MAC of the PSAM under a finished record: made after the tap, the same again, never later
changed, and missing where there is no PSAM to make it.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.digits import encode_bcd
from cardcore.keys import Algorithm, KeyRef, KeyUsage, ProofReason, RecordMacColumn
from cardcore.records.kinds import Mac2Check, MacProfile
from cardcore.records.record import DIGEST_END, TransactionRecord, decode_record, encode_record
from cardcore.records.tac import record_digest
from hsm_sim.keys.published_keys import published_vault
from hsm_sim.psam import KeySlot, Psam, PsamKeyType, PsamProfile, make_psam
from hsm_sim.psam.image import decode_image
from terminals.device import PbocKey
from terminals.errors import CardRemovedError
from terminals.journal.journal import Journal
from terminals.journal.upload import build_batch, hold_back, plan_batch
from terminals.link.connection import InProcessConnection
from terminals.tap.terminal import Terminal
from terminals.taps import TapOutcome
from tests.terminals.equipment import (
    KEYS,
    LABEL,
    NOON,
    REFS,
    ROLES,
    SCHEME,
    VAULT,
    a_card,
    a_device,
    a_psam,
    a_request,
    a_terminal,
    an_open_journal,
    load,
    records_of,
    rides,
    sign,
)
from tests.terminals.faults import PowerCutError, TornConnection, check_money, cut_power_at

BUS = "584000000001"


def proof_of_mac(record: TransactionRecord) -> ProofReason:
    """What the key service says of a record's MAC."""
    data = encode_record(record)
    column = RecordMacColumn(
        algorithms=bytes((record.mac_algorithm,)),
        key_versions=bytes((record.mac_key_version,)),
        profiles=bytes((record.mac_profile,)),
        factors=encode_bcd(record.psam, 10)[-8:],
        digests=record_digest(data),
        macs=record.mac,
    )
    return ProofReason(KEYS.prove_record_macs(LABEL, column)[0])


def a_field_psam(number: int, version: int) -> Psam:
    """A PSAM whose record MAC key is one of those it delivers."""
    profile = PsamProfile(
        terminal=BUS,
        number=f"{number:020d}",
        issuer=SCHEME.issuer,
        valid_from=NOON.date(),
        valid_to=NOON.date(),
        key_index=1,
        key_label=LABEL,
    )
    ref = KeyRef(KeyUsage.RECORD_MAC, LABEL, version)
    return make_psam(profile, VAULT, [KeySlot(PsamKeyType.MAC, version, ref)])


@dataclass
class Wired:
    """A PSAM on a wire that may be cut, or whose commands of ours nobody knows."""

    psam: Psam
    gone: bool = False
    knows_ours: bool = True
    asked: list[int] = field(default_factory=list)

    def transmit(self, command: bytes) -> bytes:
        self.asked.append(command[1])
        if self.gone:
            raise CardRemovedError("the PSAM is gone")
        if command[1] == 0x7C and not self.knows_ours:
            return bytes.fromhex("6D00")
        return self.psam.transmit(command)


def ride(journal: Journal, terminal: Terminal, name: str) -> TransactionRecord:
    card = a_card(len(records_of(journal)) + 1)
    load(card, journal, name=f"load for {name}")
    result = terminal.tap(InProcessConnection(card), a_request(name, "bus"), NOON)
    assert result.record is not None
    return result.record


def newest(journal: Journal) -> TransactionRecord:
    return decode_record(records_of(journal)[-1])


def test_a_signed_record_is_the_record_and_its_mac_proves(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        bus = a_terminal("bus", journal)
        before = ride(journal, bus, "one")
        assert before.mac_profile is MacProfile.NONE
        assert bus.sign_records() == 1
        record = newest(journal)
        assert proof_of_mac(record) is ProofReason.PROVEN
        assert record.mac_profile is MacProfile.FIXED
        assert (record.mac_algorithm, record.mac_key_version) == (Algorithm.AES, 5)
        unsigned = replace(
            record, mac_profile=MacProfile.NONE, mac_algorithm=0, mac_key_version=0, mac=bytes(16)
        )
        assert unsigned == before
        other = replace(record, psam=f"{9:020d}")
        changed = replace(record, line=record.line + 1)
        assert proof_of_mac(other) is proof_of_mac(changed) is ProofReason.WRONG


def test_what_the_psam_said_to_the_card_stands_under_the_mac(tmp_path: Path) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        bus = a_terminal("bus", journal)
        held = bus.tap(InProcessConnection(card), a_request("one", "bus"), NOON).record
        later = NOON + timedelta(days=1)
        bus.tap(TornConnection(card, 5, after=True), a_request("two", "bus"), later)
        again = bus.tap(InProcessConnection(card), a_request("two", "bus"), later).record
        bus.tap(TornConnection(card, 5, after=True), a_request("three", "bus"), later)
        # Another terminal of the depot settles it: its PSAM never knew this MAC2.
        a_terminal("shop", journal).tap(InProcessConnection(card), a_request("x", "shop"), later)
        records = [decode_record(each) for each in records_of(journal)]
    assert held is not None
    assert again is not None
    assert records[0].mac2_check is Mac2Check.NOT_ASKED
    assert held.mac2_check is again.mac2_check is Mac2Check.HELD
    assert [each.mac2_check for each in records[-2:]] == [Mac2Check.NOT_CHECKED, Mac2Check.HELD]


def test_loads_and_records_of_other_psams_are_not_signed(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        bus, shop = a_terminal("bus", journal), a_terminal("shop", journal)
        ride(journal, bus, "one")
        assert a_terminal("kiosk", journal).sign_records() == 0
        assert shop.sign_records() == 0
        # The same terminal with another PSAM: what the first one made is not its business.
        other = Terminal(
            ROLES["bus"],
            a_device("bus", a_psam(BUS, 88)),
            journal,
            InProcessConnection(a_psam(BUS, 88)),
        )
        assert other.sign_records() == 0
        assert {decode_record(each).mac_profile for each in records_of(journal)} == {
            MacProfile.NONE
        }
        assert bus.sign_records() == 1


def test_a_record_in_a_planned_file_changes_no_more(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        bus = a_terminal("bus", journal)
        ride(journal, bus, "one")
        plan_batch(journal, key_version=1, now=NOON)
        data = build_batch(journal, 1, sign)
        assert bus.sign_records() == 0
        ride(journal, bus, "two")
        assert bus.sign_records() == 1
        assert build_batch(journal, 1, sign) == data


def test_a_lost_mac_is_made_again_the_same(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        bus = a_terminal("bus", journal)
        ride(journal, bus, "one")
        (unsigned,) = records_of(journal)[-1:]
        bus.sign_records()
        (signed,) = records_of(journal)[-1:]
        assert signed[:230] == unsigned[:230]
        with journal.transaction("loss") as database:
            database.execute("UPDATE records SET record = ? WHERE record = ?", (unsigned, signed))
        assert bus.sign_records() == 0  # it thinks it did
        assert a_terminal("bus", journal).sign_records() == 1
        assert records_of(journal)[-1] == signed
        assert a_terminal("bus", journal).sign_records() == 0


def test_a_held_back_record_is_signed_when_the_terminal_starts_again(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 2)
        hold_back(journal, BUS, 1, NOON.date() + timedelta(days=1))
        plan_batch(journal, key_version=1, now=NOON)
        assert a_terminal("bus", journal).sign_records() == 1
        first, second = (decode_record(each) for each in records_of(journal))
    assert (first.mac_profile, second.mac_profile) == (MacProfile.FIXED, MacProfile.NONE)


def test_a_psam_that_is_gone_keeps_no_record_from_going_up(tmp_path: Path) -> None:
    wire = Wired(a_psam(BUS))
    with an_open_journal(tmp_path) as journal:
        bus = Terminal(ROLES["bus"], a_device("bus"), journal, wire)
        ride(journal, bus, "one")
        wire.gone = True
        assert bus.sign_records() == 0
        wire.gone = False
        ride(journal, bus, "two")
        assert bus.sign_records() == 2
        wire.gone = True
        bus.sign_records()
        assert plan_batch(journal, key_version=1, now=NOON) == 1


def test_a_psam_without_our_commands_is_asked_once_and_signs_nothing(tmp_path: Path) -> None:
    wire = Wired(a_psam(BUS), knows_ours=False)
    with an_open_journal(tmp_path) as journal:
        bus = Terminal(ROLES["bus"], a_device("bus"), journal, wire)
        for name in ("one", "two"):
            ride(journal, bus, name)
            assert bus.sign_records() == 0
        assert wire.asked.count(0x7C) == 1
        assert newest(journal).mac == bytes(16)


@pytest.mark.parametrize(
    ("version", "algorithm"), [(1, Algorithm.PBOC_3DES), (4, Algorithm.SM4), (5, Algorithm.AES)]
)
def test_a_psam_of_the_field_signs_by_a_delivered_key_and_the_record_says_so(
    tmp_path: Path, version: int, algorithm: Algorithm
) -> None:
    wire = Wired(a_field_psam(7, version), knows_ours=False)
    with an_open_journal(tmp_path) as journal:
        device = replace(a_device("bus", wire), pboc=PbocKey(version, algorithm))
        bus = Terminal(ROLES["bus"], device, journal, wire)
        ride(journal, bus, "one")
        assert bus.sign_records() == 1
        record = newest(journal)
        assert (record.mac_profile, record.mac_key_version) == (MacProfile.PBOC, version)
        assert record.mac[4:] == bytes(12)
        assert proof_of_mac(record) is ProofReason.PROVEN
        assert proof_of_mac(replace(record, tariff_fen=1)) is ProofReason.WRONG


@pytest.mark.parametrize("part", ["before", "written", "kept"])
def test_power_lost_while_signing_loses_no_record(tmp_path: Path, part: str) -> None:
    with an_open_journal(tmp_path) as journal:
        before = ride(journal, a_terminal("bus", journal), "one")
    journal = an_open_journal(tmp_path, cut_power_at(f"macs {part}"))
    with pytest.raises(PowerCutError), journal:
        a_terminal("bus", journal).sign_records()
    with an_open_journal(tmp_path) as journal:
        assert a_terminal("bus", journal).sign_records() == (0 if part == "kept" else 1)
        record = newest(journal)
        assert encode_record(record)[:DIGEST_END][:230] == encode_record(before)[:230]
        assert proof_of_mac(record) is ProofReason.PROVEN


def test_signing_between_a_tear_and_the_second_try_does_not_disturb_the_psam(
    tmp_path: Path,
) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        bus, request = a_terminal("bus", journal), a_request("torn", "bus")
        bus.tap(InProcessConnection(card), a_request("before", "bus"), NOON)
        bus.tap(TornConnection(card, 5, after=True), request, NOON)
        assert bus.sign_records() == 1
        result = bus.tap(InProcessConnection(card), request, NOON)
        assert result.outcome is TapOutcome.RECOVERED
        assert result.record is not None
        assert result.record.mac2_check is Mac2Check.HELD
        check_money(journal, card)


def test_a_psam_that_was_renewed_signs_under_the_key_the_record_names(tmp_path: Path) -> None:
    """The terminal remembered version 1, the PSAM signed under its newest: every MAC was wrong."""
    wire = Wired(make_psam(decode_image(a_psam(BUS).image()).profile, published_vault(REFS)))
    with an_open_journal(tmp_path) as journal:
        bus = Terminal(ROLES["bus"], a_device("bus", wire), journal, wire)
        ride(journal, bus, "one")
        assert bus.sign_records() == 1
        assert newest(journal).mac_key_version == 1
        wire.psam = a_psam(BUS)
        a_device("bus", wire)  # power came back: its application is selected again
        ride(journal, bus, "two")
        assert bus.sign_records() == 1
        assert newest(journal).mac_key_version == 5
        assert proof_of_mac(newest(journal)) is ProofReason.PROVEN


@dataclass
class Odd(Wired):
    """A PSAM whose record MAC key is of an algorithm that nobody knows."""

    def transmit(self, command: bytes) -> bytes:
        if command[1] == 0x7C:
            return bytes.fromhex("09019000")
        return self.psam.transmit(command)


def test_a_psam_of_an_unknown_algorithm_signs_nothing_and_stops_nothing(tmp_path: Path) -> None:
    wire = Odd(a_psam(BUS))
    with an_open_journal(tmp_path) as journal:
        bus = Terminal(ROLES["bus"], a_device("bus", wire), journal, wire)
        ride(journal, bus, "one")
        assert bus.sign_records() == 0
        assert newest(journal).mac_profile is MacProfile.NONE
