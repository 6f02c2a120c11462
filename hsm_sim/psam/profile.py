"""What is written into a PSAM for its life: who it is, and the files that say so.

Decides the files EF15, EF16 and EF17 (JR/T 0025, PSAM part; sizes in docs/keys.md). Leaves the
sequence files EF18 and EF19, which move, to `files`, and the keys to `keys`.
"""

from dataclasses import dataclass
from datetime import date

from cardcore.digits import decode_bcd, encode_bcd, encode_date

MAIN_FILE, APPLICATION = 0x3F00, 0xDF01
PUBLIC_INFORMATION, TERMINAL_INFORMATION, APPLICATION_INFORMATION = 0x15, 0x16, 0x17
#: EF15 after the serial: version, key-card type, command set, issuer's own FCI byte.
_PUBLIC_TAIL = bytes((0x01, 0x01, 0x00, 0x00))


@dataclass(frozen=True, slots=True)
class PsamProfile:
    """What is written into a PSAM for its life. Raises `ValueError` for what does not fit."""

    terminal: str  # 12 hexadecimal digits, EF16
    number: str  # 20 digits, EF15
    issuer: bytes  # 8 bytes, EF17
    valid_from: date
    valid_to: date
    key_index: int  # of the purchase key, EF17
    key_label: str  # whose purchase keys it holds

    def __post_init__(self) -> None:
        if len(bytes.fromhex(self.terminal)) != 6:
            raise ValueError(f"terminal {self.terminal!r} is not 12 hexadecimal digits")
        if len(self.number) != 20 or decode_bcd(encode_bcd(self.number, 10)) != self.number:
            raise ValueError(f"PSAM number {self.number!r} is not 20 digits")
        if len(self.issuer) != 8 or not 0 <= self.key_index <= 0xFF:
            raise ValueError("the issuer is 8 bytes, the key index one")

    @property
    def factor(self) -> bytes:
        """From which its own maintenance key is diversified: the last 8 bytes of its number."""
        return encode_bcd(self.number, 10)[-8:]

    def files(self) -> dict[tuple[int, int], bytes]:
        """Directory and short identifier to content: EF15 and EF16 in the MF, EF17 in the ADF."""
        # EF17: key index, issuer, the user of the application (here the issuer), first, last day.
        dates = encode_date(self.valid_from) + encode_date(self.valid_to)
        application = bytes((self.key_index,)) + self.issuer + self.issuer + dates
        return {
            (MAIN_FILE, PUBLIC_INFORMATION): encode_bcd(self.number, 10) + _PUBLIC_TAIL,
            (MAIN_FILE, TERMINAL_INFORMATION): bytes.fromhex(self.terminal),
            (APPLICATION, APPLICATION_INFORMATION): application,
        }
