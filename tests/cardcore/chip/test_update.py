"""UPDATE and APPEND, and the ways to name a record."""

import pytest

from tests.cardcore.chip.full_chips import Reader

# Command | answer, one after another on one card. SFI 11: TLV records 08, 09, 08; SFI 12 cyclic.
STEPS = """
read the first 08             | 00B2088800            | 0802AABB9000
read the next 08              | 00B2088A00            | 0801DD9000
there is no third             | 00B2088A00            | 6A83
read the previous 08          | 00B2088B00            | 0802AABB9000
read the last 08              | 00B2088900            | 0801DD9000
read the current record       | 00B2000400            | 0801DD9000
read the previous of any      | 00B2000300            | 0903AABBCC9000
read the next of any          | 00B2000200            | 0801DD9000
update it by number           | 00DC038C 05 0803112233 | 9000
it has another length now     | 00B2038C00            | 08031122339000
update by identifier          | 00DC0988 04 0902EEFF  | 9000
it is there                   | 00B2098800            | 0902EEFF9000
another identifier            | 00DC028C 04 0802EEFF  | 6A80
too long for the file         | 00DC018C 15 08130000000000000000000000000000000000000000 | 6700
a record that is not there    | 00DC048C 03 080100    | 6A83
append one                    | 00E20088 03 0A0177    | 9000
it is the last                | 00B2008900            | 0A01779000
the file is full              | 00E20088 03 0A0178    | 6A84
append with a mode            | 00E2008C 03 0A0178    | 6A86
append to a transparent file  | 00E20008 03 0A0178    | 6981
append to no file             | 00E200E8 03 0A0178    | 6A82
append nothing                | 00E20088              | 6700
update nothing                | 00DC018C              | 6700
update to the end             | 00DC018D 03 080100    | 6A86
cyclic: newest is three       | 00B2019400            | 74687265659000
cyclic: append                | 00E20090 05 6E65773131 | 9000
cyclic: it is number one      | 00B2019400            | 6E657731319000
cyclic: the oldest is gone    | 00B2039400            | 74776F32329000
cyclic: none behind           | 00B2049400            | 6A83
cyclic: previous makes one    | 00DC0093 05 6E65773232 | 9000
cyclic: it is number one      | 00B2019400            | 6E657732329000
cyclic: another length        | 00E20090 04 6E657731  | 6700
cyclic: over a record         | 00DC0194 05 6F76657231 | 9000
cyclic: written over          | 00B2019400            | 6F766572319000
binary: write                 | 00D68102 02 AABB      | 9000
binary: read                  | 00B0810005            | 0000AABB009000
binary: to the last byte      | 00D68112 02 AABB      | 9000
binary: over the end          | 00D68113 02 AABB      | 6A84
binary: behind the end        | 00D68114 01 AA        | 6B00
binary: nothing               | 00D68100              | 6700
binary: by offset             | 00D60001 01 CC        | 9000
binary: it is there           | 00B0000003            | 00CCAA9000
binary: a record file         | 00D69100 01 AA        | 6981
binary: stray bits            | 00D6C100 01 AA        | 6A86
record: a transparent file    | 00DC010C 01 AA        | 6981
the public log by hand        | 00E200C0 01 AA        | 6982
""".strip().splitlines()


def test_every_way_to_name_and_change_a_record() -> None:
    reader = Reader()
    for row in STEPS:
        name, command, answer = (cell.strip() for cell in row.split("|"))
        assert reader.send(command) == answer, name


@pytest.mark.parametrize("command", ["00D60000 01 AA", "00DC0104 01 AA", "00E20000 01 AA"])
def test_without_a_current_file_nothing_is_changed(command: str) -> None:
    assert Reader().send(command) == "6986"
