"""`onecard files`: batch files come in, and what was answered.

Decides how answers are shown; leaves every answer to settlement.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.session import open_to_act, open_to_read
from api.output import (
    DEFAULT_DATA,
    EXIT_REFUSED,
    EXIT_USAGE,
    DataOption,
    JsonOption,
    amount_table,
    console,
    fen,
    print_json,
    progress_bar,
    refuse,
    say,
)
from cardcore.records.batch import FILE_BYTES_MAX
from settlement.intake.answers import Acknowledgement
from settlement.reports.files import read_files
from settlement.service.receive import receive_file

app = typer.Typer(help="Batch files: add, list, show. 批次文件。", no_args_is_help=True)


@app.command()
def add(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Batch files (.ocb) and files of a load log (.ocl), in any order."),
    ],
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Take in batch files; sending one twice changes nothing. 接收批次文件，重复上传不重复入账。"""
    for path in paths:
        if not path.is_file():
            refuse(f"{path}: no such file, or not a plain one", EXIT_USAGE)
    answers = []
    with open_to_act(data) as opened, progress_bar("files 文件", len(paths)) as advance:
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


@app.command("list")
def list_(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Every file that is kept. 已收文件一览。"""
    with open_to_read(data) as city:
        files = read_files(city)
    if as_json:
        print_json({"files": [_document(row.file.acknowledgement()) for row in files]})
        return
    table = amount_table(
        "Files 批次文件", "sender 采集点", "seq 序号", "business day 营运日", "records 笔数",
        "debit 消费", "load 充值", "settled 清算日", "hash",
    )  # fmt: skip
    for row in files:
        file = row.file
        standing = row.standing.text
        settled = str(row.settlement_day or f"{standing.en} {standing.zh}")
        table.add_row(
            str(file.sender), str(file.sequence), str(file.business_day),
            f"{file.record_count:,}", fen(file.debit_fen), fen(file.load_fen),
            settled, file.content_hash[:12],
        )  # fmt: skip
    console.print(table)


@app.command()
def show(
    content_hash: Annotated[str, typer.Argument(help="The first digits of a content hash.")],
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """One file and what was answered. 一个文件及其回执。"""
    with open_to_read(data) as city:
        found = read_files(city, content_hash)
    if len(found) != 1:
        refuse(f"{len(found)} files start with {content_hash!r}; see `onecard files list`")
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
    document["retry_may_help"] = answer.answer.retry_may_help
    return document


def _sentence(answer: Acknowledgement) -> str:
    text = f"{answer.answer.name}  {answer.answer.text}"
    if answer.missing:
        ranges = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in answer.missing)
        text += f"; send again 请补传: {ranges}"
    return f"{text} ({answer.detail})" if answer.detail else text
