"""A sector of the tests: ice rinks give the city three tenths. As a file somebody adds."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from settlement import sectors

NUMBER, CITY = 77, 7
SOURCE = '''
"""Ice rinks (滑冰): three tenths are the city's; more than the tariff is told, and where
a tariff is known nobody is paid more.
"""

from cardcore.money import split_fen
from cardcore.schemes import Scheme
from cardcore.text import Text
from settlement.dispositions import Note
from settlement.sectors.fares import Explanation, Fare
from settlement.sectors.rules import Payment, SectorRule


def explain(fare: Fare, _scheme: Scheme) -> Explanation:
    too_much = fare.amount_fen > fare.tariff_fen
    return Explanation(notes=Note.OVERCHARGED if too_much else Note(0))


def share(payment: Payment) -> dict[int, int]:
    rink_fen, city_fen = split_fen(payment.amount_fen, (70, 30))
    return {payment.operator: rink_fen, 7: city_fen}


SECTOR_RULES = (
    SectorRule(
        77, "skating", Text("滑冰", "skating"), explain, share, Scheme.known_tariff_fen
    ),
)
'''


@contextmanager
def one_sector_more(folder: Path) -> Iterator[None]:
    """While this holds, a folder beside the package has one more file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "skating.py").write_text(SOURCE, encoding="utf-8")
    with patch.object(sectors, "__path__", [*sectors.__path__, str(folder)]):
        try:
            yield
        finally:
            sys.modules.pop("settlement.sectors.skating", None)
            vars(sectors).pop("skating", None)
