"""`onecard files`: batch files come in, and what was answered.

Decides how answers are shown; leaves every answer to settlement.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.days import seal_document, tell_seal
from api.cli.frame.loading import command, noun
from api.cli.frame.pages import (
    PAGE_SIZE,
    PageSizeOption,
    WholeOrPageOption,
    nothing_there,
    page_of,
    tell_page_of,
)
from api.cli.frame.session import open_to_act, open_to_read
from api.exits import EXIT_REFUSED, EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    CsvOption,
    DataOption,
    JsonOption,
    complain,
    print_json,
    print_table,
    progress_bar,
    refuse,
    refuse_choice,
    say,
)
from api.tables import Column, Count, Fen, Table
from cardcore.records.batch import FILE_BYTES_MAX
from cardcore.text import Text, shorten, words
from settlement.intake.answers import Acknowledgement
from settlement.intake.takeover import StoredOpenings
from settlement.reports.days import read_newest_seal
from settlement.reports.files import (
    FileReport,
    FileStanding,
    LoadLogReport,
    read_files,
    read_load_logs,
    read_missing,
    read_opening_files,
    read_refusals,
)
from settlement.rulings.subjects import Subject
from settlement.service.receive import receive_file

#: How a file of opening balances stands.
_OPENINGS = Text("期初余额", "opening balances")
_NO_FILE = Text(
    "尚未收到文件：`onecard files add`", "no file was received yet: `onecard files add`"
)

#: By the words of `--standing`.
_STANDINGS = {each.name.lower().replace("_", "-"): each for each in FileStanding}

app = noun(Text("批次文件：接收、列出、查看。", "Batch files: add, list, show."))


@command(
    app,
    "add",
    Text(
        "接收批次文件；重复上传不重复入账。",
        "Take in batch files; sending one twice changes nothing.",
    ),
)
def add(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help=words(
                "批次文件（.ocb）、充值日志文件（.ocl）与期初余额文件（.oco），次序不限。",
                "Batch files (.ocb), files of a load log (.ocl) and of opening balances (.oco), in "
                "any order.",
            )
        ),
    ],
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Every answer is settlement's; refused ones end the command with 1."""
    for path in paths:
        if not path.is_file():
            refuse(
                words(
                    f"{path}：没有这个文件，或不是普通文件。`ls` 看看文件名",
                    f"{path}: no such file, or not a plain one; look at its name with `ls`",
                ),
                EXIT_USAGE,
            )
    answers = []
    with open_to_act(data) as opened, progress_bar(words("文件", "files"), len(paths)) as advance:
        for path in paths:
            # One byte more than allowed is enough to be answered "too large".
            with path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
            answer = receive_file(opened.city, content, opened.keys.service, datetime.now(UTC))
            answers.append((path, answer))
            advance()
    refused = [path for path, answer in answers if not answer.answer.is_kept]
    if as_json:
        print_json({"files": [{"path": str(p), **_document(a)} for p, a in answers]})
    else:
        for path, answer in answers:
            said = _sentence(answer)
            say(words(f"{path.name}：{said}", f"{path.name}: {said}"))
        tell_seal(answers[-1][1].newest_seal)
    if refused:
        complain(
            words(
                f"拒收 {len(refused):,} 个，未作任何更改；见 `onecard files list`",
                f"{len(refused):,} refused, and nothing was changed by them; see "
                "`onecard files list`",
            )
        )
        raise typer.Exit(EXIT_REFUSED)


@command(app, "list", Text("已收与被拒收的文件一览。", "Every file that is kept, or was refused."))
def list_(
    sender: Annotated[
        int | None,
        typer.Option(
            "--sender", help=words("只看此采集点的批次文件。", "Batch files of this sender.")
        ),
    ] = None,
    standing: Annotated[
        str | None,
        typer.Option(
            "--standing",
            metavar="|".join(_STANDINGS),
            help=words("只看处于此状态的批次文件。", "Batch files that stand so."),
        ),
    ] = None,
    page: WholeOrPageOption = None,
    per_page: PageSizeOption = PAGE_SIZE,
    data: DataOption = DEFAULT_DATA,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """How each stands. The sender of a refused file is whom it named. A page is one of the batch
    files; whatever else there is stands on the first.
    """
    if standing is not None and standing not in _STANDINGS:
        refuse_choice("--standing", Text("状态", "standing"), standing, _STANDINGS)
    with open_to_read(data) as city:
        files, logs, refused = read_files(city), read_load_logs(city), read_refusals(city)
        openings, sealed = read_opening_files(city), seal_document(read_newest_seal(city))
        missing = read_missing(city)
    if sender is not None or standing is not None:
        files = tuple(each for each in files if _is_asked(each, sender, standing))
        missing = tuple(each for each in missing if sender in {None, int(each.parts[0])})
        logs, openings, refused = (), (), ()
    elif page is not None and page > 1:
        logs, openings, refused = (), (), ()
    count, shown = len(files), page_of(files, page, per_page)
    if as_json:
        print_json(
            {
                "count": count,
                "missing": [str(each) for each in missing],
                "files": [_document(row.file.acknowledgement()) | sealed for row in shown],
                "load_logs": [_log_document(each) | sealed for each in logs],
                "openings": [_document(each.acknowledgement()) | sealed for each in openings],
                "refused": [_document(each) | sealed for each in refused],
            }
        )
        return
    tell_page_of(count, page, per_page)
    print_table(_table(shown, logs, openings, refused), csv, nothing_there(count, page, _NO_FILE))
    _tell_missing(missing)
    if refused:
        say(
            words(
                f"拒收 {len(refused):,} 次：按所述缘由更正后，以 `onecard files add` 重新上送",
                f"{len(refused):,} refused: mend what is said of each and send it again with "
                "`onecard files add`",
            )
        )


@command(app, "show", Text("一个文件及其回执。", "One file and what was answered."))
def show(
    content_hash: Annotated[
        str,
        typer.Argument(help=words("内容哈希的前几位。", "The first digits of a content hash.")),
    ],
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """All that is kept of it; of a refused one, each answer."""
    with open_to_read(data) as city:
        found, logs = read_files(city, content_hash), read_load_logs(city, content_hash)
        openings = read_opening_files(city, content_hash)
        refused, newest = read_refusals(city, content_hash), read_newest_seal(city)
    names = {
        *(row.file.content_hash for row in found),
        *(log.file.content_hash for log in logs),
        *(each.content_hash for each in openings),
        *(each.content_hash for each in refused),
    }
    if len(names) != 1:
        said = shorten(content_hash) or "…"
        if not names:
            refuse(
                words(
                    f"没有哈希以 {said} 开头的文件；见 `onecard files list`",
                    f"there is no file whose hash starts with {said}; see `onecard files list`",
                )
            )
        refuse(
            words(
                f"哈希以 {said} 开头的文件有 {len(names)} 个，请多写几位；见 `onecard files list`",
                f"the hashes of {len(names)} files start with {said}: write more of it; see "
                "`onecard files list`",
            )
        )
    if as_json:
        kept = [row.file.acknowledgement() for row in found]
        kept += [log.file.acknowledgement() for log in logs]
        kept += [each.acknowledgement() for each in openings]
        (answer,) = kept or [refused[-1]]
        day = found[0].settlement_day if found else None
        document = _document(answer) | seal_document(newest)
        print_json({**document, "settlement_day": day})
        return
    for row in found:
        _tell(row.file.acknowledgement(), _standing(row), row.settlement_day)
    for log in logs:
        _tell(log.file.acknowledgement(), _log_standing(log), None)
    for handed in openings:
        _tell(handed.acknowledgement(), _OPENINGS, None)
    for each in refused:
        _tell(each, Text("拒收", "refused"), None)
    tell_seal(newest)


def _table(
    files: Sequence[FileReport],
    logs: Sequence[LoadLogReport],
    openings: Sequence[StoredOpenings],
    refused: Sequence[Acknowledgement],
) -> Table:
    table = Table(
        Text("批次文件", "Files"),
        [
            Column(Text("采集点", "sender"), right=True),
            Column(Text("序号", "seq"), right=True),
            Column(Text("营运日", "business day")),
            Column(Text("笔数", "records"), right=True),
            Column(Text("消费", "debit"), right=True),
            Column(Text("充值", "load"), right=True),
            Column(Text("哈希", "hash")),
            Column(Text("收到（UTC）", "received (UTC)")),
            Column(Text("状态", "standing"), words=True),
        ],
    )
    for row in files:
        file = row.file
        table.add(
            str(file.sender), str(file.sequence), str(file.business_day), Count(file.record_count),
            Fen(file.debit_fen), Fen(file.load_fen), file.content_hash[:12],
            _moment(file.received_at), _standing(row),
        )  # fmt: skip
    for log in logs:
        kept = log.file
        table.add(
            kept.issuer, f"{kept.first_number}-{kept.last_number}", str(kept.created_at.date()),
            Count(kept.entry_count), None, Fen(kept.amount_fen), kept.content_hash[:12],
            _moment(kept.received_at), _log_standing(log),
        )  # fmt: skip
    for handed in openings:
        table.add(
            str(handed.sender), None, str(handed.as_of.date()), Count(handed.row_count), None,
            Fen(handed.amount_fen), handed.content_hash[:12], _moment(handed.received_at),
            _OPENINGS,
        )  # fmt: skip
    for each in refused:
        table.add(
            _or_none(each.sender), _or_none(each.sequence), None, None, None, None,
            each.content_hash[:12], _moment(each.received_at), _why(each), style="red",
        )  # fmt: skip
    return table


def _tell_missing(missing: Sequence[Subject]) -> None:
    """What waiting files wait for, and what to do."""
    for gone in missing:
        of, sequence = gone.parts
        say(
            words(
                f"采集点 {of} 缺第 {sequence} 号，其后的在等候：请其补传；确已遗失，则由两人跳过："
                f"`onecard approvals propose files.skip {gone}`",
                f"file {sequence} of sender {of} is missing, and those behind it wait: ask for "
                "it; if it is lost, two people skip it: "
                f"`onecard approvals propose files.skip {gone}`",
            )
        )


def _is_asked(row: FileReport, sender: int | None, standing: str | None) -> bool:
    """Whether a list of these is to show it."""
    is_theirs = sender is None or row.file.sender == sender
    return is_theirs and (standing is None or row.standing is _STANDINGS[standing])


def _tell(answer: Acknowledgement, standing: Text, settlement_day: date | None) -> None:
    """A file in words."""
    facts: list[tuple[Text, object]] = [
        (Text("哈希", "hash"), answer.content_hash),
        (Text("收到", "received"), f"{_moment(answer.received_at)} UTC"),
        (Text("回执", "answer"), _sentence(answer)),
        (Text("状态", "standing"), standing),
        (Text("采集点", "sender"), answer.sender),
        (Text("序号", "sequence"), answer.sequence),
        (Text("营运日", "business day"), answer.business_day),
    ]
    if answer.answer.is_kept:
        facts += [
            (Text("笔数", "records"), Count(answer.record_count)),
            (Text("消费", "debit"), Fen(answer.debit_fen)),
            (Text("充值", "load"), Fen(answer.load_fen)),
            (Text("清算日", "settled on"), settlement_day),
        ]
    else:
        again = Text("可按原样重新上送", "sending it again as it is may help")
        mend = Text("须先更正再上送", "it has to be mended first")
        facts.append((Text("处理", "to do"), again if answer.answer.retry_may_help else mend))
    for name, value in facts:
        said = "–" if value is None else value
        say(words(f"{name}：{said}", f"{name}: {said}"))


def _standing(row: FileReport) -> Text:
    if row.settlement_day is None:
        return row.standing.text
    said, day = row.standing.text, row.settlement_day
    return Text(f"{said.zh} {day}", f"{said.en} {day}")


def _log_standing(log: LoadLogReport) -> Text:
    """Of a file of a load log: it is read as soon as no entry before it is missing."""
    said = FileStanding.WAITING.text if log.is_waiting else Text("已生效", "in use")
    return Text(f"圈存授权日志，{said.zh}", f"load log, {said.en}")


def _log_document(log: LoadLogReport) -> dict[str, Any]:
    document = _document(log.file.acknowledgement())
    return {**document, "issuer": log.file.issuer, "is_waiting": log.is_waiting}


def _why(refused: Acknowledgement) -> Text:
    said, detail = refused.answer.text, refused.detail
    if detail is None:
        return Text(f"拒收：{said.zh}", f"refused: {said.en}")
    return Text(f"拒收：{said.zh}（{detail.zh}）", f"refused: {said.en} ({detail.en})")


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _or_none(number: int | None) -> str | None:
    return None if number is None else str(number)


def _document(answer: Acknowledgement) -> dict[str, Any]:
    document: dict[str, Any] = {name: getattr(answer, name) for name in answer.__slots__}
    document["answer"] = answer.answer.name.lower()
    document["first_answer"] = answer.first_answer.name.lower() if answer.first_answer else None
    document["detail"] = "" if answer.detail is None else answer.detail.en
    document["retry_may_help"] = answer.answer.retry_may_help
    return document | seal_document(answer.newest_seal)


def _sentence(answer: Acknowledgement) -> str:
    text = str(answer.answer.text)
    if answer.missing:
        ranges = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in answer.missing)
        text += words(f"；请补传：{ranges}", f"; send again: {ranges}")
    if answer.detail is not None:
        text += words(f"（{answer.detail}）", f" ({answer.detail})")
    return text
