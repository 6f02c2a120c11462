"""Every sector there is, by number.

Decides that numbers and names are used once, and what holds in a sector nobody described. A file
beside this one that offers `SECTOR_RULES` adds to it; nothing else has to be touched.
"""

from collections.abc import Mapping

from cardcore.catalogues import gather
from cardcore.text import Text
from settlement import sectors
from settlement.sectors.rules import SectorRule, no_fare, whole


def read_rules() -> Mapping[int, SectorRule]:
    """The rules by number, in the order of their numbers.

    >>> [each.name for each in read_rules().values()]
    ['transit', 'health', 'social_security', 'library', 'merchant', 'card_service']
    """
    found: list[SectorRule] = sorted(gather(sectors, "SECTOR_RULES"), key=lambda each: each.number)
    by_number = {each.number: each for each in found}
    assert len(by_number) == len({each.name for each in found}) == len(found), found
    return by_number


def rule_of(rules: Mapping[int, SectorRule], sector: int) -> SectorRule:
    """The rule of a sector. A record's sector is its own word, which nobody signed: a number that
    is no sector neither holds nor moves what is proven.

    >>> rule_of(read_rules(), 99).share is whole
    True
    """
    unknown = Text(f"未知行业 {sector}", f"unknown sector {sector}")
    return rules.get(sector) or SectorRule(sector, f"sector_{sector}", unknown, no_fare, whole)
