-- Rules that look at one record alone, shared by cards and terminals.

CREATE MACRO is_load(kind) AS kind = kind_load();

-- A card is known to its keys by the last sixteen digits of its number.
CREATE MACRO factor_of(card_number) AS card_number % 10000000000000000;

-- What a record adds to sums: nothing where no purse of ours moves. A damaged kind counts as a debit,
-- as it does in the totals of its file.
CREATE MACRO moved_fen(kind, amount_fen) AS
    if(moves_purse(kind) OR NOT is_kind(kind), amount_fen, 0)::UINTEGER;

-- V11 inside the record: before plus or minus the amount is after.
CREATE MACRO is_balanced(kind, before_fen, amount_fen, after_fen) AS
    NOT moves_purse(kind)
    OR before_fen::BIGINT + if(kind = kind_load(), amount_fen::BIGINT, -amount_fen::BIGINT)
        = after_fen::BIGINT;

-- The card signed it, under whatever registered version.
CREATE MACRO is_proven(proof) AS proof IN (proof_proven(), proof_wrong_version());

CREATE MACRO is_accepted(word) AS word IN (reason_none(), reason_released(), reason_returned());
CREATE MACRO is_suspended(word) AS
    word IN (
        reason_terminal_unknown(), reason_clock_ahead(), reason_hotlisted(),
        reason_centre_pending()
    );
-- Its money stands in the ledger.
CREATE MACRO is_posted(word) AS is_accepted(word) OR is_suspended(word);
CREATE MACRO is_duplicate(word) AS word IN (reason_duplicate(), reason_variant());
-- Nothing follows from such a record, not even that there is another one like it.
CREATE MACRO is_void(word) AS word IN (reason_format_wrong(), reason_not_your_terminal());

CREATE MACRO disposition(word) AS
    CASE
        WHEN is_accepted(word) THEN disposition_accepted()
        WHEN is_duplicate(word) THEN disposition_duplicate()
        WHEN is_suspended(word) THEN disposition_suspended()
        WHEN is_claim(word) THEN disposition_claim()
        ELSE disposition_rejected()
    END::UTINYINT;

-- Equal for records that carry the same signed bytes, whatever their TAC, and for few others: whoever
-- asks by it looks at all of them again. Of one run, never kept.
CREATE MACRO message_of(factor, terminal, sequence, time) AS
    hash(factor::UBIGINT, terminal::UBIGINT, sequence::UINTEGER, time::TIMESTAMP);

-- Which of several records of one movement stands: one that its PSAM signed whole goes before.
CREATE MACRO mac_rank(mac) AS
    CASE mac WHEN record_mac_held() THEN 0 WHEN record_mac_held_weakly() THEN 1 ELSE 2 END;

-- The position in a card's life of a 16-bit counter, the one nearest to `near`: after 65535 comes
-- 1, and 0 is a fresh card's only (settlement.counters.unwrap).
CREATE MACRO at_least_one(position) AS if(position > 0, position, position + 65535);
CREATE MACRO nearest(counter, near) AS
    (near + (counter::BIGINT - near % 65535 + 98302) % 65535 - 32767)::BIGINT;
CREATE MACRO unwrap(counter, near) AS
    CASE
        -- As it stands: nearly all counters.
        WHEN counter::BIGINT - near BETWEEN -32767 AND 32767 THEN counter
        WHEN counter = 0 THEN 0
        ELSE at_least_one(nearest(counter, near))
    END::BIGINT;

-- The registry is asked on the business day of a record's time; the day it claims is unsigned.
-- Reckoned in microseconds: an interval costs ten times as much. No moment is infinite here.
CREATE MACRO business_day_of(moment) AS
    make_timestamp(epoch_us(moment) - getvariable('cutover_hour') * 3600000000)::DATE;
