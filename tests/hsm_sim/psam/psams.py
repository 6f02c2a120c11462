"""A PSAM for tests, the commands it is sent, and what a genuine card and a maintainer answer."""

from datetime import date

from cardcore.apdu import CommandApdu, ResponseApdu
from cardcore.crypto import SUITES, cryptograms
from cardcore.key_labels import maintenance_label
from cardcore.keys import Algorithm, KeyRef, KeyUsage
from hsm_sim.keys.published_keys import (
    card_key_refs,
    issuer_key_refs,
    published_key,
    published_vault,
)
from hsm_sim.keys.vault import KeyVault
from hsm_sim.psam import KeySlot, Psam, PsamKeyType, PsamProfile, make_psam

LABEL = "shenzhen"
PURCHASE = KeyRef(KeyUsage.PURCHASE, LABEL, 1)
OWN = KeyRef(KeyUsage.FILE_MAINTENANCE, maintenance_label(LABEL), 1)
STK = KeyRef(KeyUsage.FILE_MAINTENANCE, "shenzhen-social", 1)
READ_KEY = KeyRef(KeyUsage.EXTERNAL_AUTHENTICATION, "shenzhen-social-0a", 1)
#: Versions 4 and 5 of the city's keys are SM4 and AES.
ALGORITHMS = {1: Algorithm.PBOC_3DES, 2: Algorithm.PBOC_3DES, 4: Algorithm.SM4, 5: Algorithm.AES}
PIN_USAGES = (KeyUsage.PIN_UNBLOCK, KeyUsage.PIN_RELOAD)
FURTHER = (
    KeySlot(PsamKeyType.MAC, 1, STK),
    KeySlot(PsamKeyType.ENCIPHER, 10, READ_KEY),
    KeySlot(PsamKeyType.ENCIPHER, 11, READ_KEY._replace(version=5)),
    KeySlot(PsamKeyType.MAC_AND_ENCIPHER, 1, STK),
    KeySlot(PsamKeyType.MAC_AND_ENCIPHER, 4, KeyRef(KeyUsage.FILE_MAINTENANCE, LABEL, 4)),
    KeySlot(PsamKeyType.MAC_AND_ENCIPHER, 5, KeyRef(KeyUsage.FILE_MAINTENANCE, LABEL, 5)),
)
PROFILE = PsamProfile(
    terminal="040900010001",
    number="00000000040900010001",
    issuer=bytes.fromhex("02215840FFFFFFFF"),
    valid_from=date(2018, 1, 1),
    valid_to=date(2038, 12, 31),
    key_index=1,
    key_label=LABEL,
)
FACTOR = bytes.fromhex("0487123456789012")
ISSUER_FACTOR = bytes.fromhex("0221584002215840")
RANDOM = bytes.fromhex("11223344")
TIME = bytes.fromhex("20240821185844")


def a_vault(levels: int = 1) -> KeyVault:
    """The published test keys of one city, in all suites, so many levels above its cards."""
    vault = published_vault([OWN])
    one_suite = (*issuer_key_refs(LABEL, 1), *issuer_key_refs(LABEL, 2), STK, READ_KEY)
    for ref in (*one_suite, *(KeyRef(usage, LABEL, 1) for usage in PIN_USAGES)):
        above = 1 if ref.usage is KeyUsage.RECORD_MAC else levels
        vault.install(ref, published_key(ref), levels=above)
    for version in (4, 5):
        for ref in card_key_refs(LABEL, version):
            if not ref.usage.startswith("channel"):
                vault.install(ref, published_key(ref), ALGORITHMS[version], levels=levels)
    aes_read_key = READ_KEY._replace(version=5)
    vault.install(aes_read_key, published_key(aes_read_key), Algorithm.AES, levels=levels)
    return vault


VAULT = a_vault()


def a_psam(vault: KeyVault = VAULT) -> Psam:
    return make_psam(PROFILE, vault, FURTHER)


def send(psam: Psam, command: CommandApdu | str) -> ResponseApdu:
    raw = bytes.fromhex(command) if isinstance(command, str) else command.encode()
    return ResponseApdu.decode(psam.transmit(raw))


def initialise(**changes: bytes) -> CommandApdu:
    """INIT_SAM_FOR_PURCHASE with one field after another, as JR/T 0025 lays them out."""
    fields: dict[str, bytes] = {
        "random": RANDOM,
        "card_counter": bytes.fromhex("0005"),
        "amount": bytes.fromhex("00000064"),
        "transaction_type": b"\x09",
        "time": TIME,
        "key_version": b"\x01",
        "algorithm": b"\x00",
        "factor": FACTOR,
    }
    return CommandApdu(0x80, 0x70, 0, 0, b"".join({**fields, **changes}.values()), le=8)


def credit(mac2: bytes) -> CommandApdu:
    return CommandApdu(0x80, 0x72, 0, 0, mac2)


def card_key(ref: KeyRef, factor: bytes = FACTOR) -> bytes:
    """A card's key worked out here: the issuer's factor stands last and is applied first."""
    value, suite = VAULT.key(ref).value, SUITES[VAULT.describe(ref).algorithm]
    for at in range(len(factor) - 8, -1, -8):
        value = suite.diversify(value, factor[at : at + 8])
    return value


def card_mac(sequence: int, message: bytes, version: int = 1, factor: bytes = FACTOR) -> bytes:
    """A MAC of a purchase as the genuine card makes it, under the key it holds."""
    ref, suite = PURCHASE._replace(version=version), SUITES[ALGORITHMS[version]]
    session_input = cryptograms.purchase_session_input(RANDOM, 5, sequence)
    return suite.session_mac(suite.session_key(card_key(ref, factor), session_input), message)


def card_mac2(sequence: int, version: int = 1, factor: bytes = FACTOR) -> bytes:
    """What the genuine card answers: it shows that it was debited."""
    return card_mac(sequence, cryptograms.purchase_mac2_message(100), version, factor)


def sequence_of(answer: ResponseApdu) -> int:
    assert answer.ok, hex(answer.sw)
    return int.from_bytes(answer.data[:4], "big")


def pay(psam: Psam) -> None:
    """A whole purchase of an honest card."""
    sequence = sequence_of(send(psam, initialise()))
    assert send(psam, credit(card_mac2(sequence))).ok


def pay_with_forged_card(psam: Psam) -> int:
    """A whole purchase of a forged card: the status word."""
    sequence = sequence_of(send(psam, initialise()))
    honest = card_mac2(sequence)
    return send(psam, credit(bytes((honest[0] ^ 1,)) + honest[1:])).sw
