"""An account is a value: written one way, read back the same, and nothing else is one."""

import re
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.ledger.accounts import (
    CARD_FLOAT,
    HOLDER_DUE,
    Account,
    AccountKind,
    AccountTextError,
    parse_account,
)

of_participants = st.builds(
    Account,
    st.sampled_from([AccountKind.OPERATOR, AccountKind.LOAD_AGENT, AccountKind.SUSPENSE]),
    st.integers(0, 2**32 - 1),
)
of_days = st.builds(Account, st.just(AccountKind.CLEARING), st.none(), st.dates())
accounts = st.one_of(of_participants, of_days, st.sampled_from([CARD_FLOAT, HOLDER_DUE]))


@given(accounts)
def test_an_account_is_read_back_from_its_text(account: Account) -> None:
    assert parse_account(account.text) == account


@given(accounts, accounts)
def test_no_two_accounts_are_written_alike(one: Account, other: Account) -> None:
    assert (one.text == other.text) == (one == other)


@given(st.text())
def test_text_is_an_account_or_an_error(text: str) -> None:
    with suppress(AccountTextError):
        assert parse_account(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "", "operator", "operator/", "operator/x", "operator/0101", "operator/ 101", "operator/+1",
        "operator/1_0", "operator/１０１", "operator/101/2", "OPERATOR/101", "card_float/1",
        "card_float/", "clearing", "clearing/20180901", "clearing/2018-09-31", "clearing/101",
        "refund/101", "perator/101f",
    ],
)  # fmt: skip
def test_what_is_nearly_an_account_is_none(text: str) -> None:
    with pytest.raises(AccountTextError, match=re.escape(f"{text} is no account")):
        parse_account(text)


@pytest.mark.parametrize(
    ("kind", "participant", "day"),
    [
        (AccountKind.OPERATOR, None, None),
        (AccountKind.CARD_FLOAT, 101, None),
        (AccountKind.CLEARING, None, None),
        (AccountKind.SUSPENSE, 101, date(2018, 9, 1)),
    ],
)
def test_an_account_without_its_owner_or_with_anothers_cannot_be(
    kind: AccountKind, participant: int | None, day: date | None
) -> None:
    with pytest.raises(AssertionError):
        Account(kind, participant, day)
