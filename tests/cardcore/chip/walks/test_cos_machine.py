"""Random commands against a whole card and a small model of it: money, counters, log, tries,
access state, blocked state and files, with the power failing at any write of any command.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cardcore.chip.purse.offline import PurseState
from cardcore.errors import PowerLossError
from cardcore.keys import KeyUsage
from tests.cardcore.chip.full_chips import (
    FID_BOTH,
    FID_ENCIPHERED,
    FID_EXTERNAL,
    FID_MAC,
    FID_PIN,
    FID_PLAIN,
    KEY,
    PIN,
    Reader,
)
from tests.cardcore.chip.purse.test_deposit import Host, a_reader
from tests.cardcore.chip.reference_terminal import des3, enciphered, mac, secured
from tests.cardcore.chip.walks.test_tears import Cut

LIMIT, DAY = 5_000, 2_000
MAINTENANCE, EXTERNAL = KEY[KeyUsage.FILE_MAINTENANCE], KEY[KeyUsage.EXTERNAL_AUTHENTICATION]
FILES = (FID_PLAIN, FID_PIN, FID_EXTERNAL, FID_MAC, FID_ENCIPHERED, FID_BOTH)
PINS = [PIN, bytes.fromhex("9876"), bytes.fromhex("123F")]
AMOUNTS = st.one_of(st.integers(0, 900), st.sampled_from([LIMIT, DAY, DAY + 1]))
TEARS = st.one_of(
    st.none(),
    st.none(),
    st.tuples(st.integers(0, 14), st.sampled_from(["before", "inside", "last byte", "after"])),
)
DAYS = ["20180901", "20180902", "20180903"]


@dataclass(frozen=True)
class Purse:
    """One purse in the words of a ledger."""

    balance: int = 0
    online: int = 0
    offline: int = 0
    limit: int = 0
    day: int = 0
    spent: int = 0


@dataclass(frozen=True)
class State:
    """What must outlive the loss of power."""

    purses: tuple[Purse, Purse] = (Purse(), Purse())
    pin: bytes = PIN
    pin_tries: int = 3
    external_tries: int = 3
    mac_tries: int = 3
    reload_tries: int = 3
    blocked: bool = False
    files: tuple[bytes, ...] = (bytes(20),) * len(FILES)
    log: tuple[tuple[int, int, int], ...] = ()  # newest first: type, counter, amount


def look(reader: Reader) -> State:
    """The same, cut out of the card's memory by hand."""
    cells = reader.card.memory.cells()
    bodies = {cell >> 8: data for cell, data in cells.items() if cell & 0xFF == 1}
    by_fid = {
        int.from_bytes(data[2:4], "big"): cell >> 8
        for cell, data in cells.items()
        if cell & 0xFF == 0 and cell > 0x100
    }
    secrets = [cells[by_fid[0] << 8 | 2 + n] for n in range(bodies[by_fid[0]][1])]
    tries = {record[0]: record[5] for record in secrets}
    pin = next(record for record in secrets if record[0] == 0x50)
    purses = []
    for fid in (1, 2):
        raw = bodies[by_fid[fid]]
        fields = [int.from_bytes(raw[at : at + 4], "big", signed=at == 0) for at in (0, 8, 46, 50)]
        counters = [int.from_bytes(raw[at : at + 2], "big") for at in (12, 14)]
        purses.append(Purse(fields[0], *counters, *fields[1:]))
    newest, count = bodies[by_fid[0x18]]
    log = []
    for back in range(count):
        record = cells[by_fid[0x18] << 8 | 2 + (newest - back) % 10]
        counter, amount = (int.from_bytes(part, "big") for part in (record[:2], record[5:9]))
        log.append((record[9], counter, amount))
    application = by_fid[0x1001]
    return State(
        (purses[0], purses[1]),
        pin[6 : 6 + pin[2]],
        pin[5],
        tries[10],
        tries[4],
        tries[8],
        cells.get(application << 8 | 1) == b"\x01",
        tuple(bodies[by_fid[fid]] for fid in FILES),
        tuple(log),
    )


class CosMachine(RuleBasedStateMachine):
    @initialize()
    def issue(self) -> None:
        self.reader = a_reader(PurseState(0, LIMIT, day_max_fen=DAY))
        self.state = State()
        self.forget()

    def forget(self) -> None:
        self.verified = self.granted = False

    def run(
        self, tear: tuple[int, str] | None, step: Callable[[], str], *after: State
    ) -> str | None:
        """Run a step that ends in the last state of `after`; torn, in any of them or the old one.

        Returns the status word, or None when the power failed.
        """
        memory = self.reader.card.memory
        if tear is not None:
            memory.power = Cut(*tear)
        try:
            sw = step()
        except PowerLossError:
            memory.power = None
            self.reader.card.reset()
            self.reader.select()
            self.forget()
            found = look(self.reader)
            assert found in (self.state, *after), (found, self.state, after)
            self.state = found
            return None
        memory.power = None
        expected = after[-1] if after else self.state
        assert look(self.reader) == expected
        self.state = expected
        return sw

    @rule(tear=TEARS, right=st.booleans())
    def verify(self, tear: tuple[int, str] | None, *, right: bool) -> None:
        state = self.state
        sent = state.pin if right else bytes.fromhex("000000")
        if state.blocked:
            assert self.run(tear, lambda: self.reader.verify(sent)) in ("6A81", None)
        elif not state.pin_tries:
            assert self.run(tear, lambda: self.reader.verify(sent)) in ("6983", None)
        else:
            spent = replace(state, pin_tries=state.pin_tries - 1)
            after = replace(state, pin_tries=3) if right else spent
            sw = self.run(tear, lambda: self.reader.verify(sent), spent, after)
            assert sw in (None, "9000" if right else f"63C{spent.pin_tries}")
            self.verified = sw == "9000"

    @rule(tear=TEARS, new=st.sampled_from(PINS), right=st.booleans())
    def change_pin(self, tear: tuple[int, str] | None, new: bytes, *, right: bool) -> None:
        state = self.state
        if state.blocked or not state.pin_tries:
            return
        old = state.pin if right else bytes.fromhex("000000")
        spent = replace(state, pin_tries=state.pin_tries - 1)
        after = replace(state, pin=new, pin_tries=3) if right else spent
        data = old + b"\xff" + new
        sw = self.run(tear, lambda: self.reader.send("805E0100", data), spent, after)
        assert sw in (None, "9000" if right else f"63C{spent.pin_tries}")
        if sw is not None and not right:
            self.verified = False

    @rule(tear=TEARS, new=st.sampled_from(PINS))
    def reload_pin(self, tear: tuple[int, str] | None, new: bytes) -> None:
        if self.state.blocked:
            return
        key = KEY[KeyUsage.PIN_RELOAD]
        folded = bytes(a ^ b for a, b in zip(key[:8], key[8:], strict=True))
        data = new + mac(folded, new)
        if not self.state.reload_tries:
            sw = self.run(tear, lambda: self.reader.send("805E0000", data))
            assert sw in (None, "6983")
            return
        spent = replace(self.state, reload_tries=self.state.reload_tries - 1)
        after = replace(self.state, pin=new, pin_tries=3, reload_tries=3)
        sw = self.run(tear, lambda: self.reader.send("805E0000", data), spent, after)
        assert sw in (None, "9000")

    @rule(tear=TEARS, right=st.booleans())
    def authenticate(self, tear: tuple[int, str] | None, *, right: bool) -> None:
        state = self.state
        key = EXTERNAL if right else bytes(16)

        def step() -> str:
            return self.reader.send("00820001", des3(key, self.reader.challenge()))

        if state.blocked:
            assert self.run(tear, step) in ("6A81", None)
        elif not state.external_tries:
            assert self.run(tear, step) in ("6983", None)
        else:
            spent = replace(state, external_tries=state.external_tries - 1)
            after = replace(state, external_tries=3) if right else spent
            sw = self.run(tear, step, spent, after)
            assert sw in (None, "9000" if right else f"63C{spent.external_tries}")
            self.granted = sw == "9000"

    @rule(tear=TEARS, number=st.integers(0, 2), data=st.binary(min_size=1, max_size=20))
    def update(self, tear: tuple[int, str] | None, number: int, data: bytes) -> None:
        """Files that ask for nothing, the PIN, the key."""
        state, fid = self.state, FILES[number]
        allowed = (True, self.verified, self.granted)[number]

        def step() -> str:
            return self.reader.send(f"00D6{0x60 + fid:02X}00", data)

        after = self.written(number, data) if allowed and not state.blocked else state
        sw = self.run(tear, step, after)
        expected = "6A81" if state.blocked else "9000" if allowed else "6982"
        assert sw in (None, expected)

    def written(self, number: int, data: bytes) -> State:
        files = list(self.state.files)
        files[number] = data + files[number][len(data) :]
        return replace(self.state, files=tuple(files))

    @rule(
        tear=TEARS,
        number=st.integers(3, 5),
        data=st.binary(min_size=1, max_size=20),
        right=st.booleans(),
    )
    def update_secured(
        self, tear: tuple[int, str] | None, number: int, data: bytes, *, right: bool
    ) -> None:
        state, fid = self.state, FILES[number]
        allowed = number < 5 or (self.verified and self.granted)
        wire = enciphered(MAINTENANCE, data) if fid == FID_ENCIPHERED else data

        def step() -> str:
            challenge = self.reader.challenge(4) if not state.blocked else bytes(4)
            sent = secured(f"04D6{0x60 + fid:02X}00", wire, MAINTENANCE, challenge)
            return self.reader.send((sent[:-1] + bytes((sent[-1] ^ (not right),))).hex())

        spent = self.one_try_less()
        if state.blocked:
            assert self.run(tear, step) in (None, "6A81")
        elif not allowed:
            assert self.run(tear, step) in (None, "6982")
        elif right:
            after = replace(self.written(number, data), mac_tries=3)
            assert self.run(tear, step, spent, after) in (None, "9000")
        else:
            assert self.run(tear, step, spent) in (None, "6988")

    @rule(tear=TEARS, on=st.booleans())
    def block(self, tear: tuple[int, str] | None, *, on: bool) -> None:
        state = self.state
        if not on and not state.blocked:
            return
        header = "841E0000" if on else "84180000"

        def step() -> str:
            sent = secured(header, b"", MAINTENANCE, self.reader.challenge(8))
            return self.reader.send(sent.hex())

        if on:
            assert self.run(tear, step, replace(state, blocked=True)) in (None, "9000")
        elif not state.mac_tries:
            assert self.run(tear, step) in (None, "6983")
        else:
            after = replace(state, mac_tries=3, blocked=False)
            assert self.run(tear, step, self.one_try_less(), after) in (None, "9000")

    def one_try_less(self) -> State:
        """With its last try the maintenance key blocks the application."""
        left = self.state.mac_tries - 1
        return replace(self.state, mac_tries=left, blocked=self.state.blocked or not left)

    @rule(tear=TEARS, p2=st.sampled_from([1, 2]), amount=AMOUNTS, day=st.sampled_from(DAYS))
    def load(self, tear: tuple[int, str] | None, p2: int, amount: int, day: str) -> None:
        purse = self.state.purses[p2 - 1]
        refused = self.locked(p2) or ("9402" if purse.balance + amount > LIMIT else None)
        today = int(day, 16)
        after = replace(purse, balance=purse.balance + amount, online=purse.online + 1)
        if today < purse.day:
            after = replace(after, day=today, spent=0)
        time = day + "120000"
        host = Host(self.reader, p2)
        self.settle(tear, p2, lambda: host.load(amount, time=time), refused, after, p2, amount)

    @rule(tear=TEARS, p2=st.sampled_from([1, 2]), amount=AMOUNTS, day=st.sampled_from(DAYS))
    def purchase(self, tear: tuple[int, str] | None, p2: int, amount: int, day: str) -> None:
        purse, today = self.state.purses[p2 - 1], int(day, 16)
        spent = amount + (purse.spent if today <= purse.day else 0)
        refused = self.locked(p2)
        refused = refused or ("9402" if amount > DAY else None)
        refused = refused or ("9401" if amount > purse.balance + purse.limit else None)
        refused = refused or ("9402" if spent > DAY else None)
        after = replace(
            purse,
            balance=purse.balance - amount,
            offline=purse.offline + 1,
            day=max(today, purse.day),
            spent=spent,
        )
        time = day + "120000"
        host = Host(self.reader, p2)

        def step() -> str:
            return host.purchase(amount, time=time)

        self.settle(tear, p2, step, refused, after, 4 + p2, amount)

    @rule(tear=TEARS, amount=AMOUNTS)
    def unload(self, tear: tuple[int, str] | None, amount: int) -> None:
        purse = self.state.purses[0]
        refused = self.locked(1) or ("9401" if amount > purse.balance else None)
        after = replace(purse, balance=purse.balance - amount, online=purse.online + 1)
        host = Host(self.reader, 1)
        self.settle(tear, 1, lambda: host.unload(amount), refused, after, 3, amount)

    @rule(tear=TEARS, limit=st.integers(0, 900))
    def overdraft(self, tear: tuple[int, str] | None, limit: int) -> None:
        purse = self.state.purses[0]
        refused = self.locked(1) or ("9402" if limit < -purse.balance else None)
        after = replace(purse, limit=limit, online=purse.online + 1)
        host = Host(self.reader, 1)
        self.settle(tear, 1, lambda: host.overdraft(limit), refused, after, 7, limit)

    def locked(self, p2: int) -> str | None:
        if self.state.blocked:
            return "6A81"
        return "6982" if p2 == 1 and not self.verified else None

    def settle(
        self,
        tear: tuple[int, str] | None,
        p2: int,
        step: Callable[[], str],
        refused: str | None,
        purse: Purse,
        kind: int,
        amount: int,
    ) -> None:
        state = self.state
        old = state.purses[p2 - 1]
        counter = old.online if purse.online != old.online else old.offline
        purses = (purse, state.purses[1]) if p2 == 1 else (state.purses[0], purse)
        log = ((kind, counter, amount), *state.log)[:10]
        after = state if refused else replace(state, purses=purses, log=log)
        assert self.run(tear, step, after) in (None, refused or "9000")

    @rule()
    def come_back(self) -> None:
        self.reader.reset()
        self.forget()

    @rule()
    def select_again(self) -> None:
        self.reader.select()
        self.forget()

    @rule()
    def keep_as_an_image(self) -> None:
        self.reader = Reader(self.reader.card.image(), self.reader.card._random)
        self.forget()

    @rule(noise=st.binary(max_size=30))
    def say_anything(self, noise: bytes) -> None:
        assert len(self.reader.card.transmit(noise)) >= 2
        found = look(self.reader)
        # A lucky VERIFY or UPDATE of the free file is a command like any other.
        same = replace(found, pin_tries=self.state.pin_tries, files=self.state.files)
        assert same == self.state
        self.state = found
        self.reader.select()
        self.forget()

    @invariant()
    def card_and_model_agree(self) -> None:
        if not hasattr(self, "state"):
            return
        assert look(self.reader) == self.state
        if self.state.blocked:
            return
        for p2, purse in enumerate(self.state.purses, start=1):
            shown = f"{purse.balance + purse.limit:08X}9000"
            open_to = p2 == 2 or self.verified
            assert Host(self.reader, p2).balance() == (shown if open_to else "6982")


TestCosMachine = CosMachine.TestCase
TestCosMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
