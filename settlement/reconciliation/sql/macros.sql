-- Rules that look at one record alone, shared by cards and terminals.

CREATE MACRO is_load(kind) AS kind = kind_load();

-- What a record adds to sums: nothing where no purse of ours moves.
CREATE MACRO moved_fen(kind, amount_fen) AS
    if(moves_purse(kind), amount_fen, 0)::UINTEGER;

-- V11 inside the record: before plus or minus the amount is after.
CREATE MACRO is_balanced(kind, before_fen, amount_fen, after_fen) AS
    NOT moves_purse(kind)
    OR before_fen::BIGINT + if(kind = kind_load(), amount_fen::BIGINT, -amount_fen::BIGINT)
        = after_fen::BIGINT;

-- The first reason in the order of precedence that a record gives by itself (V01, V04, V02, V11).
CREATE MACRO own_reason(format_fault, proof, flags, is_registered, balanced) AS
    CASE
        WHEN format_fault <> 0 THEN reason_format_wrong()
        WHEN proof = proof_unknown_algorithm() THEN reason_algorithm_unknown()
        WHEN proof = proof_unknown_version() THEN reason_key_version_unknown()
        WHEN proof = proof_wrong_version() THEN reason_key_version_wrong()
        WHEN flags & flag_tac_missing() <> 0 THEN reason_tac_missing()
        WHEN proof = proof_wrong() THEN reason_tac_wrong()
        WHEN NOT is_registered THEN reason_terminal_unknown()
        WHEN NOT balanced THEN reason_balance_broken()
        ELSE reason_none()
    END::UTINYINT;

CREATE MACRO is_suspended(word) AS
    word NOT IN (reason_format_wrong(), reason_duplicate(), reason_tac_wrong(), reason_none());

CREATE MACRO retry_may_help(word) AS
    word IN (
        reason_algorithm_unknown(), reason_key_version_unknown(), reason_terminal_unknown(),
        reason_clock_ahead()
    );

CREATE MACRO disposition(word) AS
    CASE
        WHEN word = reason_none() THEN disposition_accepted()
        WHEN word = reason_duplicate() THEN disposition_duplicate()
        WHEN is_suspended(word) THEN disposition_suspended()
        ELSE disposition_rejected()
    END::UTINYINT;

CREATE MACRO takes_notes(word) AS
    word NOT IN (reason_format_wrong(), reason_duplicate(), reason_tac_wrong());

-- The position in a card's life of a 16-bit counter, the one nearest to `near`: after 65535 comes
-- 1, and 0 is a fresh card's only (settlement.reconciliation.chain.unwrap).
CREATE MACRO at_least_one(position) AS if(position > 0, position, position + 65535);
CREATE MACRO unwrap(counter, near) AS
    if(
        counter = 0, 0,
        at_least_one(near + (counter::BIGINT - near % 65535 + 98302) % 65535 - 32767)
    )::BIGINT;

-- The registry is asked on the business day of a record's time; the day it claims is unsigned.
CREATE MACRO business_day_of(moment) AS (moment - to_hours(getvariable('cutover_hour')))::DATE;
