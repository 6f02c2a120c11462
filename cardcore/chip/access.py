"""Access rules of files as data: which conditions open an operation, and how they combine.

Decides what a rule says and which of its ways is open. Leaves how a condition comes true to the
commands (`cardcore.chip.commands.security`), and where a rule is kept to the header of the file.

A rule is a list of ways; a way is a list of conditions that must all hold. `&` asks for both
sides, `|` for one of them::

    Access.NEVER, Access.ALWAYS
    Access.PIN                        VERIFY was right since the application was selected
    Access.external(4)                EXTERNAL AUTHENTICATE with key 4 was right
    Access.internal(1)                INTERNAL AUTHENTICATE with key 1 was asked
    Access.mac(1)                     the command carries a MAC under FILE_MAINTENANCE key 1
    Access.enciphered(1)              the same, and its data are enciphered
    Access.COMPOSITE                  written by the DEBIT of a composite purchase
    Access.CHANNEL                    the command came through the secure channel (SCP03)
    Access.PIN & Access.external(4) | Access.CHANNEL
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import ClassVar, NamedTuple

from cardcore.errors import DecodeError


class ConditionKind(IntEnum):
    """What has to be true."""

    # Rules are looked up by their conditions: as quick as the number it is.
    __hash__ = int.__hash__

    PIN = 1  # 个人密码
    EXTERNAL = 2  # 外部认证
    INTERNAL = 3  # 内部认证
    MAC = 4  # 带 MAC
    ENCIPHERED = 5  # 加密并带 MAC
    COMPOSITE = 6  # 随复合消费写入
    CHANNEL = 7  # 安全通道


class Condition(NamedTuple):
    """One condition; `key_id` names the key of those that have one."""

    kind: ConditionKind
    key_id: int = 0


#: Conditions that the command itself fulfils, by its form.
MESSAGING = frozenset({ConditionKind.MAC, ConditionKind.ENCIPHERED})
Way = tuple[Condition, ...]


#: Rules of all applications there are; a card has some seventy files and few rules.
_RULES_KEPT = 512


@dataclass(frozen=True, slots=True)
class Access:
    """One rule. No way at all is NEVER, a way without conditions is ALWAYS.

    >>> rule = Access.PIN & Access.external(4) | Access.CHANNEL
    >>> rule.encode().hex()
    '020201000204010700'
    >>> Access.decode(rule.encode()) == (rule, 9)
    True
    """

    ways: tuple[Way, ...]

    NEVER: ClassVar["Access"]
    ALWAYS: ClassVar["Access"]
    PIN: ClassVar["Access"]
    COMPOSITE: ClassVar["Access"]
    CHANNEL: ClassVar["Access"]

    @classmethod
    def external(cls, key_id: int) -> "Access":
        """EXTERNAL AUTHENTICATE with that key (外部认证)."""
        return cls(((Condition(ConditionKind.EXTERNAL, key_id),),))

    @classmethod
    def internal(cls, key_id: int) -> "Access":
        """INTERNAL AUTHENTICATE with that key (内部认证): the reader has looked at the card."""
        return cls(((Condition(ConditionKind.INTERNAL, key_id),),))

    @classmethod
    def mac(cls, key_index: int = 1) -> "Access":
        """Secure messaging with MAC (明文加 MAC)."""
        return cls(((Condition(ConditionKind.MAC, key_index),),))

    @classmethod
    def enciphered(cls, key_index: int = 1) -> "Access":
        """Secure messaging, enciphered and with MAC (密文加 MAC)."""
        return cls(((Condition(ConditionKind.ENCIPHERED, key_index),),))

    def __and__(self, other: "Access") -> "Access":
        return Access(tuple(tuple(sorted({*one, *two})) for one in self.ways for two in other.ways))

    def __or__(self, other: "Access") -> "Access":
        return Access(self.ways + tuple(way for way in other.ways if way not in self.ways))

    @lru_cache(maxsize=_RULES_KEPT)  # noqa: B019 - rules are values, few, and hold nothing
    def encode(self) -> bytes:
        """Number of ways; each way its number of conditions and two bytes a condition."""
        parts = [bytes((len(self.ways),))]
        for way in self.ways:
            parts.append(bytes((len(way),)))
            parts += [bytes(condition) for condition in way]
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes, at: int = 0) -> tuple["Access", int]:
        """The rule that starts at a byte, and the byte behind it."""
        try:
            ways = []
            count, at = data[at], at + 1
            for _ in range(count):
                size, at = data[at], at + 1
                end = at + 2 * size
                pairs = zip(data[at:end:2], data[at + 1 : end : 2], strict=True)
                way = tuple(Condition(ConditionKind(kind), key_id) for kind, key_id in pairs)
                if len(way) != size:
                    raise DecodeError("access rule", len(data), "ends inside a way")
                ways.append(way)
                at = end
        except (IndexError, ValueError) as error:
            raise DecodeError("access rule", at, str(error)) from error
        return cls(tuple(ways)), at

    def open_to(self, holds: Callable[[Condition], bool]) -> bool:
        """Whether one way holds without secure messaging."""
        # Asked at every command: loops cost half of what generators do.
        for way in self.ways:
            for condition in way:
                if not holds(condition):
                    break
            else:
                return True
        return False

    def messaging(self, holds: Callable[[Condition], bool]) -> Condition | None:
        """The form of secure messaging that is all that is missing, of the first such way."""
        for way in self.ways:
            forms = [condition for condition in way if condition.kind in MESSAGING]
            rest = [condition for condition in way if condition.kind not in MESSAGING]
            if len(forms) == 1 and all(holds(condition) for condition in rest):
                return forms[0]
        return None

    def mentions(self, kinds: Collection[ConditionKind]) -> bool:
        """Whether any way has a condition of one of these kinds."""
        return any(condition.kind in kinds for way in self.ways for condition in way)


Access.NEVER = Access(())
Access.ALWAYS = Access(((),))
Access.PIN = Access(((Condition(ConditionKind.PIN),),))
Access.COMPOSITE = Access(((Condition(ConditionKind.COMPOSITE),),))
Access.CHANNEL = Access(((Condition(ConditionKind.CHANNEL),),))
