-- What the run posts on purses, less what it takes back. Whatever was posted when it waited and is
-- posted now stands where it stood.

CREATE TABLE posted AS
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
