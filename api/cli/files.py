"""`onecard files`: batch files come in, and what was answered.

Decides how answers are shown; leaves every answer to settlement.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.frame.loading import command, noun
from api.cli.frame.session import open_to_act, open_to_read
from api.exits import EXIT_REFUSED, EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    CsvOption,
    DataOption,
    JsonOption,
    print_json,
    print_table,
    progress_bar,
    refuse,
    say,
)
from api.tables import Column, Count, Fen, Table
from cardcore.records.batch import FILE_BYTES_MAX
from cardcore.text import Text, shorten, words
from settlement.intake.answers import Acknowledgement
from settlement.reports.files import read_files
from settlement.service.receive import receive_file

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
                "批次文件（.ocb）与充值日志文件（.ocl），次序不限。",
                "Batch files (.ocb) and files of a load log (.ocl), in any order.",
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
            say(f"{path.name}  {_sentence(answer)}")
    if refused:
        raise typer.Exit(EXIT_REFUSED)


@command(app, "list", Text("已收文件一览。", "Every file that is kept."))
def list_(
    data: DataOption = DEFAULT_DATA, csv: CsvOption = None, as_json: JsonOption = False
) -> None:
    """How each stands."""
    with open_to_read(data) as city:
        files = read_files(city)
    if as_json:
        print_json({"files": [_document(row.file.acknowledgement()) for row in files]})
        return
    table = Table(
        Text("批次文件", "Files"),
        [
            Column(Text("采集点", "sender"), right=True),
            Column(Text("序号", "seq"), right=True),
            Column(Text("营运日", "business day")),
            Column(Text("笔数", "records"), right=True),
            Column(Text("消费", "debit"), right=True),
            Column(Text("充值", "load"), right=True),
            Column(Text("清算日", "settled")),
            Column(Text("哈希", "hash")),
        ],
    )
    for row in files:
        file = row.file
        table.add(
            str(file.sender), str(file.sequence), str(file.business_day), Count(file.record_count),
            Fen(file.debit_fen), Fen(file.load_fen),
            row.standing.text if row.settlement_day is None else str(row.settlement_day),
            file.content_hash[:12],
        )  # fmt: skip
    print_table(table, csv)


@command(app, "show", Text("一个文件及其回执。", "One file and what was answered."))
def show(
    content_hash: Annotated[
        str,
        typer.Argument(help=words("内容哈希的前几位。", "The first digits of a content hash.")),
    ],
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """All that is kept of it."""
    with open_to_read(data) as city:
        found = read_files(city, content_hash)
    if len(found) != 1:
        said = shorten(content_hash)
        refuse(
            words(
                f"以 {said} 开头的文件有 {len(found)} 个；见 `onecard files list`",
                f"{len(found)} files start with {said}; see `onecard files list`",
            )
        )
    document = _document(found[0].file.acknowledgement())
    document["settlement_day"] = found[0].settlement_day
    if as_json:
        print_json(document)
    else:
        for name, value in document.items():
            say(f"{name:16} {value if value or value == 0 else '–'}")


def _document(answer: Acknowledgement) -> dict[str, Any]:
    document: dict[str, Any] = {name: getattr(answer, name) for name in answer.__slots__}
    document["answer"] = answer.answer.name.lower()
    document["first_answer"] = answer.first_answer.name.lower() if answer.first_answer else None
    document["detail"] = "" if answer.detail is None else answer.detail.en
    document["retry_may_help"] = answer.answer.retry_may_help
    return document


def _sentence(answer: Acknowledgement) -> str:
    text = f"{answer.answer.name}  {answer.answer.text}"
    if answer.missing:
        ranges = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in answer.missing)
        text += words(f"；请补传：{ranges}", f"; send again: {ranges}")
    return f"{text} ({answer.detail})" if answer.detail else text
