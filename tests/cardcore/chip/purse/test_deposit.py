"""The deposit book (ED), cash, unload and overdraft, and the limits of a purchase and of a day."""

from dataclasses import replace

import pytest

from cardcore.chip.card import Card
from cardcore.chip.memory import Memory
from cardcore.chip.purse.offline import PurseState
from cardcore.chip.tree import TreeBuilder
from cardcore.keys import KeyUsage
from tests.cardcore.chip.full_chips import KEY, Reader, a_key, add_everything
from tests.cardcore.chip.reference_terminal import des3, mac, tac
from tests.cardcore.transit_cards import counting_random

TERMINAL = bytes.fromhex("112233445566")
TIME = "20180901094231"


def a_reader(state: PurseState | None = None) -> Reader:
    tree = TreeBuilder()
    root = tree.add_directory(None, 0x3F00)
    add_everything(tree, root, state=state)
    return Reader(Memory(tree.cells).image())


def u(value: int, length: int = 4) -> bytes:
    return value.to_bytes(length, "big")


class Host:
    """Terminal and host of one purse, written from the tables alone."""

    def __init__(self, reader: Reader, p2: int) -> None:
        self.reader, self.p2 = reader, p2

    def begin(self, p1: int, amount: int | None, le: str) -> tuple[bytes, str]:
        data = b"\x01" + (b"" if amount is None else u(amount)) + TERMINAL
        raw = bytes((0x80, 0x50, p1, self.p2, len(data))) + data + bytes.fromhex(le)
        answer = self.reader.card.transmit(raw)
        return answer[:-2], answer[-2:].hex().upper()

    def end(self, header: str, data: bytes) -> tuple[bytes, str]:
        answer = bytes.fromhex(self.reader.send(header, data))
        return answer[:-2], answer[-2:].hex().upper()

    def online(
        self, p1: int, amount: int, usage: KeyUsage, kind: int, *, time: str = TIME, spoil: int = 0
    ) -> str:
        """Load and unload."""
        shown, sw = self.begin(p1, amount, "10")
        if sw != "9000":
            return sw
        assert shown[6:8] == b"\x02\x00"  # key version, and 3DES written as 00
        before, counter, dice = shown[:4], shown[4:6], shown[8:12]
        session = des3(KEY[usage], dice + counter + b"\x80\x00")
        type1 = bytes((kind,))
        assert shown[12:] == mac(session, before + u(amount) + type1 + TERMINAL)
        terms = u(amount) + type1 + TERMINAL + bytes.fromhex(time)
        mac2 = mac(session, terms)
        mac2 = bytes((mac2[0] ^ spoil,)) + mac2[1:]
        load = p1 == 0
        got, sw = self.end("80520000" if load else "80540300", bytes.fromhex(time) + mac2)
        if sw != "9000":
            return sw
        after = u(int.from_bytes(before, "big") + (amount if load else -amount))
        signed = tac(KEY[KeyUsage.TAC], after + counter + terms)
        mac3 = mac(session, after + counter + terms)
        assert got == (signed if load else mac3)
        proof, sw = self.end(f"805A00{kind:02X}", counter)
        assert (proof, sw) == ((mac2 if load else mac3) + signed, "9000")
        return sw

    def load(self, amount: int, *, time: str = TIME) -> str:
        return self.online(0, amount, KeyUsage.LOAD, self.p2, time=time)

    def unload(self, amount: int, *, time: str = TIME, spoil: int = 0) -> str:
        return self.online(5, amount, KeyUsage.UNLOAD, 3, time=time, spoil=spoil)

    def offline(self, p1: int, amount: int, kind: int, *, time: str = TIME) -> str:
        """Purchase and cash."""
        shown, sw = self.begin(p1, amount, "0F")
        if sw != "9000":
            return sw
        counter, dice = shown[4:6], shown[11:]
        session = des3(KEY[KeyUsage.PURCHASE], dice + counter + b"\x00\x01")
        terms = u(amount) + bytes((kind,)) + TERMINAL
        mac1 = mac(session, terms + bytes.fromhex(time))
        got, sw = self.end("80540100", u(1) + bytes.fromhex(time) + mac1)
        if sw != "9000":
            return sw
        signed = tac(KEY[KeyUsage.TAC], terms + u(1) + bytes.fromhex(time))
        assert got == signed + mac(session, u(amount))
        proof, sw = self.end(f"805A00{kind:02X}", counter)
        assert proof == got[4:] + got[:4]
        return sw

    def purchase(self, amount: int, *, time: str = TIME) -> str:
        return self.offline(1, amount, 4 + self.p2, time=time)

    def cash(self, amount: int, *, time: str = TIME) -> str:
        return self.offline(2, amount, 4, time=time)

    def overdraft(self, limit: int, *, time: str = TIME, spoil: int = 0) -> str:
        shown, sw = self.begin(4, None, "13")
        if sw != "9000":
            return sw
        balance, counter, old, dice = shown[:4], shown[4:6], shown[6:9], shown[11:15]
        session = des3(KEY[KeyUsage.OVERDRAFT], dice + counter + b"\x80\x00")
        assert shown[15:] == mac(session, balance + old + b"\x07" + TERMINAL)
        terms = u(limit, 3) + b"\x07" + TERMINAL + bytes.fromhex(time)
        mac2 = mac(session, terms)
        mac2 = bytes((mac2[0] ^ spoil,)) + mac2[1:]
        got, sw = self.end("80580000", u(limit, 3) + bytes.fromhex(time) + mac2)
        if sw != "9000":
            return sw
        after = u(int.from_bytes(balance, "big") - int.from_bytes(old, "big") + limit)
        assert got == tac(KEY[KeyUsage.TAC], after + counter + terms)
        assert self.end("805A0007", counter) == (mac2 + got, "9000")
        return sw

    def balance(self, p1: int = 0) -> str:
        return self.reader.send(f"805C{p1:02X}{self.p2:02X}")

    def log(self, number: int) -> bytes:
        answer = bytes.fromhex(self.reader.send(f"00B2{number:02X}C400"))
        assert answer[-2:] == b"\x90\x00"
        return answer[:-2]


def test_the_deposit_book_asks_for_the_pin() -> None:
    reader = a_reader()
    host = Host(reader, 1)
    assert host.load(1) == host.cash(1) == host.overdraft(1) == host.balance() == "6982"
    assert Host(reader, 2).load(1) == "9000"
    reader.verify()
    assert host.load(1) == "9000"


def test_both_purses_keep_their_own_money_and_counters_and_share_the_log() -> None:
    reader = a_reader()
    reader.verify()
    book, purse = Host(reader, 1), Host(reader, 2)
    assert book.load(5_000) == purse.load(300) == "9000"
    assert book.purchase(1_000) == book.cash(500) == purse.purchase(100) == "9000"
    assert book.unload(200) == "9000"
    assert (book.balance(), purse.balance()) == ("00000CE49000", "000000C89000")
    kinds = [(book.log(n)[9], int.from_bytes(book.log(n)[:2], "big")) for n in range(1, 7)]
    assert kinds == [(3, 1), (6, 0), (4, 1), (5, 0), (2, 0), (1, 0)]


def test_unload_gives_out_what_is_there_and_no_credit() -> None:
    reader = a_reader(PurseState(100, 500_000, overdraft_limit_fen=1_000))
    reader.verify()
    host = Host(reader, 1)
    assert host.unload(101) == "9401"
    assert host.unload(100, spoil=1) == "9302"
    assert host.unload(100) == "9000"
    assert host.cash(1_001) == "9401"
    assert host.cash(1_000) == "9000"


def test_the_overdraft_limit_is_moved_by_the_host_and_never_below_what_is_used() -> None:
    reader = a_reader(PurseState(0, 500_000))
    reader.verify()
    host = Host(reader, 1)
    assert host.purchase(1) == "9401"
    assert host.overdraft(500, spoil=1) == "9302"
    assert host.overdraft(500) == "9000"
    assert host.purchase(300) == "9000"
    assert host.overdraft(299) == "9402"
    assert host.overdraft(300) == "9000"
    assert (host.balance(), host.balance(1), host.balance(2)) == (
        "000000009000", "0000012C9000", "0000012C9000",
    )  # fmt: skip
    assert host.log(1)[5:10] == u(300) + b"\x07"


# Command after INITIALIZE FOR LOAD of the deposit book | status word
MIXED = """
80540100 0F 00000001 20180901094231 AABBCCDD | 6985
80540300 0B 20180901094231 AABBCCDD          | 6985
80580000 0E 000001 20180901094231 AABBCCDD   | 6985
80580000 0D 000001 20180901094231 AABBCC     | 6700
80580100 0E 000001 20180901094231 AABBCCDD   | 6A86
80540300 0C 20180901094231 AABBCCDDEE        | 6700
80DC00C0 01 00                               | 6985
80500202 0B 01 00000001 112233445566         | 6A86
80500301 0B 01 00000001 112233445566         | 6A86
80500402 07 01 112233445566                  | 6A86
80500502 0B 01 00000001 112233445566         | 6A86
80500401 0B 01 00000001 112233445566         | 6700
80500501 0B 07 00000001 112233445566         | 9403
""".strip().splitlines()


@pytest.mark.parametrize("row", MIXED)
def test_one_transaction_is_not_ended_as_another(row: str) -> None:
    command, sw = (cell.strip() for cell in row.split("|"))
    reader = a_reader()
    reader.verify()
    before = reader.card.image()
    assert Host(reader, 1).begin(0, 100, "10")[1] == "9000"
    assert reader.send(command) == sw
    assert reader.card.image() == before


def test_the_published_load_of_the_deposit_book_comes_out_byte_for_byte() -> None:
    """Key 11223344..., random 11223344: MAC1 2988AE5A, MAC2 3A845BF0, algorithm 00."""
    tree = TreeBuilder()
    root = tree.add_directory(None, 0x3F00)
    add_everything(tree, root)
    load = a_key(KeyUsage.LOAD, value=bytes.fromhex("11223344556677888877665544332211"))
    cells = {
        cell: load if data.startswith(load[:2]) and cell & 0xFF > 1 else data
        for cell, data in tree.cells.items()
    }
    reader = Reader(Memory(cells).image(), lambda length: bytes.fromhex("11223344")[:length])
    reader.verify()
    shown = reader.send("80500001 0B 0100001000001122334455")
    assert shown[-12:] == "2988AE5A9000"
    assert shown.startswith("00000000" + "0000" + "0200" + "11223344")
    assert len(reader.send("805200000B201112212148223A845BF0")) == 12


LIMITED = PurseState(10_000, 100_000, purchase_max_fen=500, day_max_fen=1_200)


def test_a_purchase_has_a_limit_and_a_day_has_one() -> None:
    reader = a_reader(LIMITED)
    host = Host(reader, 2)
    assert host.purchase(501) == "9402"
    assert [host.purchase(amount) for amount in (500, 500, 201, 200, 1)] == [
        "9000", "9000", "9402", "9000", "9402",
    ]  # fmt: skip
    reader.reset()
    assert host.purchase(1) == "9402"
    assert host.purchase(0) == "9000"
    assert host.purchase(500, time="20180902000000") == "9000"
    assert host.balance() == "0000206C9000"


def test_a_clock_set_back_does_not_open_the_day_again_and_a_load_puts_it_right() -> None:
    host = Host(a_reader(LIMITED), 2)
    for _ in range(2):
        assert host.purchase(500, time="20300101000000") == "9000"
    assert host.purchase(500, time="20180901000000") == "9402"
    assert host.load(1, time="20180901000000") == "9000"
    for _ in range(2):
        assert host.purchase(500, time="20180901000000") == "9000"
    assert host.purchase(500, time="20180901000000") == "9402"
    assert host.load(1, time="20180901000000") == "9000"
    assert host.purchase(500, time="20180901000000") == "9402"


def test_an_amount_over_the_limit_of_the_day_is_refused_at_once() -> None:
    host = Host(a_reader(replace(LIMITED, purchase_max_fen=0)), 2)
    assert host.purchase(1_201) == "9402"
    assert host.purchase(1_200) == "9000"


def test_limits_and_what_was_spent_are_in_the_image() -> None:
    reader = a_reader(LIMITED)
    Host(reader, 2).purchase(500)
    again = Reader(reader.card.image())
    host = Host(again, 2)
    assert [host.purchase(500), host.purchase(500)] == ["9000", "9402"]
    assert isinstance(Card.from_image(again.card.image(), counting_random()), Card)
