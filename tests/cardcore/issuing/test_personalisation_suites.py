"""Products whose keys are SM4 or AES: made over SCP03, then used by an issuer and a load host who
hold nothing but the key service.
"""

import warnings
from importlib import resources

import pytest

from cardcore import crypto
from cardcore.applets import library, purse, social_security
from cardcore.applets.social_security import INTERNAL_KEY, READ_KEY
from cardcore.chip.card import Card
from cardcore.crypto import cryptograms
from cardcore.errors import KeyUsageError
from cardcore.issuing import personalisation
from cardcore.issuing.dialogue import Result, drive
from cardcore.issuing.personalisation import make_plan
from cardcore.issuing.products import Product, key_refs, parse
from cardcore.issuing.stock import stock_chip
from cardcore.keys import Algorithm, InsecureKeyServiceWarning, KeyRef, KeyUsage
from cardcore.layouts.transit import AID_PURSE
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.vault import CHANNEL_USAGES, KeyVault
from tests.cardcore.applets.citizen_chips import PIN, Reader
from tests.cardcore.issuing.test_personalisation import HOST_CHALLENGE, LABEL, PUBLIC, an_order
from tests.cardcore.transit_cards import counting_random

SUITES = (Algorithm.SM4, Algorithm.AES)
FACTOR = PUBLIC.factor
TERMINAL, TIME = bytes.fromhex("112233445566"), bytes.fromhex("20180901094231")

every_algorithm = pytest.mark.parametrize("algorithm", SUITES, ids=lambda each: each.name)


def a_product(algorithm: int) -> Product:
    text = resources.files("cardcore.issuing.products").joinpath("citizen.toml").read_text("utf-8")
    assert "\nalgorithm = 1 " in text
    return parse(text.replace("\nalgorithm = 1 ", f"\nalgorithm = {algorithm} ", 1))


def key_service(product: Product, algorithm: Algorithm) -> InProcessKeyService:
    vault = KeyVault({})
    for ref in key_refs(product, LABEL):
        suite = None if ref.usage in CHANNEL_USAGES else algorithm
        vault.install(ref, published_key(ref), suite)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        return InProcessKeyService(vault)


def personalised(algorithm: Algorithm) -> tuple[Reader, InProcessKeyService]:
    product = a_product(algorithm)
    keys = key_service(product, algorithm)
    card = Card.from_image(stock_chip(PUBLIC, product, keys, LABEL), counting_random())
    plan = make_plan(product, an_order(), LABEL)
    finished = drive(personalisation.personalise(plan, keys, HOST_CHALLENGE), card.transmit)
    assert (finished.result, finished.step) == (Result.DONE, "check")
    return Reader(card), keys


def ref(usage: KeyUsage, ending: str) -> KeyRef:
    return KeyRef(usage, f"{LABEL}{ending}", 1)


@every_algorithm
def test_the_card_says_which_algorithm_it_has(algorithm: Algorithm) -> None:
    reader, _ = personalised(algorithm)
    code = {Algorithm.SM4: "03", Algorithm.AES: "05"}[algorithm]
    assert f"9f0c038601{code}" in reader.select(social_security.NAME).hex()
    reader.select(AID_PURSE)
    shown = reader.data(f"80500102 0B 01 00000000 {TERMINAL.hex()} 0F")
    assert (shown[9], shown[10]) == (1, algorithm)


@every_algorithm
def test_reader_and_card_prove_themselves_to_each_other(algorithm: Algorithm) -> None:
    reader, keys = personalised(algorithm)
    reader.select(social_security.NAME)
    challenge = bytes(range(8))
    internal = ref(KeyUsage.INTERNAL_AUTHENTICATION, f"-social-{INTERNAL_KEY:02x}")
    answer = reader.data(f"008800{INTERNAL_KEY:02X}08{challenge.hex()}")
    assert answer == keys.authenticate(internal, FACTOR, challenge)
    reader.data("00A4000002EF06")
    assert reader.send("00B2080000")[1] == "6982"
    external = ref(KeyUsage.EXTERNAL_AUTHENTICATION, f"-social-{READ_KEY:02x}")
    answer = keys.authenticate(external, FACTOR, reader.data("0084000008"))
    reader.data(f"008200{READ_KEY:02X}08{answer.hex()}")
    assert b"110101199003070011" in reader.data("00B2080000")


@every_algorithm
def test_the_issuer_writes_a_file_and_frees_the_pin(algorithm: Algorithm) -> None:
    reader, keys = personalised(algorithm)
    reader.select(AID_PURSE)
    maintenance = ref(KeyUsage.FILE_MAINTENANCE, "")
    command = bytes.fromhex("04D6950909") + b"\x00DATE"
    mac = keys.message_mac(maintenance, FACTOR, reader.data("0084000004"), command)
    reader.data((command + mac).hex())
    assert reader.data("00B0950905") == b"\x00DATE"

    reader.select(library.NAME)
    for _ in range(3):
        reader.send("0020000003000000")
    assert reader.send(f"0020000003{PIN.hex()}")[1] == "6983"
    unblock, new = ref(KeyUsage.PIN_UNBLOCK, "-library"), bytes.fromhex("654321")
    plain = (b"\x03" + new + b"\x80").ljust(16, b"\x00")
    # What a PSAM of a service counter does with the key that is delivered to it.
    suite = crypto.SUITES[algorithm]
    card_key = suite.diversify(published_key(unblock), FACTOR)
    wire = suite.encipher(card_key, plain)
    command = bytes.fromhex("84240000") + bytes((len(wire) + 4,)) + wire
    mac = suite.message_mac(card_key, reader.data("0084000008"), command)
    reader.data((command + mac).hex())
    reader.data(f"0020000003{new.hex()}")


@every_algorithm
def test_a_load_host_loads_both_purses(algorithm: Algorithm) -> None:
    reader, keys = personalised(algorithm)
    for name, ending in ((AID_PURSE, ""), (purse.NAME, "-purse")):
        reader.select(name)
        shown = reader.data(f"80500002 0B 01 00001388 {TERMINAL.hex()} 10")
        load, counter = ref(KeyUsage.LOAD, ending), int.from_bytes(shown[4:6], "big")
        session_input = cryptograms.load_session_input(shown[8:12], counter)
        mac1_message = cryptograms.load_mac1_message(0, 5_000, 2, TERMINAL)
        keys.verify_session_mac(load, FACTOR, session_input, mac1_message, shown[12:])
        mac2_message = cryptograms.load_mac2_message(5_000, 2, TERMINAL, TIME)
        mac2 = keys.session_mac(load, FACTOR, session_input, mac2_message)
        reader.data(f"80520000 0B {TIME.hex()}{mac2.hex()} 04")
        assert reader.data("805C000204") == (5_000).to_bytes(4, "big")


@every_algorithm
def test_a_chip_is_not_made_from_a_key_of_another_algorithm(algorithm: Algorithm) -> None:
    keys = key_service(a_product(1), Algorithm.PBOC_3DES)
    with pytest.raises(KeyUsageError, match=rf"demo-chip/v1: .* algorithm 0{int(algorithm)}"):
        stock_chip(PUBLIC, a_product(algorithm), keys, LABEL)


@every_algorithm
def test_a_card_takes_no_key_of_another_algorithm_than_its_product_names(
    algorithm: Algorithm,
) -> None:
    triple_des = a_product(1)
    keys = key_service(triple_des, Algorithm.PBOC_3DES)
    card = Card.from_image(stock_chip(PUBLIC, triple_des, keys, LABEL), counting_random())
    plan = make_plan(a_product(algorithm), an_order(), LABEL)
    finished = drive(personalisation.personalise(plan, keys, HOST_CHALLENGE), card.transmit)
    assert (finished.result, finished.step, finished.sw) == (
        Result.REFUSED,
        "keys of transit",
        0x6A80,
    )
    assert "purchase/demo/v1" in finished.detail
    assert f"algorithm 0{int(algorithm)}" in finished.detail
