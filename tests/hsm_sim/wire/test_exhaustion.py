"""Attacks on the room of the service: places, handshakes, the log. Work goes on through them."""

import socket
import ssl
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from cardcore.errors import KeyServiceError
from cardcore.keys import KeyUsage, TacColumn
from cardcore.text import Text
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.codec import values
from hsm_sim.wire.events import A_KIND_A_MINUTE, Event, EventKind, EventRate
from hsm_sim.wire.links.addresses import TlsAddress
from hsm_sim.wire.links.listeners import listen_tls
from hsm_sim.wire.links.tls import server_context
from hsm_sim.wire.server import ServerLimits
from tests.hsm_sim.wire.key_server import (
    FACTOR,
    LABEL,
    a_column,
    a_key_server,
    a_vault,
    card_ref,
)
from tests.hsm_sim.wire.links.certificates import SERVICE, Authority, Paper
from tests.support.patience import SOON_S

VAULT = a_vault()
LOCAL = KeyOperations(VAULT)
COLUMN = a_column(300)
PROVEN = LOCAL.prove_tacs(LABEL, COLUMN)
LOG_BYTES_MAX = 150_000


def test_raw_connections_by_the_hundred_stop_no_channel_no_clearing_and_fill_no_log(
    tmp_path: Path,
) -> None:
    """The intruder has an address and no certificate. He comes faster than anybody can shake hands,
    and holds what he gets.
    """
    city = Authority(tmp_path, "city")
    server = city.issue("keys", usages=SERVICE)
    bureau, clearing = (city.issue(name) for name in ("bureau", "clearing"))
    context = server_context(server.certificate, server.private_key, city.path)
    listener = listen_tls("127.0.0.1", 0, context)
    rate, kept, is_over = EventRate(), list[Event](), threading.Event()
    raw_count = 0

    def client(paper: Paper) -> RemoteKeyService:
        return RemoteKeyService(
            TlsAddress("127.0.0.1", listener.port, paper.certificate, paper.private_key, city.path),
            SOON_S,
        )

    def attack() -> None:
        nonlocal raw_count
        with ExitStack() as held:
            while not is_over.is_set() and raw_count < 900:
                try:
                    stream = socket.create_connection(("127.0.0.1", listener.port), timeout=SOON_S)
                except OSError:
                    continue
                held.callback(stream.close)
                if raw_count % 3:
                    stream.close()
                raw_count += 1

    limits = ServerLimits(connections_a_client=4, unproven_max=16)
    with a_key_server(tmp_path, VAULT, limits=limits, further=(listener,)) as served:
        service, prover = client(bureau), client(clearing)
        channel = service.open_channel(LABEL, 1, FACTOR, bytes(16))
        expected = LOCAL.open_channel(LABEL, 1, FACTOR, bytes(16)).cryptogram(0)
        intruder = threading.Thread(target=attack)
        intruder.start()
        for _ in range(12):
            assert channel.cryptogram(0) == expected
            assert prover.prove_tacs(LABEL, COLUMN) == PROVEN
        intruder.join(SOON_S)
        for _ in range(3):
            assert channel.cryptogram(0) == expected
        is_over.set()
        assert raw_count >= 300
        service.close()
        prover.close()
    for event in served.events:
        kept += rate.passed(event)
    assert len(served.said(EventKind.TURNED_AWAY)) > A_KIND_A_MINUTE
    assert sum(len(event.reason) + 400 for event in kept) < LOG_BYTES_MAX
    assert any("more left out" in event.who.en for event in kept)


def test_who_holds_most_unproven_connections_gives_way_and_a_newcomer_from_elsewhere_does_not(
    tmp_path: Path,
) -> None:
    city = Authority(tmp_path, "city")
    server, mine = city.issue("keys", usages=SERVICE), city.issue("clearing")
    context = server_context(server.certificate, server.private_key, city.path)
    listener = listen_tls("127.0.0.1", 0, context)
    limits = ServerLimits(unproven_max=8)
    ours = ssl.create_default_context(cafile=str(city.path))
    ours.load_cert_chain(mine.certificate, mine.private_key)
    with (
        a_key_server(tmp_path, VAULT, limits=limits, further=(listener,)),
        ExitStack() as held,
    ):
        slow = held.enter_context(
            socket.create_connection(
                ("127.0.0.1", listener.port), SOON_S, source_address=("127.0.0.3", 0)
            )
        )
        raw = [
            held.enter_context(
                socket.create_connection(
                    ("127.0.0.1", listener.port), SOON_S, source_address=("127.0.0.2", 0)
                )
            )
            for _ in range(20)
        ]
        assert raw[0].recv(1) == b""  # the oldest of the intruder's
        # The slow one has been there for longer than all of them, and shakes hands only now.
        with ours.wrap_socket(slow, server_hostname="127.0.0.1") as secured:
            assert secured.version() == "TLSv1.3"


def test_a_client_with_a_certificate_that_takes_all_its_places_takes_no_others(
    tmp_path: Path,
) -> None:
    city = Authority(tmp_path, "city")
    server = city.issue("keys", usages=SERVICE)
    mine, greedy = (city.issue(name) for name in ("clearing", "greedy"))
    context = server_context(server.certificate, server.private_key, city.path)
    listener = listen_tls("127.0.0.1", 0, context)
    limits = ServerLimits(connections_a_client=3, connections_max=8)

    def client(paper: Paper) -> RemoteKeyService:
        address = TlsAddress(
            "127.0.0.1", listener.port, paper.certificate, paper.private_key, city.path
        )
        return RemoteKeyService(address, SOON_S)

    with a_key_server(tmp_path, VAULT, limits=limits, further=(listener,)):
        ours = client(mine)
        channel = ours.open_channel(LABEL, 1, FACTOR, bytes(16))
        others = [client(greedy) for _ in range(12)]
        for each in others:
            assert each.check_value(card_ref(KeyUsage.TAC), FACTOR)
        assert len(channel.cryptogram(0)) == 8
        for each in (*others, ours):
            each.close()


@pytest.mark.parametrize("rows", [values.COLUMN_ROWS_MAX + 1, 2_000_000])
def test_a_column_longer_than_the_bound_is_refused_by_the_server_itself(rows: int) -> None:
    column = TacColumn(bytes(rows), bytes(rows), bytes(8 * rows), bytes(rows), 1, bytes(4 * rows))
    parts: list[bytes] = []
    header = values.Tacs().write(column, parts)
    with pytest.raises(KeyServiceError, match="at most 1000000 rows"):
        values.Tacs().read(header, iter(parts))


def test_more_keys_than_a_card_has_are_refused_in_one_request() -> None:
    refs = [card_ref(KeyUsage.TAC)] * (values.KEYS_MAX + 1)
    with pytest.raises(KeyServiceError, match="at most 256 keys"):
        values.Names().from_json(values.Names().to_json(refs))


def test_a_flood_of_one_client_is_counted_and_the_refusals_of_others_and_alarms_are_kept() -> None:
    now = [0.0]
    rate = EventRate(lambda: now[0])
    bad = Event(EventKind.REFUSED, Text("甲", "commonName=bad at 127.0.0.1:5"))
    kept = [each for _ in range(200) for each in rate.passed(bad)]
    assert len(kept) == 60
    good = replace(bad, who=Text("乙", "commonName=good at 127.0.0.1:6"))
    assert rate.passed(good) == [good]
    alarm = replace(bad, kind=EventKind.ALARM)
    assert rate.passed(alarm) == [alarm]
    now[0] = 61.0
    said, first = rate.passed(good)
    assert (said.kind, said.who.en, first) == (EventKind.REFUSED, "140 more left out", good)
