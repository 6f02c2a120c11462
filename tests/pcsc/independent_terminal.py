"""A program of its own: load, purchase and composite purchase over PC/SC, checked by itself.

    python independent_terminal.py READER PURCHASE_KEY LOAD_KEY TAC_KEY

Keys are the card's, in hexadecimal. It knows the command tables and pyscard, and nothing of the
product; it says so at its end.
"""

import importlib.util
import sys
from pathlib import Path

from smartcard.System import readers

_PRODUCT = {"cardcore", "terminals", "hsm_sim", "api", "settlement"}


def _reference_module() -> object:
    """By its path, so that no package of the tests comes along."""
    path = Path(__file__).resolve().parents[1] / "cardcore" / "chip" / "reference_terminal.py"
    spec = importlib.util.spec_from_file_location("reference_terminal", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main(reader: str, *keys: str) -> None:
    """Do the three transactions and print what came of them."""
    connection = next(each for each in readers() if str(each) == reader).createConnection()
    connection.connect()

    def transmit(command: bytes) -> bytes:
        data, sw1, sw2 = connection.transmit(list(command))
        return bytes((*data, sw1, sw2))

    reference = _reference_module()
    terminal = reference.ReferenceTerminal(  # type: ignore[attr-defined]
        transmit, *(bytes.fromhex(key) for key in keys)
    )
    terminal.select()
    before = terminal.balance()
    trip = bytes.fromhex(
        "0600001122334455660200010007020100000000640000"
        "000020180901094231584015845840FFFFFFFF000000000000"
    )
    # Each of these checks MAC1 or MAC2 and the TAC itself, and fails where they do not hold.
    steps = [
        terminal.load(5_000),
        terminal.purchase(1_250, 7),
        terminal.purchase(100, 8, records=[("00F0", trip)]),
    ]
    assert [step.sw.hex() for step in steps] == ["9000"] * 3, steps
    assert terminal.balance() == before + 5_000 - 1_250 - 100
    spoiled = terminal.purchase(100, 9, spoil=True)
    assert spoiled.sw.hex() == "9302", spoiled
    assert terminal.balance() == before + 5_000 - 1_250 - 100
    newest, sw = terminal.record(0x1E, 1)
    assert (newest, sw.hex()) == (trip, "9000")
    proof, sw = terminal.prove(9, steps[2].counter)
    assert (proof, sw.hex()) == (steps[2].mac2 + steps[2].tac, "9000")
    assert not _PRODUCT & {name.split(".")[0] for name in sys.modules}
    print("balance", terminal.balance())  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
