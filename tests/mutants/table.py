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

_DISK = ("tests/settlement/service/test_forgetful_disk.py",)
_JOURNAL_DISK = ("tests/terminals/journal/test_forgetful_disk.py",)
_SYNC = "            os.fsync(file.fileno())\n"

DISK = (
    Mutant(
        "the bytes of a kept file are synced",
        "settlement/durable.py",
        "            file.flush()\n" + _SYNC,
        "            file.flush()\n",
        _DISK,
    ),
    Mutant(
        "the name of a kept file is synced",
        "settlement/durable.py",
        "unlink(missing_ok=True)\n    sync_folder(path.parent)\n\n\ndef remove",
        "unlink(missing_ok=True)\n\n\ndef remove",
        _DISK,
    ),
    Mutant(
        "every new folder above a file is synced",
        "settlement/durable.py",
        "    for each in reversed(missing):\n        sync_folder(each.parent)\n",
        "",
        _DISK,
    ),
    Mutant(
        "the outputs of a run are synced",
        "settlement/service/runs.py",
        "        sync_file(folder / name)",
        "        pass",
        _DISK,
    ),
    Mutant(
        "the folders of a run are synced",
        "settlement/service/runs.py",
        "            sync_folder(each)",
        "            pass",
        _DISK,
    ),
    Mutant(
        "a run is on the disk before its row",
        "settlement/service/runs.py",
        "    _make_durable(folder, outcome)\n    return",
        "    return",
        _DISK,
    ),
    Mutant(
        "a city's settings are written durably",
        "settlement/city.py",
        "    write_durable(folder / _SETTINGS, canonical_json(settings))",
        "    (folder / _SETTINGS).write_bytes(canonical_json(settings))",
        _DISK,
    ),
    Mutant(
        "a city's own scheme is written durably",
        "settlement/city.py",
        "        write_durable(folder / _SCHEME, own)",
        "        (folder / _SCHEME).write_bytes(own)",
        _DISK,
    ),
    Mutant(
        "the office's database syncs its commits",
        "settlement/store/database.py",
        '"synchronous = FULL"',
        '"synchronous = NORMAL"',
        _DISK,
    ),
    Mutant(
        "the journal syncs its commits",
        "terminals/journal/disk.py",
        """        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")""",
        """        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")""",
        _JOURNAL_DISK,
    ),
    Mutant(
        "a new journal is synced",
        "terminals/journal/disk.py",
        """    try:
        database.execute("PRAGMA synchronous = FULL")
        schema""",
        """    try:
        database.execute("PRAGMA synchronous = OFF")
        schema""",
        _JOURNAL_DISK,
    ),
    Mutant(
        "a step that is not forced leaves the next one forced",
        "terminals/journal/journal.py",
        """                self._database.execute("PRAGMA synchronous = FULL")""",
        """                self._database.execute("PRAGMA synchronous = NORMAL")""",
        _JOURNAL_DISK,
    ),
    Mutant(
        "the name of a new journal is synced",
        "terminals/journal/disk.py",
        "beside os.fsync\n    sync_folder(path.parent)\n",
        "beside os.fsync\n",
        _JOURNAL_DISK,
    ),
    Mutant(
        "the bytes of an upload are synced before its name",
        "terminals/journal/disk.py",
        "        os.fsync(file.fileno())\n",
        "",
        _JOURNAL_DISK,
    ),
    Mutant(
        "the name of an upload is synced",
        "terminals/journal/disk.py",
        "    fresh.replace(path)\n    sync_folder(path.parent)\n",
        "    fresh.replace(path)\n",
        _JOURNAL_DISK,
    ),
)

_DEVICE_DISK = ("tests/hsm_sim/device/test_forgetful_disk.py",)
_STORAGE = "hsm_sim/device/storage.py"

DEVICE_DISK = (
    Mutant(
        "facts are synced before their name",
        "settlement/facts/columnar.py",
        "        os.fsync(stream.fileno())\n",
        "",
        _DISK,
    ),
    Mutant(
        "a device's document is synced",
        _STORAGE,
        """                file.write(text)
                file.flush()
                os.fsync(file.fileno())
""",
        "                file.write(text)\n",
        _DEVICE_DISK,
    ),
    Mutant(
        "the new name of a device's document is synced",
        _STORAGE,
        "            new.replace(path)\n            _sync_names(self.path)\n",
        "            new.replace(path)\n",
        _DEVICE_DISK,
    ),
    Mutant(
        "a line of a device's log is synced",
        _STORAGE,
        "            if is_durable:\n",
        "            if False:\n",
        _DEVICE_DISK,
    ),
    Mutant(
        "a device's new log is synced under its name",
        _STORAGE,
        "        if is_new:\n            _sync_names(self.path)\n",
        "",
        _DEVICE_DISK,
    ),
    Mutant(
        "what is cut off a device's log stays off",
        _STORAGE,
        "            file.truncate(size)\n            os.fsync(file.fileno())\n",
        "            file.truncate(size)\n",
        _DEVICE_DISK,
    ),
    Mutant(
        "a device's folder is synced under its name",
        _STORAGE,
        "        for each in reversed(new):\n            _sync_names(each.parent)\n",
        "",
        _DEVICE_DISK,
    ),
    Mutant(
        "an erased document is erased on the disk",
        _STORAGE,
        "                os.fsync(old)\n",
        "",
        _DEVICE_DISK,
    ),
)

_ENDS = ("tests/settlement/days/test_ends_of_days.py",)
_CLOSING, _OPENING = "settlement/days/closing.py", "settlement/days/opening.py"
_COUNTED = ("tests/settlement/clearing/test_counted_once.py",)
_TOTAL = ("tests/cardcore/records/test_each_total.py",)
_WORDS = ("tests/cardcore/chip/channel/test_channel_words.py",)
_READ_BACK = ("tests/cardcore/issuing/test_read_back.py",)
_STATES = ("tests/hsm_sim/keys/test_key_states.py",)

PURE = (
    Mutant(
        "a run stands on the last closed day",
        _CLOSING,
        "return (last_run, ready) == (inputs.previous_run, inputs.file_hashes)",
        "return ready == inputs.file_hashes",
        _ENDS,
    ),
    Mutant(
        "a run stands on the files that are ready now",
        _CLOSING,
        "return (last_run, ready) == (inputs.previous_run, inputs.file_hashes)",
        "return last_run == inputs.previous_run",
        _ENDS,
    ),
    Mutant(
        "gaps stand under the seal",
        _CLOSING,
        "digest([_gap_content(each) for each in report.gaps])",
        "digest([])",
        _ENDS,
    ),
    Mutant(
        "the known discount stands under the seal",
        _CLOSING,
        "                each.known_discount_fen,\n",
        "",
        _ENDS,
    ),
    Mutant(
        "a file's row stands under the seal",
        _CLOSING,
        "[row.file.content_hash, row.row_hash]",
        "[row.file.content_hash]",
        _ENDS,
    ),
    Mutant(
        "a file belongs to the day its clock may just reach",
        _OPENING,
        "file.business_day <= received + CLOCK_AHEAD_MAX else",
        "file.business_day < received + CLOCK_AHEAD_MAX else",
        _ENDS,
    ),
    Mutant(
        "a run takes the files of its own day",
        _OPENING,
        "if day_of(row.file) <= settlement_day)",
        "if day_of(row.file) < settlement_day)",
        _ENDS,
    ),
    Mutant(
        "the last near day is near",
        _OPENING,
        "for each in near) > DAYS_FROM_FILES_MAX:",
        "for each in near) >= DAYS_FROM_FILES_MAX:",
        _ENDS,
    ),
    Mutant(
        "late is counted over accepted records",
        "settlement/clearing/totals.py",
        "late=sum(each.records for each in accepted if each.late)",
        "late=sum(each.records for each in of_records if each.late)",
        _COUNTED,
    ),
    *(
        Mutant(
            f"the {name} of a batch is compared",
            "cardcore/records/batch.py",
            "    if totals != total_records(records, header.record_bytes):",
            "    right = total_records(records, header.record_bytes)\n"
            f"    object.__setattr__(right, {name!r}, totals.{name})\n"
            "    if totals != right:",
            _TOTAL,
        )
        for name in ("record_count", "debit_fen", "load_fen", "hash_total")
    ),
    Mutant(
        "warnings 62xx and 63xx are both protected",
        "cardcore/chip/scp03.py",
        "_WARNINGS = (0x62, 0x63)",
        "_WARNINGS = (0x63,)",
        _WORDS,
    ),
    Mutant(
        "the host takes warnings of both kinds for protected",
        "cardcore/chip/scp03.py",
        "(len(ending) < STATUS_BYTES or ending[0] not in _WARNINGS)",
        "(len(ending) < STATUS_BYTES or ending[0] != 0x62)",
        _WORDS,
    ),
    Mutant(
        "number and holder are read back",
        "cardcore/issuing/checking.py",
        "        if read != content:",
        "        if False:",
        _READ_BACK,
    ),
    Mutant(
        "the digest of an application is compared",
        "cardcore/issuing/checking.py",
        "    if shown[:DIGEST_BYTES] != planned.package.content.digest(cells.get):",
        "    if False:",
        ("tests/cardcore/issuing/test_initialisation.py",),
    ),
    Mutant(
        "the keys of an application are compared",
        "cardcore/issuing/checking.py",
        "            if key.head[:_SHOWN_BYTES] + desk.check_value(key) not in shown:",
        "            if False:",
        _READ_BACK,
    ),
    Mutant(
        "a retiring key signs",
        "hsm_sim/keys/operations.py",
        'self._permit(ref, _SIGNING_USAGES, _GO_ON, Text("签名文件", "sign files"))',
        "self._permit(\n            ref, _SIGNING_USAGES, frozenset({KeyState.ACTIVE}),"
        ' Text("签名文件", "sign files"))',
        _STATES,
    ),
    Mutant(
        "the same bytes under another algorithm are another key",
        "hsm_sim/keys/vault.py",
        "if (held.value, held.description.algorithm) != (value, algorithm):",
        "if held.value != value:",
        _STATES,
    ),
)

_NEXT_DAY = ("tests/settlement/days/test_next_day.py",)
_PLACING = "settlement/reconciliation/placing.py"
_SQL = "settlement/reconciliation/sql"

RECONCILIATION = (
    Mutant(
        "a purse is as new as its newest movement",
        f"{_SQL}/bucket_seams.sql",
        "        max(time) AS time",
        "        min(time) AS time",
        _NEXT_DAY,
    ),
    Mutant(
        "a serial used on an earlier day is used up",
        f"{_SQL}/terminals_decide.sql",
        "SELECT terminal, terminal_serial FROM serial_seen WHERE proven > 1\nUNION\n"
        "FROM old_serial;",
        "SELECT terminal, terminal_serial FROM serial_seen WHERE proven > 1;",
        _NEXT_DAY,
    ),
    Mutant(
        "the last serial of a day is used up",
        f"{_SQL}/terminals_seen.sql",
        "WHERE proven > 0 AND terminal_serial <= last_before",
        "WHERE proven > 0 AND terminal_serial < last_before",
        _NEXT_DAY,
    ),
    Mutant(
        "the last serial of a gap is missing",
        f"{_SQL}/terminals_seen.sql",
        "WHERE NOT coalesce(seen.terminal_serial <= gap.last_serial, false);",
        "WHERE NOT coalesce(seen.terminal_serial < gap.last_serial, false);",
        _NEXT_DAY,
    ),
    Mutant(
        "a link to the left end of a gap points into it",
        _PLACING,
        "self._slots[gaps[place]].left.counter(self._other) <= after:",
        "self._slots[gaps[place]].left.counter(self._other) < after:",
        _NEXT_DAY,
    ),
    Mutant(
        "a link to the right end of a gap points into it",
        _PLACING,
        "bisect_left(self._rights, after, lo=",
        "bisect_right(self._rights, after, lo=",
        _NEXT_DAY,
    ),
    Mutant(
        "a link is unwrapped near the counter of its own kind",
        "settlement/reconciliation/threads.py",
        "known_online if link is CounterKind.LOAD else known_offline",
        "known_offline if link is CounterKind.LOAD else known_online",
        _NEXT_DAY,
    ),
)

_AT_ONCE = ("tests/settlement/service/test_two_at_once.py",)
_CHECKS = ("tests/settlement/verification/test_each_check.py",)
_DAYS = "settlement/verification/days.py"
_ORDER = (
    "QUALIFY row_number() OVER (PARTITION BY file, row ORDER BY number DESC) = 1",
    "QUALIFY row_number() OVER (PARTITION BY file, row ORDER BY number) = 1",
)

SERVICE = (
    Mutant(
        "one process at a time clears or closes",
        "settlement/city.py",
        "            fcntl.flock(file, fcntl.LOCK_EX)\n",
        "",
        _AT_ONCE,
    ),
    Mutant(
        "who waited for a close sees it",
        "settlement/service/close.py",
        "    with city.clearing():",
        "    if True:",
        _AT_ONCE,
    ),
    Mutant(
        "a writer takes the write lock as it begins",
        "settlement/store/database.py",
        '"BEGIN IMMEDIATE" if writes else "BEGIN"',
        '"BEGIN"',
        _AT_ONCE,
    ),
    Mutant(
        "a day starts from outputs that were proven",
        "settlement/service/runs.py",
        'if not name.endswith("decisions.parquet") and hash_of(folder / name) != sha256:',
        "if False:",
        _AT_ONCE,
    ),
    Mutant(
        "cards of the day before are proven",
        "settlement/service/runs.py",
        'if not name.endswith("decisions.parquet") and hash_of(folder / name) != sha256:',
        'if name.endswith("results.json") and hash_of(folder / name) != sha256:',
        _AT_ONCE,
    ),
)

VERIFICATION = (
    Mutant(
        "an entry without postings is out of balance",
        _DAYS,
        "if amount_fen or not entry.postings:",
        "if amount_fen:",
        _CHECKS,
    ),
    Mutant(
        "an entry belongs to a closed day",
        _DAYS,
        "if entry.settlement_day not in closed:",
        "if False:",
        _CHECKS,
    ),
    Mutant(
        "a net is its debit less its credit",
        _DAYS,
        "findings.expect_equal(Invariant.I6, at, net, each.net_fen, right)",
        "del net, at, right",
        _CHECKS,
    ),
    Mutant(
        "nets sum to zero",
        _DAYS,
        "        if net_fen:\n",
        "        if False:\n",
        _CHECKS,
    ),
    Mutant(
        "all accounts sum to zero",
        _DAYS,
        "    if sum(balances.values()):\n",
        "    if False:\n",
        _CHECKS,
    ),
    Mutant(
        "the clearing account of a closed day is zero",
        _DAYS,
        "        if balances.get(account, 0):",
        "        if False:",
        _CHECKS,
    ),
    Mutant(
        "a file's row hashes to its hash",
        "settlement/verification/files.py",
        "    if row.row_hash != row.file.row_hash:",
        "    if False:",
        _CHECKS,
    ),
    Mutant(
        "a file's row is the one that was sealed",
        _DAYS,
        "        if sealed.get(content_hash) != held.get(content_hash):",
        "        if False:",
        _CHECKS,
    ),
    Mutant(
        "load agents' shares are what was loaded",
        "settlement/verification/records.py",
        "    findings.expect_equal(Invariant.I5, where, agents, agents_fen, load_fen)",
        "    del agents, agents_fen",
        _CHECKS,
    ),
    Mutant(
        "a review is what its name says",
        "settlement/verification/reviews.py",
        "        if hash_of(path) != run.review_sha256:",
        "        if False:",
        _CHECKS,
    ),
    Mutant(
        "what was decided last of a record counts",
        "settlement/verification/reviews.py",
        *_ORDER,
        _CHECKS,
    ),
)

_REGISTER = "hsm_sim/keys/seal_register.py"
_REGISTERED = ("tests/hsm_sim/keys/test_seal_register.py",)
_SEALS = "settlement/verification/seals.py"
_PUT_BACK = ("tests/settlement/verification/test_put_back.py",)
_CUT_OFF = ("tests/settlement/verification/test_cut_off_closes.py",)

DAY_SEALS = (
    Mutant(
        "a day number has one seal",
        _REGISTER,
        "            if each == seal:",
        "            if each.day == seal.day:",
        _REGISTERED,
    ),
    Mutant(
        "day numbers have no gap",
        _REGISTER,
        "(seal.number == seals[-1].number + 1 and",
        "(seal.number > seals[-1].number and",
        _REGISTERED,
    ),
    Mutant(
        "a seal is on the disk before its signature",
        _REGISTER,
        "                os.fsync(file.fileno())\n",
        "",
        _REGISTERED,
    ),
    Mutant(
        "a line of the register names the one before it",
        _REGISTER,
        '        "previous": previous,\n',
        "",
        _REGISTERED,
    ),
    Mutant(
        "a close that was cut off is finished as it was begun",
        "settlement/service/close.py",
        "        begun = _begun(city, state, settlement_day)\n",
        "        begun = None\n",
        _CUT_OFF,
    ),
    Mutant(
        "a sealed document is never written over",
        "settlement/durable.py",
        "            path.hardlink_to(temporary)",
        "            temporary.replace(path)",
        _CUT_OFF,
    ),
    Mutant(
        "a day that is sealed later than the database is found",
        _SEALS,
        "    if newest is not None and known > last:",
        "    if False:",
        _PUT_BACK,
    ),
    Mutant(
        "another seal in the register is found",
        _SEALS,
        "newest.digest.hex() != days[-1].seal:",
        "False:",
        _PUT_BACK,
    ),
    Mutant(
        "another seal of a witness is found",
        _SEALS,
        "    if not is_same:",
        "    if False:",
        _PUT_BACK,
    ),
    Mutant(
        "a witness of a later day is heard",
        _SEALS,
        "        findings.add(Invariant.I8, shown.where, text)\n        return\n",
        "        return\n",
        _PUT_BACK,
    ),
    Mutant(
        "a day's signature is proven",
        _SEALS,
        "        if not _holds(public_keys[day.key_version], signed_seal(ref.label, day)):",
        "        if False:",
        _PUT_BACK,
    ),
)

_PROVEN = ("tests/settlement/rulings/test_proven.py",)
_ONE_STATEMENT = ("tests/settlement/rulings/test_one_statement.py",)
_ACTING = ("tests/settlement/rulings/test_acting.py",)
_PROOF = "settlement/rulings/proof.py"
_AUDIT = "settlement/verification/audit_log.py"
_ANSWERS = "settlement/rulings/proposals.py"

PEOPLE = (
    Mutant(
        "an act is proven by the key of its person",
        _PROOF,
        "    if not signature_holds(public_key, statement, entry.signature):",
        "    if False:",
        _PROVEN,
    ),
    Mutant(
        "an act follows the one before it",
        _PROOF,
        "        if not follows(entry, end):",
        "        if False:",
        _PROVEN,
    ),
    Mutant(
        "an act might be done then",
        _PROOF,
        "    refused = _check(book, entry)\n",
        "    refused = None\n",
        _PROVEN,
    ),
    Mutant(
        "a signature covers the place of an act",
        "settlement/rulings/log.py",
        '        "previous_hash": previous_hash,\n',
        "",
        ("tests/settlement/rulings/test_rulings.py",),
    ),
    Mutant(
        "a log that is shorter than under a seal is found",
        _AUDIT,
        "        if (day.audit_entries or 0) > len(log):",
        "        if False:",
        _PROVEN,
    ),
    Mutant(
        "the end of the audit log stands under the seal",
        "settlement/days/closing.py",
        '        "audit_log": state.rulings_end.content(),\n',
        '        "audit_log": [0, ""],\n',
        ("tests/settlement/days/test_ends_of_days.py",),
    ),
    Mutant(
        "a change of the registry by one person alone is found",
        _AUDIT,
        "        _verify_registry(city, book, findings)\n",
        "",
        _PROVEN,
    ),
    Mutant(
        "a day that two closed has a ruling",
        _AUDIT,
        "        _verify_days(city, book, findings)\n",
        "",
        _PROVEN,
    ),
    Mutant(
        "a wrong secret that was taken out is found",
        _AUDIT,
        "    _verify_tries(city, findings)\n",
        "",
        _PROVEN,
    ),
    Mutant(
        "nobody approves what they proposed",
        _ANSWERS,
        "    if is_own and act is Act.APPROVE:",
        "    if False:",
        _PROVEN,
    ),
    Mutant(
        "what changed since is not approved",
        _ANSWERS,
        "    if (standing.state, standing.count, standing.sum_fen) != seen:",
        "    if False:",
        ("tests/settlement/rulings/test_registry_ruled.py",),
    ),
    Mutant(
        "the count and the sum that somebody approves are true",
        _ANSWERS,
        "    if (standing.state, standing.count, standing.sum_fen) != seen:",
        "    if standing.state != proposal.state:",
        _ONE_STATEMENT,
    ),
    Mutant(
        "items and details speak of the same",
        "settlement/rulings/contents.py",
        "    if about is not None and about != set(subjects):",
        "    if False:",
        _ONE_STATEMENT,
    ),
    Mutant(
        "time does not go back in the log",
        _PROOF,
        "    if book.last_at is not None and what.at < book.last_at:",
        "    if False:",
        _ONE_STATEMENT,
    ),
    Mutant(
        "the log of another city is not read",
        "settlement/store/rulings.py",
        '    if log and log[0].what.content.get("city") != _city_link(connection):',
        "    if False:",
        _ONE_STATEMENT,
    ),
    Mutant(
        "who showed a secret is still that person under the write lock",
        "settlement/service/ruling/showing.py",
        "person.credential.public_key != shown.key.public_key",
        "False",
        _ACTING,
    ),
    Mutant(
        "no secret is tried while a person waits",
        "settlement/service/ruling/showing.py",
        "    if refused := _refuse_to_try(name, standing):",
        "    if False and (refused := _refuse_to_try(name, standing)):",
        _ACTING,
    ),
    Mutant(
        "whoever decides by the audit log reads it proven",
        "settlement/store/rulings.py",
        "    if faults:\n        raise",
        "    if False:\n        raise",
        _PROVEN,
    ),
    Mutant(
        "a log that was proven once is linked again",
        "settlement/store/rulings.py",
        "if broken_entry(log) is None and end in _proven else",
        "if end in _proven else",
        _PROVEN,
    ),
    Mutant(
        "nothing is decided by a log that was cut behind a closed day",
        "settlement/store/rulings.py",
        "    if sealed > end.count:",
        "    if False:",
        _PROVEN,
    ),
    Mutant(
        "where two people are enrolled nobody changes the registry alone",
        "settlement/service/registering.py",
        "if action.by.kind is ActorKind.PERSON and load_proven_book(city.database).needs_two:",
        "if False:",
        ("tests/settlement/rulings/test_registry_ruled.py",),
    ),
    Mutant(
        "where two people are enrolled a name closes no far day",
        "settlement/service/close.py",
        "    if not book.needs_two:",
        "    if True:",
        ("tests/settlement/rulings/test_registry_ruled.py",),
    ),
    Mutant(
        "a lost file holds the day open until it is skipped",
        "settlement/store/readiness.py",
        "        if sequence > whole + 1:",
        "        if False:",
        ("tests/settlement/rulings/test_files_ruled.py",),
    ),
    Mutant(
        "a file that is set aside is not ready",
        "settlement/store/readiness.py",
        "        elif content_hash in ruled.aside:",
        "        elif False:",
        ("tests/settlement/rulings/test_files_ruled.py",),
    ),
)

MUTANTS = (
    *(*TERMINALS, *DISK, *DEVICE_DISK, *PURE, *RECONCILIATION, *SERVICE, *VERIFICATION),
    *DAY_SEALS,
    *PEOPLE,
)
