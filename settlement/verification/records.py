"""One closed day, counted again record by record from its decisions.

Decides whether every record of every file has exactly one disposition, whether exactly the
accepted ones were posted, and whether every purse moved as they say. The sums here are made
by SQL over single decisions; the ledger was posted from tallies. They agree or something is wrong.
A record of an earlier day that the day decided again counts with a minus as it was decided then.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from cardcore.money import yuan
from cardcore.records.kinds import RecordKind
from cardcore.schemes import Scheme
from cardcore.text import Text, text_of
from settlement.city import City
from settlement.days.run import RunInputs
from settlement.facts import columnar
from settlement.ledger.accounts import AccountKind, AccountTextError, parse_account
from settlement.ledger.entries import Entry, EntryKind
from settlement.reconciliation.inputs import file_number
from settlement.sectors.catalogue import read_rules, rule_of
from settlement.sectors.rules import Payment
from settlement.service.computation import bucket_path, decisions_path
from settlement.store.days import load_closed_days
from settlement.verification.findings import Findings, Invariant

_BY_FILE = """
SELECT file, count(*), count(DISTINCT row), coalesce(max(row) + 1, 0), sum(amount_fen)::BIGINT
FROM decision WHERE NOT is_review AND NOT by_log GROUP BY file
"""
_SUMS = """
SELECT
    coalesce(sum(sign * amount_fen) FILTER (accepted AND NOT is_load), 0)::BIGINT,
    coalesce(sum(sign * amount_fen) FILTER (accepted AND is_load), 0)::BIGINT,
    coalesce(sum(sign * amount_fen) FILTER (held AND NOT is_load), 0)::BIGINT,
    coalesce(sum(sign * amount_fen) FILTER (held AND is_load), 0)::BIGINT
"""
#: What the day decided, and what it took back of earlier days; both with the bucket they stand in.
_DECISIONS = """
CREATE TABLE review (file UBIGINT, row UINTEGER, proof UTINYINT, ruling UTINYINT);
CREATE TABLE own (file UBIGINT);
CREATE VIEW decided AS
SELECT
    *, disposition = disposition_accepted() AS accepted,
    disposition = disposition_suspended() AS held, reason = reason_returned() AS returned,
    parse_filename(parse_dirpath(filename))::INTEGER AS bucket
FROM read_parquet(getvariable('decisions'), filename = true);
CREATE VIEW decision AS
SELECT *, NOT by_log AND file NOT IN (FROM own) AS is_review FROM decided;
"""
_TAKEN_BACK = """
CREATE TABLE taken_back AS
SELECT
    file, row, amount_fen, operator, sector, kind, is_load,
    disposition = disposition_accepted() AS accepted,
    disposition = disposition_suspended() AS held, reason = reason_returned() AS returned,
    parse_filename(parse_dirpath(filename))::INTEGER AS bucket, issuer, card_number, application,
    centre
FROM (
    SELECT *, list_position(getvariable('earlier'), filename) AS number
    FROM read_parquet(getvariable('earlier'), filename = true)
    SEMI JOIN (FROM decision WHERE is_review) AS again USING (file, row)
)
QUALIFY row_number() OVER (PARTITION BY file, row ORDER BY number DESC) = 1
"""
#: What another centre keeps because people returned it moves nothing here.
_MOVED = """
CREATE VIEW moved AS
SELECT
    1 AS sign, amount_fen, operator, sector, kind, is_load, accepted, held, returned, bucket,
    issuer, card_number, application, centre
FROM decision WHERE NOT (returned AND centre <> 0)
UNION ALL
SELECT
    -1, amount_fen, operator, sector, kind, is_load, accepted, held, returned, bucket, issuer,
    card_number, application, centre
FROM taken_back
"""
#: What each centre owes for its cards: they are no part of the cards' side.
_OF_CENTRES = """
SELECT centre, sum(sign * if(is_load, -amount_fen::BIGINT, amount_fen::BIGINT))::BIGINT
FROM moved WHERE (accepted OR held) AND centre <> 0 GROUP BY centre
"""
#: Accepted debits, once for those that are alike, less those that are taken back.
_PAYMENTS = """
SELECT sector, operator, kind, amount_fen, application, bucket, returned, sum(sign)::BIGINT
FROM moved
WHERE accepted AND moves_purse(kind) AND NOT is_load GROUP BY ALL
"""
_STOOD = """
CREATE TABLE stood (
    sign INTEGER, issuer UBIGINT, card_number UBIGINT, application UTINYINT, posted_fen BIGINT
)
"""
_STANDS = """
INSERT INTO stood
SELECT $sign, issuer, card_number, application, posted_fen FROM read_parquet($statements)
"""
#: Purses on which something else was posted than what the day decided.
_UNEVEN = """
SELECT card_number, application, sum(fen) FILTER (is_posted), sum(fen) FILTER (NOT is_posted)
FROM (
    SELECT issuer, card_number, application, sign * posted_fen AS fen, true AS is_posted FROM stood
    UNION ALL
    SELECT
        issuer, card_number, application,
        sign * if(is_load, amount_fen::BIGINT, -amount_fen::BIGINT), false
    FROM moved WHERE (accepted OR held) AND centre = 0
)
GROUP BY issuer, card_number, application
HAVING coalesce(sum(fen) FILTER (is_posted), 0) <> coalesce(sum(fen) FILTER (NOT is_posted), 0)
ORDER BY card_number, application
LIMIT 100
"""


def verify_records(
    city: City, folder: Path, inputs: RunInputs, posted: Sequence[Entry], findings: Findings
) -> None:
    """Check a day whose run stands in `folder`. `posted` are the entries up to and with that day,
    as stored.
    """
    with columnar.connect(folder) as connection:
        _read_decisions(connection, city, folder, inputs)
        _verify_dispositions(connection, inputs, findings)
        _verify_reviewed(connection, findings)
        of_day = [each for each in posted if each.settlement_day == inputs.settlement_day]
        shares = _share_again(connection, city.scheme)
        _verify_posted(connection, inputs, of_day, shares, findings)
        _verify_purses(connection, city, folder, inputs, findings)


def _read_decisions(
    connection: duckdb.DuckDBPyConnection, city: City, folder: Path, inputs: RunInputs
) -> None:
    """Make the tables `decision`, `taken_back` and `moved`, which is the one less the other."""
    buckets = range(inputs.bucket_count)
    columnar.define_words(connection)
    columnar.set_variables(
        connection, decisions=[str(decisions_path(folder, bucket)) for bucket in buckets]
    )
    connection.execute(_DECISIONS)
    own = [(file_number(each),) for each in inputs.file_hashes]
    columnar.insert(connection, "own", own)
    if inputs.review_sha256 is not None:
        path = {"path": str(city.review_path(inputs.review_sha256))}
        connection.execute("INSERT INTO review FROM read_parquet($path)", path)
    again = connection.execute("SELECT count(*) FROM decision WHERE is_review").fetchall()
    earlier = [
        str(decisions_path(city.run_folder(day.settlement_day, day.run_id), bucket))
        for day in load_closed_days(city.database)
        if day.settlement_day < inputs.settlement_day
        for bucket in buckets
    ]
    if again == [(0,)] or not earlier:
        connection.execute("CREATE VIEW taken_back AS SELECT * FROM decision WHERE false")
    else:
        columnar.set_variables(connection, earlier=earlier)
        connection.execute(_TAKEN_BACK)
    connection.execute(_MOVED)


def _verify_reviewed(connection: duckdb.DuckDBPyConnection, findings: Findings) -> None:
    """I9: what a day decided again waited, each record once, and is what its review named, or a
    torn tap that the card has confirmed, or whose place another one takes.
    """
    ((named, decided, rows, before),) = connection.execute(
        "SELECT (SELECT count(*) FROM review WHERE file NOT IN (FROM own)), "
        "(SELECT count(*) FROM decision WHERE is_review), "
        "(SELECT count(DISTINCT (file, row)) FROM decision WHERE is_review), "
        "(SELECT count(*) FROM taken_back)"
    ).fetchall()
    ((unnamed,),) = connection.execute(
        "SELECT count(*) FROM decision ANTI JOIN review USING (file, row) "
        "WHERE is_review AND notes & (note_statement_proven() | note_taken_back()) <> 0"
    ).fetchall()
    if not named + unnamed == decided == rows == before:
        text = Text(
            f"对 {rows} 条记录作出 {decided} 个处理；复核指名 {named} 条，其中 {before} 条在等待",
            f"{decided} decisions on {rows} records; it names {named}, of which {before} waited",
        )
        findings.add(Invariant.I9, Text("复核", "review"), text)


def _verify_dispositions(
    connection: duckdb.DuckDBPyConnection, inputs: RunInputs, findings: Findings
) -> None:
    """I9 by file: every row once, and the money of all dispositions is the file's."""
    decided = {file: rest for file, *rest in connection.execute(_BY_FILE).fetchall()}
    for row in inputs.files:
        file = row.file
        found = decided.pop(int(file.content_hash[:16], 16), [0, 0, 0, 0])
        count = file.record_count
        expected = [count, count, count, file.debit_fen + file.load_fen]
        if found != expected:
            there, right = yuan(found[3]), yuan(expected[3])
            text = Text(
                f"对 {found[1]} 行作出 {found[0]} 个处理，合计 {there}；文件有 {count} 条记录，"
                f"合计 {right}",
                f"{found[0]} decisions on {found[1]} rows over {there}; the file has {count} "
                f"records over {right}",
            )
            findings.add(Invariant.I9, _decisions_of(file.content_hash), text)
    for number in decided:
        text = Text("该日并未清算此文件", "records of a file that the day did not settle")
        findings.add(Invariant.I9, _decisions_of(f"{number:016x}..."), text)


def _decisions_of(file: str) -> Text:
    return Text(f"文件 {file} 的处理结果", f"decisions of file {file}")


def _verify_posted(
    connection: duckdb.DuckDBPyConnection,
    inputs: RunInputs,
    of_day: Sequence[Entry],
    again: "_Shares",
    findings: Findings,
) -> None:
    """I4: what was posted for each bucket and participant is what its records sum to, and
    nothing else was. I5: the participants' shares, and what is held for holders, sum to the
    accepted amounts.
    """
    posted: dict[tuple[EntryKind, int | None], dict[AccountKind, int]] = {}
    shares = {AccountKind.OPERATOR: 0, AccountKind.LOAD_AGENT: 0, AccountKind.HOLDER_DUE: 0}
    for entry in of_day:
        if entry.kind is EntryKind.RULING:
            continue  # held against the audit log, in `rulings`
        key = (entry.kind, entry.bucket if entry.kind is EntryKind.COLLECT else entry.participant)
        accounts = posted.setdefault(key, {})
        for posting in entry.postings:
            try:
                account = parse_account(posting.account)
            except AccountTextError as error:
                at = f"{entry.number}/{posting.line}"
                where = Text(f"分录行 {at}", f"posting {at}")
                findings.add(Invariant.I4, where, text_of(error))
                continue
            accounts[account.kind] = accounts.get(account.kind, 0) + posting.amount_fen
            if account.kind in shares:
                shares[account.kind] += posting.amount_fen
    centres_fen = dict(connection.execute(_OF_CENTRES).fetchall())
    for kind, column, of in (
        (EntryKind.COLLECT, "bucket", "WHERE centre = 0"),
        (EntryKind.DISTRIBUTE, "operator", ""),
    ):
        rows = connection.execute(f"{_SUMS}, {column} FROM moved {of} GROUP BY {column}").fetchall()
        by_code = {code: sums for *sums, code in rows}
        owed_fen: dict[int, int] = {}
        excess_fen = again.excess_fen if kind is EntryKind.COLLECT else Counter[int]()
        if kind is EntryKind.DISTRIBUTE:
            owed_fen = centres_fen
            for code in centres_fen:
                by_code.setdefault(code, [0, 0, 0, 0])
            for code, share_fen in again.moved_fen.items():
                by_code.setdefault(code, [0, 0, 0, 0])[0] += share_fen
        for code, sums in by_code.items():
            found = posted.pop((kind, code), {})
            owed = owed_fen.get(code, 0)
            for expected, amount_fen in _expected(kind, excess_fen[code], owed, *sums).items():
                where = _entry_of(kind, code, inputs.settlement_day)
                stored_fen = found.get(expected, 0)
                what = Text(f"{expected.text.zh}（分）", f"{expected.text.en}, in fen,")
                findings.expect_equal(Invariant.I4, where, what, stored_fen, amount_fen)
    for kind, owner in posted:
        text = Text("没有当日记录支持它", "no record of the day stands behind it")
        findings.add(Invariant.I4, _entry_of(kind, owner, inputs.settlement_day), text)
    debit_fen, load_fen, _, _ = connection.execute(f"{_SUMS} FROM moved").fetchall()[0]
    where = Text(f"{inputs.settlement_day} 的分成", f"shares of {inputs.settlement_day}")
    findings.expect_equal(
        Invariant.I5,
        where,
        Text("运营商与持卡人（分）", "operators and holders, in fen,"),
        shares[AccountKind.OPERATOR] + shares[AccountKind.HOLDER_DUE],
        -debit_fen,
    )
    agents_fen = shares[AccountKind.LOAD_AGENT]
    agents = Text("充值代理（分）", "load agents, in fen,")
    findings.expect_equal(Invariant.I5, where, agents, agents_fen, load_fen)


def _entry_of(kind: EntryKind, code: int | None, day: date) -> Text:
    if kind is EntryKind.COLLECT:
        return Text(f"{day} 分桶 {code} 的归集分录", f"collect entry of bucket {code} on {day}")
    return Text(f"{day} 参与方 {code} 的分配分录", f"distribute entry of operator {code} on {day}")


@dataclass(frozen=True, slots=True)
class _Shares:
    """By bucket, what is held for holders; by participant, what known tariffs and sharing out take
    from operators and add to others.
    """

    excess_fen: Counter[int]
    moved_fen: Counter[int]


def _share_again(connection: duckdb.DuckDBPyConnection, scheme: Scheme) -> _Shares:
    """Judged once more from operator, kind and amount alone, payment by payment."""
    rules, again = read_rules(), _Shares(Counter(), Counter())
    for row in connection.execute(_PAYMENTS).fetchall():
        sector, operator, kind, amount_fen, application, bucket, returned, count = row
        rule = rule_of(rules, sector)
        excess_fen = rule.excess_fen(scheme, operator, RecordKind(kind), amount_fen)
        if returned:
            excess_fen = amount_fen
        again.excess_fen[bucket] += count * excess_fen
        again.moved_fen[operator] -= count * excess_fen
        payment = Payment(application, operator, amount_fen - excess_fen)
        for code, share_fen in rule.passed_on(payment).items():
            again.moved_fen[code] += count * share_fen
            again.moved_fen[operator] -= count * share_fen
    return again


def _expected(
    kind: EntryKind,
    excess_fen: int,
    centre_fen: int,
    debit_fen: int,
    load_fen: int,
    held_debit_fen: int,
    held_load_fen: int,
) -> dict[AccountKind, int]:
    """What must have been posted by kind of account. Said here for the second time, on purpose:
    `settlement.ledger.movements` is what is checked.
    """
    out_fen = debit_fen + held_debit_fen - load_fen - held_load_fen
    if kind is EntryKind.COLLECT:
        return {
            AccountKind.CARD_FLOAT: out_fen,
            AccountKind.HOLDER_DUE: -excess_fen,
            AccountKind.CLEARING: excess_fen - out_fen,
        }
    return {
        AccountKind.CLEARING: out_fen - centre_fen,
        AccountKind.CENTRE: centre_fen,
        AccountKind.OPERATOR: -debit_fen,
        AccountKind.LOAD_AGENT: load_fen,
        AccountKind.SUSPENSE: held_load_fen - held_debit_fen,
    }


def _verify_purses(
    connection: duckdb.DuckDBPyConnection,
    city: City,
    folder: Path,
    inputs: RunInputs,
    findings: Findings,
) -> None:
    """I3: what stands as posted on every purse is what stood there before, and what was decided."""
    before = [
        city.run_folder(day.settlement_day, day.run_id)
        for day in load_closed_days(city.database)
        if day.settlement_day < inputs.settlement_day
    ][-1:]
    connection.execute(_STOOD)
    for sign, run in ((1, folder), *((-1, each) for each in before)):
        paths = [
            str(bucket_path(run, bucket) / "statements.parquet")
            for bucket in range(inputs.bucket_count)
        ]
        connection.execute(_STANDS, {"sign": sign, "statements": paths})
    for card, application, posted_fen, decided_fen in connection.execute(_UNEVEN).fetchall():
        name, day = f"{card:020}/{application}", inputs.settlement_day
        where = Text(f"{day} 钱包 {name}", f"purse {name} on {day}")
        there, right = yuan(posted_fen or 0), yuan(decided_fen or 0)
        text = Text(
            f"所记入账为 {there}，而记录变动 {right}",
            f"{there} stand there as posted, the records move {right}",
        )
        findings.add(Invariant.I3, where, text)
