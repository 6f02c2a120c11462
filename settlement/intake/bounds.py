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

from cardcore.money import yuan
from cardcore.records.batch import DeviceRegister
from cardcore.schemes import Life
from cardcore.text import Text

#: The largest amount a record can carry, in fen: 32 bits.
AMOUNT_FEN_MAX = 2**32 - 1
#: The largest lifetime sum of a terminal, in fen: the difference of two and the sum of two stay
#: inside the signed 64 bits in which runs and tables count.
LIFETIME_FEN_MAX = 2**62 - 1


def beyond_bounds(
    business_day: date, registers: Sequence[DeviceRegister], life: Life
) -> Text | None:
    """What no run can hold of a file, in words; None when there is nothing.

    >>> from datetime import date
    >>> life = Life(date(2010, 1, 1), date(2099, 12, 31))
    >>> print(beyond_bounds(date(1970, 1, 1), (), life))
    business day 1970-01-01 lies outside the life of the scheme, 2010-01-01 to 2099-12-31
    """
    if business_day not in life:
        return Text(
            f"营运日 {business_day} 不在规则有效期 {life.first_day} 至 {life.last_day} 内",
            f"business day {business_day} lies outside the life of the scheme, "
            f"{life.first_day} to {life.last_day}",
        )
    faults = (_fault(register) for register in registers)
    return next((fault for fault in faults if fault is not None), None)


def _fault(register: DeviceRegister) -> Text | None:
    fault = _fault_of(register)
    if fault is None:
        return None
    number = register.terminal
    return Text(
        f"终端 {number} 的设备登记：{fault.zh}", f"register of terminal {number}: {fault.en}"
    )


def _fault_of(register: DeviceRegister) -> Text | None:
    if register.last_serial < register.first_serial:
        first, last = register.first_serial, register.last_serial
        return Text(f"流水号 {first} 至 {last} 倒序", f"serials {first} to {last} run backwards")
    lifetime_fen = register.lifetime_debit_fen + register.lifetime_load_fen
    if lifetime_fen > min(LIFETIME_FEN_MAX, register.lifetime_records * AMOUNT_FEN_MAX):
        count = register.lifetime_records
        return Text(
            f"{count} 条记录合计不可能为 {yuan(lifetime_fen)}",
            f"{count} records cannot come to {yuan(lifetime_fen)}",
        )
    if register.unresolved_fen > register.unresolved_records * AMOUNT_FEN_MAX:
        count, amount = register.unresolved_records, yuan(register.unresolved_fen)
        return Text(
            f"{count} 笔未决交易合计不可能为 {amount}",
            f"{count} unresolved taps cannot come to {amount}",
        )
    return None
