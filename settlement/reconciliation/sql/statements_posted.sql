-- What the run posts on purses, less what it takes back. Whatever was posted when it waited and is
-- posted now stands where it stood.

CREATE VIEW posted AS
SELECT
    issuer, card_number, application, is_load, counter, amount_fen::BIGINT AS amount_fen,
    signed_balance_fen::BIGINT AS balance_after_fen, dated, 1 AS sign
FROM decision
ANTI JOIN (FROM taken_up WHERE is_posted(reason)) USING (file, row)
WHERE is_posted(reason) AND moves_purse(kind) AND centre = 0
UNION ALL
SELECT
    issuer, card_number, application, is_load, counter, amount_fen::BIGINT,
    signed_balance_fen::BIGINT, dated, -1
FROM decision
SEMI JOIN (FROM taken_up WHERE is_posted(reason)) USING (file, row)
WHERE NOT is_posted(reason) AND moves_purse(kind) AND centre = 0;

CREATE TABLE posted_load AS SELECT * EXCLUDE (is_load) FROM posted WHERE is_load;

-- The same a purse. Most debits are dated behind the last statement and need no closer look.
CREATE TABLE purse_posted AS
SELECT
    issuer, card_number, application,
    sum(sign * if(is_load, amount_fen, -amount_fen))::BIGINT AS moved_fen,
    -- As values that count for nothing: rows that a filter leaves out cost more.
    sum(if(is_load, NULL, sign * amount_fen))::BIGINT AS debit_fen,
    sum(if(is_load, NULL, sign))::BIGINT AS debit_count,
    min(if(is_load, NULL, dated)) AS first_debit, max(if(is_load, NULL, dated)) AS last_debit
FROM posted
GROUP BY issuer, card_number, application;
