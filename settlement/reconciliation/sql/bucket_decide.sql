-- The last word on every record, and the cards and gaps as they stand afterwards.

CREATE TABLE decision AS
WITH judged AS (
    SELECT
        record.* EXCLUDE (reason, chained, notes),
        record.notes AS own_notes,
        record.chained AND unplaced.id IS NULL AS chained,
        unplaced.id IS NOT NULL AS is_unplaced,
        CASE
            WHEN record.reason <> reason_none() THEN record.reason
            -- A clock is held against the moment of receipt, until its day comes.
            WHEN record.time > record.time_max
                AND business_day_of(record.time) > getvariable('settlement_day')
                THEN reason_clock_ahead()
            -- A list binds a terminal from the grace on, and from then on that it says it had it.
            WHEN record.day - hotlist.since >= getvariable('hotlist_grace_days')
                OR hotlist.version <= record.hotlist_version
                THEN reason_hotlisted()
            -- Its issuer owes what the card paid, and says whether it will.
            WHEN record.centre <> 0 AND moves_purse(record.kind) THEN reason_centre_pending()
            ELSE reason_none()
        END AS reason,
        hotlist.factor IS NOT NULL AS is_hotlisted,
        conflict.terminal IS NOT NULL AND NOT record.reviewed AS serial_reused,
        coalesce(fare.fare_class, 0) AS fare_class,
        coalesce(fare.notes, 0) AS fare_notes,
        fare.known_tariff_fen
    FROM record
    LEFT JOIN unplaced ON unplaced.id = record.id
    LEFT JOIN conflict
        ON conflict.terminal = record.terminal
        AND conflict.terminal_serial = record.terminal_serial
    LEFT JOIN hotlist ON signed_by_card(record.kind)
        AND hotlist.centre = record.centre AND hotlist.factor = record.factor
        AND record.day BETWEEN hotlist.valid_from AND hotlist.valid_to
    LEFT JOIN fare
        ON fare.sector = record.sector AND fare.operator = record.operator
        AND fare.kind = record.kind
        AND fare.tariff_fen = record.tariff_fen AND fare.amount_fen = record.amount_fen
        AND fare.transfer = (record.flags & flag_transfer() <> 0)
        AND fare.concession = record.concession
)
SELECT
    judged.file, judged.row, judged.record_hash_high, judged.record_hash_low,
    judged.issuer, judged.card_number, judged.application, judged.terminal,
    judged.terminal_serial, judged.kind::UTINYINT AS kind, judged.sector::UTINYINT AS sector,
    judged.is_load, judged.counter::USMALLINT AS counter,
    judged.position, judged.operator, business_day_of(judged.time) AS business_day, judged.time,
    -- What was signed by a clock that ran ahead is dated back to its receipt.
    least(judged.time, judged.time_max) AS dated,
    judged.amount_fen,
    -- The record's own word, but at most what is known; what is charged above that pays nobody.
    if(judged.known_tariff_fen < judged.tariff_fen, judged.known_tariff_fen, judged.tariff_fen)
        AS tariff_fen,
    judged.known_tariff_fen IS NOT NULL AS tariff_known,
    if(
        is_accepted(judged.reason) AND judged.amount_fen > judged.known_tariff_fen,
        judged.amount_fen - judged.known_tariff_fen, 0
    )::UINTEGER AS excess_fen,
    judged.transaction_type::UTINYINT AS transaction_type, judged.sequence, judged.signed_balance_fen, judged.tac,
    judged.hotlist_version,
    if(is_posted(judged.reason), judged.fare_class, 0)::UTINYINT AS fare_class,
    disposition(judged.reason) AS disposition,
    judged.reason::UTINYINT AS reason,
    CASE WHEN is_posted(judged.reason)
        THEN judged.own_notes | judged.fare_notes
            | if(judged.is_hotlisted AND judged.reason = reason_none(), note_hotlisted_late(), 0)
            | if(judged.serial_reused, note_terminal_serial_reused(), 0)
            | if(judged.is_unplaced, note_card_counter_regressed(), 0)
            | if(judged.tariff_fen > judged.known_tariff_fen, note_claims_differ(), 0)
        WHEN judged.own_notes & note_statement_proven() <> 0 THEN note_taken_back()
        ELSE 0
    END::USMALLINT AS notes,
    coalesce(business_day_of(judged.time) < getvariable('settlement_day'), false) AS late,
    judged.chained,
    -- What no file brought counts down from below 0; of it, what waited as a record is one.
    judged.id < 0 AND NOT judged.reviewed AS by_log,
    judged.centre
FROM judged;

-- What is paid, once for payments that are alike.
CREATE VIEW payment AS
SELECT *, amount_fen - excess_fen AS paid_fen
FROM decision WHERE is_accepted(reason) AND moves_purse(kind) AND NOT is_load;
CREATE VIEW payment_back AS
SELECT *, amount_fen - excess_fen AS paid_fen FROM taken_up WHERE is_accepted(reason);
CREATE VIEW distinct_payment AS
SELECT sector, application, operator, paid_fen FROM payment
UNION
SELECT sector, application, operator, paid_fen FROM payment_back;

-- Cards without a seam end where arithmetic says; threaded ones where the chain says.
CREATE TABLE card_after AS
SELECT * EXCLUDE (joins) FROM purse_linked
WHERE (issuer, card_number, application) NOT IN (FROM odd_card);
INSERT INTO card_after FROM card_threaded;
INSERT INTO card_after
FROM card_before
WHERE (issuer, card_number, application) NOT IN (
    SELECT (issuer, card_number, application) FROM card_after
);

CREATE TABLE gap_after AS
FROM gap_before
WHERE (issuer, card_number, application) NOT IN (FROM odd_card);
INSERT INTO gap_after FROM gap_threaded;

CREATE TABLE waiting_after AS
SELECT * FROM waiting_before
-- A torn tap that was proven meanwhile waits for nothing.
WHERE NOT (
    reason = reason_tac_missing()
    AND (
        factor_of(card_number), application, is_load, transaction_type, amount_fen,
        terminal, sequence, signed_balance_fen, time
    ) IN (FROM proven_message)
)
UNION ALL
SELECT
    file, row, record_hash_high, record_hash_low, issuer, card_number, application, terminal,
    terminal_serial, kind, sector, is_load, position, operator, time, amount_fen, tariff_fen, transaction_type, sequence,
    signed_balance_fen, hotlist_version, fare_class, reason, notes, late, chained, centre,
    getvariable('settlement_day') AS settlement_day
FROM decision
WHERE waits(reason);

-- Which days the movements that this run settled, or took back, were signed on. By an interval: what
-- the engine cannot foresee of it stands in the bytes of the file. One moment of a day says its day.
CREATE VIEW settled_day_after AS
FROM settled_day_before
UNION
SELECT DISTINCT (time - to_hours(getvariable('cutover_hour')))::DATE, getvariable('settlement_day')
FROM (
    SELECT business_day, reason, any_value(time) AS time FROM decision GROUP BY business_day, reason
)
WHERE is_posted(reason)
UNION
SELECT DISTINCT (time - to_hours(getvariable('cutover_hour')))::DATE, getvariable('settlement_day')
FROM taken_up WHERE is_posted(reason);

CREATE VIEW tally AS
SELECT
    disposition, reason, application, sector, issuer, kind, operator, fare_class, notes, late,
    by_log, centre, count(*) AS records, sum(amount_fen)::BIGINT AS amount_fen,
    sum(tariff_fen)::BIGINT AS tariff_fen, sum(excess_fen)::BIGINT AS excess_fen,
    sum(if(tariff_known, tariff_fen::BIGINT - amount_fen + excess_fen, 0))::BIGINT
        AS known_discount_fen
FROM decision
GROUP BY ALL
UNION ALL
-- What closed days decided of records that are decided again is taken back.
SELECT
    disposition(reason), reason, application, sector, issuer, kind, operator, fare_class, notes,
    late, false, centre, -count(*), -sum(amount_fen)::BIGINT, -sum(tariff_fen)::BIGINT,
    -sum(excess_fen)::BIGINT,
    -sum(if(tariff_known, tariff_fen::BIGINT - amount_fen + excess_fen, 0))::BIGINT
FROM taken_up
GROUP BY ALL;

-- What others get of the payments of each tally.
CREATE VIEW passed_on_tally AS
SELECT
    disposition, reason, application, sector, issuer, kind, operator, fare_class, notes, late,
    by_log, centre, false AS is_release, payee, sum(share_fen)::BIGINT AS share_fen
FROM payment JOIN passed_on USING (sector, application, operator, paid_fen)
GROUP BY ALL
UNION ALL
SELECT
    disposition(reason), reason, application, sector, issuer, kind, operator, fare_class, notes,
    late, false, centre, true, payee, sum(share_fen)::BIGINT
FROM payment_back JOIN passed_on USING (sector, application, operator, paid_fen)
GROUP BY ALL;

CREATE VIEW worth AS
SELECT
    (SELECT count(*) FROM card_after) AS card_count,
    (SELECT coalesce(sum(balance_fen), 0)::BIGINT FROM card_after) AS balance_fen,
    (SELECT count(*) FROM gap_after WHERE state = gap_open()) AS gap_count,
    (SELECT coalesce(sum(price_fen), 0)::BIGINT FROM gap_after) AS gap_fen,
    (SELECT coalesce(sum(balance_fen), 0)::BIGINT FROM card_before)
        + (SELECT coalesce(sum(price_fen), 0)::BIGINT FROM gap_before) AS worth_before_fen;
