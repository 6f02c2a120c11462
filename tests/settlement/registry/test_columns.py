"""What may stand in a column: a value is sound exactly when a text gives it."""

from hypothesis import given
from hypothesis import strategies as st

from settlement.registry.columns import Column, ValueFaultError
from settlement.registry.rows import KINDS

COLUMNS = sorted(
    {(kind, column.name): column for kind, each in KINDS.items() for column in each.columns}.items()
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 300),
    st.integers(),
    st.sampled_from(("", "bus", "transit", "5", "0000000000b1", "AB" * 8, "ab" * 32, "4", "A6")),
    st.text(max_size=8),
    st.floats(allow_nan=False),
    st.binary(max_size=2),
)


def some_text_gives(column: Column, value: object) -> bool:
    """By the road of a sheet: written as text and read again."""
    if isinstance(value, bool) or not isinstance(value, int | str | None):
        return False
    try:
        return column.read(column.write(value)) == value
    except ValueFaultError:
        return False


@given(st.sampled_from(COLUMNS), VALUES)
def test_a_value_is_sound_exactly_when_some_text_gives_it(
    named: tuple[tuple[str, str], Column], value: object
) -> None:
    column = named[1]
    assert column.is_sound(value) is some_text_gives(column, value)
