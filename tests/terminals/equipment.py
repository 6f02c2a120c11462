"""A small city for the terminal tests: real cards, real PSAMs, one journal, published test keys."""

import os
import tempfile
import warnings
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path

from cardcore.apdu import CommandApdu
from cardcore.applets.transit import TransitProfile, personalise
from cardcore.chip.card import Card
from cardcore.digits import encode_bcd
from cardcore.issuing.products import key_refs, shipped
from cardcore.keys import (
    Algorithm,
    InsecureKeyServiceWarning,
    KeyRef,
    KeyService,
    KeyUsage,
    ProofReason,
    TacColumn,
)
from cardcore.layouts.transit import (
    RECORD_BUS,
    RECORD_METRO,
    CardProperties,
    PublicInformation,
    TransitRecord,
    TransitStatus,
)
from cardcore.records.record import TransactionRecord, encode_record
from cardcore.records.tac import tac_message
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import issuer_key_refs, published_key, published_vault
from hsm_sim.psam import Psam, PsamProfile, make_psam
from terminals.device import NO_PSAM, Device
from terminals.journal.journal import Journal
from terminals.journal.load_log import LoadLog
from terminals.link.connection import CardConnection, InProcessConnection
from terminals.partners.load_host import LoadHost
from terminals.roles.bus import BUS
from terminals.roles.load_kiosk import KIOSK
from terminals.roles.metro_gate import ENTRY, EXIT
from terminals.roles.shop import SHOP
from terminals.tap.role import DeviceRole
from terminals.tap.terminal import Identity, Terminal, make_device, read_psam
from terminals.taps import Fare, Hotlist, Place, TapRequest, TapResult

SCHEME = SCHEMES["shenzhen"]

LABEL, SENDER = SCHEME.name, 101
NOON = datetime.fromisoformat("2018-09-01T12:00:00")
SIGNING = KeyRef(KeyUsage.FILE_SIGNING, "101", 1)
REFS = (
    *issuer_key_refs(LABEL, 1),
    *key_refs(shipped("citizen"), LABEL),  # of every application, and of the chip
    SIGNING,
)
ROLES = {"bus": BUS, "entry": ENTRY, "exit": EXIT, "shop": SHOP, "kiosk": KIOSK}
FARES = {
    "bus": Fare(200, 160),
    "entry": Fare(0, 0),
    "exit": Fare(400, 380),
    "shop": Fare(1250, 1250),
    "kiosk": Fare(5000, 5000),
}
VAULT = published_vault(REFS)
#: Version of the city's keys to their algorithm: three generations of cards in one city.
ALGORITHMS = {1: Algorithm.PBOC_3DES, 4: Algorithm.SM4, 5: Algorithm.AES}
for _version, _algorithm in ALGORITHMS.items():
    for _ref in issuer_key_refs(LABEL, _version):
        VAULT.install(_ref, published_key(_ref), _algorithm)


def key_service() -> InProcessKeyService:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        return InProcessKeyService(VAULT)


KEYS = key_service()


def counting_random(size: int) -> bytes:
    """Numbers a card may call random in a test that has to be the same every time."""
    return bytes(range(1, size + 1))


def a_card(
    number: int = 1,
    *,
    inside: bool = False,
    interoperable: bool = True,
    public: dict[str, object] | None = None,
    key_version: int = 1,
    overdraft_limit_fen: int = 0,
) -> Card:
    """An empty card of the home city; `public` replaces fields of EF15."""
    values: dict[str, object] = {
        "issuer": SCHEME.issuer,
        "application_type": 2,
        "application_version": 1,
        "card_number": f"0310584{number:013d}",
        "valid_from": date(2015, 1, 1),
        "valid_to": date(2030, 12, 31),
        **(public or {}),
    }
    information = PublicInformation(**values)  # type: ignore[arg-type]
    metro = TransitRecord(
        RECORD_METRO,
        status=TransitStatus.INSIDE if inside else TransitStatus.NONE,
        entry_station=f"{7:016x}" if inside else "0" * 16,
        entry_device="0000aabbccddeeff" if inside else "0" * 16,
        entry_time=NOON - timedelta(minutes=30) if inside else None,
    )
    profile = TransitProfile(
        information,
        properties=CardProperties(city="5840", interoperable=interoperable),
        rides=(metro, TransitRecord(RECORD_BUS)),
        overdraft_limit_fen=overdraft_limit_fen,
    )
    keys = {
        usage: KEYS.derive_card_key(KeyRef(usage, LABEL, key_version), information.factor)
        for usage in (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC)
    }
    image = personalise(
        profile,
        keys,
        key_version=key_version,
        algorithm=ALGORITHMS[key_version],
        key_index=1,
    )
    return Card.from_image(image, counting_random)


def balance(card: Card) -> int:
    """What the card itself says it holds."""
    card.reset()
    card.transmit(bytes.fromhex("00A4040008A00000063201010500"))
    answer = card.transmit(CommandApdu(0x80, 0x5C, 0x03, 0x02, le=4).encode())
    assert answer[-2:] == b"\x90\x00", answer.hex()
    return int.from_bytes(answer[:4], "big")


def a_psam(terminal: str, number: int = 1) -> Psam:
    profile = PsamProfile(
        terminal=terminal,
        number=f"{number:020d}",
        issuer=SCHEME.issuer,
        valid_from=date(2015, 1, 1),
        valid_to=date(2030, 12, 31),
        key_index=1,
        key_label=LABEL,
    )
    return make_psam(profile, VAULT)


def a_device(role_name: str, psam: CardConnection | None = None, **changes: object) -> Device:
    """The device of that name; its terminal number follows from the name."""
    number = list(ROLES).index(role_name.removesuffix("_exempt")) + 1
    terminal = f"5840000000{number:02d}"
    if role_name == "kiosk":
        identity = Identity(terminal, NO_PSAM, 1)
    else:
        identity = read_psam(psam or a_psam(terminal))
    hotlist = changes.pop("hotlist", Hotlist(3))
    assert not changes
    assert isinstance(hotlist, Hotlist)
    return make_device(identity, SCHEME, 100 + number, hotlist)


_FOLDER = tempfile.TemporaryDirectory(prefix="onecard-load-log-")


@cache
def _load_log(_: int) -> LoadLog:
    """One a process: a database that is open must not be taken along into a child."""
    return LoadLog.open(Path(_FOLDER.name) / "loads.sqlite", issuer=SCHEME.issuer)


def a_load_host(keys: KeyService = KEYS, city: str = LABEL, log: LoadLog | None = None) -> LoadHost:
    """A load host, and the log that all of a test run share unless one is given."""
    return LoadHost(keys, city, log or _load_log(os.getpid()))


def a_terminal(
    role_name: str,
    journal: Journal,
    *,
    role: DeviceRole | None = None,
    hotlist: Hotlist | None = None,
) -> Terminal:
    """A terminal with its own PSAM, or the kiosk with its load host."""
    if role_name == "kiosk":
        return Terminal(KIOSK, a_device("kiosk"), journal, a_load_host())
    number = list(ROLES).index(role_name) + 1
    psam = a_psam(f"5840000000{number:02d}", number)
    device = a_device(role_name, psam, hotlist=hotlist or Hotlist(3))
    return Terminal(role or ROLES[role_name], device, journal, psam)


def a_request(request_id: str, role_name: str, fare: Fare | None = None) -> TapRequest:
    return TapRequest(
        request_id, fare or FARES[role_name], Place(line=4, station=9, vehicle=77), NOON.date()
    )


def an_open_journal(folder: Path, on_step: Callable[[str], None] | None = None) -> Journal:
    path = folder / "depot.journal"
    if on_step is None:
        return Journal.open(path, sender=SENDER)
    return Journal.open(path, sender=SENDER, on_step=on_step)


def load(card: Card, journal: Journal, amount_fen: int = 10_000, name: str = "load") -> TapResult:
    """Put money on a card at the kiosk."""
    kiosk = a_terminal("kiosk", journal)
    request = a_request(name, "kiosk", Fare(amount_fen, amount_fen))
    return kiosk.tap(InProcessConnection(card), request, NOON - timedelta(hours=1))


def rides(journal: Journal, first: int, count: int) -> None:
    """Free bus rides, each of its own card."""
    terminal = a_terminal("bus", journal)
    for number in range(first, first + count):
        request = a_request(f"ride {number}", "bus", Fare(0, 0))
        assert terminal.tap(InProcessConnection(a_card(number)), request, NOON).outcome.done


def sign(message: bytes) -> bytes:
    """The signature of the collector."""
    return KEYS.sign(SIGNING, message)


def records_of(journal: Journal) -> list[bytes]:
    return [row[0] for row in journal.query("SELECT record FROM records ORDER BY position")]


def proof(record: TransactionRecord) -> ProofReason:
    """What the key service says of a record's TAC."""
    data = encode_record(record)
    message = tac_message(data)
    column = TacColumn(
        algorithms=bytes((record.algorithm,)),
        key_versions=bytes((record.key_version,)),
        factors=encode_bcd(record.card_number[-16:], 8),
        messages=message,
        message_bytes=len(message),
        tacs=record.tac,
    )
    return ProofReason(KEYS.prove_tacs(LABEL, column)[0])
