"""What stands in the database beside rows: tables, indices and triggers, as they were made.

Decides whether anything was dropped, put in or made otherwise: without its triggers a closed day
can be written over, and a foreign one writes whatever it likes. Rows are compared elsewhere.
"""

from cardcore.text import Text
from settlement.city import City
from settlement.store.database import newest_schema
from settlement.verification.findings import Findings, Invariant

_KINDS = {
    "table": Text("表", "table"),
    "index": Text("索引", "index"),
    "trigger": Text("触发器", "trigger"),
    "view": Text("视图", "view"),
}


def verify_schema(city: City, findings: Findings) -> int:
    """Compare everything that the database knows to be made; returns how many things there are."""
    held = city.database.schema()
    if held is None:
        return 0
    right = newest_schema()
    for key in sorted(held.keys() | right.keys()):
        kind, name = _KINDS.get(key[0], Text(key[0], key[0])), key[1]
        where = Text(f"数据库{kind.zh} {name}", f"database {kind.en} {name}")
        if key not in held:
            text = Text(
                "已被删去：它所防的改动不再被拒绝",
                "was dropped: what it guards is open to be changed",
            )
        elif key not in right:
            text = Text("不是 onecard 所建", "was not made by onecard")
        elif held[key] != right[key]:
            text = Text("不是所建时的样子", "is not what was made")
        else:
            continue
        findings.add(Invariant.I8, where, text)
    return len(held)
