-- What each card that came from an old centre was opened with, or what it has paid unopened.
--
-- A card in a file is opened with what stands there, for good. Any other one says itself what it
-- had: its first statement is where its opening segment ends, so what the segment falls short by is
-- what was on the card before. It is owed by the old centre when loads can have brought it; else it
-- is a contradiction, and opens nothing. Until a card has stated anything its debits are due.

CREATE TABLE opening_segment AS
FROM segment_after WHERE left_online IS NOT NULL AND left_time IS NULL;

-- Numbers that were ours when the old centre handed over: a card of a range that is registered later
-- is new.
CREATE VIEW old_purse AS
SELECT
    purse.issuer, purse.card_number, purse.application, scope.centre, purse.time, purse.tail_fen
FROM statement_after AS purse
JOIN scope ON scope.issuer = purse.issuer AND scope.application = purse.application
LEFT JOIN number ON number.application = purse.application AND number.issuer = purse.issuer
    AND purse.card_number BETWEEN number.first_number AND number.last_number
    AND scope.since BETWEEN number.valid_from AND number.valid_to
WHERE coalesce(
    number.centre = 0 AND number.is_asked,
    purse.application NOT IN (SELECT application FROM number WHERE centre = 0)
);

CREATE VIEW handed_purse AS
SELECT
    issuer, card_number, application, centre, balance_fen, online_counter, as_of, is_chained,
    is_behind
FROM opening_before WHERE is_handed
UNION ALL
SELECT
    issuer, card_number, application, centre, balance_fen, online_counter, as_of,
    begun.issuer IS NOT NULL, false
FROM handed LEFT JOIN begun_chain AS begun USING (issuer, card_number, application);

-- Cards that say later, by their counter, what the old centre says came earlier.
CREATE TABLE fallen_behind AS
SELECT DISTINCT issuer, card_number, application
FROM (
    SELECT issuer, card_number, application, counter, dated FROM posted_load WHERE sign > 0
    UNION ALL
    SELECT issuer, card_number, application, online_counter, time FROM asked
) AS said
JOIN handed_purse USING (issuer, card_number, application)
WHERE said.dated > handed_purse.as_of
    AND nearest(said.counter, handed_purse.online_counter) < handed_purse.online_counter;

CREATE TABLE opened AS
SELECT
    issuer, card_number, application,
    coalesce(handed_purse.centre, old_purse.centre) AS centre,
    handed_purse.issuer IS NOT NULL AS is_handed,
    coalesce(handed_purse.balance_fen, 0) AS balance_fen,
    coalesce(handed_purse.online_counter, 0)::USMALLINT AS online_counter,
    handed_purse.as_of AS as_of,
    coalesce(handed_purse.is_chained, false) AS is_chained,
    coalesce(handed_purse.is_behind, false) OR behind.issuer IS NOT NULL AS is_behind,
    if(
        handed_purse.issuer IS NOT NULL OR segment.kind = segment_missing_loads(),
        coalesce(known.opened_day, getvariable('settlement_day')), NULL
    ) AS opened_day,
    CASE
        WHEN handed_purse.issuer IS NOT NULL THEN handed_purse.balance_fen
        WHEN segment.kind = segment_missing_loads() THEN -segment.price_fen
        ELSE 0
    END AS opening_fen,
    if(
        old_purse.time IS NULL AND old_purse.tail_fen <> 0,
        coalesce(known.due_day, getvariable('settlement_day')), NULL
    ) AS due_day,
    if(old_purse.time IS NULL, coalesce(old_purse.tail_fen, 0), 0) AS due_fen
FROM old_purse
FULL JOIN handed_purse USING (issuer, card_number, application)
LEFT JOIN opening_segment AS segment USING (issuer, card_number, application)
LEFT JOIN opening_before AS known USING (issuer, card_number, application)
LEFT JOIN fallen_behind AS behind USING (issuer, card_number, application)
WHERE handed_purse.issuer IS NOT NULL OR segment.kind = segment_missing_loads()
    OR (old_purse.time IS NULL AND old_purse.tail_fen <> 0);

-- What is left to explain when the opening is taken off: nothing, or what the file and the card do
-- not agree on.
CREATE TABLE disputed AS
SELECT
    opening.issuer, opening.card_number, opening.application,
    coalesce(segment.price_fen, 0) + opening_fen AS price_fen
FROM opened AS opening
LEFT JOIN opening_segment AS segment USING (issuer, card_number, application)
WHERE opening.opened_day IS NOT NULL AND coalesce(segment.price_fen, 0) + opening_fen <> 0;
CREATE TABLE unexplained_segment AS
SELECT left_online, left_time, missing_loads, price_fen, kind
FROM segment_after
WHERE left_online IS NULL OR left_time IS NOT NULL OR (issuer, card_number, application) NOT IN (
    SELECT (issuer, card_number, application) FROM opened WHERE opened_day IS NOT NULL
)
UNION ALL
SELECT NULL, NULL, 0, price_fen, segment_contradiction() FROM disputed;

-- A card that contradicts its old centre: by its counter, by its balance, or by money that came onto
-- it since and cannot have.
CREATE TABLE opening_after AS
SELECT
    opened.*,
    is_behind OR disputed.issuer IS NOT NULL OR contradicted.issuer IS NOT NULL AS is_disputed
FROM opened
LEFT JOIN disputed USING (issuer, card_number, application)
LEFT JOIN (
    SELECT DISTINCT issuer, card_number, application, left_time, left_balance_fen
    FROM segment_after WHERE kind = segment_contradiction()
) AS contradicted
    ON contradicted.issuer = opened.issuer AND contradicted.card_number = opened.card_number
    AND contradicted.application = opened.application
    AND contradicted.left_time = opened.as_of
    AND contradicted.left_balance_fen = opened.balance_fen;

CREATE VIEW opening_tally AS
SELECT
    centre, sum(greatest(moved_fen, 0))::BIGINT AS opened_fen,
    sum(greatest(-moved_fen, 0))::BIGINT AS closed_fen,
    sum(greatest(spent_fen, 0))::BIGINT AS due_fen, sum(greatest(-spent_fen, 0))::BIGINT AS cleared_fen
FROM (
    SELECT
        any_value(centre) AS centre, sum(sign * opening_fen) AS moved_fen,
        sum(sign * due_fen) AS spent_fen
    FROM (
        SELECT 1 AS sign, issuer, card_number, application, centre, opening_fen, due_fen
        FROM opening_after
        UNION ALL
        SELECT -1, issuer, card_number, application, centre, opening_fen, due_fen
        FROM opening_before
    )
    GROUP BY issuer, card_number, application
)
GROUP BY centre
HAVING sum(abs(moved_fen)) + sum(abs(spent_fen)) > 0;

-- Openings that no chain begins with, before and after.
CREATE VIEW apart AS
SELECT
    (SELECT coalesce(sum(opening_fen + due_fen - if(is_chained, balance_fen, 0)), 0)::BIGINT
        FROM opening_after) AS apart_fen,
    (SELECT coalesce(sum(opening_fen + due_fen - if(is_chained, balance_fen, 0)), 0)::BIGINT
        FROM opening_before)
        - (SELECT coalesce(sum(balance_fen), 0)::BIGINT
            FROM handed SEMI JOIN begun_chain USING (issuer, card_number, application))
        AS apart_before_fen;
