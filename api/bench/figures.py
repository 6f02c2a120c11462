"""What a measurement shows to people: each figure by what it is.

Decides the words of figures. Leaves measuring to the benches, whose documents have the same figures
under names that never change.
"""

from collections.abc import Mapping

from api.output import print_table
from api.tables import Cell, Column, Count, Table
from cardcore.text import Text

_FIGURES = {
    "records": Text("笔数", "records"),
    "cards": Text("卡数", "cards"),
    "commands": Text("指令数", "commands"),
    "seconds": Text("秒", "seconds"),
    "records_per_second": Text("每秒笔数", "records a second"),
    "cpu_seconds": Text("CPU 秒", "CPU seconds"),
    "baseline_seconds": Text("基准，秒", "baseline, seconds"),
    "ratio": Text("与基准之比", "ratio to the baseline"),
    "issuing_seconds": Text("制卡，秒", "issuing, seconds"),
    "baseline_issuing_seconds": Text("基准制卡，秒", "baseline issuing, seconds"),
    "total_seconds": Text("合计，秒", "total, seconds"),
    "baseline_total_seconds": Text("基准合计，秒", "baseline total, seconds"),
    "total_ratio": Text("合计与基准之比", "total, ratio to the baseline"),
    "operations": Text("每卡密码运算", "operations of cryptography a card"),
    "peak_rss_mib": Text("内存峰值，MiB", "peak of memory, MiB"),
    "p50_ms": Text("中位数，ms", "median, ms"),
    "p99_ms": Text("第 99 百分位，ms", "99th percentile, ms"),
    "signed_p50_ms": Text("含记录签名的中位数，ms", "signed, median, ms"),
    "signed_p99_ms": Text("含记录签名的第 99 百分位，ms", "signed, 99th percentile, ms"),
    "apdus": Text("卡片指令", "APDUs of the card"),
    "psam_apdus": Text("PSAM 指令", "APDUs of the PSAM"),
    "round_trip_p50_ms": Text("往返中位数，ms", "round trips, median, ms"),
    "round_trip_p99_ms": Text("往返第 99 百分位，ms", "round trips, 99th percentile, ms"),
    "fsync_seconds": Text("fsync，秒", "fsync, seconds"),
}


def show_figures(title: Text, document: Mapping[str, object]) -> None:
    """A document of figures as a table; a figure without words here is a mistake."""
    table = Table(title, [Column(Text("项目", "figure")), Column(Text("值", "value"), right=True)])
    for name, value in document.items():
        table.add(_FIGURES[name], figure(value))
    print_table(table)


def figure(value: object) -> Cell:
    """A number as tables have it; a dash for what was not measured."""
    if value is None:
        return "–"
    return Count(value) if isinstance(value, int) else str(value)
