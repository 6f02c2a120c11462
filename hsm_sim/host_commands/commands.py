"""The second dialect of the key service: host commands, as scripts for payment HSMs speak them.

Decides what each command does and answers. Leaves the two bytes of length around a message to the
server, its fields to `codec`, keys to `keys` and MACs to `macs`.

A message is a header (4 characters, repeated in the answer), two letters, and fields without
separators. The answer names the command with its second letter one further, and an error code::

    NC diagnostics        A0 new key           A4 key from components   A6 import   A8 export
    BU check value        M6 make a MAC        M8 verify a MAC          N0 random   B2 echo

Keys are in the host's hands, as key blocks (`keys`); nothing is kept here, so a refused
command changes nothing. The field layouts are those of a payShield 10K with a key block storage
key, as far as public sources show them; `docs/keys.md` says where ours differ.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from cardcore.text import Text, text_of
from hsm_sim.device.blocks.tr31 import KeyBlockError, KeyBlockHeader
from hsm_sim.host_commands.codec import ErrorCode, Fields, HostCommandError
from hsm_sim.host_commands.keys import ALGORITHMS, USAGES, HostKey, HostKeys, checked
from hsm_sim.host_commands.macs import MAC_METHODS, MacLengthError, MacMethod

RANDOM_BYTES_MAX = 256
_FIRMWARE_CHARACTERS = 9  # xxxx-xxxx
_KEY_TYPE = "FFF"  # what stands for a key type when the key block says it
_MODES_OF_USE = frozenset("BCDEGNSVXY")  # TR-31 §A.5.3
_MAC_DIGITS = {"0": 8, "1": 16}
_ONLY, _FIRST, _MIDDLE, _LAST = "0123"  # which part of a message a MAC command brings
#: Which usages make which MAC: TR-31 §A.5.1.
_MAC_USAGES = {"1": frozenset({"M0", "M1"}), "3": frozenset({"M3"}), "6": frozenset({"M6"})}


@dataclass(frozen=True, slots=True)
class HostContext:
    """What commands need from the device.

    `log` is told of every command that moved a key and of every one that was refused: command,
    error code, reason; never a byte of what was sent. `firmware` is the number that NC shows.
    """

    keys: HostKeys
    log: Callable[[str, str, Text], None]
    firmware: str = "0001-0001"
    header_characters: int = 4

    def __post_init__(self) -> None:
        assert len(self.firmware) == _FIRMWARE_CHARACTERS, self.firmware


@dataclass(frozen=True, slots=True)
class _Reply:
    """Fields behind the error code; what was done, for the log, if a key was moved."""

    data: bytes = field(repr=False)
    done: Text | None = None


def answer(context: HostContext, message: bytes) -> bytes:
    """The answer to any message, both without the length in front.

    No bytes at all when the message has no room for header and command, or other characters where
    the command should be: whoever sends that does not speak this dialect, and its connection is
    better closed. Raises nothing.

    >>> context = HostContext(HostKeys(bytes(32), bytes), lambda *_: None)
    >>> answer(context, b"0042B20004ping")
    b'0042B300ping'
    >>> answer(context, b"0042ZZ")
    b'0042Z[68'
    """
    header = message[: context.header_characters]
    code = message[len(header) : len(header) + 2]
    if len(code) < 2 or not code.isalnum():
        why = f"{len(message)} bytes without a command"
        context.log("?", ErrorCode.COMMAND, Text(f"{len(message)} 字节，没有命令", why))
        return b""
    command = code.decode("ascii")
    start = header + code[:1] + bytes((code[1] + 1,))
    fields = Fields(message[len(header) + 2 :])
    try:
        reply = _COMMANDS.get(command, _unknown)(context, fields)
        trailer = fields.trailer()
    except HostCommandError as error:
        context.log(command, error.code, Text(error.code.words_zh, text_of(error).en))
        return start + error.code.encode()
    except Exception as error:  # noqa: BLE001 - a fault here must not end the service
        # The class alone: a fault's text may show what it failed on.
        context.log(command, ErrorCode.INTERNAL, Text("本服务出错", type(error).__name__))
        return start + ErrorCode.INTERNAL.encode()
    if reply.done:
        context.log(command, ErrorCode.OK, reply.done)
    return start + ErrorCode.OK.encode() + reply.data + trailer


def _unknown(_: HostContext, __: Fields) -> _Reply:
    raise HostCommandError(ErrorCode.COMMAND, "is not among the commands served")


def _diagnostics(context: HostContext, fields: Fields) -> _Reply:
    """NC: check value of the storage key in 16 digits, and the firmware's number."""
    fields.options({})
    return _Reply((context.keys.check_value.ljust(16, "0") + context.firmware).encode())


def _echo(_: HostContext, fields: Fields) -> _Reply:
    """B2: length in 4 hexadecimal digits, data; the data come back."""
    size = fields.hex_number(4, "length")
    data = fields.raw(size, "data", ErrorCode.DATA_LENGTH)
    fields.options({})
    return _Reply(data)


def _random(context: HostContext, fields: Fields) -> _Reply:
    """N0: how many bytes, in 3 digits; so many random bytes."""
    size = fields.digits(3, "length", ErrorCode.N0_LENGTH)
    if not 1 <= size <= RANDOM_BYTES_MAX:
        raise HostCommandError(ErrorCode.N0_LENGTH, f"length: is not 1 to {RANDOM_BYTES_MAX}")
    fields.options({})
    return _Reply(context.keys.random(size))


def _generate_key(context: HostContext, fields: Fields) -> _Reply:
    """A0: mode (0, or 1 to export as well), FFF, S; in mode 1 `;` if
    wanted, 0, wrapping key and R; then `%00` if wanted, `#`, usage 2, algorithm 2, mode of use 1,
    version 2, exportability 1, optional blocks 00.

    The key, in mode 1 the key wrapped, the check value.
    """
    mode = fields.choice(("0", "1"), "mode")
    _key_type_and_scheme(fields)
    wrapping = None
    if mode == "1":
        fields.starts(b";")  # some hosts leave it out
        fields.choice("0", "wrapping key flag")
        wrapping = context.keys.read(fields, "wrapping key")
        fields.choice("R", "wrapped key: key scheme", ErrorCode.KEY_SCHEME)
    header, size = _asked_header(fields)
    options = fields.options({"&": 1, "!": 1} if wrapping else {})
    key = context.keys.generated(header, size)
    # What cannot be exported is refused before a key is given out.
    wrapped = "" if wrapping is None else context.keys.exported(wrapping, key, options)
    data = context.keys.key_block(key) + wrapped + key.check_value
    way = Text("已生成", "made") if wrapping is None else Text("已生成并导出", "made and exported")
    named = _shown(key)
    return _Reply(data.encode(), Text(f"{named.zh} {way.zh}", f"{named.en} {way.en}"))


def _form_key(context: HostContext, fields: Fields) -> _Reply:
    """A4: number of components 1, FFF, S, the components, then `%00` if wanted and `#`, version 2,
    optional blocks 00 if wanted; the key and its check value.

    A component is a key block whose version number begins with a small c.
    """
    count = fields.digits(1, "number of components", ErrorCode.A4_COUNT)
    if count < 2:
        raise HostCommandError(ErrorCode.A4_COUNT, "number of components: is not 2 to 9")
    _key_type_and_scheme(fields)
    components = [context.keys.read(fields, f"component {number + 1}") for number in range(count)]
    fields.storage_key()
    version_number = _asked_version(fields) if fields.starts(b"#") else "00"
    fields.options({})
    header = replace(components[0].header, version_number="00")
    numbers = {each.header.version_number for each in components}
    if not all(each.is_component for each in components) or len(numbers) < count:
        raise HostCommandError(
            ErrorCode.COMPONENTS, "they are not all components, each with a number of its own"
        )
    if any(replace(each.header, version_number="00") != header for each in components):
        raise HostCommandError(ErrorCode.COMPONENTS, "they are not components of one key")
    key = context.keys.formed(
        replace(header, version_number=version_number), [each.value for each in components]
    )
    data = context.keys.key_block(key) + key.check_value
    named = _shown(key)
    return _Reply(
        data.encode(),
        Text(f"{named.zh} 由 {count} 个分量合成", f"{named.en} formed of {count} components"),
    )


def _import_key(context: HostContext, fields: Fields) -> _Reply:
    """A6: FFF, wrapping key, R and a TR-31 block, S; the key and its check value."""
    fields.choice((_KEY_TYPE,), "key type", ErrorCode.KEY_TYPE)
    wrapping = context.keys.read(fields, "wrapping key")
    key = context.keys.imported(wrapping, fields)
    fields.choice("S", "key scheme", ErrorCode.KEY_SCHEME)
    fields.options({})
    data = context.keys.key_block(key) + key.check_value
    named = _shown(key)
    return _Reply(data.encode(), Text(f"{named.zh} 已导入", f"{named.en} imported"))


def _export_key(context: HostContext, fields: Fields) -> _Reply:
    """A8: FFF, wrapping key, key, R, then `&` exportability and `!` version if wanted; the key
    wrapped, and its check value.
    """
    fields.choice((_KEY_TYPE,), "key type", ErrorCode.KEY_TYPE)
    wrapping = context.keys.read(fields, "wrapping key")
    key = context.keys.read(fields, "key")
    fields.choice("R", "key scheme", ErrorCode.KEY_SCHEME)
    options = fields.options({"&": 1, "!": 1})
    data = context.keys.exported(wrapping, key, options) + key.check_value
    named = _shown(key)
    return _Reply(data.encode(), Text(f"{named.zh} 已导出", f"{named.en} exported"))


def _check_value(context: HostContext, fields: Fields) -> _Reply:
    """BU: FF, F, key, then `;FFF` and `;00` with 0 or 1 if wanted; six digits of check value."""
    fields.choice(("FF",), "key type code", ErrorCode.KEY_TYPE_CODE)
    fields.choice("F", "key length flag", ErrorCode.KEY_LENGTH_FLAG)
    key = context.keys.read(fields, "key")
    if fields.starts(b";"):
        fields.choice((_KEY_TYPE,), "key type", ErrorCode.KEY_TYPE)
        if fields.starts(b";"):
            fields.choice(("000", "001"), "check value type")
    fields.options({})
    return _Reply(checked(key, "key").check_value.encode())


@dataclass(frozen=True, slots=True)
class _MacRequest:
    """What M6 and M8 have in common."""

    part: str
    digits: int
    method: MacMethod
    padding: str
    key: HostKey
    vector: bytes = field(repr=False)
    data: bytes = field(repr=False)

    def chained(self) -> bytes:
        """The chaining value behind a part that is not the last, in digits."""
        return self.method.chained(self.key.value, self.vector, self.data).hex().upper().encode()

    def mac(self) -> bytes:
        """The MAC in digits, as many as asked for."""
        whole = self.method.finished(self.key.value, self.vector, self.data, self.padding)
        return whole.hex().upper()[: self.digits].encode()


def _make_mac(context: HostContext, fields: Fields) -> _Reply:
    """M6: part 1 (0 all, 1 first, 2 middle, 3 last), input format 1 (0 bytes, 1 hexadecimal
    digits, 2 text), size 1 (0: 8 digits, 1: 16), algorithm 1 (1, 3, 6), padding 1, FFF, key,
    chaining value in parts 2 and 3, length in 4 hexadecimal digits, message.

    The MAC, or in parts 1 and 2 the chaining value.
    """
    request = _mac_request(context, fields, "CGN")
    fields.options({})
    try:
        return _Reply(request.chained() if request.part in _FIRST + _MIDDLE else request.mac())
    except MacLengthError as error:
        raise _not_whole_blocks(request) from error


def _verify_mac(context: HostContext, fields: Fields) -> _Reply:
    """M8: as M6, and behind the message its MAC, unless a part follows. 01 when it is another."""
    request = _mac_request(context, fields, "CVN")
    open_part = request.part in _FIRST + _MIDDLE
    if open_part or request.part == _LAST:
        _check_mode(request.key, "CN", "only verifies, and takes a message in one part")
    stated = b"" if open_part else fields.text(request.digits, "MAC").upper().encode()
    fields.options({})
    try:
        made = request.chained() if open_part else request.mac()
    except MacLengthError as error:
        raise _not_whole_blocks(request) from error
    if open_part:
        return _Reply(made)
    if not hmac.compare_digest(made, stated):
        raise HostCommandError(ErrorCode.VERIFICATION_FAILED, "the MAC does not hold")
    return _Reply(b"")


def _mac_request(context: HostContext, fields: Fields, modes_of_use: str) -> _MacRequest:
    part = fields.choice(_ONLY + _FIRST + _MIDDLE + _LAST, "mode", ErrorCode.M6_MODE)
    input_format = fields.choice("012", "input format", ErrorCode.M6_INPUT_FORMAT)
    digits = _MAC_DIGITS[fields.choice(_MAC_DIGITS.keys(), "MAC size")]
    name = fields.choice(MAC_METHODS.keys(), "MAC algorithm", ErrorCode.M6_ALGORITHM)
    method = MAC_METHODS[name]
    padding = fields.choice(method.paddings.keys(), "padding", ErrorCode.M6_PADDING)
    fields.choice((_KEY_TYPE,), "key type", ErrorCode.M6_KEY_TYPE)
    key = context.keys.read(fields, "key")
    if key.is_component:
        raise HostCommandError(ErrorCode.KEY_VERSION, "key: is a component and no key")
    if key.header.usage not in _MAC_USAGES[name]:
        raise HostCommandError(ErrorCode.KEY_USAGE, f"key: is not for MAC algorithm {name}")
    if key.header.algorithm != ("A" if method.block_bytes == 16 else "T"):
        raise HostCommandError(ErrorCode.KEY_ALGORITHM, f"key: is not for MAC algorithm {name}")
    if len(key.value) not in method.key_bytes:
        raise HostCommandError(ErrorCode.KEY_LENGTH, f"key: too long for MAC algorithm {name}")
    _check_mode(key, modes_of_use, "is not for this way")
    block = method.block_bytes
    vector = bytes(block)
    if part in _MIDDLE + _LAST:
        vector = fields.hexadecimal(2 * block, "chaining value")
    size = fields.hex_number(4, "message length", ErrorCode.M6_MESSAGE_LENGTH)
    if input_format == "1":
        data = fields.hexadecimal(size, "message")
    else:
        data = fields.raw(size, "message", ErrorCode.DATA_LENGTH)
    if part == _LAST and not data:
        raise HostCommandError(ErrorCode.DATA_LENGTH, "message: its last part is empty")
    return _MacRequest(part, digits, method, padding, key, vector, data)


def _check_mode(key: HostKey, allowed: str, reason: str) -> None:
    if key.header.mode_of_use not in allowed:
        raise HostCommandError(ErrorCode.MODE_OF_USE, f"key: {reason}")


def _not_whole_blocks(request: _MacRequest) -> HostCommandError:
    return HostCommandError(
        ErrorCode.DATA_LENGTH, f"message: is not whole blocks of {request.method.block_bytes}"
    )


def _key_type_and_scheme(fields: Fields) -> None:
    fields.choice((_KEY_TYPE,), "key type", ErrorCode.KEY_TYPE)
    fields.choice("S", "key scheme", ErrorCode.KEY_SCHEME)


def _asked_header(fields: Fields) -> tuple[KeyBlockHeader, int]:
    """The header of a key that is asked for, and its bytes."""
    fields.storage_key()
    fields.choice("#", "key block mark")
    usage = fields.text(2, "key usage")
    if usage not in USAGES and not usage.isdigit():
        raise HostCommandError(ErrorCode.KEY_USAGE, "key usage: is none of TR-31")
    letter, size = ALGORITHMS[
        fields.choice(ALGORITHMS.keys(), "algorithm", ErrorCode.KEY_ALGORITHM)
    ]
    mode = fields.choice(_MODES_OF_USE, "mode of use", ErrorCode.MODE_OF_USE)
    version = fields.text(2, "key version")
    exportability = fields.choice("ENS", "exportability", ErrorCode.EXPORTABILITY)
    fields.choice(("00",), "number of optional blocks", ErrorCode.OPTIONAL_BLOCK_COUNT)
    try:
        header = KeyBlockHeader(usage, letter, mode, version, exportability)
    except KeyBlockError as error:
        raise HostCommandError(ErrorCode.KEY_VERSION, text_of(error).en) from error
    if HostKey(header, b"").is_component:
        raise HostCommandError(ErrorCode.KEY_VERSION, "key version: is that of a component")
    return header, size


def _asked_version(fields: Fields) -> str:
    """The version number of a key that is formed, and that it has no optional blocks."""
    version = fields.text(2, "key version")
    fields.choice(("00",), "number of optional blocks", ErrorCode.OPTIONAL_BLOCK_COUNT)
    if not (version.isascii() and version.isalnum() and version == version.upper()):
        raise HostCommandError(ErrorCode.KEY_VERSION, "key version: is none of a key")
    return version


def _shown(key: HostKey) -> Text:
    """A key for the log: what it is for, and its check value."""
    header = key.header
    name = f"{header.usage}{header.algorithm}{header.mode_of_use} {key.check_value}"
    return Text(f"密钥 {name}", f"key {name}")


_COMMANDS: Mapping[str, Callable[[HostContext, Fields], _Reply]] = {
    "NC": _diagnostics,
    "B2": _echo,
    "N0": _random,
    "A0": _generate_key,
    "A4": _form_key,
    "A6": _import_key,
    "A8": _export_key,
    "BU": _check_value,
    "M6": _make_mac,
    "M8": _verify_mac,
}
