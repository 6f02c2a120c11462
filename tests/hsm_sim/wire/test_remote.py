"""The port over a socket: every operation gives what it gives in process."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cardcore.crypto import signatures
from cardcore.errors import (
    CardcoreError,
    CryptogramError,
    KeyServiceUnavailableError,
    KeyStateError,
    KeyUsageError,
    UnknownKeyError,
    UnknownKeyVersionError,
)
from cardcore.keys import (
    Algorithm,
    IssuerChannelKeys,
    KeyRef,
    KeyService,
    KeyUsage,
    TacColumn,
)
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.wire import client
from hsm_sim.wire.client import RemoteKeyService, cut_column
from hsm_sim.wire.codec.frames import FRAME_BYTES_MAX, MessageError
from hsm_sim.wire.events import EventKind
from hsm_sim.wire.links.addresses import TlsAddress
from tests.hsm_sim.wire.key_server import (
    DATA,
    FACTOR,
    LABEL,
    RECORD_MAC,
    SIGNING,
    SM2_SIGNING,
    a_column,
    a_key_server,
    a_mac_column,
    a_vault,
    an_answer_column,
    card_ref,
)
from tests.hsm_sim.wire.links.certificates import SERVICE, Authority
from tests.hsm_sim.wire.serving import KeyServiceProcess, serving

VAULT = a_vault()
LOCAL = KeyOperations(VAULT)
TAC = card_ref(KeyUsage.TAC)
TWO_LEVELS = FACTOR + bytes(range(8))
INTERNAL = card_ref(KeyUsage.INTERNAL_AUTHENTICATION)
MAINTENANCE = card_ref(KeyUsage.FILE_MAINTENANCE)
PURCHASE, LOAD = card_ref(KeyUsage.PURCHASE), card_ref(KeyUsage.LOAD)
COLUMN = a_column(300)
MACS, ANSWERS = a_mac_column(300), an_answer_column(300)


@pytest.fixture(scope="module", params=["unix", "tls"])
def remote(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RemoteKeyService]:
    folder = tmp_path_factory.mktemp("service")
    if request.param == "unix":
        with serving(VAULT) as service:
            yield service
        return
    authority = Authority(folder, "city")
    server, mine = authority.issue("keys", usages=SERVICE), authority.issue("clearing")
    tls = (server.certificate, server.private_key, authority.path)
    with KeyServiceProcess(VAULT, folder, tls=tls) as process:
        address = TlsAddress(
            "127.0.0.1", process.port, mine.certificate, mine.private_key, authority.path
        )
        service = RemoteKeyService(address, 30)
        yield service
        service.close()


def outcome(act: Callable[[KeyService], object], service: KeyService) -> object:
    try:
        return act(service)
    except CardcoreError as error:
        return type(error), str(error)


def a_channel(keys: KeyService) -> IssuerChannelKeys:
    return keys.open_channel(LABEL, 1, FACTOR, bytes(16))


CALLS: list[Callable[[KeyService], object]] = [
    lambda keys: keys.describe_keys(),
    lambda keys: keys.describe_keys(KeyUsage.TAC),
    lambda keys: keys.describe_keys(label="nobody"),
    lambda keys: keys.derive_card_key(TAC, FACTOR),
    lambda keys: keys.derive_card_key(TAC, TWO_LEVELS),
    lambda keys: keys.derive_card_key(card_ref(KeyUsage.TAC, 7), FACTOR),
    lambda keys: keys.check_value(TAC, FACTOR),
    lambda keys: keys.check_value(card_ref(KeyUsage.TAC, 4), TWO_LEVELS),
    lambda keys: keys.check_value(card_ref(KeyUsage.TAC, 5), FACTOR),
    lambda keys: keys.check_value(card_ref(KeyUsage.TAC, 6), FACTOR),
    lambda keys: keys.check_value(card_ref(KeyUsage.TAC, 8), FACTOR),
    lambda keys: keys.check_value(card_ref(KeyUsage.TAC, 9), FACTOR),
    lambda keys: keys.check_value(KeyRef(KeyUsage.TAC, "elsewhere", 1), FACTOR),
    lambda keys: keys.authenticate(INTERNAL, FACTOR, bytes(range(8))),
    lambda keys: keys.authenticate(TAC, FACTOR, bytes(range(8))),
    lambda keys: keys.message_mac(MAINTENANCE, FACTOR, bytes(4), b"command"),
    lambda keys: keys.message_mac(MAINTENANCE, FACTOR, bytes(8), b""),
    lambda keys: keys.session_mac(LOAD, FACTOR, bytes(range(8)), b"amount"),
    lambda keys: keys.session_mac(card_ref(KeyUsage.LOAD, 4), FACTOR, bytes(8), b"amount"),
    lambda keys: keys.session_mac(TAC, FACTOR, bytes(8), b"amount"),
    lambda keys: keys.verify_session_mac(
        LOAD, FACTOR, bytes(8), b"m", LOCAL.session_mac(LOAD, FACTOR, bytes(8), b"m")
    ),
    lambda keys: keys.verify_session_mac(LOAD, FACTOR, bytes(8), b"m", b"0000"),
    lambda keys: keys.verify_session_mac(LOAD, FACTOR, bytes(8), b"m", b""),
    lambda keys: keys.prove_tacs(LABEL, COLUMN),
    lambda keys: keys.prove_tacs(LABEL, TacColumn(b"", b"", b"", b"", 22, b"")),
    lambda keys: keys.prove_tacs("elsewhere", COLUMN),
    lambda keys: keys.prove_record_macs(LABEL, MACS),
    lambda keys: keys.prove_record_macs("elsewhere", MACS),
    lambda keys: keys.prove_authentications(LABEL, ANSWERS),
    lambda keys: keys.prove_authentications("elsewhere", ANSWERS),
    lambda keys: keys.check_value(RECORD_MAC, FACTOR),
    lambda keys: keys.sign(SIGNING, b"a batch"),
    lambda keys: keys.sign(TAC, b"a batch"),
    lambda keys: keys.public_key(SIGNING),
    lambda keys: keys.public_key(SM2_SIGNING),
    lambda keys: keys.decipher_data(DATA, LOCAL.encipher_data(DATA, b"name", b"row"), b"row"),
    lambda keys: keys.decipher_data(DATA, LOCAL.encipher_data(DATA, b"name", b"row"), b"other"),
    lambda keys: keys.decipher_data(DATA, keys.encipher_data(DATA, b"name", b"row"), b"row"),
    lambda keys: keys.decipher_data(DATA, b"", b""),
    lambda keys: keys.open_channel(LABEL, 2, FACTOR, bytes(16)),
    lambda keys: keys.open_channel(LABEL, 1, FACTOR, bytes(range(16))).cryptogram(1),
    lambda keys: keys.open_channel(LABEL, 1, FACTOR, bytes(range(16))).command_mac(b"command"),
    lambda keys: keys.open_channel(LABEL, 1, FACTOR, bytes(range(16))).response_mac(b""),
    lambda keys: keys.open_channel(LABEL, 1, FACTOR, bytes(16)).encipher(bytes(16), bytes(48)),
    lambda keys: keys.open_channel(LABEL, 1, FACTOR, bytes(16)).decipher(bytes(16), bytes(48)),
    lambda keys: a_channel(keys).wrapped_card_keys((TAC, PURCHASE), FACTOR),
    lambda keys: a_channel(keys).wrapped_card_keys((TAC, SIGNING), FACTOR),
]


@pytest.mark.parametrize("act", CALLS, ids=range(len(CALLS)))
def test_an_operation_over_the_wire_is_the_one_in_process(
    remote: RemoteKeyService, act: Callable[[KeyService], object]
) -> None:
    assert outcome(act, remote) == outcome(act, LOCAL)


def test_the_calls_above_meet_every_error_and_every_kind_of_answer() -> None:
    met = {each[0] for each in (outcome(act, LOCAL) for act in CALLS) if isinstance(each, tuple)
           and len(each) == 2}  # fmt: skip
    refused = {UnknownKeyError, UnknownKeyVersionError, KeyUsageError, KeyStateError}
    assert refused | {CryptogramError} <= met
    assert set(LOCAL.prove_tacs(LABEL, COLUMN)) == {0, 1, 2, 3}


def test_an_sm2_signature_is_proven_under_the_public_key_in_process(
    remote: RemoteKeyService,
) -> None:
    signature = remote.sign(SM2_SIGNING, b"a batch")
    signatures.verify(Algorithm.SM2, LOCAL.public_key(SM2_SIGNING), signature, b"a batch")


def test_two_channels_keep_their_keys_apart(remote: RemoteKeyService) -> None:
    contexts = (bytes(16), bytes(range(16)))
    one, two = (remote.open_channel(LABEL, 1, FACTOR, context) for context in contexts)
    mine, yours = (LOCAL.open_channel(LABEL, 1, FACTOR, context) for context in contexts)
    for _ in range(2):
        assert one.command_mac(b"x") == mine.command_mac(b"x") != two.command_mac(b"x")
        assert two.command_mac(b"x") == yours.command_mac(b"x")
    assert "hidden" in repr(one)


@pytest.mark.parametrize("rows_max", [1, 7, 299, 300, 301])
def test_a_column_cut_into_requests_gives_the_same_answer(
    remote: RemoteKeyService, rows_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "COLUMN_ROWS_MAX", rows_max)
    column = COLUMN if rows_max > 1 else a_column(20)
    pieces = list(cut_column(column))
    assert len(pieces) == -(-len(column) // rows_max)
    assert remote.prove_tacs(LABEL, column) == LOCAL.prove_tacs(LABEL, column)
    if rows_max > 1:
        assert len(list(cut_column(MACS))) == -(-len(MACS) // rows_max)
        proven = remote.prove_record_macs(LABEL, MACS)
        assert proven == LOCAL.prove_record_macs(LABEL, MACS)
        assert set(proven) == {0, 1, 2, 3}
        answered = remote.prove_authentications(LABEL, ANSWERS)
        assert answered == LOCAL.prove_authentications(LABEL, ANSWERS)
        assert set(answered) == {0, 1, 2, 3}


def test_a_request_proves_at_most_a_million_rows_in_half_a_message() -> None:
    rows = 1_200_000
    small = TacColumn(bytes(rows), bytes(rows), bytes(8 * rows), b"", 0, bytes(4 * rows))
    assert [len(piece) for piece in cut_column(small)] == [1_000_000, 200_000]
    message = 100_000
    large = TacColumn(
        bytes(700), bytes(700), bytes(5600), bytes(700 * message), message, bytes(2800)
    )
    sizes = [len(piece.messages) for piece in cut_column(large)]
    assert sum(sizes) == 700 * message
    assert max(sizes) < FRAME_BYTES_MAX / 2


def test_a_request_too_long_for_a_message_is_refused_and_the_next_one_goes_out(
    remote: RemoteKeyService,
) -> None:
    with pytest.raises(MessageError, match="too long"):
        remote.sign(SIGNING, bytes(FRAME_BYTES_MAX))
    assert remote.public_key(SIGNING) == LOCAL.public_key(SIGNING)


def test_threads_share_a_service(remote: RemoteKeyService) -> None:
    factors = [number.to_bytes(8, "big") for number in range(40)]
    found: dict[bytes, bytes] = {}

    def work(mine: list[bytes]) -> None:
        for factor in mine:
            found[factor] = remote.check_value(TAC, factor)

    threads = [threading.Thread(target=work, args=(factors[start::20],)) for start in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {factor: LOCAL.check_value(TAC, factor) for factor in factors}


def test_a_channel_is_shared_by_threads_one_request_at_a_time(remote: RemoteKeyService) -> None:
    channel = remote.open_channel(LABEL, 1, FACTOR, bytes(16))
    expected = LOCAL.open_channel(LABEL, 1, FACTOR, bytes(16))
    wrong: list[int] = []

    def work(start: int) -> None:
        for number in range(start, start + 20):
            data = bytes((number,))
            if channel.command_mac(data) != expected.command_mac(data):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(20 * place,)) for place in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_forked_process_has_connections_of_its_own(remote: RemoteKeyService) -> None:
    expected = remote.check_value(TAC, FACTOR)
    channel = remote.open_channel(LABEL, 1, FACTOR, bytes(16))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            same = all(remote.check_value(TAC, FACTOR) == expected for _ in range(20))
            with pytest.raises(KeyServiceUnavailableError, match="channel is over"):
                channel.cryptogram(0)
            code = 0 if same else 2
        finally:
            os._exit(code)
    for _ in range(20):
        assert remote.check_value(TAC, FACTOR) == expected
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(channel.cryptogram(0)) == 8


def test_connections_go_back_and_are_used_again(tmp_path: Path) -> None:
    with a_key_server(tmp_path, VAULT) as served:
        service = served.service()
        for _ in range(20):
            service.check_value(TAC, FACTOR)
        with pytest.raises(UnknownKeyVersionError):
            service.check_value(TAC._replace(version=9), FACTOR)
        service.check_value(TAC, FACTOR)
        service.close()
        assert len(served.said(EventKind.CONNECTED)) == 1


def test_a_service_that_is_forgotten_leaves_no_socket_open(tmp_path: Path) -> None:
    with a_key_server(tmp_path, VAULT) as served:
        for _ in range(3):
            served.service().open_channel(LABEL, 1, FACTOR, bytes(16)).cryptogram(0)
            served.service().check_value(TAC, FACTOR)


def test_its_representation_names_the_address_and_no_secret(remote: RemoteKeyService) -> None:
    assert repr(remote).startswith("RemoteKeyService(")
