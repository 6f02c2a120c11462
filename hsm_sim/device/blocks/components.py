"""Components of a key (密钥分量): one key out of what several custodians brought, each his own.

Decides how a component is written, recognised and refused, and how components become a key: by
XOR, so that whoever lacks one of them knows nothing of the key. Leaves who may bring which, and
what is shown and logged between them, to the ceremony.

Parity is not enforced: no cipher here looks at it, and a custodian who corrects bits no longer
holds what was written down.
"""

import hashlib
import re
from collections.abc import Sequence
from enum import StrEnum
from functools import reduce

from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, Key, KeyUsage
from cardcore.text import Text
from hsm_sim.keys.vault import CHECK_VALUE_BYTES, SIGNING_USAGES, check_value, key_bytes

COMPONENTS_MIN, COMPONENTS_MAX = 2, 9
_ALL_ZERO = Text("有一个全为零，不起作用", "one is all zeros and adds nothing")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*")


class ComponentFault(StrEnum):
    """What is wrong with a component, or with several together."""

    COUNT = "count"
    DIGITS = "digits"
    LENGTH = "length"
    ALL_ZERO = "all zero"  # its custodian would know that he adds nothing
    REPEATED = "repeated"  # two that are equal take each other away
    CHECK_VALUE = "check value"  # not the one on the custodian's sheet: a slip, or another sheet
    KEY_ALL_ZERO = "key all zero"  # together they take each other away

    @property
    def text(self) -> Text:
        """For people."""
        return Text(_FAULTS_ZH[self], str(self))


_FAULTS_ZH = {
    ComponentFault.COUNT: "个数",
    ComponentFault.DIGITS: "数字",
    ComponentFault.LENGTH: "长度",
    ComponentFault.ALL_ZERO: "全零",
    ComponentFault.REPEATED: "重复",
    ComponentFault.CHECK_VALUE: "检查值",
    ComponentFault.KEY_ALL_ZERO: "合成密钥全零",
}


class ComponentError(KeyServiceError):
    """A component is refused. `fault` says what is wrong; no digit of it is shown."""

    def __init__(self, fault: ComponentFault, reason: Text) -> None:
        super().__init__(
            Text(
                f"密钥分量：{fault.text.zh}：{reason.zh}",
                f"key component: {fault.text.en}: {reason.en}",
            )
        )
        self.fault = fault


def read_component(text: str, usage: KeyUsage) -> bytes:
    """A component as a custodian types it: hexadecimal digits, spaces where he likes.

    Raises `ComponentError` for other characters, a wrong length and a component of zeros.

    >>> len(read_component("0123 4567 89AB CDEF FEDC BA98 7654 3210", KeyUsage.TAC))
    16
    """
    digits = "".join(text.split())
    if not _HEX.fullmatch(digits):
        raise ComponentError(
            ComponentFault.DIGITS,
            Text("不是成对的十六进制数字", "is not hexadecimal digits in pairs"),
        )
    _check(value := bytes.fromhex(digits), usage)
    return value


def component_check_value(value: bytes, usage: KeyUsage, algorithm: Algorithm | None = None) -> str:
    """Six hexadecimal digits by which a component is recognised: of a component, as of its key.

    A component of a signing key is no signing key, so it shows the first three bytes of its
    SHA-256. Raises `ComponentError` as `read_component` does.

    >>> component_check_value(bytes.fromhex("404142434445464748494A4B4C4D4E4F"), KeyUsage.TAC)
    '8BAF47'
    """
    _check(value, usage)
    if usage in SIGNING_USAGES:
        return hashlib.sha256(value).digest()[:CHECK_VALUE_BYTES].hex().upper()
    return check_value(Key(usage, value), algorithm)


def prove_component(
    value: bytes, stated: str, usage: KeyUsage, algorithm: Algorithm | None = None
) -> None:
    """Hold a component against the check value on its custodian's sheet.

    Raises `ComponentError` when it is another one.

    >>> component = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
    >>> prove_component(component, "8baf47", KeyUsage.TAC)
    >>> try:
    ...     prove_component(component, "8BAF48", KeyUsage.TAC)
    ... except ComponentError as error:
    ...     print(error)
    key component: check value: 8BAF47, the sheet differs
    """
    shown = component_check_value(value, usage, algorithm)
    if stated.strip().upper() != shown:
        # What is stated may be anything, a component typed one line early as well: never shown.
        raise ComponentError(
            ComponentFault.CHECK_VALUE,
            Text(f"{shown}，与分量信封上的不一致", f"{shown}, the sheet differs"),
        )


def combine(components: Sequence[bytes], usage: KeyUsage) -> bytes:
    """The key: every component XOR every other. The order does not matter.

    Raises `ComponentError` for one of a wrong length, and as `xor_components` does.

    >>> combine([bytes([0x0F]) * 16, bytes([0xF1]) * 16], KeyUsage.TAC).hex()
    'fefefefefefefefefefefefefefefefe'
    """
    for component in components:
        _check(component, usage)
    return xor_components(components)


def xor_components(components: Sequence[bytes]) -> bytes:
    """Components of any one length, put together.

    Raises `ComponentError` for fewer than 2 or more than 9, for different lengths, for one of
    zeros, for two that are equal, and for components that together make zeros.
    """
    if not COMPONENTS_MIN <= len(components) <= COMPONENTS_MAX:
        raise ComponentError(
            ComponentFault.COUNT,
            Text(
                f"共 {len(components)} 个；一把密钥须有 {COMPONENTS_MIN} 至 {COMPONENTS_MAX} 个分"
                "量",
                f"{len(components)} of them; a key has {COMPONENTS_MIN} to {COMPONENTS_MAX}",
            ),
        )
    if len({len(each) for each in components}) > 1:
        raise ComponentError(
            ComponentFault.LENGTH, Text("各分量长度不一", "they are not of one length")
        )
    if not all(map(any, components)):
        raise ComponentError(ComponentFault.ALL_ZERO, _ALL_ZERO)
    if len(set(components)) < len(components):
        raise ComponentError(
            ComponentFault.REPEATED,
            Text("有两个分量相同，互相抵消", "two are equal and take each other away"),
        )
    combined = reduce(int.__xor__, (int.from_bytes(each, "big") for each in components))
    if combined == 0:
        raise ComponentError(
            ComponentFault.KEY_ALL_ZERO,
            Text("合起来互相抵消", "together they take each other away"),
        )
    return combined.to_bytes(len(components[0]), "big")


def _check(value: bytes, usage: KeyUsage) -> None:
    if len(value) != key_bytes(usage):
        raise ComponentError(
            ComponentFault.LENGTH,
            Text(
                f"有 {len(value)} 字节；{usage.use.zh}密钥为 {key_bytes(usage)} 字节",
                f"has {len(value)} bytes; a {usage} key takes {key_bytes(usage)}",
            ),
        )
    if not any(value):
        raise ComponentError(ComponentFault.ALL_ZERO, _ALL_ZERO)
