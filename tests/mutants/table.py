"""Wrong changes that a test has to notice: what each breaks, where it stands, who notices.

`make mutants` puts them in one at a time. A row says a rule; its old text follows the code.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong change: `old` becomes `new` in the file at `path`, and `tests` must fail."""

    rule: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]


_STEPS = "terminals/tap/steps"
_DECISIONS = "terminals/tap/decisions.py"
_TORN = ("tests/terminals/tap/test_torn_judgement.py",)
_ENDED = ("tests/terminals/journal/test_ended_once.py",)

TERMINALS = (
    Mutant(
        "the whole log of a card is read for a torn tap",
        f"{_STEPS}/knowing.py",
        "if tap.log_number <= LOG_RECORDS else",
        "if tap.log_number < LOG_RECORDS else",
        _TORN,
    ),
    Mutant(
        "a debit answers MAC2 and a whole TAC",
        f"{_STEPS}/paying.py",
        "if not response.ok or len(response.data) != (TAC_BYTES if load else 2 * TAC_BYTES):",
        "if not response.ok or (load and len(response.data) != TAC_BYTES):",
        _TORN,
    ),
    Mutant(
        "a load answers a whole TAC",
        f"{_STEPS}/paying.py",
        "if not response.ok or len(response.data) != (TAC_BYTES if load else 2 * TAC_BYTES):",
        "if not response.ok or (not load and len(response.data) != 2 * TAC_BYTES):",
        _TORN,
    ),
    Mutant(
        "a log record is ours by its time as well",
        _DECISIONS,
        """    ours = (log.counter, log.terminal, log.time, log.amount_fen)
    is_ours = ours == (draft.counter, draft.terminal, draft.time, draft.amount_fen)""",
        """    ours = (log.counter, log.terminal, log.amount_fen)
    is_ours = ours == (draft.counter, draft.terminal, draft.amount_fen)""",
        _TORN,
    ),
    Mutant(
        "a second try does not come before the first",
        _DECISIONS,
        "same_wish and timedelta(0) <= age <= timedelta(seconds=SECOND_TRY_SECONDS_MAX)",
        "same_wish and age <= timedelta(seconds=SECOND_TRY_SECONDS_MAX)",
        _TORN,
    ),
    Mutant(
        "a tap ends once",
        "terminals/journal/journal.py",
        "        if changed != 1:",
        "        if changed > 1:",
        _ENDED,
    ),
    Mutant(
        "an ending ends its own tap",
        "terminals/journal/journal.py",
        'f"WHERE id = ? AND state = {TapState.OPEN:d}",',
        'f"WHERE id >= ? AND state = {TapState.OPEN:d}",',
        _ENDED,
    ),
    Mutant(
        "salvage takes no frame of before the last checkpoint",
        "terminals/journal/salvage.py",
        "        if frame_salt != salt:",
        "        if False:",
        _ENDED,
    ),
)

MUTANTS = TERMINALS
