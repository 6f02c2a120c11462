-- R5: the exact price of every segment, and what each purse stands at afterwards.
--
-- Everything between cancels, whatever is dated where, so for every purse and always
--     loads - debits  =  last statement - tail + sum of prices

-- Sides and statements of a slot one behind the other, put in order once: each slot begins with a side,
-- so what comes before a statement is of its own slot.
CREATE TABLE piece AS
SELECT row_number() OVER () AS number, *
FROM (
    SELECT
        issuer, card_number, application, slot, is_load, after_fen, next_online,
        true AS is_first, true AS is_last, left_online, left_balance_fen, left_time, opened_day,
        online AS right_online, before_fen AS right_balance_fen, time AS right_time
    FROM step
    WHERE is_alone
    UNION ALL
    SELECT * EXCLUDE (side)
    FROM (
        SELECT
            issuer, card_number, application, slot, is_load, after_fen, next_online,
            lag(side) OVER () = 0 AS is_first, coalesce(lead(side) OVER () = 0, true) AS is_last,
            lag(next_online) OVER () AS left_online, lag(after_fen) OVER () AS left_balance_fen,
            lag(time) OVER () AS left_time, opened_day,
            online AS right_online, before_fen AS right_balance_fen, time AS right_time, side
        FROM (
            SELECT
                issuer, card_number, application, slot, 0 AS side, NULL::TIMESTAMP AS told,
                false AS is_load, left_online AS online, left_balance_fen AS before_fen,
                left_balance_fen AS after_fen, left_online AS next_online, left_time AS time,
                opened_day
            FROM slot_side
            WHERE NOT is_alone
            UNION ALL
            SELECT
                issuer, card_number, application, slot, 1, told, is_load, online, before_fen,
                after_fen, next_online, time, opened_day
            FROM step
            WHERE NOT is_alone
            UNION ALL
            SELECT
                issuer, card_number, application, slot, 2, NULL, false, right_online,
                right_balance_fen, right_balance_fen, right_online, right_time, opened_day
            FROM slot_side
            WHERE slot > 0
            ORDER BY issuer, card_number, application, slot, side, online, is_load, told,
                before_fen, after_fen
        )
    )
    WHERE side > 0
);

INSERT INTO statement_new
SELECT
    issuer, card_number, application, next_online AS online, after_fen AS balance_fen,
    right_time AS time, is_load AS after_load
FROM piece
WHERE slot = 0 AND is_last;

-- Purses with a debit to be put where it is dated: before the last statement, or in a slot that was
-- cut.
CREATE TABLE cut_purse AS
SELECT issuer, card_number, application
FROM purse_posted
LEFT JOIN statement_new USING (issuer, card_number, application)
LEFT JOIN statement_before AS known USING (issuer, card_number, application)
WHERE first_debit < coalesce(statement_new.time, known.time)
UNION
SELECT issuer, card_number, application FROM past_debit;

INSERT INTO paid
SELECT
    debit.*,
    dated >= coalesce(statement_new.time, known.time, '-infinity'::TIMESTAMP) AS is_tail
FROM (
    SELECT
        issuer, card_number, application, dated, sign * amount_fen AS paid_fen,
        sign::BIGINT AS paid_count
    FROM posted SEMI JOIN cut_purse USING (issuer, card_number, application)
    WHERE NOT is_load
    UNION ALL
    SELECT issuer, card_number, application, dated, amount_fen, 1 FROM past_debit
) AS debit
LEFT JOIN statement_new USING (issuer, card_number, application)
LEFT JOIN statement_before AS known USING (issuer, card_number, application);
-- What is left of a slot that was cut lies before the first new statement.
CREATE TABLE rest AS
SELECT
    issuer, card_number, application, slot,
    any_value(paid_fen) - coalesce(sum(past_debit.amount_fen), 0)::BIGINT AS rest_fen
FROM slot_side LEFT JOIN past_debit USING (issuer, card_number, application, slot)
GROUP BY ALL;

-- Where the others can be dated: in a piece, or in a segment that is left whole.
CREATE TABLE span AS
WITH concerned AS (SELECT DISTINCT issuer, card_number, application FROM paid WHERE NOT is_tail)
SELECT
    issuer, card_number, application, number, NULL::BIGINT AS whole,
    coalesce(left_time, '-infinity'::TIMESTAMP) AS starts, right_time AS ends
FROM piece SEMI JOIN concerned USING (issuer, card_number, application)
WHERE starts < right_time
UNION ALL
SELECT
    issuer, card_number, application, NULL, id,
    coalesce(left_time, '-infinity'::TIMESTAMP) AS starts, right_time
FROM open_segment SEMI JOIN concerned USING (issuer, card_number, application)
WHERE id NOT IN (SELECT slot FROM slotted) AND starts < right_time;

CREATE TABLE placed AS
SELECT
    issuer, card_number, application, number, whole, alone, sum(paid_fen)::BIGINT AS paid_fen
FROM (
    SELECT
        paid.*, coalesce(paid.dated < span.ends, false) AS is_inside,
        if(is_inside, span.number, NULL) AS number, if(is_inside, span.whole, NULL) AS whole,
        -- In no open segment: all that was paid then is accounted for.
        if(is_inside, NULL, paid.dated) AS alone
    FROM (FROM paid WHERE NOT is_tail) AS paid ASOF LEFT JOIN span
        ON span.issuer = paid.issuer AND span.card_number = paid.card_number
        AND span.application = paid.application AND paid.dated >= span.starts
)
GROUP BY issuer, card_number, application, number, whole, alone;

-- What stands alone has no sides, only a moment: a debit that no statement leaves room for, a load
-- whose counter is taken.
CREATE TABLE lone AS
SELECT issuer, card_number, application, moment, min(opened_day) AS opened_day,
    sum(price_fen)::BIGINT AS price_fen
FROM (
    SELECT issuer, card_number, application, right_time AS moment, opened_day, price_fen
    FROM segment_before WHERE left_online IS NULL
    UNION ALL
    SELECT issuer, card_number, application, alone, getvariable('settlement_day'), -paid_fen
    FROM placed WHERE alone IS NOT NULL
    UNION ALL
    SELECT
        issuer, card_number, application, dated, getvariable('settlement_day'),
        after_fen - before_fen
    FROM slotted WHERE slot = -1 AND is_load
    UNION ALL
    SELECT
        issuer, card_number, application, dated, getvariable('settlement_day'), -amount_fen
    FROM posted_load WHERE sign < 0
)
GROUP BY issuer, card_number, application, moment;

INSERT INTO segment_after
SELECT *, segment_kind(left_online, right_online, missing_loads, price_fen) AS kind
FROM (
    SELECT
        piece.issuer, piece.card_number, piece.application, left_online, left_balance_fen,
        left_time, right_online, right_balance_fen, right_time, opened_day,
        greatest(right_online - left_online, 0) AS missing_loads,
        left_balance_fen - right_balance_fen - coalesce(placed.paid_fen, 0)
            - if(is_first, rest.rest_fen, 0) AS price_fen
    FROM piece
    JOIN rest USING (issuer, card_number, application, slot)
    LEFT JOIN placed
        ON placed.issuer = piece.issuer AND placed.card_number = piece.card_number
        AND placed.application = piece.application AND placed.number = piece.number
    UNION ALL
    SELECT
        each.issuer, each.card_number, each.application, left_online, left_balance_fen,
        left_time, right_online, right_balance_fen, right_time, opened_day, missing_loads,
        price_fen - coalesce(placed.paid_fen, 0)
    FROM open_segment AS each
    LEFT JOIN placed
        ON placed.issuer = each.issuer AND placed.card_number = each.card_number
        AND placed.application = each.application AND placed.whole = each.id
    WHERE each.id NOT IN (SELECT slot FROM slotted)
    UNION ALL
    SELECT
        issuer, card_number, application, NULL, NULL, moment, NULL, NULL, moment, opened_day, 0,
        price_fen
    FROM lone
)
WHERE price_fen <> 0 OR missing_loads > 0;
