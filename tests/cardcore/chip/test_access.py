import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.chip.access import Access, Condition, ConditionKind
from cardcore.errors import DecodeError

CONDITIONS = st.builds(Condition, st.sampled_from(ConditionKind), st.integers(0, 255))
RULES = st.builds(
    Access,
    st.lists(st.lists(CONDITIONS, max_size=3, unique=True).map(tuple), max_size=4).map(tuple),
)


@given(RULES, st.binary(max_size=4))
def test_a_rule_comes_back_from_its_bytes(rule: Access, behind: bytes) -> None:
    encoded = rule.encode()
    assert Access.decode(encoded + behind) == (rule, len(encoded))


@given(RULES)
def test_a_cut_rule_is_refused(rule: Access) -> None:
    encoded = rule.encode()
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            Access.decode(encoded[:length])


@given(RULES, RULES, st.sets(CONDITIONS))
def test_and_needs_both_rules_and_or_needs_one(
    one: Access, two: Access, true: set[Condition]
) -> None:
    opens = [rule.open_to(true.__contains__) for rule in (one, two, one & two, one | two)]
    assert opens[2] == (opens[0] and opens[1])
    assert opens[3] == (opens[0] or opens[1])


def test_never_is_never_and_always_is_always() -> None:
    assert not Access.NEVER.open_to(lambda _: True)
    assert Access.ALWAYS.open_to(lambda _: False)
    assert Access.NEVER & Access.ALWAYS == Access.NEVER
    assert Access.PIN & Access.ALWAYS == Access.PIN


def test_secure_messaging_is_asked_for_only_when_all_else_holds() -> None:
    rule = Access.PIN & Access.mac(3) | Access.external(1) & Access.enciphered(4)
    assert rule.messaging(lambda _: False) is None
    pin = Condition(ConditionKind.PIN)
    assert rule.messaging(lambda each: each == pin) == Condition(ConditionKind.MAC, 3)
    external = Condition(ConditionKind.EXTERNAL, 1)
    found = rule.messaging(lambda each: each == external)
    assert found == Condition(ConditionKind.ENCIPHERED, 4)
    assert not rule.open_to(lambda each: each.kind is not ConditionKind.MAC and each == pin)
