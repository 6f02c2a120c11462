"""A card of the cinema from its first APDU to the signed file, with nothing but catalogues."""

import sys
import warnings
from datetime import date, datetime
from importlib import import_module
from pathlib import Path

from cardcore.chip.card import Card
from cardcore.chip.cardkeys import CardKey
from cardcore.digits import encode_bcd
from cardcore.key_labels import application_label
from cardcore.keys import Algorithm, KeyRef, KeyUsage, ProofReason, TacColumn
from cardcore.layouts.transit import PublicInformation
from cardcore.records.batch import decode_batch
from cardcore.records.record import RECORD_BYTES, decode_record
from cardcore.records.tac import tac_message
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import issuer_key_refs, published_vault
from hsm_sim.psam import PsamProfile, make_psam
from terminals.device import NO_PSAM
from terminals.journal.journal import Journal
from terminals.journal.load_log import LoadLog
from terminals.journal.upload import build_batch, plan_batch
from terminals.link.connection import InProcessConnection
from terminals.partners import PARTNERS
from terminals.partners.ports import PartnerSetting
from terminals.roles import ROLES
from terminals.tap.terminal import Identity, Terminal, make_device, read_psam
from terminals.taps import Fare, Hotlist, Place, TapRequest

SCHEME, NOON = SCHEMES["demo"], datetime.fromisoformat("2026-09-01T12:00:00")
LABEL = application_label(SCHEME.name, "-cinema")
SIGNING = KeyRef(KeyUsage.FILE_SIGNING, "sender-501", 1)
VAULT = published_vault([*issuer_key_refs(LABEL, 1), *issuer_key_refs(SCHEME.name, 1), SIGNING])
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    KEYS = InProcessKeyService(VAULT)


def a_card() -> Card:
    """One chip with the application of the new file."""
    public = PublicInformation(
        issuer=SCHEME.issuer,
        application_type=2,
        application_version=1,
        card_number=f"0310{SCHEME.city_code}000000000009",
        valid_from=date(2026, 1, 1),
        valid_to=date(2036, 1, 1),
    )
    applet = import_module("cardcore.applets.cinema")
    secrets = [
        CardKey(
            1,
            1,
            Algorithm.PBOC_3DES,
            KEYS.derive_card_key(KeyRef(slot.usage, LABEL, 1), public.factor),
        )
        for slot in applet.KEYS
    ]
    return Card.from_image(applet.image(public, secrets), lambda size: bytes(range(size)))


def a_psam(terminal: str) -> InProcessConnection:
    """The PSAM of the door."""
    profile = PsamProfile(
        terminal, terminal.zfill(20), SCHEME.issuer, date(2026, 1, 1), date(2036, 1, 1), 1, LABEL
    )
    return InProcessConnection(make_psam(profile, VAULT))


def drive(folder: Path) -> list[str]:
    """What happened, a line a tap, and what the file says of it."""
    card, said = a_card(), []
    with (
        Journal.open(folder / "cinema.sqlite", sender=501) as journal,
        LoadLog.open(folder / "loads.sqlite", issuer=SCHEME.issuer) as log,
    ):
        door, office = ROLES["cinema-door"], ROLES["box-office"]
        psam = a_psam("000501000001")
        assert office.partner is not None
        chain = PARTNERS[office.partner].start(PartnerSetting(KEYS, SCHEME.name, log))
        kiosk = Identity("000501000002", NO_PSAM, 1)
        terminals = {
            role.name: Terminal(
                role, make_device(identity, SCHEME, 501, Hotlist()), journal, partner
            )
            for role, identity, partner in (
                (door, read_psam(psam), psam),
                (office, kiosk, chain),
            )
        }
        for name, amount in (
            ("box-office", 4_001), ("box-office", 8_000), ("cinema-door", 4_000),
            ("cinema-door", 4_001),
        ):  # fmt: skip
            request = TapRequest(f"{name} {amount}", Fare(amount, amount), Place(), NOON.date())
            result = terminals[name].tap(InProcessConnection(card), request, NOON)
            terminals[name].sign_records()
            said.append(f"{name} {amount} {result.outcome.name}")
        sequence = plan_batch(journal, key_version=1, now=NOON)
        assert sequence == 1
        data = build_batch(journal, sequence, lambda message: KEYS.sign(SIGNING, message))
    records = decode_batch(data, KEYS.public_key(SIGNING)).records
    for at in range(0, len(records), RECORD_BYTES):
        raw = records[at : at + RECORD_BYTES]
        record, message = decode_record(raw), tac_message(raw)
        column = TacColumn(
            bytes((record.algorithm,)), bytes((record.key_version,)),
            encode_bcd(record.card_number[-16:], 8), message, len(message), record.tac,
        )  # fmt: skip
        proof = ProofReason(KEYS.prove_tacs(LABEL, column)[0])
        mac = record.mac_profile.name
        said.append(
            f"{record.kind.name} {record.application} {record.amount_fen} {proof.name} {mac}"
        )
    return said


if __name__ == "__main__":
    sys.stdout.write("\n".join(drive(Path(sys.argv[1]))))
