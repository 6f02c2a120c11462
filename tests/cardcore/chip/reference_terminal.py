"""A terminal and a host written from the command tables alone. It shares no code with cardcore:
bytes in, bytes out, and its own cryptograms, so that a mistake is not made twice.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

Transmit = Callable[[bytes], bytes]


def des3(key: bytes, block: bytes) -> bytes:
    return Cipher(TripleDES((key + key[:8])[:24]), modes.ECB()).encryptor().update(block)


def mac(key: bytes, message: bytes) -> bytes:
    """Block by block, as the standard's figure draws it."""
    message += b"\x80"
    message += b"\x00" * (-len(message) % 8)
    state = bytes(8)
    for at in range(0, len(message), 8):
        block = bytes(a ^ b for a, b in zip(state, message[at : at + 8], strict=True))
        state = des3(key * 2, block)
    return state[:4]


def tac(key: bytes, message: bytes) -> bytes:
    return mac(bytes(a ^ b for a, b in zip(key[:8], key[8:], strict=True)), message)


@dataclass(frozen=True)
class Outcome:
    """What a transaction left in the terminal's hands."""

    sw: bytes
    counter: int = -1
    balance_before: int = -1
    mac2: bytes = b""
    tac: bytes = b""


@dataclass
class ReferenceTerminal:
    """Speaks to one card; keys as the host and the PSAM derive them."""

    transmit: Transmit
    purchase_key: bytes
    load_key: bytes
    tac_key: bytes
    terminal: bytes = bytes.fromhex("112233445566")
    time: bytes = bytes.fromhex("20180901094231")
    key_index: int = 1

    def send(self, text: str, data: bytes = b"", le: str = "") -> tuple[bytes, bytes]:
        raw = bytes.fromhex(text) + (bytes((len(data),)) + data if data else b"")
        answer = self.transmit(raw + bytes.fromhex(le))
        return answer[:-2], answer[-2:]

    def select(self) -> bytes:
        data, sw = self.send("00A40400", bytes.fromhex("A000000632010105"), "00")
        assert sw == b"\x90\x00"
        return data

    def balance(self) -> int:
        data, sw = self.send("805C000204")
        assert sw == b"\x90\x00"
        return int.from_bytes(data, "big")

    def request(self, amount: int) -> bytes:
        return bytes((self.key_index,)) + amount.to_bytes(4, "big") + self.terminal

    def load(self, amount: int, *, spoil: bool = False) -> Outcome:
        shown, sw = self.send("80500002", self.request(amount), "10")
        if sw != b"\x90\x00":
            return Outcome(sw)
        assert len(shown) == 16
        balance, counter, random, mac1 = shown[:4], shown[4:6], shown[8:12], shown[12:]
        session = des3(self.load_key, random + counter + b"\x80\x00")
        amount4 = amount.to_bytes(4, "big")
        assert mac1 == mac(session, balance + amount4 + b"\x02" + self.terminal)
        terms = amount4 + b"\x02" + self.terminal + self.time
        mac2 = mac(session, terms)
        sent = bytes((mac2[0] ^ spoil,)) + mac2[1:]
        got, sw = self.send("80520000", self.time + sent, "04")
        if sw != b"\x90\x00":
            return Outcome(sw)
        after = (int.from_bytes(balance, "big") + amount).to_bytes(4, "big")
        assert got == tac(self.tac_key, after + counter + terms)
        return Outcome(
            sw, int.from_bytes(counter, "big"), int.from_bytes(balance, "big"), mac2, got
        )

    def purchase(
        self,
        amount: int,
        sequence: int = 1,
        *,
        records: list[tuple[str, bytes]] | None = None,
        spoil: bool = False,
    ) -> Outcome:
        """Composite when `records` are given: (P1 P2 in hexadecimal, record)."""
        p1, kind = ("01", b"\x06") if records is None else ("03", b"\x09")
        shown, sw = self.send(f"8050{p1}02", self.request(amount), "0F")
        if sw != b"\x90\x00":
            return Outcome(sw)
        assert len(shown) == 15
        counter, random = shown[4:6], shown[11:]
        for place, record in records or []:
            _, sw = self.send(f"80DC{place}", record)
            if sw != b"\x90\x00":
                return Outcome(sw)
        session = des3(self.purchase_key, random + counter + sequence.to_bytes(4, "big")[2:])
        terms = amount.to_bytes(4, "big") + kind + self.terminal
        mac1 = mac(session, terms + self.time)
        mac1 = bytes((mac1[0] ^ spoil,)) + mac1[1:]
        got, sw = self.send("80540100", sequence.to_bytes(4, "big") + self.time + mac1, "08")
        if sw != b"\x90\x00":
            return Outcome(sw)
        assert got[4:] == mac(session, amount.to_bytes(4, "big"))
        assert got[:4] == tac(self.tac_key, terms + sequence.to_bytes(4, "big") + self.time)
        before = int.from_bytes(shown[:4], "big")
        return Outcome(sw, int.from_bytes(counter, "big"), before, got[4:], got[:4])

    def prove(self, kind: int, counter: int) -> tuple[bytes, bytes]:
        return self.send(f"805A00{kind:02X}", counter.to_bytes(2, "big"), "08")

    def record(self, sfi: int, number: int) -> tuple[bytes, bytes]:
        return self.send(f"00B2{number:02X}{sfi << 3 | 4:02X}00")


def des3_inverse(key: bytes, block: bytes) -> bytes:
    return Cipher(TripleDES((key + key[:8])[:24]), modes.ECB()).decryptor().update(block)


def message_mac(key: bytes, challenge: bytes, message: bytes) -> bytes:
    """Secure messaging: single DES to the last block, which gets D(right) and E(left) more."""
    message += b"\x80"
    message += b"\x00" * (-len(message) % 8)
    state = challenge + b"\x00" * (8 - len(challenge))
    left, right = key[:8], key[8:]
    for at in range(0, len(message), 8):
        block = bytes(a ^ b for a, b in zip(state, message[at : at + 8], strict=True))
        state = des3(left * 2, block)
    return des3(left * 2, des3_inverse(right * 2, state))[:4]


def secured(header: str, data: bytes, key: bytes, challenge: bytes) -> bytes:
    """A command with its MAC."""
    start = bytes.fromhex(header) + bytes((len(data) + 4,)) + data
    return start + message_mac(key, challenge, start)


def enciphered(key: bytes, data: bytes, *, pad_always: bool = True) -> bytes:
    """Length and data, padded, block by block."""
    plain = bytes((len(data),)) + data
    if pad_always or len(plain) % 8:
        plain += b"\x80"
    plain += b"\x00" * (-len(plain) % 8)
    return b"".join(des3(key, plain[at : at + 8]) for at in range(0, len(plain), 8))
