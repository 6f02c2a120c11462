"""Keys as hosts hold them: key blocks under a key of this device, which knows none of them itself.

Decides which keys a host may hold, how strong a key must be to wrap another, and their check
values. Leaves the bytes of a block to `device.tr31` and the fields around it to `codec`.

The key above them (LMK, 本地主密钥) is derived from the device's storage key and is never that
key: a block out of the device's own folder is no key here, so no host can have a master key
wrapped under a transport key of its own. What a ceremony wants a host to hold it wraps with
`HostKeys.key_block`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cardcore.text import text_of
from hsm_sim.device.blocks import tr31
from hsm_sim.device.blocks.components import ComponentError, ComponentFault, xor_components
from hsm_sim.device.blocks.tr31 import KeyBlockError, KeyBlockFault, KeyBlockHeader, triple_des
from hsm_sim.host_commands.codec import ErrorCode, Fields, HostCommandError
from hsm_sim.keys.strength import weakness

STORAGE_KEY_BYTES = 32  # AES-256: no weaker than anything it keeps
#: The letters with which A0 asks for an algorithm and a length: letter in the block, bytes.
ALGORITHMS = {"T2": ("T", 16), "T3": ("T", 24), "A1": ("A", 16), "A2": ("A", 24), "A3": ("A", 32)}
#: Key usages of TR-31 §A.5.1; two digits are usages of the device's maker and its users.
USAGES = frozenset(
    "B0 B1 C0 D0 E0 E1 E2 E3 E4 E5 E6 K0 K1 M0 M1 M3 M6 P0 V0 V1 V2".split()  # noqa: SIM905
)
_WRAPPING_USAGES = frozenset({"K0", "K1", "52"})  # 52: ZMK in the payShield's own numbers
#: Bits of strength (NIST SP 800-57 §5.6.1): a key wraps none that is stronger than itself.
_STRENGTHS = {("T", 16): 80, ("T", 24): 112, ("A", 16): 128, ("A", 24): 192, ("A", 32): 256}
_VERSIONS = {
    "T": "B",
    "A": "D",
}  # of the key block, by the algorithm of the key it is wrapped under
_FAULTS = {
    KeyBlockFault.LENGTH: ErrorCode.KEY_BLOCK_FORMAT,
    KeyBlockFault.VERSION: ErrorCode.KEY_BLOCK_VERSION,
    KeyBlockFault.HEADER: ErrorCode.KEY_BLOCK_FORMAT,
    KeyBlockFault.OPTIONAL_BLOCK: ErrorCode.OPTIONAL_BLOCK,
    KeyBlockFault.MAC: ErrorCode.KEY_BLOCK_AUTHENTICATION,
    KeyBlockFault.PROTECTION_KEY: ErrorCode.WRAPPING_KEY,
    KeyBlockFault.KEY: ErrorCode.KEY_BLOCK,
}


@dataclass(frozen=True, slots=True)
class HostKey:
    """A key of a host, for as long as one command takes."""

    header: KeyBlockHeader
    value: bytes = field(repr=False)

    @property
    def is_component(self) -> bool:
        """Whether this is a component, and no key yet."""
        return self.header.version_number.startswith("c")

    @property
    def strength(self) -> int:
        """In bits."""
        return _STRENGTHS[self.header.algorithm, len(self.value)]

    @property
    def check_value(self) -> str:
        """Six hexadecimal digits: of a block of zeros enciphered under triple DES; of their CMAC
        under AES (ANSI X9.24-1:2017 annex A), as other devices show them.
        """
        return _check_value(self.header.algorithm, self.value)


def _check_value(algorithm: str, value: bytes) -> str:
    if algorithm == "T":
        cipher = Cipher(triple_des(value), modes.ECB())  # noqa: S305 - one block
        shown = cipher.encryptor().update(bytes(8))
    else:
        mac = CMAC(AES(value))
        mac.update(bytes(16))
        shown = mac.finalize()
    return shown[:3].hex().upper()


class HostKeys:
    """Wraps and unwraps what hosts hold. Every refusal is a `HostCommandError`.

    `random` gives that many bytes; `takes_published`: a device made for public test keys.

    >>> keys = HostKeys(bytes(32), bytes)
    >>> block = keys.key_block(HostKey(KeyBlockHeader("M3", "T", "C"), b"12345678abcdefgh"))
    >>> block[:17], keys.read(Fields(block.encode()), "key").check_value
    ('SD0112M3TC00N0000', '320D2D')
    """

    def __init__(
        self,
        storage_key: bytes,
        random: Callable[[int], bytes],
        *,
        takes_published: bool = False,
    ) -> None:
        assert len(storage_key) == STORAGE_KEY_BYTES, len(storage_key)
        derivation = HKDF(SHA256(), STORAGE_KEY_BYTES, None, b"onecard host commands")
        self._key = derivation.derive(storage_key)
        self.random = random
        self._takes_published = takes_published

    @property
    def check_value(self) -> str:
        """Six hexadecimal digits of the key above all keys of hosts."""
        return _check_value("A", self._key)

    def key_block(self, key: HostKey) -> str:
        """A key as a host holds it: S, and a key block of version D under this device's key."""
        try:
            header = replace(key.header, version="D")
            return "S" + tr31.wrap(self._key, header, key.value, self.random)
        except KeyBlockError as error:
            raise _refusal(error, "key") from error

    def read(self, fields: Fields, name: str) -> HostKey:
        """A key that a host holds, out of a command."""
        # Keys under variants of the storage key (schemes U, T, X, Y and none) are not kept here.
        fields.choice("S", f"{name}: key scheme", ErrorCode.KEY_SCHEME)
        return _unwrapped(self._key, _block(fields, name), name)

    def generated(self, header: KeyBlockHeader, size: int) -> HostKey:
        """A new key of random bytes; one for triple DES has odd parity, as others expect."""
        value = self.random(size)
        return HostKey(header, _odd(value) if header.algorithm == "T" else value)

    def imported(self, wrapping: HostKey, fields: Fields) -> HostKey:
        """A key out of a command, wrapped under a key of the host: R, and a TR-31 block."""
        fields.choice("R", "wrapped key: key scheme", ErrorCode.KEY_SCHEME)
        block = _block(fields, "wrapped key")
        _check_wrapping(wrapping, "D")
        if block[:1] != _VERSIONS[wrapping.header.algorithm]:
            raise HostCommandError(
                ErrorCode.KEY_BLOCK_VERSION, "wrapped key: not the version of its wrapping key"
            )
        key = _unwrapped(wrapping.value, block, "wrapped key")
        _check_strength(wrapping, key)
        return self.admitted(key, "wrapped key")

    def admitted(self, key: HostKey, name: str) -> HostKey:
        """A key on its way in, by the one check of strength (`hsm_sim.keys.strength`)."""
        is_des = checked(key, name).header.algorithm == "T"
        why = weakness(key.value, is_des=is_des, takes_published=self._takes_published)
        if why is not None:
            raise HostCommandError(ErrorCode.KEY_WEAK, f"{name}: {why.en}")
        return key

    def formed(self, header: KeyBlockHeader, components: Sequence[bytes]) -> HostKey:
        """A key out of components, as good as those of a ceremony."""
        try:
            value = xor_components(
                components, is_des=header.algorithm == "T", takes_published=self._takes_published
            )
        except ComponentError as error:
            same = error.fault is ComponentFault.LENGTH
            raise HostCommandError(
                ErrorCode.COMPONENTS if same else ErrorCode.KEY_WEAK, text_of(error).en
            ) from error
        return self.admitted(HostKey(header, value), "key")

    def exported(self, wrapping: HostKey, key: HostKey, options: dict[str, str]) -> str:
        """A key for another device: R, and a TR-31 block under `wrapping`.

        Option `!` names the version of the block, option `&` its exportability there.
        """
        _check_wrapping(wrapping, "E")
        version = _VERSIONS[wrapping.header.algorithm]
        if options.get("!", version) != version:
            raise HostCommandError(
                ErrorCode.KEY_BLOCK_VERSION, f"a block under that key has version {version}"
            )
        exportability = key.header.exportability
        if exportability == "N":
            raise HostCommandError(ErrorCode.KEY_FUNCTION, "the key is not exportable")
        there = options.get("&", exportability)
        if there not in {exportability, "N"}:
            raise HostCommandError(
                ErrorCode.EXPORTABILITY, "exportability stays as it is, or becomes N"
            )
        _check_strength(wrapping, key)
        header = replace(key.header, version=version, exportability=there)
        try:
            return "R" + tr31.wrap(wrapping.value, header, key.value, self.random)
        except KeyBlockError as error:
            raise _refusal(error, "key") from error


def checked(key: HostKey, name: str) -> HostKey:
    """The key, if its bytes can be one: of a length of its algorithm, and no shorter key inside."""
    algorithm, value = key.header.algorithm, key.value
    if algorithm not in _VERSIONS:
        raise HostCommandError(ErrorCode.KEY_ALGORITHM, f"{name}: is neither triple DES nor AES")
    if (algorithm, len(value)) not in _STRENGTHS:
        raise HostCommandError(
            ErrorCode.KEY_BLOCK_KEY_LENGTH, f"{name}: {len(value)} bytes are no key of {algorithm}"
        )
    parts = [_odd(value[at : at + 8]) for at in range(0, len(value), 8)]
    if algorithm == "T" and len(set(parts)) < len(parts):
        raise HostCommandError(
            ErrorCode.SINGLE_LENGTH_KEY, f"{name}: parts of it are equal, so it is a shorter key"
        )
    return key


def _block(fields: Fields, name: str) -> str:
    """As many characters as the block's own length says."""
    start = fields.text(5, name)
    if not start[1:].isdigit() or int(start[1:]) < len(start):
        raise HostCommandError(ErrorCode.KEY_BLOCK_FORMAT, f"{name}: a key block has no length")
    return start + fields.text(int(start[1:]) - len(start), name)


def _unwrapped(protection_key: bytes, block: str, name: str) -> HostKey:
    try:
        key = HostKey(*tr31.unwrap(protection_key, block))
    except KeyBlockError as error:
        raise _refusal(error, name) from error
    return key if key.is_component else checked(key, name)


def _check_wrapping(wrapping: HostKey, direction: str) -> None:
    """E: it may wrap; D: it may unwrap."""
    if wrapping.is_component:
        raise HostCommandError(ErrorCode.KEY_VERSION, "wrapping key: is a component and no key")
    if wrapping.header.usage not in _WRAPPING_USAGES:
        raise HostCommandError(ErrorCode.KEY_USAGE, "wrapping key: is not for wrapping keys")
    if wrapping.header.mode_of_use not in {direction, "B", "N"}:
        raise HostCommandError(ErrorCode.MODE_OF_USE, "wrapping key: is for the other way only")


def _check_strength(wrapping: HostKey, key: HostKey) -> None:
    if key.is_component:
        raise HostCommandError(ErrorCode.KEY_VERSION, "key: is a component and no key")
    if wrapping.strength < key.strength:
        raise HostCommandError(ErrorCode.WRAPPING_KEY, "wrapping key: is weaker than the key")


def _refusal(error: KeyBlockError, name: str) -> HostCommandError:
    return HostCommandError(_FAULTS[error.fault], f"{name}: {text_of(error).en}")


def _odd(value: bytes) -> bytes:
    """Every byte with its last bit set so that the number of ones is odd (ANSI X9.24-1)."""
    return bytes(byte & 0xFE | (byte >> 1).bit_count() & 1 ^ 1 for byte in value)
