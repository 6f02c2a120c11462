"""Components of a key (密钥分量): one key out of what several custodians brought, each his own.

Decides how a component is written, recognised and refused, and how components become a key: by
XOR, so that whoever lacks one of them knows nothing of the key: which holds only of components that
are as good as keys, alone and in any part of their number. Leaves who may bring which, and
what is shown and logged between them, to the ceremony.

Parity is not enforced: no cipher here looks at it, and a custodian who corrects bits no longer
holds what was written down.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import reduce
from itertools import combinations

from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, Key, KeyUsage
from cardcore.text import Text
from hsm_sim.keys.strength import weakness
from hsm_sim.keys.vault import (
    CHECK_VALUE_BYTES,
    SIGNING_USAGES,
    check_value,
    key_algorithms,
    key_bytes,
)

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
    WEAK = "weak"  # dice would not throw it: somebody else may know it, and so the rest
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
    ComponentFault.WEAK: "强度不足",
    ComponentFault.CHECK_VALUE: "检查值",
    ComponentFault.KEY_ALL_ZERO: "合成密钥全零",
}


_CANCELLING = {
    1: (ComponentFault.ALL_ZERO, _ALL_ZERO),
    2: (
        ComponentFault.REPEATED,
        Text("有两个分量相同，互相抵消", "two are equal and take each other away"),
    ),
}
_ALL_CANCELLING = (
    ComponentFault.KEY_ALL_ZERO,
    Text("合起来互相抵消", "together they take each other away"),
)


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


def combine(
    components: Sequence[bytes],
    usage: KeyUsage,
    algorithm: Algorithm | None = None,
    *,
    takes_published: bool = False,
) -> bytes:
    """The key: every component XOR every other. The order does not matter.

    Raises `ComponentError` for one of a wrong length, and as `xor_components` does.

    >>> first = bytes.fromhex("8A4C1F60B3D97E25E15B3C98F2067AD4")
    >>> second = bytes.fromhex("5D0C4A1B7F92E63841D8B3FC20961E57")
    >>> combine([first, second], KeyUsage.TAC).hex()
    'd740557bcc4b981da0838f64d2906483'
    """
    for component in components:
        _check(component, usage)
    is_des = (algorithm or key_algorithms(usage)[0]) is Algorithm.PBOC_3DES
    return xor_components(components, is_des=is_des, takes_published=takes_published)


def xor_components(
    components: Sequence[bytes], *, is_des: bool, takes_published: bool = False
) -> bytes:
    """Components of any one length, put together.

    Raises `ComponentError` for fewer than 2 or more than 9, for different lengths, and for some
    that together, parity aside for DES, are zeros or no better than a bad key: whoever holds the
    others would know the key, or half of it. How good all together are is said of the key, not
    here. Where public test keys belong (`takes_published`), only zeros are refused.
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
    for count in range(1, len(components) + 1):
        for some in combinations(components, count):
            together = _xor(some)
            if not any(byte & 0xFE if is_des else byte for byte in together):
                raise ComponentError(*_CANCELLING.get(count, _ALL_CANCELLING))
            if count == len(components) or takes_published:
                continue
            if (why := weakness(together, is_des=is_des)) is not None:
                raise ComponentError(ComponentFault.WEAK, _weak_together(count, why))
    return _xor(components)


def _xor(values: Iterable[bytes]) -> bytes:
    return bytes(reduce(int.__xor__, column) for column in zip(*values, strict=True))


def _weak_together(count: int, why: Text) -> Text:
    if count == 1:
        return Text(f"有一个{why.zh}", f"one {why.en}")
    return Text(f"其中 {count} 个合起来{why.zh}", f"{count} of them together make what {why.en}")


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
