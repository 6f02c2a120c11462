-- V10, V11: which purses join without a seam, and what is left for a closer look.

CREATE TABLE odd_card AS
SELECT DISTINCT issuer, card_number, application
FROM (
    SELECT
        issuer, card_number, application,
        balance_before_fen = coalesce(lag(balance_after_fen) OVER card, known_balance_fen)
            AND position = if(is_load,
                known_online + count(*) FILTER (is_load) OVER card,
                known_offline + count(*) FILTER (NOT is_load) OVER card
            ) - 1 AS joins
    FROM record
    WHERE chained
    -- A load and a debit of the same second: money has to be there before it is spent.
    WINDOW card AS (
        PARTITION BY issuer, card_number, application ORDER BY time, is_load DESC, position
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)
WHERE NOT joins
UNION
-- Posted, and no link: the card has moved all the same.
SELECT issuer, card_number, application
FROM record
WHERE moves_purse AND is_posted(reason) AND centre = 0 AND NOT chained AND NOT linked
UNION
-- What was posted and is not any more.
SELECT issuer, card_number, application FROM taken_back
UNION
SELECT issuer, card_number, application
FROM gap_before
SEMI JOIN (FROM record WHERE chained) USING (issuer, card_number, application);

-- Two movements of one card that claim one counter: neither is a link. Such a purse has a seam.
UPDATE record SET chained = false, counter_reused = true
FROM (
    SELECT unnest(ids) AS id
    FROM (
        SELECT list(id) AS ids
        FROM record SEMI JOIN odd_card USING (issuer, card_number, application)
        WHERE chained
        GROUP BY issuer, card_number, application, is_load, position
        HAVING count(*) > 1
    )
) AS shared
WHERE shared.id = record.id;

-- In the order in which the purses are threaded.
CREATE TABLE odd_record AS
SELECT
    issuer, card_number, application, id, is_load, position, chained, balance_before_fen,
    balance_after_fen, amount_fen, time, known_offline, known_online, previous_type,
    previous_counter, false AS is_taken_back
FROM record SEMI JOIN odd_card USING (issuer, card_number, application)
WHERE chained OR (moves_purse AND is_posted(reason) AND centre = 0 AND NOT linked)
UNION ALL
SELECT
    issuer, card_number, application, 0, is_load, position, false, 0, 0, amount_fen, time, 0, 0, 0,
    0, true
FROM taken_back
ORDER BY issuer, card_number, application, id;

-- Every fare that occurs, once: what it is asked of is the rule of its sector.
CREATE VIEW distinct_fare AS
SELECT DISTINCT
    sector, operator, kind, tariff_fen, amount_fen, flags & flag_transfer() <> 0 AS transfer, concession
FROM record
WHERE is_posted(reason) AND moves_purse(kind) AND NOT is_load;
