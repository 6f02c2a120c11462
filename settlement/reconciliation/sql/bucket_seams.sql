-- V10, V11: which purses join without a seam, and what is left for a closer look.

-- The links of every purse, put in order once: what is sorted is then read as it comes, by windows
-- without a partition, which cost a quarter of one a purse. A counter goes on from link to link where
-- it stays as far ahead of the number of links of its kind so far, of whatever purses.
CREATE TABLE purse_linked AS
SELECT
    linked.issuer, linked.card_number, linked.application,
    coalesce(card.balance_fen, 0) + moved_fen AS balance_fen,
    coalesce(card.next_offline, 0) + debits AS next_offline,
    coalesce(card.next_online, 0) + loads AS next_online,
    linked.time,
    coalesce(card.gap_count, 0) AS gap_count,
    follows AND first_balance_fen = coalesce(card.balance_fen, 0)
        AND coalesce(first_offline = coalesce(card.next_offline, 0), true)
        AND coalesce(first_online = coalesce(card.next_online, 0), true) AS joins
FROM (
    SELECT
        issuer, card_number, application,
        any_value(balance_before_fen) FILTER (is_first) AS first_balance_fen,
        bool_and(is_first OR balance_before_fen = balance_fen_before)
            AND coalesce(max(ahead) FILTER (is_load) = min(ahead) FILTER (is_load), true)
            AND coalesce(max(ahead) FILTER (NOT is_load) = min(ahead) FILTER (NOT is_load), true)
            AS follows,
        min(position) FILTER (NOT is_load) AS first_offline,
        min(position) FILTER (is_load) AS first_online,
        sum(if(is_load, amount_fen::BIGINT, -amount_fen::BIGINT))::BIGINT AS moved_fen,
        count(*) FILTER (NOT is_load) AS debits,
        count(*) FILTER (is_load) AS loads,
        max(time) AS time
    FROM (
        SELECT
            *,
            (issuer = lag(issuer) OVER () AND card_number = lag(card_number) OVER ()
                AND application = lag(application) OVER ()) IS NOT TRUE AS is_first,
            lag(balance_after_fen) OVER () AS balance_fen_before,
            position - if(
                is_load, count(*) FILTER (is_load) OVER so_far,
                count(*) FILTER (NOT is_load) OVER so_far
            ) AS ahead
        FROM (
            SELECT
                issuer, card_number, application, time, is_load, position, amount_fen,
                balance_before_fen, balance_after_fen
            FROM record
            WHERE chained
            -- A load and a debit of the same second: money has to be there before it is spent.
            ORDER BY issuer, card_number, application, time, is_load DESC, position
        )
        WINDOW so_far AS (ROWS UNBOUNDED PRECEDING)
    )
    GROUP BY issuer, card_number, application
) AS linked
LEFT JOIN card_before AS card USING (issuer, card_number, application);

CREATE TABLE odd_card AS
SELECT issuer, card_number, application FROM purse_linked WHERE NOT joins
UNION
-- Posted, and no link: the card has moved all the same.
SELECT issuer, card_number, application
FROM record ANTI JOIN linked USING (id)
WHERE moves_purse(kind) AND is_posted(reason) AND centre = 0 AND NOT chained
UNION
-- What was posted and is not any more.
SELECT issuer, card_number, application FROM taken_back
UNION
SELECT issuer, card_number, application
FROM gap_before SEMI JOIN purse_linked USING (issuer, card_number, application);

-- What is posted of purses with a seam, or would be a link.
CREATE TABLE odd_movement AS
SELECT
    issuer, card_number, application, id, is_load, position, chained, balance_before_fen,
    balance_after_fen, amount_fen, time, previous_type, previous_counter
FROM record SEMI JOIN odd_card USING (issuer, card_number, application)
WHERE chained OR (moves_purse(kind) AND is_posted(reason) AND centre = 0);

-- Two movements of one card that claim one counter: neither is a link. Such a purse has a seam.
CREATE TABLE shared_counter AS
SELECT unnest(ids) AS id
FROM (
    SELECT list(id) AS ids
    FROM odd_movement
    WHERE chained
    GROUP BY issuer, card_number, application, is_load, position
    HAVING count(*) > 1
);
UPDATE record SET chained = false, notes = notes | note_card_counter_reused()
FROM shared_counter WHERE shared_counter.id = record.id;

-- In the order in which the purses are threaded.
CREATE TABLE odd_record AS
SELECT
    issuer, card_number, application, id, is_load, position,
    chained AND shared_counter.id IS NULL AS chained, balance_before_fen, balance_after_fen,
    amount_fen, odd_movement.time, coalesce(card.next_offline, 0) AS known_offline,
    coalesce(card.next_online, 0) AS known_online, previous_type, previous_counter,
    false AS is_taken_back
FROM odd_movement
LEFT JOIN card_before AS card USING (issuer, card_number, application)
LEFT JOIN shared_counter USING (id)
ANTI JOIN linked USING (id)
UNION ALL
SELECT
    issuer, card_number, application, 0, is_load, position, false, 0, 0, amount_fen, time, 0, 0, 0,
    0, true
FROM taken_back
ORDER BY issuer, card_number, application, id;

-- Every fare that occurs, once: what it is asked of is the rule of its sector. Told apart first and
-- sorted out then: the other way round a condition is held against every record.
CREATE VIEW distinct_fare AS
SELECT DISTINCT sector, operator, kind, tariff_fen, amount_fen, transfer, concession
FROM (
    SELECT DISTINCT
        sector, operator, kind, tariff_fen, amount_fen,
        flags & flag_transfer() <> 0 AS transfer, concession, reason
    FROM record
)
WHERE is_posted(reason) AND moves_purse(kind) AND NOT is_load(kind);
