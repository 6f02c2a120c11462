"""Attacks with a client's own certificate: what its duty, usages, terminals and PSAMs do not give.

Each is tried over the socket against keys in memory and, where SoftHSM2 is there, in a token.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Self

import pytest

from cardcore.apdu import CommandApdu
from cardcore.crypto.cryptograms import load_mac1_message, load_mac2_message
from cardcore.errors import (
    KeyRightError,
    KeyServiceError,
    KeyServiceUnavailableError,
    KeyUsageError,
)
from cardcore.keys import KeyRef, KeyUsage
from cardcore.records.kinds import TransactionType
from hsm_sim.keys.masters import MasterKeys
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import published_key
from hsm_sim.psam import KeySlot, PsamKeyType, make_psam
from hsm_sim.psam.image import decode_image
from hsm_sim.wire.access import budgets
from hsm_sim.wire.access.budgets import Budgets
from hsm_sim.wire.access.duties import DUTIES, Duty
from hsm_sim.wire.access.rights import Permit, Rights
from hsm_sim.wire.access.rights_file import read_rights
from hsm_sim.wire.codec import messages
from hsm_sim.wire.events import EventKind
from hsm_sim.wire.psams import HostedPsams
from tests.hsm_sim.psam import psams
from tests.hsm_sim.token.softhsm import needs_softhsm, softhsm
from tests.hsm_sim.wire.access.test_rights import gives, is_given
from tests.hsm_sim.wire.key_server import a_key_server

LOAD = KeyRef(KeyUsage.LOAD, psams.LABEL, 1)
PURCHASE = psams.PURCHASE
SESSION = bytes(8)
#: Terminal 04 09 00 01 00 01 is the bus's own.
OWN, OTHER = psams.PROFILE.terminal, "040900010002"
BUS = f"""
[[right]]
who = "user:{os.geteuid()}"
duties = ["psam"]
labels = ["shenzhen", "shenzhen-social-0a"]
terminals = ["{OWN}"]
psams = ["{psams.PROFILE.number}"]
"""
DEPOT = BUS.replace('["psam"]', '["psam-depot"]')
HOST = f"""
[[right]]
who = "user:{os.geteuid()}"
duties = ["load"]
labels = ["shenzhen"]
terminals = ["0409*"]
"""


def mac1(terminal: str = OWN) -> bytes:
    return load_mac1_message(0, 100_000, TransactionType.LOAD, bytes.fromhex(terminal))


def mac2(terminal: str = OWN) -> bytes:
    time = psams.TIME
    return load_mac2_message(100_000, TransactionType.LOAD, bytes.fromhex(terminal), time)


def for_a_terminal(masters: MasterKeys, *further: KeySlot) -> bytes:
    """An image as a depot makes it."""
    return make_psam(psams.PROFILE, masters, further, usages=(KeyUsage.PURCHASE,)).image()


@pytest.fixture(scope="module", params=["memory", pytest.param("token", marks=needs_softhsm)])
def masters(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MasterKeys]:
    if request.param == "memory":
        yield psams.VAULT
        return
    with softhsm(tmp_path_factory.mktemp("softhsm")) as tokens, tokens.empty_token() as held:
        for each in psams.VAULT.descriptions():
            if held.can_hold(each.algorithm):
                held.install(each.ref, published_key(each.ref), each.algorithm)
        held.install(LOAD, published_key(LOAD))
        yield held


class Bus:
    """A key service with these rights, asked by the one client there is."""

    def __init__(self, folder: Path, masters: MasterKeys, rights: str) -> None:
        self._places = ExitStack()
        served = self._places.enter_context(
            a_key_server(
                folder,
                psams.VAULT,
                masters=masters,
                service=KeyOperations(masters),
                rights=read_rights(rights),
            )
        )
        self.served = served
        self.keys = served.service()
        self._places.callback(self.keys.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._places.close()


def test_a_bus_puts_no_money_on_a_card(tmp_path: Path, masters: MasterKeys) -> None:
    """Its certificate asked a session MAC under the load key, and 1,000 yuan were on the card."""
    with Bus(tmp_path, masters, BUS) as bus:
        for ref in (LOAD, LOAD._replace(usage=KeyUsage.PURCHASE)):
            with pytest.raises(KeyRightError, match="may not do session_mac, the duty load"):
                bus.keys.session_mac(ref, psams.FACTOR, SESSION, mac2())
            with pytest.raises(KeyRightError, match="may not do verify_session_mac"):
                bus.keys.verify_session_mac(ref, psams.FACTOR, SESSION, mac1(), bytes(4))


def test_nobody_makes_a_mac_of_a_purchase_which_is_a_psams(
    tmp_path: Path, masters: MasterKeys
) -> None:
    with Bus(tmp_path, masters, HOST) as host:
        with pytest.raises(KeyRightError, match="with purchase keys"):
            host.keys.session_mac(PURCHASE, psams.FACTOR, SESSION, mac2())
        with pytest.raises(KeyRightError, match="with purchase keys"):
            host.keys.verify_session_mac(PURCHASE, psams.FACTOR, SESSION, mac1(), bytes(4))
    with pytest.raises(KeyUsageError, match="may not open a session"):
        KeyOperations(masters).session_mac(PURCHASE, psams.FACTOR, SESSION, mac2())


def test_a_load_host_loads_at_its_own_terminals_and_makes_no_cards_mac(
    tmp_path: Path, masters: MasterKeys
) -> None:
    with Bus(tmp_path, masters, HOST) as host:
        assert len(host.keys.session_mac(LOAD, psams.FACTOR, SESSION, mac2())) == 4
        with pytest.raises(KeyRightError, match="for terminal 990900010001"):
            host.keys.session_mac(LOAD, psams.FACTOR, SESSION, mac2("990900010001"))
        with pytest.raises(KeyRightError, match="for terminal 990900010001"):
            host.keys.verify_session_mac(
                LOAD, psams.FACTOR, SESSION, mac1("990900010001"), bytes(4)
            )
        # MAC1 is the card's: whoever makes it plays a card that has money.
        for data in (mac1(), b"", mac2() + b"\x00"):
            with pytest.raises(KeyRightError, match="no message of a load"):
                host.keys.session_mac(LOAD, psams.FACTOR, SESSION, data)


def test_a_bus_blocks_no_application_and_unblocks_no_pin_through_its_psam(
    tmp_path: Path, masters: MasterKeys
) -> None:
    """Through a hosted PSAM it had delivered maintenance and PIN unblock keys of any card."""
    with Bus(tmp_path, masters, BUS) as bus:
        psam = bus.keys.wake_psam(for_a_terminal(masters))
        assert psam.transmit(psams.initialise().encode())[-2:] == b"\x90\x00"
        for kind in PsamKeyType:
            for version in (1, 2, 4, 5):
                deliver = CommandApdu(0x80, 0x1A, 0x20 | kind, version, psams.FACTOR)
                assert psam.transmit(deliver.encode()).hex() in {"6982", "6a88"}
        held = {slot.ref.usage for slot, _ in decode_image(psam.image()).keys}
        # Of maintenance keys its own, which opens this PSAM and nothing else.
        assert held == {KeyUsage.PURCHASE, KeyUsage.FILE_MAINTENANCE, KeyUsage.RECORD_MAC}
        for slot in psams.FURTHER:
            with pytest.raises(KeyRightError, match=f"with {slot.ref.usage} keys"):
                bus.keys.wake_psam(for_a_terminal(psams.VAULT, slot))
        pboc = KeySlot(PsamKeyType.MAC, 1, KeyRef(KeyUsage.RECORD_MAC, psams.LABEL, 1))
        with pytest.raises(KeyRightError, match="with record-mac keys, no duty gives that"):
            bus.keys.wake_psam(for_a_terminal(masters, pboc))


def test_a_bus_reads_no_holders_name_through_its_psam(tmp_path: Path, masters: MasterKeys) -> None:
    """It made one with the read key as a further one, and answered for EF16 of any card."""
    made = for_a_terminal(masters, KeySlot(PsamKeyType.ENCIPHER, 10, psams.READ_KEY))
    with (
        Bus(tmp_path, masters, BUS) as bus,
        pytest.raises(KeyRightError, match="the duty psam-reader or psam-service"),
    ):
        bus.keys.wake_psam(made)
    with Bus(tmp_path, masters, BUS.replace('["psam"]', '["psam-reader"]')) as desk:
        psam = desk.keys.wake_psam(made)
        deliver = CommandApdu(0x80, 0x1A, 0x20 | PsamKeyType.ENCIPHER, 10, psams.FACTOR)
        assert psam.transmit(deliver.encode()) == b"\x90\x00"


def test_a_bus_makes_and_renews_no_psam_and_a_depot_uses_none(
    tmp_path: Path, masters: MasterKeys
) -> None:
    """Made anew, its PSAM gave sequence numbers again and had forgotten its lock."""
    image = for_a_terminal(masters)
    with Bus(tmp_path, masters, BUS) as bus:
        with pytest.raises(KeyRightError, match="may not do psam_make, the duty psam-depot"):
            bus.keys.make_psam(psams.PROFILE)
        with pytest.raises(KeyRightError, match="may not do psam_renew, the duty psam-depot"):
            bus.keys.renew_psam(image)
    with Bus(tmp_path, masters, DEPOT) as depot:
        psam = depot.keys.make_psam(psams.PROFILE)
        with pytest.raises(KeyRightError, match="may not do psam_transmit, the duty psam "):
            psam.transmit(psams.initialise().encode())
        with pytest.raises(KeyRightError, match="may not do psam_wake"):
            depot.keys.wake_psam(image)


def test_what_a_depot_makes_and_renews_is_for_terminals_unless_it_names_more(
    tmp_path: Path, masters: MasterKeys
) -> None:
    pin = KeySlot(PsamKeyType.PIN_UNBLOCK, 1, KeyRef(KeyUsage.PIN_UNBLOCK, psams.LABEL, 1))
    own = {KeyUsage.PURCHASE, KeyUsage.FILE_MAINTENANCE, KeyUsage.RECORD_MAC}
    with Bus(tmp_path, masters, DEPOT) as depot:
        for further, more in (((), set()), ((pin,), {KeyUsage.PIN_UNBLOCK})):
            image = depot.keys.make_psam(psams.PROFILE, further).image()
            for each in (image, depot.keys.renew_psam(image).image()):
                assert {slot.ref.usage for slot, _ in decode_image(each).keys} == own | more


def test_a_psam_made_again_goes_on_with_its_sequence_its_tries_and_its_lock(
    tmp_path: Path, masters: MasterKeys
) -> None:
    both = BUS + DEPOT
    with Bus(tmp_path, masters, both) as town:
        given, images = [], []
        for _ in range(3):
            psam = town.keys.make_psam(psams.PROFILE)
            images.append(psam.image())
            for _ in range(5):
                given.append(psam.transmit(psams.initialise().encode())[:4])
                assert psam.transmit(psams.credit(bytes(4)).encode()) == b"\x93\x02"
        assert sorted(set(given)) == given
        # The fifteenth wrong MAC2 was one of three lives.
        for _ in range(2):
            psam = town.keys.make_psam(psams.PROFILE)
            assert psam.transmit(psams.initialise().encode()).hex() == "6a81"
        for each in images:
            with pytest.raises(KeyServiceError, match="older"):
                town.keys.wake_psam(each)


def test_every_psam_that_is_made_renewed_or_woken_up_is_in_the_log(
    tmp_path: Path, masters: MasterKeys
) -> None:
    with Bus(tmp_path, masters, BUS + DEPOT) as town:
        image = town.keys.make_psam(psams.PROFILE).image()
        town.keys.wake_psam(town.keys.renew_psam(image).image())
        told = [(event.what.en, event.why.en) for event in town.served.said(EventKind.DONE)]
    assert [what for what, _ in told] == ["psam_make", "psam_renew", "psam_wake"]
    for _, why in told:
        assert why == (
            f"PSAM {psams.PROFILE.number} at terminal {OWN}, label shenzhen, image 0, keys "
            "file-maintenance, purchase, record-mac"
        )


def test_a_client_that_wakes_its_psam_again_and_again_fills_no_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budgets, "PSAMS_A_DAY", 5)
    taken = Budgets(lambda: date(2026, 9, 1))
    for _ in range(5):
        taken.spend_psam("certificate:bus-7")
    with pytest.raises(KeyRightError, match="bus-7: PSAMs got power 5 times"):
        taken.spend_psam("certificate:bus-7")
    taken.spend_psam("certificate:bus-8")


def test_a_bus_chooses_no_other_terminal_and_no_other_psam(
    tmp_path: Path, masters: MasterKeys
) -> None:
    strangers = (
        replace(psams.PROFILE, terminal=OTHER),
        replace(psams.PROFILE, number="00000000040900010002"),
    )
    with Bus(tmp_path, masters, BUS) as bus:
        for profile in strangers:
            image = make_psam(profile, masters, usages=(KeyUsage.PURCHASE,)).image()
            with pytest.raises(KeyRightError, match="may not do psam_wake for terminal"):
                bus.keys.wake_psam(image)
    with Bus(tmp_path, masters, DEPOT) as depot:
        for profile in strangers:
            image = make_psam(profile, masters, usages=(KeyUsage.PURCHASE,)).image()
            with pytest.raises(KeyRightError, match="may not do psam_make for terminal"):
                depot.keys.make_psam(profile)
            with pytest.raises(KeyRightError, match="may not do psam_renew for terminal"):
                depot.keys.renew_psam(image)


def test_a_psams_handle_is_good_for_nobody_but_its_client() -> None:
    room = HostedPsams()
    made = room.make(Permit("certificate:bus-7"), psams.VAULT, psams.PROFILE, ())
    for act in (
        lambda: room.transmit(Permit("certificate:bus-8"), made.answer, b"", 0),
        lambda: room.reset(Permit("certificate:bus-8"), made.answer),
    ):
        with pytest.raises(KeyServiceUnavailableError, match="wake it up"):
            act()
    room.reset(Permit("certificate:bus-7"), made.answer)


def test_two_rights_that_each_lack_something_do_not_make_one() -> None:
    """A duty over one label and another duty over another: usage and label come from one right."""
    text = """
    [[right]]
    who = "certificate:clearing-1"
    duties = ["load"]
    labels = ["shenzhen"]
    terminals = ["0409*"]
    [[right]]
    who = "certificate:clearing-1"
    duties = ["card-maintenance"]
    labels = ["demo"]
    """
    rights = read_rights(text)
    ask = messages.SESSION_MAC
    assert is_given(rights, ask, LOAD, psams.FACTOR, SESSION, mac2())
    elsewhere = LOAD._replace(label="demo")
    assert not is_given(rights, ask, elsewhere, psams.FACTOR, SESSION, mac2())
    assert not is_given(rights, ask, LOAD, psams.FACTOR, SESSION, mac2("990000000001"))
    assert not is_given(rights, ask, PURCHASE, psams.FACTOR, SESSION, mac2())


@pytest.mark.parametrize("usage", KeyUsage)
@pytest.mark.parametrize("duty", Duty)
def test_no_duty_gives_an_operation_with_a_usage_that_is_not_in_the_matrix(
    duty: Duty, usage: KeyUsage
) -> None:
    """Every operation that names a key, asked with every usage."""
    ref = KeyRef(usage, psams.LABEL, 1)
    rights: Rights = gives(duty)
    for operation in messages.OPERATIONS.values():
        values = {
            "ref": ref,
            "refs": (ref,),
            "data": mac1() if operation is messages.VERIFY_SESSION_MAC else mac2(),
        }
        parameters = [parameter for parameter, _ in operation.parameters]
        if not {"ref", "refs"} & set(parameters):
            continue
        arguments = [values.get(each) for each in parameters]
        if (operation, usage) == (messages.VERIFY_SESSION_MAC, KeyUsage.PURCHASE):
            arguments[parameters.index("data")] = bytes(4)
        wanted = usage in DUTIES[duty].get(operation, ())
        assert is_given(rights, operation, *arguments) == wanted, (operation.name, usage)
