"""Everything again from the raw bytes: does what the office holds follow from what it was sent?

Decides the order of the checks and gathers what they find; what is compared with what stands in
`files`, `reviews`, `days`, `records` and the modules beside them. Nothing is written: the check
computes outside the city's folder and throws its files away. A check that cannot even read what it
compares is a finding, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from cardcore.errors import KeyRightError, KeyServiceUnavailableError
from cardcore.keys import KeyService
from cardcore.text import Text
from settlement.city import City
from settlement.engine import Engine, WorkerLostError
from settlement.store.files import load_files
from settlement.verification.audit_log import verify_audit_log
from settlement.verification.days import verify_days, verify_positions
from settlement.verification.files import verify_files
from settlement.verification.findings import (
    Findings,
    Invariant,
    OnProgress,
    SealCheck,
    Verification,
)
from settlement.verification.kept.folder import verify_folder
from settlement.verification.kept.refusals import verify_refusals
from settlement.verification.kept.schema import verify_schema
from settlement.verification.load_logs import verify_load_logs
from settlement.verification.registry import verify_registry
from settlement.verification.reviews import verify_reviews
from settlement.verification.rulings import verify_applied
from settlement.verification.seals import ShownSeal, verify_seals


def be_silent(_step: str, _done: int, _total: int) -> None:
    """Nobody is watching the progress."""


def verify(
    city: City,
    key_service: KeyService | None,
    engine: Engine,
    on_progress: OnProgress = be_silent,
    shown: Sequence[ShownSeal] = (),
) -> Verification:
    """Recompute I1 to I10, and hold the closed days against the seals that are `shown`. Raises
    `KeyServiceUnavailableError` when TACs cannot be proven now; without a key service at all
    everything but the TACs and the signatures of seals is checked, and what was not is said.
    """
    with TemporaryDirectory(prefix="onecard-verify-") as aside:
        look = _Look(city, key_service, engine, Path(aside), on_progress, shown)
        counts = {}
        for name, (what, check) in CHECKS.items():
            counts[name] = _guard(look, what, check)
    unproven = _WITHOUT_KEYS if key_service is None else ()
    return Verification(
        tuple(look.findings.found),
        counts.get("files", 0),
        counts.get("days", 0),
        look.seals[-1] if look.seals else SealCheck(),
        unproven,
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a city: what is looked at, with whose help, and what was found."""

    city: City
    key_service: KeyService | None
    engine: Engine
    scratch: Path
    on_progress: OnProgress
    shown: Sequence[ShownSeal]
    findings: Findings = field(default_factory=Findings)
    seals: list[SealCheck] = field(default_factory=list)  # one, once they were looked at


def _database(look: _Look) -> int:
    for text in look.city.database.damage():
        look.findings.add(Invariant.I8, Text("control.sqlite", "control.sqlite"), text)
    return 0


def _files(look: _Look) -> int:
    rows = load_files(look.city.database)
    return verify_files(
        look.city, rows, look.key_service, look.scratch, look.findings, look.on_progress
    )


def _reviews(look: _Look) -> int:
    rows = load_files(look.city.database)
    return verify_reviews(look.city, rows, look.key_service, look.scratch, look.findings)


def _days(look: _Look) -> int:
    return verify_days(look.city, look.engine, look.scratch, look.findings, look.on_progress)


def _seals(look: _Look) -> int:
    look.seals.append(verify_seals(look.city, look.key_service, look.shown, look.findings))
    return 0


#: Every check by its name, in their order: what it looks at, and how. Each finds something that no
#: other one does.
CHECKS: dict[str, tuple[Text, Callable[[_Look], int]]] = {
    "database": (Text("数据库", "database"), _database),
    "schema": (
        Text("数据库结构", "schema"),
        lambda look: verify_schema(look.city, look.findings),
    ),
    "folder": (
        Text("数据目录", "folder"),
        lambda look: verify_folder(look.city, look.findings),
    ),
    "files": (Text("批次文件", "files"), _files),
    "load_logs": (
        Text("圈存授权日志", "load logs"),
        lambda look: verify_load_logs(look.city, look.findings),
    ),
    "reviews": (Text("复核", "reviews"), _reviews),
    "rulings": (
        Text("裁定", "rulings"),
        lambda look: verify_applied(look.city, look.findings),
    ),
    "days": (Text("已关闭日与分录", "closed days and ledger entries"), _days),
    "positions": (
        Text("轧差", "positions"),
        lambda look: verify_positions(look.city, look.findings),
    ),
    "refusals": (
        Text("拒收记录", "refusals"),
        lambda look: verify_refusals(look.city, look.findings),
    ),
    "registry": (
        Text("登记簿", "registry"),
        lambda look: verify_registry(look.city, look.findings),
    ),
    "audit_log": (
        Text("审计日志", "audit log"),
        lambda look: verify_audit_log(look.city, look.findings),
    ),
    "seals": (Text("封存", "seals"), _seals),
}
_WITHOUT_KEYS = (
    Text(
        "未问密钥服务：交易认证码、记录鉴别码与封存签名未重新验证，采信所存的结果",
        "the key service was not asked: no TAC, no record MAC and no signature of a seal was "
        "proven again, the stored answers were believed",
    ),
)


def _guard(look: _Look, what: Text, check: Callable[[_Look], int]) -> int:
    """Run one check; how many it went through, 0 when it could not."""
    try:
        return check(look)
    except (KeyRightError, KeyServiceUnavailableError, WorkerLostError):
        raise  # nothing was found out about the stored bytes
    except Exception as error:  # noqa: BLE001 - damaged rows may fail anywhere; that is a finding
        look.findings.cannot_read(Invariant.I8, what, error)
        return 0
