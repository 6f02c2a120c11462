"""The keys in the token of these tests, and what other programs see of them."""

import subprocess
import sys

import pkcs11
from pkcs11 import Attribute, ObjectClass

from cardcore.keys import Algorithm, KeyDescription, KeyRef, KeyState, KeyUsage, TacColumn
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.token.masters import TokenMasterKeys
from tests.hsm_sim.token.softhsm import PIN
from tests.support.shared import REPOSITORY

LABEL = "city"
TAC, LOAD, DATA, SIGNING, TRANSPORT, CHANNEL = (
    KeyRef(usage, LABEL, 1)
    for usage in (
        KeyUsage.TAC,
        KeyUsage.LOAD,
        KeyUsage.DATA_ENCRYPTION,
        KeyUsage.FILE_SIGNING,
        KeyUsage.TRANSPORT,
        KeyUsage.CHANNEL_MAC,
    )
)
MAINTENANCE_AES = KeyRef(KeyUsage.FILE_MAINTENANCE, LABEL, 5)
REFS = (TAC, LOAD, DATA, SIGNING, TRANSPORT, CHANNEL)
CARD, SESSION = bytes(range(8)), bytes(range(8, 16))


def label_of(masters: TokenMasterKeys) -> str:
    return masters._session._label


def objects(masters: TokenMasterKeys, ref: KeyRef) -> list[pkcs11.Object]:
    with masters._session.use() as session:
        return list(session.get_objects({Attribute.LABEL: str(ref)}))


def key_object(masters: TokenMasterKeys, ref: KeyRef) -> pkcs11.Object:
    kinds = {ObjectClass.SECRET_KEY, ObjectClass.PRIVATE_KEY}
    return next(each for each in objects(masters, ref) if each[Attribute.CLASS] in kinds)


def proof_of(masters: TokenMasterKeys) -> bytes:
    """A verdict: bytes, and never empty ones."""
    column = TacColumn(bytes((1,)), bytes((1,)), CARD, b"m", 1, bytes(4))
    return KeyOperations(masters).prove_tacs(LABEL, column)


def in_another_process(program: str, label: str) -> None:
    """Run with `masters` over the same token, as another program on this machine would."""
    start = (
        "import sys; from pathlib import Path; from hsm_sim.token import open_token\n"
        "from cardcore.keys import *\n"
        "masters = open_token(Path(sys.argv[1]), sys.argv[2], sys.stdin.readline())\n"
    )
    module = next(iter(pkcs11._loaded))
    subprocess.run(
        [sys.executable, "-c", start + program, module, label],
        input=PIN, text=True, check=True, cwd=REPOSITORY,
    )  # fmt: skip


def a_strangers_description() -> KeyDescription:
    return KeyDescription(
        KeyRef(KeyUsage.TAC, "stranger", 1), Algorithm.PBOC_3DES, KeyState.ACTIVE, "000000"
    )
