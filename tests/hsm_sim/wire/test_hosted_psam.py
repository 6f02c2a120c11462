"""A PSAM in the server answers as one in the terminal, and loses power with the server."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.apdu import ResponseApdu
from cardcore.errors import KeyServiceError, KeyServiceUnavailableError, UnknownKeyError
from cardcore.keys import KeyUsage
from hsm_sim.psam import SEQUENCES_RESERVED, Psam, PsamProfile, make_psam
from hsm_sim.wire.access.rights import Permit
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.psams import HostedPsams
from hsm_sim.wire.remote import RemotePsam
from tests.hsm_sim.psam.psams import (
    FURTHER,
    PROFILE,
    VAULT,
    card_mac2,
    credit,
    initialise,
    sequence_of,
)
from tests.hsm_sim.wire.serving import KeyServiceProcess


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyServiceProcess]:
    with KeyServiceProcess(VAULT, tmp_path_factory.mktemp("service")) as process:
        yield process


@pytest.fixture(scope="module")
def remote(process: KeyServiceProcess) -> Iterator[RemoteKeyService]:
    service = process.service()
    yield service
    service.close()


def purchase(psam: Psam | RemotePsam) -> int:
    """One whole purchase of an honest card; its sequence number."""
    answer = ResponseApdu.decode(psam.transmit(initialise().encode()))
    sequence = sequence_of(answer)
    assert psam.transmit(credit(card_mac2(sequence)).encode()) == b"\x90\x00"
    return sequence


def test_it_answers_as_one_in_process_and_keeps_the_same_image(remote: RemoteKeyService) -> None:
    profile = numbered(77)
    there = remote.make_psam(profile, FURTHER)
    here = make_psam(profile, VAULT, FURTHER, usages=(KeyUsage.PURCHASE,))
    assert there.image() == here.image()
    for _ in range(SEQUENCES_RESERVED + 2):
        before = there.generation
        assert purchase(there) == purchase(here)
        assert there.image() == here.image()
        assert there.generation >= before
    for psam in (there, here):
        psam.reset()
        assert psam.transmit(credit(bytes(4)).encode()).hex() == "6985"


@given(command=st.binary(max_size=40))
def test_any_bytes_have_a_status_word(remote: RemoteKeyService, command: bytes) -> None:
    there = remote.make_psam(PROFILE)
    here = make_psam(PROFILE, VAULT, usages=(KeyUsage.PURCHASE,))
    # GET CHALLENGE gives dice: only its length is alike.
    if command[:2] == b"\x00\x84":
        assert len(there.transmit(command)) == len(here.transmit(command))
    else:
        assert there.transmit(command) == here.transmit(command)


def test_woken_from_its_image_it_repeats_no_sequence_number(remote: RemoteKeyService) -> None:
    psam = remote.make_psam(PROFILE)
    given_ = [purchase(psam) for _ in range(3)]
    again = remote.wake_psam(psam.image())
    assert purchase(again) > max(given_)


def test_a_server_that_was_killed_is_a_power_cut_and_no_sequence_number_repeats(
    process: KeyServiceProcess, remote: RemoteKeyService
) -> None:
    psam = remote.make_psam(PROFILE)
    given_: list[int] = []
    generations = [psam.generation]
    for _ in range(3):
        given_ += [purchase(psam) for _ in range(2)]
        answer = ResponseApdu.decode(psam.transmit(initialise().encode()))
        given_.append(sequence_of(answer))
        process.restart()
        with pytest.raises(KeyServiceUnavailableError):
            psam.transmit(credit(card_mac2(given_[-1])).encode())
        # The transaction was lost with the power.
        assert psam.transmit(credit(card_mac2(given_[-1])).encode()).hex() == "6985"
        given_.append(purchase(psam))
        # Whoever stores the image when this grows stores every one.
        assert psam.generation > generations[-1]
        generations.append(psam.generation)
    assert len(set(given_)) == len(given_)
    assert given_ == sorted(given_)


def test_a_psam_whose_keys_are_not_held_is_refused(remote: RemoteKeyService) -> None:
    with pytest.raises(UnknownKeyError):
        remote.make_psam(replace(PROFILE, key_label="elsewhere"))


def test_an_image_altered_anywhere_wakes_nothing(remote: RemoteKeyService) -> None:
    image = remote.make_psam(PROFILE).image()
    for place in range(0, len(image), 5):
        altered = bytearray(image)
        altered[place] ^= 1
        for use in (remote.wake_psam, remote.renew_psam):
            with pytest.raises(KeyServiceError):
                use(bytes(altered))
    for damaged in (b"", image[:-1], image + b"\x00"):
        for use in (remote.wake_psam, remote.renew_psam):
            with pytest.raises(KeyServiceError):
                use(damaged)


def test_the_psam_not_used_for_longest_loses_power_when_there_are_too_many() -> None:
    room, ours = HostedPsams(psams_a_client=2), Permit("user:7")
    one, two = (room.make(ours, VAULT, numbered(number), ()).answer for number in (1, 2))
    room.reset(ours, one)
    three = room.make(ours, VAULT, numbered(3), ()).answer
    for handle in (one, three):
        room.reset(ours, handle)
    for gone in (two, bytes(16)):
        with pytest.raises(KeyServiceUnavailableError, match="wake it up"):
            room.transmit(ours, gone, b"", 0)
    assert len({one, two, three}) == 3


def test_a_client_that_makes_too_many_psams_evicts_its_own_and_nobody_elses() -> None:
    room = HostedPsams(psams_a_client=2)
    theirs = room.make(Permit("user:8"), VAULT, numbered(9), ()).answer
    for number in range(1, 6):
        room.make(Permit("user:7"), VAULT, numbered(number), ())
    room.reset(Permit("user:8"), theirs)


def numbered(number: int) -> PsamProfile:
    return replace(PROFILE, number=f"{number:020}")


def test_its_representation_shows_no_handle(remote: RemoteKeyService, tmp_path: Path) -> None:
    del tmp_path
    assert repr(remote.make_psam(PROFILE)) == "RemotePsam(generation 0)"
