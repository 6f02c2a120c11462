-- What each purse stands at afterwards, and whether its equation holds.

CREATE TABLE statement_after AS
WITH cut AS (
    SELECT
        issuer, card_number, application, sum(paid_fen) FILTER (is_tail)::BIGINT AS debit_fen,
        sum(paid_count) FILTER (is_tail)::BIGINT AS debit_count,
        max(dated) FILTER (is_tail) AS last_debit
    FROM paid
    GROUP BY ALL
),
purse AS (
    SELECT issuer, card_number, application FROM statement_before
    UNION
    SELECT issuer, card_number, application FROM purse_posted
    UNION
    SELECT issuer, card_number, application FROM statement_new
)
SELECT
    issuer, card_number, application,
    coalesce(stated.online, known.online, 0) AS online,
    coalesce(stated.balance_fen, known.balance_fen, 0) AS balance_fen,
    coalesce(stated.time, known.time) AS time,
    coalesce(stated.after_load, known.after_load, false) AS after_load,
    if(stated.time IS NULL, coalesce(known.tail_fen, 0), 0)
        + coalesce(if(cut.issuer IS NULL, posted.debit_fen, cut.debit_fen), 0) AS tail_fen,
    if(stated.time IS NULL, coalesce(known.tail_count, 0), 0)
        + coalesce(if(cut.issuer IS NULL, posted.debit_count, cut.debit_count), 0) AS tail_count,
    greatest(
        if(stated.time IS NULL, known.tail_time, NULL),
        if(cut.issuer IS NULL, posted.last_debit, cut.last_debit)
    ) AS tail_time,
    coalesce(known.posted_fen, 0) + coalesce(posted.moved_fen, 0) AS posted_fen
FROM purse
LEFT JOIN statement_before AS known USING (issuer, card_number, application)
LEFT JOIN statement_new AS stated USING (issuer, card_number, application)
LEFT JOIN purse_posted AS posted USING (issuer, card_number, application)
LEFT JOIN cut USING (issuer, card_number, application);

-- The equation, purse by purse.
CREATE VIEW uneven_purse AS
SELECT issuer, card_number, application, posted_fen, balance_fen, tail_fen, price_fen
FROM (
    SELECT
        coalesce(purse.issuer, open.issuer) AS issuer,
        coalesce(purse.card_number, open.card_number) AS card_number,
        coalesce(purse.application, open.application) AS application,
        coalesce(posted_fen, 0) AS posted_fen, coalesce(balance_fen, 0) AS balance_fen,
        coalesce(tail_fen, 0) AS tail_fen, coalesce(open.price_fen, 0) AS price_fen
    FROM statement_after AS purse
    FULL JOIN (
        SELECT issuer, card_number, application, sum(price_fen)::BIGINT AS price_fen
        FROM segment_after
        GROUP BY ALL
    ) AS open USING (issuer, card_number, application)
)
WHERE posted_fen <> balance_fen - tail_fen + price_fen;
