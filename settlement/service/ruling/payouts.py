"""What a ruling that settles cases pays out: what is held of its records, and never twice.

Decides it from what closed days decided and from the rulings made before. What a proposal says of
its sum is what two people saw, and no more.
"""

from collections.abc import Iterable
from datetime import date

from settlement.city import City
from settlement.days.rulings import ruled_records
from settlement.rulings.book import RulingBook
from settlement.rulings.kinds import RulingKind
from settlement.rulings.ruling import Ruling
from settlement.service.ruling.decisions import read_held


def paid_out(
    city: City, rulings: Iterable[Ruling], book: RulingBook, before: date
) -> dict[int, int]:
    """By the number of each ruling, what a day that applies it pays out, in fen: what the days
    before held of records that no earlier ruling has settled.
    """
    found = {}
    settling = list(book.rulings(RulingKind.CASES_SETTLE))
    for each in rulings:
        if each.kind is RulingKind.CASES_SETTLE:
            settled = {
                record
                for earlier in settling
                if earlier.number < each.number
                for record in ruled_records(earlier)
            }
            found[each.number] = sum(
                read_held(city, before, file, row)
                for file, row in set(ruled_records(each)) - settled
            )
    return found
