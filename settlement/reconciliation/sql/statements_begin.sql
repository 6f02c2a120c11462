-- What the statements of a bucket start from (`statements_place`). Empty for a new city.

-- A row a purse: its last statement (no time when it never stated anything), the debits posted since
-- (the tail), and what was posted on it in all, loads less debits.
CREATE TABLE statement_before (
    issuer UBIGINT, card_number UBIGINT, application UTINYINT, online BIGINT, balance_fen BIGINT,
    time TIMESTAMP, after_load BOOLEAN, tail_fen BIGINT, tail_count BIGINT, tail_time TIMESTAMP,
    posted_fen BIGINT
);
-- Segments that are open: with a price, or with load counters missing. What stands alone has no
-- sides (left_online is NULL).
CREATE TABLE segment_before (
    issuer UBIGINT, card_number UBIGINT, application UTINYINT,
    left_online BIGINT, left_balance_fen BIGINT, left_time TIMESTAMP,
    right_online BIGINT, right_balance_fen BIGINT, right_time TIMESTAMP,
    opened_day DATE, missing_loads BIGINT, price_fen BIGINT, kind UTINYINT
);
-- Claims that stand, by the day that judged them so.
CREATE TABLE claim_before (reason UTINYINT, day DATE, count BIGINT, amount_fen BIGINT);
-- What old centres state of cards that they hand over, new since the last closed day.
CREATE TABLE handed (
    issuer UBIGINT, card_number UBIGINT, application UTINYINT, centre UINTEGER,
    balance_fen BIGINT, online_counter USMALLINT, debit_counter USMALLINT,
    debit_counter_known BOOLEAN, as_of TIMESTAMP
);
-- What a segment says. What has no sides, or goes back in counters, cannot be; nor can money that
-- came onto a card without a load, or more of it than the missing loads can have brought.
CREATE MACRO segment_kind(left_online, right_online, missing_loads, price_fen) AS
    CASE
        WHEN left_online IS NULL OR right_online < left_online THEN segment_contradiction()
        WHEN price_fen > 0 THEN segment_missing_debits()
        WHEN -price_fen > missing_loads * getvariable('balance_max_fen')
            THEN segment_contradiction()
        ELSE segment_missing_loads()
    END::UTINYINT;
