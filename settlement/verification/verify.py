"""Everything again from the raw bytes: does what the office holds follow from what it was sent?

Decides the order of the checks and gathers what they find; what is compared with what stands in
`files`, `reviews`, `days` and `records`. Nothing is written: the check computes aside
and throws its files away. A check that cannot even read what it compares is a finding, too.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from cardcore.errors import KeyRightError, KeyServiceUnavailableError
from cardcore.keys import KeyService
from cardcore.text import Text
from settlement.city import City
from settlement.engine import Engine, WorkerLostError
from settlement.store.files import load_files
from settlement.verification.days import verify_days, verify_positions
from settlement.verification.files import verify_files
from settlement.verification.findings import (
    Findings,
    Invariant,
    OnProgress,
    SealCheck,
    Verification,
)
from settlement.verification.load_logs import verify_load_logs
from settlement.verification.registry import verify_registry
from settlement.verification.reviews import verify_reviews
from settlement.verification.seals import ShownSeal, verify_seals


def be_silent(_step: str, _done: int, _total: int) -> None:
    """Nobody is watching the progress."""


def verify(
    city: City,
    key_service: KeyService,
    engine: Engine,
    on_progress: OnProgress = be_silent,
    shown: Sequence[ShownSeal] = (),
) -> Verification:
    """Recompute I1 to I10, and hold the closed days against the seals that are `shown`. Raises
    `KeyServiceUnavailableError` when TACs cannot be proven now.
    """
    with city.scratch("verify") as scratch:
        return _verify(city, key_service, engine, scratch, on_progress, shown)


def _verify(
    city: City,
    key_service: KeyService,
    engine: Engine,
    scratch: Path,
    on_progress: OnProgress,
    shown: Sequence[ShownSeal],
) -> Verification:
    findings, seals = Findings(), SealCheck()

    def check_database() -> int:
        for text in city.database.damage():
            findings.add(Invariant.I8, Text("control.sqlite", "control.sqlite"), text)
        return 0

    def check_files() -> int:
        rows = load_files(city.database)
        return verify_files(city, rows, key_service, scratch, findings, on_progress)

    def check_reviews() -> int:
        return verify_reviews(city, load_files(city.database), key_service, findings)

    def check_days() -> int:
        return verify_days(city, engine, scratch, findings, on_progress)

    def check_seals() -> int:
        nonlocal seals
        seals = verify_seals(city, key_service, shown, findings)
        return 0

    _guard(findings, Text("数据库", "database"), check_database)
    files = _guard(findings, Text("批次文件", "files"), check_files)
    _guard(findings, Text("圈存授权日志", "load logs"), lambda: verify_load_logs(city, findings))
    _guard(findings, Text("复核", "reviews"), check_reviews)
    what = Text("已关闭日与分录", "closed days and ledger entries")
    days = _guard(findings, what, check_days)
    _guard(findings, Text("轧差", "positions"), lambda: verify_positions(city, findings))
    _guard(findings, Text("登记簿", "registry"), lambda: verify_registry(city, findings))
    _guard(findings, Text("封存", "seals"), check_seals)
    return Verification(tuple(findings.found), files, days, seals)


def _guard(findings: Findings, what: Text, check: Callable[[], int]) -> int:
    """Run one check; how many it went through, 0 when it could not."""
    try:
        return check()
    except (KeyRightError, KeyServiceUnavailableError, WorkerLostError):
        raise  # nothing was found out about the stored bytes
    except Exception as error:  # noqa: BLE001 - damaged rows may fail anywhere; that is a finding
        findings.cannot_read(Invariant.I8, what, error)
        return 0
