"""The seals of closed days against the key service's signatures, its register, and witnesses.

Decides whether the closed days are all there are: that their numbers have no gap, that the key
service signed each, that it signed no later one, and that whoever was told of a seal was told this
one. Leaves what a seal covers to `days`, where the sealed document is made again. What is found
here cannot be mended by whoever holds the city's folder: the signatures are not his to make.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cardcore.crypto.day_seals import seal_holds
from cardcore.errors import KeyServiceError
from cardcore.keys import KeyRef, KeyService, KeyUsage
from cardcore.text import Text
from settlement.city import City
from settlement.day_seals import SignedSeal, written_seal
from settlement.days.closing import ClosedDay, signed_seal
from settlement.store import days as day_store
from settlement.verification.findings import (
    Findings,
    Invariant,
    SealCheck,
    file_at,
    row_of,
)

_DATABASE = Text("数据库", "the database")
#: What to do about a database that is older than a seal somebody has seen.
_RESTORE = Text(
    "请由最新的备份恢复；若只是关闭中断，`onecard close` 会把它做完",
    "restore the newest copy of the city; a close that was merely cut off is finished by "
    "`onecard close`",
)


@dataclass(frozen=True, slots=True)
class ShownSeal:
    """A seal that somebody shows: an acknowledgement or statement that was kept, or what was
    written down (`signed` None). `where` says by whom or in which file.
    """

    where: Text
    number: int
    written: str
    signed: SignedSeal | None = None


def is_of_city(city: City, key_service: KeyService, seal: SignedSeal) -> bool:
    """Whether the city's key signed this: what it did not sign proves nothing about the city."""
    ref = KeyRef(KeyUsage.DAY_SEAL, city.scheme.name, seal.key_version)
    try:
        public_key = key_service.public_key(ref)
    except KeyServiceError:
        return False
    return seal.label == ref.label and _holds(public_key, seal)


def verify_seals(
    city: City, key_service: KeyService | None, shown: Iterable[ShownSeal], findings: Findings
) -> SealCheck:
    """Check every closed day's number and signature, the register of the key service, and what
    witnesses show.
    """
    days = day_store.load_closed_days(city.database)
    _verify_numbers(days, findings)
    _verify_files(city, days, findings)
    is_registered = False
    if key_service is not None:
        _verify_signatures(city, days, key_service, findings)
        is_registered = _verify_register(city, days, key_service, findings)
    for each in shown:
        _compare(each, days, findings)
    newest = signed_seal(city.scheme.name, days[-1]) if days else None
    return SealCheck(newest, is_registered)


def _verify_numbers(days: Sequence[ClosedDay], findings: Findings) -> None:
    for number, day in enumerate(days, 1):
        if day.number != number:
            text = Text(
                f"序号为 {day.number}，按次序应为 {number}：其前有日缺失",
                f"has number {day.number}, by its place {number}: a day before it is gone",
            )
            findings.add(Invariant.I8, row_of("days", day.settlement_day), text)


def _verify_signatures(
    city: City, days: Sequence[ClosedDay], key_service: KeyService, findings: Findings
) -> None:
    public_keys: dict[int, bytes] = {}
    for day in days:
        where = row_of("days", day.settlement_day)
        ref = KeyRef(KeyUsage.DAY_SEAL, city.scheme.name, day.key_version)
        try:
            if day.key_version not in public_keys:
                public_keys[day.key_version] = key_service.public_key(ref)
        except KeyServiceError as error:
            findings.cannot_read(Invariant.I8, where, error)
            continue
        if not _holds(public_keys[day.key_version], signed_seal(ref.label, day)):
            text = Text(
                f"{ref} 未签此封存：该日不是由本城的密钥服务封存的",
                f"{ref} did not sign this seal: the day was not sealed by the city's key service",
            )
            findings.add(Invariant.I8, where, text)


def _verify_files(city: City, days: Sequence[ClosedDay], findings: Findings) -> None:
    """A sealed document without its day: the day is gone from the database."""
    closed = {city.seal_path(day.settlement_day) for day in days}
    for path in sorted(city.seals_folder.glob("*.json")):
        if path not in closed:
            text = Text(
                f"数据库中没有这一日；{_RESTORE.zh}",
                f"the database has no such day; {_RESTORE.en}",
            )
            at = file_at(Text("封存文件", "seal file"), path.relative_to(city.folder))
            findings.add(Invariant.I8, at, text)


def _verify_register(
    city: City, days: Sequence[ClosedDay], key_service: KeyService, findings: Findings
) -> bool:
    """Whether the key service keeps a register at all; what it says is held against the days."""
    standing = key_service.sealed_days(city.scheme.name)
    newest, last = standing.newest, len(days)
    if not standing.is_kept:
        return False
    known = 0 if newest is None else newest.number
    if newest is not None and known > last:
        text = Text(
            f"止于第 {last} 日，而密钥服务已封存第 {known} 日（{newest.day}）：数据库是旧的，或末日"
            f"被删；{_RESTORE.zh}",
            f"ends with day number {last}, and the key service has sealed number {known} "
            f"({newest.day}): it is an older one, or its last days were deleted; {_RESTORE.en}",
        )
        findings.add(Invariant.I8, _DATABASE, text)
    elif known < last:
        text = Text(
            f"止于第 {known} 日，而本城已关闭第 {last} 日：换了密钥服务，或其登记册被退回；"
            "请由备份恢复登记册",
            f"ends with day number {known}, and the city with {last}: another key service is in "
            "use, or its register was put back; restore the register from a copy",
        )
        findings.add(Invariant.I8, Text("日封存登记册", "the register of day seals"), text)
    elif newest is not None and newest.digest.hex() != days[-1].seal:
        other = written_seal(newest.number, newest.digest.hex())
        text = Text(
            f"密钥服务封存的第 {last} 日是另一内容（{other}）：{_OTHER.zh}",
            f"the key service sealed another day number {last} ({other}): {_OTHER.en}",
        )
        findings.add(Invariant.I8, row_of("days", days[-1].settlement_day), text)
    return True


_OTHER = Text(
    "该日被重新做过；请由最新的备份恢复",
    "the day was made again otherwise; restore the newest copy of the city",
)


def _compare(shown: ShownSeal, days: Sequence[ClosedDay], findings: Findings) -> None:
    if shown.number > len(days):
        text = Text(
            f"是第 {shown.number} 日的封存，而数据库止于第 {len(days)} 日：数据库是旧的，或末日被"
            f"删；{_RESTORE.zh}",
            f"is the seal of day number {shown.number}, and the database ends with {len(days)}: it "
            f"is an older one, or its last days were deleted; {_RESTORE.en}",
        )
        findings.add(Invariant.I8, shown.where, text)
        return
    day = days[shown.number - 1]
    ours = written_seal(day.number, day.seal)
    is_same = ours == shown.written if shown.signed is None else day.seal == shown.signed.seal
    if not is_same:
        text = Text(
            f"第 {shown.number} 日为 {shown.written}，本城现为 {ours}：{_OTHER.zh}",
            f"day number {shown.number} is {shown.written} there, and {ours} here: {_OTHER.en}",
        )
        findings.add(Invariant.I8, shown.where, text)


def _holds(public_key: bytes, seal: SignedSeal) -> bool:
    try:
        return seal_holds(public_key, seal.label, seal.signed, bytes.fromhex(seal.signature))
    except ValueError:
        return False  # a column that was changed into no hexadecimal digits
