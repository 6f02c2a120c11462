"""What docs/keys.md says of the keys is what the code makes of them."""

import re

import pytest

from cardcore.issuing.products import (
    APPLICATIONS,
    SHIPPED,
    application_slots,
    key_refs,
    shipped,
)
from cardcore.keys import Key, KeyRef, KeyUsage, ProofReason
from hsm_sim.keys.published_keys import RULE_TEXT, issuer_key_refs, published_key
from hsm_sim.keys.vault import check_value
from hsm_sim.proof.shares import BULK_ROWS_MIN
from hsm_sim.psam import SEQUENCES_RESERVED
from tests.support.shared import REPOSITORY

TEXT = (REPOSITORY / "docs" / "keys.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z-]+)/([a-z0-9-]+)/v(\d+)` \| `([0-9A-F]{6})` \|$", re.MULTILINE)


def documented() -> dict[KeyRef, str]:
    return {
        KeyRef(KeyUsage(usage), label, int(version)): shown
        for usage, label, version, shown in ROW.findall(TEXT)
    }


def test_every_documented_check_value_is_recomputed_from_the_published_rule() -> None:
    for ref, shown in documented().items():
        assert check_value(Key(ref.usage, published_key(ref))) == shown, ref


@pytest.mark.parametrize("label", ["demo", "shenzhen"])
def test_the_keys_of_the_demonstrated_cities_are_documented(label: str) -> None:
    for version in (1, 2):
        assert set(issuer_key_refs(label, version)) <= documented().keys()
    assert any(ref.usage is KeyUsage.FILE_SIGNING for ref in documented())


def test_the_keys_of_every_shipped_product_are_documented() -> None:
    for name in SHIPPED:
        assert set(key_refs(shipped(name), "demo")) <= documented().keys()


def test_the_keys_of_every_application_are_documented_whatever_product_has_it() -> None:
    for name in APPLICATIONS:
        refs = {slot.ref(label, 1) for label, slot in application_slots(name, "demo")}
        assert refs <= documented().keys(), name


def test_the_rule_is_quoted_word_for_word() -> None:
    assert f'"{RULE_TEXT} tac/shenzhen/v1"' in TEXT


def test_every_usage_and_every_reason_is_explained() -> None:
    for usage in KeyUsage:
        assert f"| `{usage}` |" in TEXT
    for reason in ProofReason:
        assert f"| {reason.value} | `{reason.name}` |" in TEXT


def test_the_figures_of_the_code_stand_in_the_text() -> None:
    rows = " ".join(f"{each.name} {least}" for each, least in BULK_ROWS_MIN.items())
    assert f"`BULK_ROWS_MIN` ({rows})" in TEXT
    assert f"`SEQUENCES_RESERVED` ({SEQUENCES_RESERVED})" in TEXT
