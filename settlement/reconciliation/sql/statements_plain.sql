-- Purses of which nothing but one load is new, behind what they stated before and not behind a debit:
-- there is nothing to put in order, and what lies between the two statements is told at once. Nearly
-- all are; the others are left to `statements_place` and `statements_price`.

CREATE TABLE plain AS
SELECT
    issuer, card_number, application,
    unwrap(posted_load.counter, if(known.time IS NULL, near_counter.near, known.online)) AS position,
    posted_load.balance_after_fen - posted_load.amount_fen AS before_fen,
    posted_load.balance_after_fen AS after_fen,
    greatest(posted_load.dated, coalesce(known.time, '-infinity'::TIMESTAMP)) AS stated_time,
    coalesce(known.online, 0) AS left_online, coalesce(known.balance_fen, 0) AS left_balance_fen,
    known.time AS left_time, coalesce(known.tail_fen, 0) AS tail_fen
FROM posted_load
JOIN near_counter USING (issuer, card_number, application)
JOIN purse_posted USING (issuer, card_number, application)
LEFT JOIN statement_before AS known USING (issuer, card_number, application)
ANTI JOIN gone_round USING (issuer, card_number, application)
ANTI JOIN (FROM posted_load WHERE sign < 0) AS taken_back USING (issuer, card_number, application)
WHERE near_counter.statements = 1 AND posted_load.sign > 0
    AND (known.time IS NULL OR position >= known.online)
    AND coalesce(purse_posted.first_debit >= stated_time, true)
    AND NOT coalesce(known.tail_count > 0 AND known.tail_time >= stated_time, false);
DELETE FROM near_counter WHERE (issuer, card_number, application) IN (
    SELECT (issuer, card_number, application) FROM plain
);

CREATE TABLE statement_new AS
SELECT
    issuer, card_number, application, position + 1 AS online, after_fen AS balance_fen,
    stated_time AS time, true AS after_load
FROM plain;

CREATE TABLE segment_after AS
SELECT *, segment_kind(left_online, right_online, missing_loads, price_fen) AS kind
FROM (
    SELECT
        issuer, card_number, application, left_online, left_balance_fen, left_time,
        position AS right_online, before_fen AS right_balance_fen, stated_time AS right_time,
        getvariable('settlement_day') AS opened_day,
        greatest(position - left_online, 0) AS missing_loads,
        left_balance_fen - before_fen - tail_fen AS price_fen
    FROM plain
)
WHERE price_fen <> 0 OR missing_loads > 0;

-- What the others have to be looked up for, and where their debits are.
CREATE TABLE looked_up (
    issuer UBIGINT, card_number UBIGINT, application UTINYINT, slot BIGINT, starts TIMESTAMP,
    ends TIMESTAMP
);
CREATE TABLE paid (
    issuer UBIGINT, card_number UBIGINT, application UTINYINT, dated TIMESTAMP, paid_fen BIGINT,
    paid_count BIGINT, is_tail BOOLEAN
);
-- Statements that are left, loads taken back, and debits dated before the last statement.
CREATE VIEW left_over AS
SELECT issuer, card_number, application FROM near_counter
UNION ALL
SELECT issuer, card_number, application FROM posted_load WHERE sign < 0
UNION ALL
SELECT issuer, card_number, application
FROM purse_posted
LEFT JOIN statement_new USING (issuer, card_number, application)
LEFT JOIN statement_before AS known USING (issuer, card_number, application)
WHERE first_debit < coalesce(statement_new.time, known.time);

-- Days that settled something dated there. What a clock that ran ahead signed is dated back to its
-- receipt, so it can be on any day that settled it before its time.
CREATE VIEW looked_up_day AS
SELECT DISTINCT settlement_day
FROM settled_day_before JOIN (
    SELECT first_day, max(last_day) AS last_day
    FROM (
        SELECT
            business_day_of(starts) AS first_day,
            if(isfinite(ends), business_day_of(ends), '9999-12-31'::DATE) AS last_day
        FROM looked_up
    )
    GROUP BY first_day
)
    ON signed_day >= first_day
    AND (signed_day <= last_day OR signed_day > settlement_day);
