"""`onecard audit`: what people did, in order, and whether it is what they signed.

Decides how it is shown. Leaves the proof to settlement; `onecard verify` holds it against the seals
as well.
"""

import typer

from api.cli.frame.loading import command, noun
from api.cli.frame.session import open_to_read
from api.exits import EXIT_REFUSED
from api.output import (
    DEFAULT_DATA,
    CsvOption,
    DataOption,
    JsonOption,
    complain,
    print_json,
    print_table,
    say,
)
from api.tables import Column, Table
from cardcore.text import Text, words
from settlement.people.person import NewPerson
from settlement.reports.ruling.people import read_log
from settlement.rulings.book import read_proposal
from settlement.rulings.log import Act, LogEntry
from settlement.rulings.proof import prove_log

app = noun(Text("审计日志：谁办了什么，逐条有签名。", "The audit log: who did what, signed."))
_EMPTY = Text(
    "尚无人办理过；最初两人：`onecard people add NAME --role administrator --founding`",
    "nobody acted yet; the first two: `onecard people add NAME --role administrator --founding`",
)
_ACTS = {
    Act.FOUND: Text("就任", "founds"),
    Act.PROPOSE: Text("提请", "proposes"),
    Act.APPROVE: Text("批准", "approves"),
    Act.DECLINE: Text("否决", "declines"),
    Act.RENEW: Text("更换密语", "changes their secret"),
}
assert set(_ACTS) == set(Act)


@command(app, "list", Text("全部办理，按次序。", "Every act, in order."))
def list_(
    data: DataOption = DEFAULT_DATA, csv: CsvOption = None, as_json: JsonOption = False
) -> None:
    """As it stands in the log; `check` says whether it holds."""
    with open_to_read(data) as city:
        log = read_log(city)
    if as_json:
        print_json({"entries": [_document(each) for each in log]})
        return
    table = Table(
        Text("审计日志", "Audit log"),
        [
            Column(Text("编号", "no"), right=True),
            Column(Text("时间（UTC）", "at (UTC)")),
            Column(Text("人员", "person")),
            Column(Text("办理", "act")),
            Column(Text("内容", "what"), words=True),
        ],
    )
    for each in log:
        what = each.what
        table.add(
            str(each.number), f"{what.at:%Y-%m-%d %H:%M}", what.by, _ACTS[what.act], _said(each)
        )
    print_table(table, csv, _EMPTY)


@command(
    app,
    "check",
    Text(
        "以公钥证明每条均为所述之人所签，且双人之事由两人办理。",
        "Prove by public keys that each act is its person's, and two people's where it takes two.",
    ),
)
def check(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Exit 1 names each entry that does not hold."""
    with open_to_read(data) as city:
        log = read_log(city)
    faults = prove_log(log)
    if as_json:
        found = [{"number": each.number, "text": each.text.en} for each in faults]
        print_json({"entries": len(log), "faults": found})
    else:
        for each in faults:
            complain(
                words(f"第 {each.number} 条：{each.text}", f"entry {each.number}: {each.text}")
            )
    if faults:
        complain(
            words(
                f"✗ {len(faults):,} 处不成立。由备份恢复数据目录，并请安全员查明",
                f"✗ {len(faults):,} do not hold. Restore the folder from a copy, and have the "
                "security officer look into it",
            )
        )
        raise typer.Exit(EXIT_REFUSED)
    if not as_json:
        say(
            words(
                f"✓ {len(log):,} 条均由所述之人签名。`onecard verify` 并与日封存核对",
                f"✓ {len(log):,} entries, each signed by whom it names. `onecard verify` holds "
                "them against the seals as well",
            )
        )


def _said(entry: LogEntry) -> Text:
    """What an act is about; of one that was altered, that it cannot be read."""
    try:
        return _describe(entry)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Text("无法读取", "cannot be read")


def _describe(entry: LogEntry) -> Text:
    what = entry.what
    match what.act:
        case Act.FOUND:
            return NewPerson.from_content(what.content).role.text
        case Act.PROPOSE:
            made = read_proposal(entry)
            kind, items = made.kind.text, " ".join(made.subjects[:3])
            more = "" if len(made.subjects) <= 3 else " …"
            return Text(
                f"{kind.zh}：{items}{more}（{made.why}）", f"{kind.en}: {items}{more} ({made.why})"
            )
        case Act.APPROVE | Act.DECLINE:
            return Text(f"第 {what.proposal} 条", f"entry {what.proposal}")
        case Act.RENEW:
            return Text("", "")


def _document(entry: LogEntry) -> dict[str, object]:
    what = entry.what
    return {
        "number": entry.number,
        "act": what.act.value,
        "proposal": what.proposal,
        "by": what.by,
        "at": what.at,
        "content": what.content,
        "signature": entry.signature,
        "hash": entry.hash,
    }
