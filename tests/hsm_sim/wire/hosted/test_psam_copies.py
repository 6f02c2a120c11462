"""An image of a PSAM is anybody's to copy: none gives a number twice, and the second is found."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from cardcore.apdu import ResponseApdu
from cardcore.errors import KeyServiceError, KeyServiceUnavailableError
from hsm_sim.psam import SEQUENCES_RESERVED
from hsm_sim.wire.access.rights import Permit
from hsm_sim.wire.counters import PSAMS, PsamCounters
from hsm_sim.wire.psams import HostedPsams
from tests.hsm_sim.psam.psams import (
    PROFILE,
    VAULT,
    card_mac2,
    credit,
    initialise,
    pay_with_forged_card,
    sequence_of,
)

OURS = Permit("user:7")
OLDER = r"PSAM 00000000040900010001: image \d+ is older than \d+.*second copy"


class Client:
    """A terminal's program: it stores the image of every answer, and wakes its PSAM up from it."""

    def __init__(self, room: HostedPsams, image: bytes) -> None:
        self.room, self.image = room, image
        self.handle = b""
        self.generation = 0

    def wake(self) -> None:
        said = self.room.wake(OURS, VAULT, self.image)
        self.handle, self.generation, self.image = said.answer, said.generation, said.image

    def send(self, command: bytes) -> ResponseApdu:
        if not self.handle:
            self.wake()
        try:
            said = self.room.transmit(OURS, self.handle, command, self.generation)
        except KeyServiceUnavailableError:
            self.wake()
            said = self.room.transmit(OURS, self.handle, command, self.generation)
        self.generation = said.generation
        self.image = said.image or self.image
        return ResponseApdu.decode(said.answer)

    def transmit(self, command: bytes) -> bytes:
        return self.send(command).encode()

    def purchase(self) -> int:
        sequence = sequence_of(self.send(initialise().encode()))
        assert self.send(credit(card_mac2(sequence)).encode()).sw in (0x9000, 0x6985)
        return sequence


@pytest.fixture
def room(tmp_path: Path) -> Iterator[HostedPsams]:
    counters = PsamCounters(tmp_path / PSAMS)
    yield HostedPsams(counters=counters)
    counters.close()


def a_client(room: HostedPsams) -> Client:
    return Client(room, room.make(OURS, VAULT, PROFILE, ()).image)


def test_an_image_that_was_rolled_back_does_not_wake_up(room: HostedPsams) -> None:
    client = a_client(room)
    old = client.image
    given = [client.purchase() for _ in range(SEQUENCES_RESERVED + 2)]
    for use in (room.wake, room.renew):
        with pytest.raises(KeyServiceError, match=OLDER):
            use(OURS, VAULT, old)
    # Whoever holds the newest goes on, and was not disturbed.
    assert client.purchase() == given[-1] + 1


def test_tries_that_were_spent_are_not_given_back_by_an_older_image(room: HostedPsams) -> None:
    client = a_client(room)
    old = client.image
    for _ in range(2):
        pay_with_forged_card(client)  # type: ignore[arg-type]
    client.purchase()
    with pytest.raises(KeyServiceError, match=OLDER):
        room.wake(OURS, VAULT, old)


def test_of_two_copies_that_run_one_is_refused_behind_the_second_sequence(
    room: HostedPsams,
) -> None:
    one = a_client(room)
    two = Client(room, one.image)
    given = [one.purchase()]
    with pytest.raises(KeyServiceError, match=OLDER):
        two.purchase()
    given.append(one.purchase())
    assert given == [1, 2]


def test_copies_that_take_turns_give_no_number_twice_and_end_with_the_first_that_goes_on(
    room: HostedPsams,
) -> None:
    one = a_client(room)
    two = Client(room, one.image)
    given = []
    for _ in range(5):
        # Never a second command behind a number, so nobody shows that he holds the newest.
        given += [sequence_of(each.send(initialise().encode())) for each in (one, two)]
    given.append(one.purchase())
    assert given == sorted(set(given))
    with pytest.raises(KeyServiceError, match=OLDER):
        two.send(initialise().encode())
    assert one.purchase() == given[-1] + 1


def test_an_answer_that_was_lost_costs_numbers_and_no_psam(room: HostedPsams) -> None:
    client = a_client(room)
    client.wake()
    said = room.transmit(OURS, client.handle, initialise().encode(), client.generation)
    lost = sequence_of(ResponseApdu.decode(said.answer))
    assert client.purchase() > lost  # the same handle
    again = Client(room, client.image)
    room.transmit(OURS, client.handle, initialise().encode(), client.generation)
    assert again.purchase() > lost + 1


def test_the_count_outlives_the_service(tmp_path: Path) -> None:
    counters = PsamCounters(tmp_path / PSAMS)
    client = a_client(HostedPsams(counters=counters))
    old = client.image
    given = [client.purchase() for _ in range(3)]
    counters.close()
    counters = PsamCounters(tmp_path / PSAMS)
    client.room = HostedPsams(counters=counters)
    with pytest.raises(KeyServiceError, match=OLDER):
        client.room.wake(OURS, VAULT, old)
    assert client.purchase() > given[-1]
    counters.close()


def test_a_stale_image_takes_no_power_from_the_psam_that_runs(room: HostedPsams) -> None:
    client = a_client(room)
    old = client.image
    client.purchase()
    sequence = sequence_of(client.send(initialise().encode()))
    with pytest.raises(KeyServiceError, match=OLDER):
        room.wake(OURS, VAULT, old)
    assert client.send(credit(card_mac2(sequence)).encode()).sw == 0x9000


def test_psams_of_other_numbers_are_counted_apart(room: HostedPsams) -> None:
    clients = [
        Client(room, room.make(OURS, VAULT, replace(PROFILE, number=f"{number:020}"), ()).image)
        for number in (1, 2)
    ]
    for _ in range(3):
        assert {each.purchase() for each in clients} in ({1}, {2}, {3})


class Copies(RuleBasedStateMachine):
    """Any number of copies of one image, used, stored, woken up, and a service that restarts."""

    @initialize()
    def start(self) -> None:
        self.counters = PsamCounters()
        self.room = HostedPsams(counters=self.counters)
        self.clients = [a_client(self.room)]
        self.given: list[int] = []

    @rule(which=st.integers(0, 5))
    def copy(self, which: int) -> None:
        source = self.clients[which % len(self.clients)]
        self.clients.append(Client(self.room, source.image))

    @rule(which=st.integers(0, 5), pays=st.booleans())
    def use(self, which: int, *, pays: bool) -> None:
        client = self.clients[which % len(self.clients)]
        try:
            answer = client.send(initialise().encode())
            assert answer.sw == 0x9000
            self.given.append(sequence_of(answer))
            if pays:
                client.send(credit(card_mac2(self.given[-1])).encode())
        except KeyServiceError:
            return
        assert len(set(self.given)) == len(self.given)

    @rule(which=st.integers(0, 5))
    def answer_is_lost(self, which: int) -> None:
        client = self.clients[which % len(self.clients)]
        if client.handle:
            try:
                said = self.room.transmit(
                    OURS, client.handle, initialise().encode(), client.generation
                )
            except KeyServiceUnavailableError:
                return
            self.given.append(sequence_of(ResponseApdu.decode(said.answer)))
            assert len(set(self.given)) == len(self.given)

    @rule()
    def service_restarts(self) -> None:
        self.room = HostedPsams(counters=self.counters)
        for client in self.clients:
            client.room = self.room

    def teardown(self) -> None:
        if hasattr(self, "counters"):
            self.counters.close()


TestCopies = Copies.TestCase
TestCopies.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
