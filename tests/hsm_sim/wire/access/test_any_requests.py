"""Clients of different rights, any of them a thief with its certificate, ask anything.

What is answered is held against the matrix, written down here once more by hand: who got a MAC, a
key or an act of a PSAM had the right to it, and every key that left is in the log.
"""

import threading
from collections.abc import Mapping
from datetime import date
from itertools import product

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from cardcore.crypto.cryptograms import load_mac1_message, load_mac2_message
from cardcore.keys import KeyRef, KeyUsage
from cardcore.records.kinds import TransactionType
from cardcore.text import Text
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import published_vault
from hsm_sim.psam import KeySlot, PsamKeyType, PsamProfile
from hsm_sim.psam.image import decode_image
from hsm_sim.wire.access.budgets import Budgets
from hsm_sim.wire.access.duties import Operation
from hsm_sim.wire.access.rights import Peer
from hsm_sim.wire.access.rights_file import read_rights
from hsm_sim.wire.codec import messages
from hsm_sim.wire.codec.frames import decode_frame
from hsm_sim.wire.dispatch import Dispatcher, ServedKeys, Shared
from hsm_sim.wire.events import Event, EventKind
from tests.hsm_sim.psam import psams
from tests.hsm_sim.wire.key_server import FACTOR

LABELS = ("one", "two")
TERMINALS = ("040900010001", "040900010002")
NUMBERS = ("00000000040900010001", "00000000040900010002")
RIGHTS = read_rights(
    """
    [[right]]
    who = "certificate:bus"
    duties = ["psam"]
    labels = ["one"]
    terminals = ["040900010001"]
    psams = ["00000000040900010001"]
    [[right]]
    who = "certificate:bus-2"
    duties = ["psam"]
    labels = ["one"]
    terminals = ["040900010002"]
    psams = ["00000000040900010002"]
    [[right]]
    who = "certificate:depot"
    duties = ["psam-depot"]
    labels = ["one"]
    terminals = ["0409000100*"]
    psams = ["*"]
    [[right]]
    who = "certificate:load-host"
    duties = ["load"]
    labels = ["one"]
    terminals = ["040900010001"]
    [[right]]
    who = "certificate:bureau"
    duties = ["personalisation"]
    labels = ["one"]
    keys_a_day = 12
    [[right]]
    who = "certificate:maker"
    duties = ["key-release"]
    labels = ["two"]
    keys_a_day = 3
    """
)
CLIENTS = ("bus", "bus-2", "depot", "load-host", "bureau", "maker")
#: Who may have what, once more: an operation that gives something, its usages and its label.
MAY: Mapping[str, Mapping[str, tuple[set[KeyUsage], str]]] = {
    "bus": {},  # PSAMs are looked at by themselves
    "bus-2": {},
    "depot": {},
    "load-host": {"session_mac": ({KeyUsage.LOAD}, "one")},
    "bureau": {
        "check_value": (set(KeyUsage), "one"),
        "channel_wrapped_card_keys": (set(KeyUsage), "one"),
        "open_channel": (set(KeyUsage), "one"),
    },
    "maker": {
        "derive_card_key": (set(KeyUsage), "two"),
        "check_value": (set(KeyUsage), "two"),
    },
}
KEYS_A_DAY = {"bureau": 12, "maker": 3}
VAULT = published_vault(KeyRef(usage, label, 1) for usage in KeyUsage for label in LABELS)
REFS = st.builds(KeyRef, st.sampled_from(KeyUsage), st.sampled_from(LABELS), st.just(1))
PAY = psams.initialise().encode()
CARDS = st.sampled_from((FACTOR, bytes(8)))


class AnyRequests(RuleBasedStateMachine):
    """Requests go through the dispatcher as they come off the wire."""

    @initialize()
    def serve(self) -> None:
        self.events: list[Event] = []
        keys = ServedKeys(KeyOperations(VAULT), VAULT)
        shared = Shared(
            lambda: keys,
            self.events.append,
            threading.BoundedSemaphore(1),
            RIGHTS,
            budgets=Budgets(lambda: date(2026, 9, 1)),
        )
        self.desks = {
            name: Dispatcher(shared, Peer(Text(name, name), (f"certificate:{name}",)))
            for name in CLIENTS
        }
        self.released: list[tuple[str, KeyRef]] = []
        self.handles: dict[bytes, str] = {}
        #: Of each image whether it holds purchase keys only.
        self.images: dict[bytes, bool] = {}
        self.sequences: list[bytes] = []
        self.channels: dict[tuple[str, int], bytes | None] = {}
        # What everybody has at hand, so that what follows is about something.
        for terminal, number in zip(TERMINALS, NUMBERS, strict=True):
            self.make_psam("depot", terminal, number, "one", None)
        self.wake_psams()
        for _ in range(2):
            self.open_channel("bureau", "one")
        assert sorted(self.handles.values()) == ["bus", "bus-2"]
        assert len(self.channels) == 2

    def ask(self, client: str, operation: Operation, *arguments: object) -> object:
        """The answer, or None for a refusal."""
        sent = messages.encode_request(1, operation, arguments)
        answer = decode_frame(self.desks[client].answer(decode_frame(sent[4:]))[4:])
        if "error" in answer.header:
            return None
        return messages.decode_answer(answer, 1, operation)

    def judge(self, client: str, operation: Operation, *refs: KeyRef) -> None:
        usages, label = MAY[client].get(operation.name, (set(), ""))
        assert all(ref.usage in usages and ref.label == label for ref in refs), (client, operation)

    @rule(ref=REFS, card=CARDS)
    def derive(self, ref: KeyRef, card: bytes) -> None:
        for client in CLIENTS:
            if self.ask(client, messages.DERIVE_CARD_KEY, ref, card) is not None:
                self.judge(client, messages.DERIVE_CARD_KEY, ref)
                self.released.append((client, ref))

    @rule(client=st.sampled_from(CLIENTS), label=st.sampled_from(LABELS))
    def session_macs(self, client: str, label: str) -> None:
        """Of every usage, for every terminal, and both what a host and what a card makes."""
        for usage, terminal in product(KeyUsage, TERMINALS):
            ref, place = KeyRef(usage, label, 1), bytes.fromhex(terminal)
            hosts = load_mac2_message(1, TransactionType.LOAD, place, bytes(7))
            for data in (hosts, load_mac1_message(0, 1, TransactionType.LOAD, place)):
                if self.ask(client, messages.SESSION_MAC, ref, FACTOR, bytes(8), data) is not None:
                    self.judge(client, messages.SESSION_MAC, ref)
                    assert (terminal, data) == (TERMINALS[0], hosts)

    @rule(client=st.sampled_from(CLIENTS), ref=REFS)
    def other_operations(self, client: str, ref: KeyRef) -> None:
        asked: tuple[tuple[Operation, tuple[object, ...]], ...] = (
            (messages.MESSAGE_MAC, (FACTOR, bytes(4), b"")),
            (messages.AUTHENTICATE, (FACTOR, bytes(8))),
            (messages.CHECK_VALUE, (FACTOR,)),
            (messages.SIGN, (b"file",)),
            (messages.ENCIPHER_DATA, (b"", b"")),
        )
        for operation, rest in asked:
            if self.ask(client, operation, ref, *rest) is not None:
                self.judge(client, operation, ref)

    @rule(client=st.sampled_from(CLIENTS), label=st.sampled_from(LABELS))
    def open_channel(self, client: str, label: str) -> None:
        handle = self.ask(client, messages.OPEN_CHANNEL, label, 1, FACTOR, bytes(16))
        if handle is not None:
            self.judge(client, messages.OPEN_CHANNEL, KeyRef(KeyUsage.CHANNEL_ENC, label, 1))
            assert isinstance(handle, int)
            self.channels[client, handle] = None

    @rule(handle=st.integers(1, 3), refs=st.lists(REFS, min_size=1, max_size=2), card=CARDS)
    def wrap(self, handle: int, refs: list[KeyRef], card: bytes) -> None:
        operation = messages.CHANNEL_WRAPPED_CARD_KEYS
        for client in CLIENTS:
            if self.ask(client, operation, handle, tuple(refs), card) is not None:
                self.judge(client, operation, *refs)
                assert self.channels[client, handle] in {None, card}
                self.channels[client, handle] = card
                self.released += [(client, ref) for ref in refs]

    @rule(
        client=st.sampled_from(CLIENTS),
        terminal=st.sampled_from(TERMINALS),
        number=st.sampled_from(NUMBERS),
        label=st.sampled_from(LABELS),
        further=st.sampled_from([None, *KeyUsage]),
    )
    def make_psam(
        self, client: str, terminal: str, number: str, label: str, further: KeyUsage | None
    ) -> None:
        kinds = {
            KeyUsage.PIN_UNBLOCK: PsamKeyType.PIN_UNBLOCK,
            KeyUsage.FILE_MAINTENANCE: PsamKeyType.MAC,
            KeyUsage.RECORD_MAC: PsamKeyType.MAC,
            KeyUsage.EXTERNAL_AUTHENTICATION: PsamKeyType.ENCIPHER,
            KeyUsage.INTERNAL_AUTHENTICATION: PsamKeyType.ENCIPHER,
        }
        slots: tuple[KeySlot, ...] = ()
        if further is not None and further in kinds:
            slots = (KeySlot(kinds[further], 9, KeyRef(further, label, 1)),)
        days = date(2020, 1, 1), date(2040, 1, 1)
        profile = PsamProfile(terminal, number, bytes(8), *days, 1, label)
        made = self.ask(client, messages.PSAM_MAKE, profile, slots)
        if made is not None:
            assert isinstance(made, messages.PsamAnswer)
            assert (client, label) == ("depot", "one")
            assert not any(slot.ref.usage is KeyUsage.RECORD_MAC for slot in slots)
            self.images[made.image] = not slots

    @rule()
    def wake_psams(self) -> None:
        """Every image there is, by everybody: each wakes up for its own bus and nobody else."""
        for image, client in product(self.images, CLIENTS):
            woken = self.ask(client, messages.PSAM_WAKE, image)
            if woken is not None:
                assert isinstance(woken, messages.PsamAnswer)
                number = decode_image(image).profile.number
                terminal = decode_image(image).profile.terminal
                own = ("bus", "bus-2").index(client)
                assert (terminal, number) == (TERMINALS[own], NUMBERS[own])
                assert self.images[image], "nothing but purchase keys"
                self.handles[woken.answer] = client

    @rule(client=st.sampled_from(CLIENTS))
    def pay(self, client: str) -> None:
        """No sequence number comes twice, however often PSAMs are made and woken up."""
        for handle in self.handles:
            said = self.ask(client, messages.PSAM_TRANSMIT, handle, PAY, 0)
            if said is not None:
                assert isinstance(said, messages.PsamAnswer)
                number = self.handles[handle].encode()
                self.sequences.append(number + said.answer[:4])
        assert len(set(self.sequences)) == len(self.sequences)

    @rule(client=st.sampled_from(CLIENTS))
    def transmit(self, client: str) -> None:
        """Every type of key asked for in every PSAM that is there, by its client and by others."""
        for (handle, its), kind in product(self.handles.items(), PsamKeyType):
            command = bytes((0x80, 0x1A, 0x20 | kind, 1, 8)) + FACTOR
            said = self.ask(client, messages.PSAM_TRANSMIT, handle, command, 0)
            if said is not None:
                assert isinstance(said, messages.PsamAnswer)
                assert client == its
                assert said.answer != b"\x90\x00", "no key of a card is delivered to a bus"

    def teardown(self) -> None:
        told = [event for event in getattr(self, "events", []) if event.kind is EventKind.DONE]
        for client, ref in getattr(self, "released", []):
            assert any(str(ref) in e.why.en and e.who.en == client for e in told), (client, ref)
        for client, most in KEYS_A_DAY.items():
            taken = [each for each in getattr(self, "released", []) if each[0] == client]
            assert len(taken) <= most


TestAnyRequests = AnyRequests.TestCase
TestAnyRequests.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
