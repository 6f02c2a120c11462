"""Command by command: which status word answers what, and that a refusal leaves nothing behind."""

from dataclasses import replace

import pytest

from cardcore.chip.card import Card
from cardcore.layouts.transit import HolderInformation
from tests.cardcore.chip.reference_terminal import ReferenceTerminal
from tests.cardcore.transit_cards import (
    PROFILE,
    RIDE,
    TRIP,
    a_card,
    a_terminal,
    an_image,
    counting_random,
)

FCI = (
    "6F318408A000000632010105A5259F0801029F0C1E"
    "05845840FFFFFFFF020103105840000000000017201801012040123100009000"
)
PPSE = (
    "6F2E840E325041592E5359532E4444463031A51CBF0C19"
    "61174F08A00000063201010550084D4F545F545F45508701029000"
)
PUBLIC = FCI[42:]
RIDE_0 = "27017D0101" + "00" * 123 + "9000"

# Command (spaces are for the eye) | answer in hexadecimal. Each starts with the transit
# application selected and 10.00 yuan on the card.
TABLE = f"""
SELECT by name, in full, without Le             | 00A40400 08 A000000632010105          | {FCI}
SELECT by the start of the name                 | 00A40400 05 A000000632 00             | {FCI}
SELECT the PPSE                                 | 00A40400 0E 325041592E5359532E4444463031 00 | {PPSE}
SELECT by one byte of the name                  | 00A40400 01 32                        | {PPSE}
SELECT without asking for the FCI               | 00A4040C 08 A000000632010105          | 9000
SELECT with a wrong Le                          | 00A40400 08 A000000632010105 10       | 6C33
SELECT with the right Le                        | 00A40400 08 A000000632010105 33       | {FCI}
SELECT a name nobody has                        | 00A40400 08 A000000632010106 00       | 6A82
SELECT a longer name than any                   | 00A40400 09 A00000063201010500        | 6A82
SELECT the next of the name: there is none      | 00A40402 05 A000000632 00             | 6A82
SELECT DF 1001 beside the PPSE                  | 00A40000 02 1001                      | {FCI}
SELECT the MF by file id                        | 00A40000 02 3F00                      | 6F0483023F009000
SELECT the MF without saying so                 | 00A40000                              | 6F0483023F009000
SELECT EF15 by file id                          | 00A40000 02 0015                      | 9000
SELECT EF15 as an EF below                      | 00A40200 02 0015 00                   | 9000
SELECT a DF as an EF                            | 00A40200 02 1001                      | 6A82
SELECT a file id nobody has                     | 00A40000 02 0099                      | 6A82
SELECT with half a file id                      | 00A40000 01 00                        | 6700
SELECT with another P1                          | 00A40800 02 3F00                      | 6A86
SELECT with another P2                          | 00A40401 02 3F00                      | 6A86
SELECT by file id, the next one                 | 00A40002 02 3F00                      | 6A86
READ BINARY EF15 by short id                    | 00B09500                              | {PUBLIC}
READ BINARY with Le 00                          | 00B0950000                            | {PUBLIC}
READ BINARY a part: the card number             | 00B0950A0A                            | 031058400000000000179000
READ BINARY more than there is                  | 00B0950020                            | 6C1E
READ BINARY from the middle, more than there is | 00B0951410                            | 6C0A
READ BINARY behind the end                      | 00B0951E00                            | 6B00
READ BINARY without a current file              | 00B0000000                            | 6986
READ BINARY of a record file                    | 00B0980000                            | 6981
READ BINARY of a file that is not there         | 00B0910000                            | 6A82
READ BINARY with stray bits in P1               | 00B0F50000                            | 6A86
READ BINARY with data                           | 00B0950001AA                          | 6700
READ RECORD by number                           | 00B201D400                            | {RIDE_0}
READ RECORD by number, right Le                 | 00B201D480                            | {RIDE_0}
READ RECORD by identifier                       | 00B201D000                            | {RIDE_0}
READ RECORD by identifier nobody has            | 00B277D000                            | 6A83
READ RECORD with a wrong Le                     | 00B201D470                            | 6C80
READ RECORD from 1 to the end                   | 00B201C517                            | {{LOG}}
READ RECORD from 1 to the end, no Le            | 00B201C5                              | {{LOG}}
READ RECORD that was never written              | 00B202C400                            | 6A83
READ RECORD number 0                            | 00B200C400                            | 6A83
READ RECORD in another mode                     | 00B201C600                            | 6A86
READ RECORD next by identifier, there is none   | 00B201C200                            | 6981
READ RECORD the first                           | 00B200C017                            | {{LOG}}
READ RECORD the last                            | 00B200C117                            | {{LOG}}
READ RECORD the next, none current: the first   | 00B200C217                            | {{LOG}}
READ RECORD by identifier where there is none   | 00B201C000                            | 6981
READ RECORD of a transparent file               | 00B201AC00                            | 6981
READ RECORD without a current file              | 00B2010400                            | 6986
READ RECORD of a file that is not there         | 00B2018C00                            | 6A82
GET BALANCE, what can be spent                  | 805C000204                            | 000003E89000
GET BALANCE, overdraft limit                    | 805C010204                            | 000000009000
GET BALANCE, overdraft used                     | 805C020204                            | 000000009000
GET BALANCE, purse                              | 805C030204                            | 000003E89000
GET BALANCE without Le                          | 805C0002                              | 000003E89000
GET BALANCE with Le 00                          | 805C000200                            | 000003E89000
GET BALANCE with a wrong Le                     | 805C000203                            | 6C04
GET BALANCE P1 04                               | 805C040204                            | 6A86
GET BALANCE of the deposit book                 | 805C000104                            | 6A86
GET BALANCE with data                           | 805C000201FF                          | 6700
GET BALANCE under another class                 | 005C000204                            | 6E00
INITIALIZE FOR LOAD, key index nobody has       | 80500002 0B 02 000003E8 112233445566 10 | 9403
INITIALIZE FOR LOAD over the highest balance    | 80500002 0B 01 000182B9 112233445566 10 | 9402
INITIALIZE FOR PURCHASE, more than the balance  | 80500102 0B 01 000003E9 112233445566 0F | 9401
INITIALIZE FOR PURCHASE, the highest amount     | 80500102 0B 01 FFFFFFFF 112233445566 0F | 9401
INITIALIZE, one byte short                      | 80500102 0A 01 000003E8 1122334455 0F  | 6700
INITIALIZE for the deposit book                 | 80500101 0B 01 000003E8 112233445566 0F | 6A86
INITIALIZE for something else                   | 80500902 0B 01 000003E8 112233445566 0F | 6A86
INITIALIZE with a wrong Le                      | 80500102 0B 01 000003E8 112233445566 10 | 6C0F
CREDIT without INITIALIZE                       | 80520000 0B 20180901094231 AABBCCDD 04 | 6985
DEBIT without INITIALIZE                        | 80540100 0F 00000001 20180901094231 AABBCCDD 08 | 6985
DEBIT, one byte short                           | 80540100 0E 00000001 20180901094231 AABBCC 08 | 6700
DEBIT with another P1                           | 80540200 0F 00000001 20180901094231 AABBCCDD 08 | 6A86
CREDIT with another P1                          | 80520100 0B 20180901094231 AABBCCDD 04 | 6A86
CREDIT, one byte short                          | 80520000 0A 20180901094231 AABBCC 04  | 6700
UPDATE CAPP without INITIALIZE                  | 80DC01D003270100                      | 6985
PROVE a purchase that never was                 | 805A000602000008                      | 9406
PROVE the load with its counter                 | 805A0002020000                        | {{PROOF}}
PROVE the load with the next counter            | 805A0002020001                        | 9406
PROVE the load as a purchase                    | 805A0006020000                        | 9406
PROVE type 00                                   | 805A0000020000                        | 9406
PROVE without a counter                         | 805A0002                              | 6700
PROVE with another P1                           | 805A0102020000                        | 6A86
GET CHALLENGE of 16                             | 0084000010                            | 000000000000000000000000000000029000
GET CHALLENGE of 4                              | 0084000004                            | 000000029000
GET CHALLENGE without Le                        | 00840000                              | 00000000000000029000
GET CHALLENGE of 5                              | 0084000005                            | 6C08
GET CHALLENGE with P1                           | 0084010008                            | 6A86
GET CHALLENGE with data                         | 0084000001AA                          | 6700
an instruction nobody has                       | 00FF000000                            | 6D00
an instruction nobody has, purse class          | 80FF000000                            | 6D00
a class nobody has                              | 90A40400                              | 6E00
secure messaging, which no file asks for        | 04B0950000                            | 6E00
no bytes at all                                 |                                       | 6700
half a header                                   | 00A404                                | 6700
an Lc that is not true                          | 00A40400 05 A000                      | 6700
extended length                                 | 00A40400 000008 A000000632010105      | 6700
"""  # noqa: E501 - a table
ROWS = [[cell.strip() for cell in row.split("|")] for row in TABLE.strip().splitlines()]


def a_ready_card() -> tuple[Card, ReferenceTerminal]:
    card = a_card()
    terminal = a_terminal(card)
    assert terminal.load(1_000).sw == b"\x90\x00"
    return card, terminal


@pytest.mark.parametrize(("name", "command", "answer"), ROWS, ids=[row[0] for row in ROWS])
def test_the_answer_is_the_one_of_the_table(name: str, command: str, answer: str) -> None:
    card, terminal = a_ready_card()
    log = terminal.record(0x18, 1)[0].hex()
    proof = terminal.prove(2, 0)[0].hex()
    terminal.select()
    assert name
    before = card.image()
    answer = answer.format(LOG=log + "9000", PROOF=proof + "9000")
    assert card.transmit(bytes.fromhex(command)).hex().upper() == answer.upper()
    assert card.image() == before


def test_the_card_answers_to_reset_as_pc_sc_writes_a_contactless_card() -> None:
    atr = a_card().reset()
    assert atr.hex().upper() == "3B80800101"
    checksum = 0
    for byte in atr[1:-1]:
        checksum ^= byte
    assert checksum == atr[-1]


def test_a_reset_forgets_selection_and_transaction() -> None:
    card, terminal = a_ready_card()
    terminal.send("80500102", terminal.request(100), "0F")
    card.reset()
    assert card.transmit(bytes.fromhex("805C000204")) == b"\x69\x85"
    assert card.transmit(bytes.fromhex("00B0950000")) == b"\x6a\x82"
    terminal.select()
    debit = bytes(4) + terminal.time + bytes(4)
    assert terminal.send("80540100", debit, "08")[1] == b"\x69\x85"


@pytest.mark.parametrize(
    "command",
    [
        "805C000204",
        "80500102 0B 01 00000001 112233445566 0F",
        "805A0009020000",
        "80520000 0B" + "00" * 11,
    ],
)
def test_a_directory_without_a_purse_answers_no_purse_command(command: str) -> None:
    card, _ = a_ready_card()
    card.transmit(bytes.fromhex("00A404000E325041592E5359532E4444463031"))
    assert card.transmit(bytes.fromhex(command)) == b"\x69\x85"


def test_read_by_short_id_makes_a_file_current() -> None:
    card, _ = a_ready_card()
    card.transmit(bytes.fromhex("00B0950001"))
    assert card.transmit(bytes.fromhex("00B0000A02")) == b"\x03\x10\x90\x00"
    assert card.transmit(bytes.fromhex("00B0100000")) == b"\x6b\x00"


def test_selecting_the_next_name_walks_through_all_of_them() -> None:
    card, _ = a_ready_card()
    card.transmit(bytes.fromhex("00A40000023F00"))
    answers = [card.transmit(bytes.fromhex("00A4040201A0"))[-2:] for _ in range(3)]
    assert answers == [b"\x90\x00", b"\x6a\x82", b"\x6a\x82"]


def test_the_key_and_purse_files_can_be_read_by_nobody() -> None:
    card, _ = a_ready_card()
    card.transmit(bytes.fromhex("00A40000020000"))
    assert card.transmit(bytes.fromhex("00B2010400")) == b"\x69\x82"
    card.transmit(bytes.fromhex("00A40000020002"))
    assert card.transmit(bytes.fromhex("00B0000000")) == b"\x69\x82"


def test_reading_to_the_end_stops_at_the_last_whole_record_of_one_answer() -> None:
    trips = tuple(replace(TRIP, amount_fen=amount) for amount in range(30))
    card = a_card(an_image(trips=trips))
    a_terminal(card)
    answer = card.transmit(bytes.fromhex("00B201F500"))
    assert len(answer) == 5 * 48 + 2
    assert answer[:-2] == b"".join(trip.encode() for trip in trips[:5])
    assert card.transmit(bytes.fromhex("00B21DF500"))[:-2] == b"".join(
        trip.encode() for trip in trips[28:]
    )


# The composite cache: command after INITIALIZE FOR CAPP PURCHASE | status word
CACHE = f"""
the metro ride               | 80DC01D080 {RIDE.encode().hex()}              | 9000
only the start of the ride   | 80DC01D004 27017D01                           | 9000
a trip                       | 80DC00F030 {TRIP.encode().hex()}              | 9000
a ride nobody has            | 80DC12D080 2712{RIDE.encode().hex()[4:]}      | 6A83
P1 and record do not agree   | 80DC02D080 {RIDE.encode().hex()}              | 6A80
one byte too long            | 80DC01D081 {RIDE.encode().hex()}00            | 6700
shorter than its identifier  | 80DC01D001 27                                 | 6700
a short trip                 | 80DC00F02F {TRIP.encode().hex()[:-2]}         | 6700
a trip by number             | 80DC01F030 {TRIP.encode().hex()}              | 6A86
a mode in P2                 | 80DC01D480 {RIDE.encode().hex()}              | 6A86
no file                      | 80DC010001 00                                 | 6A86
a file that is not there     | 80DC018803 270100                             | 6A82
the log                      | 80DC00C017 {"00" * 23}                        | 6982
the public information       | 80DC00A81E {"00" * 30}                        | 6982
"""
CACHE_ROWS = [[cell.strip() for cell in row.split("|")] for row in CACHE.strip().splitlines()]


@pytest.mark.parametrize(("name", "command", "sw"), CACHE_ROWS, ids=[row[0] for row in CACHE_ROWS])
def test_the_composite_cache_takes_what_may_be_written(name: str, command: str, sw: str) -> None:
    card, terminal = a_ready_card()
    before = card.image()
    assert name
    terminal.send("80500302", terminal.request(100), "0F")
    assert card.transmit(bytes.fromhex(command)).hex().upper() == sw
    assert card.image() == before


def test_the_composite_cache_has_a_size() -> None:
    card, terminal = a_ready_card()
    records = [("00F0", TRIP.encode())] * 5
    assert terminal.purchase(1, records=records).sw == b"\x6a\x84"
    assert terminal.purchase(1, records=records[:4]).sw == b"\x90\x00"
    assert card.transmit(bytes.fromhex("00B204F400"))[:-2] == TRIP.encode()


def test_a_plain_purchase_writes_no_ride() -> None:
    card, terminal = a_ready_card()
    terminal.send("80500102", terminal.request(100), "0F")
    update = bytes.fromhex("80DC00F030") + TRIP.encode()
    assert card.transmit(update) == b"\x69\x85"


INTERRUPTIONS = [
    "00A4040008A000000632010105",
    "805C000204",
    "00B0950000",
    "805A0009020000",
    "0084000008",
    "80500302 0B 01 FFFFFFFF 112233445566 0F",
    "00FF000000",
    "00",
]


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_anything_between_initialize_and_debit_ends_the_transaction(interruption: str) -> None:
    card, terminal = a_ready_card()
    before = card.image()
    transmit = terminal.transmit

    def meddle(command: bytes) -> bytes:
        if command[1] == 0x54:
            transmit(bytes.fromhex(interruption))
        return transmit(command)

    terminal.transmit = meddle
    assert terminal.purchase(100, records=[("00F0", TRIP.encode())]).sw == b"\x69\x85"
    assert card.image() == before


def test_a_refused_update_or_debit_leaves_the_transaction_alive() -> None:
    card, terminal = a_ready_card()
    transmit = terminal.transmit

    def stutter(command: bytes) -> bytes:
        if command[1] == 0x54:
            assert transmit(bytes.fromhex("80DC01D001FF")) == b"\x67\x00"
            assert transmit(command[:-1] + b"\x09") == b"\x6c\x08"
            assert transmit(command[:4]) == b"\x67\x00"
        return transmit(command)

    terminal.transmit = stutter
    assert terminal.purchase(100, records=[]).sw == b"\x90\x00"
    assert (terminal.balance(), card.generation) == (900, 2)


def test_a_wrong_mac_changes_nothing_and_cannot_be_tried_again() -> None:
    card, terminal = a_ready_card()
    before = card.image()
    assert terminal.purchase(100, spoil=True).sw == b"\x93\x02"
    assert terminal.send("80540100", bytes(15), "08")[1] == b"\x69\x85"
    assert terminal.load(100, spoil=True).sw == b"\x93\x02"
    assert terminal.send("80520000", bytes(11), "04")[1] == b"\x69\x85"
    assert card.image() == before


def test_a_load_cannot_be_ended_as_a_purchase_nor_the_other_way() -> None:
    card, terminal = a_ready_card()
    before = card.image()
    terminal.send("80500002", terminal.request(100), "10")
    assert terminal.send("80540100", bytes(15), "08")[1] == b"\x69\x85"
    terminal.send("80500102", terminal.request(100), "0F")
    assert terminal.send("80520000", bytes(11), "04")[1] == b"\x69\x85"
    assert card.image() == before


def test_a_named_holder_may_hold_more() -> None:
    holder = HolderInformation(name="张三", id_number="440301199001011234")
    card = a_card(an_image(replace(PROFILE, holder=holder)))
    assert a_terminal(card).load(500_000).sw == b"\x90\x00"
    assert a_terminal(card).load(1).sw == b"\x94\x02"


def test_overdraft_is_spent_after_the_balance_and_repaid_first() -> None:
    card = a_card(an_image(overdraft_limit_fen=800))
    terminal = a_terminal(card)
    terminal.load(100)

    def balances() -> list[int]:
        answers = [card.transmit(bytes((0x80, 0x5C, p1, 2, 4)))[:-2] for p1 in range(4)]
        return [int.from_bytes(answer, "big") for answer in answers]

    assert balances() == [900, 800, 0, 100]
    assert terminal.purchase(901).sw == b"\x94\x01"
    assert terminal.purchase(600).sw == b"\x90\x00"
    assert balances() == [300, 800, 500, 0]
    assert terminal.record(0x18, 1)[0][2:5] == (500).to_bytes(3, "big")
    assert terminal.load(500).sw == b"\x90\x00"
    assert balances() == [800, 800, 0, 0]


def test_a_counter_at_its_end_is_never_used_again() -> None:
    card = a_card()
    terminal = a_terminal(card)
    terminal.load(10)
    files = [cell for cell, data in card.memory.cells().items() if len(data) == 54]
    state = card.memory.cells()[files[0]]
    card.memory.commit({files[0]: state[:12] + b"\xff\xff\xff\xff" + state[16:]})
    before = card.image()
    assert terminal.load(1).sw == b"\x94\x02"
    assert terminal.purchase(1).sw == b"\x94\x02"
    assert card.image() == before


def test_the_same_image_and_dice_give_the_same_card() -> None:
    first, second = (a_card(an_image(), counting_random()) for _ in range(2))
    for card in (first, second):
        a_terminal(card).load(10)
    assert first.image() == second.image()
