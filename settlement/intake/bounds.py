"""What a run can hold of a file (pure): a signature says who answers for a file, not that it is so.

Decides which proven files are refused all the same, for a run over them would fail for the whole
city: sums of a device register beyond 64 bits, registers that contradict themselves, a business day
outside the scheme's life. Leaves the times of single records to reconciliation, which judges each.

The records of a file need no bound of their own: each amount has 32 bits, so a run would have to
hold more than two thousand million records (some 500 GB of files) before a sum of theirs could
leave 64 bits.
"""

from collections.abc import Sequence
from datetime import date

from cardcore.records.batch import DeviceRegister
from cardcore.schemes import Life

#: The largest amount a record can carry, in fen: 32 bits.
AMOUNT_FEN_MAX = 2**32 - 1
#: The largest lifetime sum of a terminal, in fen: the difference of two and the sum of two stay
#: inside the signed 64 bits in which runs and tables count.
LIFETIME_FEN_MAX = 2**62 - 1


def beyond_bounds(
    business_day: date, registers: Sequence[DeviceRegister], life: Life
) -> str | None:
    """What no run can hold of a file, in words; None when there is nothing.

    >>> from datetime import date
    >>> life = Life(date(2010, 1, 1), date(2099, 12, 31))
    >>> beyond_bounds(date(1970, 1, 1), (), life)
    'business day 1970-01-01 lies outside the life of the scheme, 2010-01-01 to 2099-12-31'
    """
    if business_day not in life:
        return (
            f"business day {business_day} lies outside the life of the scheme, "
            f"{life.first_day} to {life.last_day}"
        )
    faults = (_fault(register) for register in registers)
    return next((fault for fault in faults if fault is not None), None)


def _fault(register: DeviceRegister) -> str | None:
    where = f"register of terminal {register.terminal}"
    if register.last_serial < register.first_serial:
        return f"{where}: serials {register.first_serial} to {register.last_serial} run backwards"
    lifetime_fen = register.lifetime_debit_fen + register.lifetime_load_fen
    if lifetime_fen > min(LIFETIME_FEN_MAX, register.lifetime_records * AMOUNT_FEN_MAX):
        return f"{where}: {register.lifetime_records} records cannot come to {lifetime_fen} fen"
    if register.unresolved_fen > register.unresolved_records * AMOUNT_FEN_MAX:
        return (
            f"{where}: {register.unresolved_records} unresolved taps cannot come to "
            f"{register.unresolved_fen} fen"
        )
    return None
