-- R5: what cards stated of their balance, where it belongs among what they stated before, and which
-- debits have to be looked up for it. `statements_price` goes on when they are there.
--
-- A statement (陈述) is a balance that a card signed: before a load (MAC1 in the load host's log) or
-- around one (the TAC of the load). Statements of a purse stand in the order of its online counter;
-- between two of them lies a segment, behind the last one the tail, and a debit is in the one it is
-- dated in. `posted` are the movements that the run posts, those it takes back with a minus.

-- The purse goes into a statement with `before_fen` and comes out with `after_fen`; MAC1 changes
-- nothing. The entry of a load that is there itself says nothing new.
CREATE TABLE stated AS
WITH told AS (
    SELECT
        issuer, card_number, application, counter, true AS is_load, dated,
        balance_after_fen - amount_fen AS before_fen, balance_after_fen AS after_fen
    FROM posted_load
    WHERE sign > 0
    UNION ALL
    SELECT
        issuer, card_number, application, online_counter, false, time,
        balance_before_fen::BIGINT, balance_before_fen::BIGINT
    FROM asked
    ANTI JOIN posted_load AS posted
        ON posted.sign > 0
        AND posted.issuer = asked.issuer AND posted.card_number = asked.card_number
        AND posted.application = asked.application AND posted.counter = asked.online_counter
        AND posted.balance_after_fen - posted.amount_fen = asked.balance_before_fen
    UNION ALL
    -- What an old centre states of a card that it hands over, as of when.
    SELECT
        issuer, card_number, application, online_counter, false, as_of, balance_fen, balance_fen
    FROM handed
)
SELECT
    told.* EXCLUDE (counter),
    unwrap(told.counter, if(known.time IS NULL, near_counter.near, known.online)) AS position,
    known.time IS NULL OR position > known.online
        OR (position = known.online AND (is_load OR known.after_load OR dated >= known.time))
        AS is_next
FROM told
JOIN near_counter USING (issuer, card_number, application)
LEFT JOIN statement_before AS known USING (issuer, card_number, application);

-- What a torn debit closed is open to what a TAC proves there later, and to nothing else.
CREATE TABLE torn_segment AS
SELECT
    issuer, card_number, application, left_online, left_balance_fen, left_time, right_online,
    right_balance_fen, right_time, settlement_day AS opened_day
FROM torn_before
WHERE NOT is_taken_back;

CREATE TABLE open_segment AS
SELECT
    row_number() OVER (
        ORDER BY issuer, card_number, application, left_online, right_online, left_time, right_time,
            left_balance_fen, right_balance_fen, opened_day, price_fen
    ) AS id,
    *
FROM (
    FROM segment_before WHERE left_online IS NOT NULL
    UNION ALL BY NAME
    SELECT *, 0::BIGINT AS missing_loads, 0::BIGINT AS price_fen
    FROM torn_segment ANTI JOIN segment_before USING (
        issuer, card_number, application, left_online, left_time, right_online, right_time
    )
);

-- Slot 0 is behind the last statement; the others are open segments. A load belongs where its
-- counter is missing, and where it is missing nowhere it stands alone. MAC1 belongs where it is
-- dated; elsewhere it is left out: it could only move a price from one side to the other.
CREATE TABLE slotted AS
WITH by_counter AS (
    FROM open_segment WHERE missing_loads > 0
    QUALIFY row_number() OVER (
        PARTITION BY issuer, card_number, application, left_online ORDER BY id
    ) = 1
),
by_time AS (
    SELECT *, coalesce(left_time, '-infinity'::TIMESTAMP) AS starts
    FROM open_segment ANTI JOIN torn_segment USING (
        issuer, card_number, application, left_online, left_time, right_online, right_time
    )
    WHERE starts < right_time
)
SELECT *, 0 AS slot FROM stated WHERE is_next
UNION ALL
SELECT stated.*, if(stated.position < by_counter.right_online, by_counter.id, -1)
FROM stated ASOF LEFT JOIN by_counter
    ON by_counter.issuer = stated.issuer AND by_counter.card_number = stated.card_number
    AND by_counter.application = stated.application AND stated.position >= by_counter.left_online
WHERE NOT stated.is_next AND stated.is_load
UNION ALL
SELECT stated.*, by_time.id
FROM stated ASOF JOIN by_time
    ON by_time.issuer = stated.issuer AND by_time.card_number = stated.card_number
    AND by_time.application = stated.application AND stated.dated >= by_time.starts
WHERE NOT stated.is_next AND NOT stated.is_load AND stated.dated < by_time.right_time
    AND stated.position BETWEEN by_time.left_online AND by_time.right_online
    -- What the right side says already.
    AND NOT (
        stated.position = by_time.right_online AND stated.before_fen = by_time.right_balance_fen
    );
UPDATE slotted SET slot = -1 WHERE slot IS NULL;

-- The two sides of every slot that a statement falls into.
CREATE TABLE slot_side AS
SELECT
    issuer, card_number, application, 0 AS slot, coalesce(known.online, 0) AS left_online,
    coalesce(known.balance_fen, 0) AS left_balance_fen, known.time AS left_time,
    NULL::BIGINT AS right_online, NULL::BIGINT AS right_balance_fen, NULL::TIMESTAMP AS right_time,
    getvariable('settlement_day') AS opened_day,
    coalesce(known.tail_fen, 0) AS paid_fen, coalesce(known.tail_count, 0) AS paid_count,
    known.tail_time AS paid_time,
    -- The one statement of its purse that is new: nothing to be put in order.
    statements = 1 AS is_alone
FROM (
    SELECT issuer, card_number, application, count(*) AS statements
    FROM slotted WHERE slot = 0 GROUP BY issuer, card_number, application
)
LEFT JOIN statement_before AS known USING (issuer, card_number, application)
UNION ALL
SELECT
    issuer, card_number, application, id, left_online, left_balance_fen, left_time,
    right_online, right_balance_fen, right_time, opened_day,
    left_balance_fen - right_balance_fen - price_fen, NULL, NULL, false
FROM open_segment
WHERE id IN (SELECT slot FROM slotted);

-- Statements one behind the other. Clocks of kiosks differ, so a statement is never dated before the
-- one it follows, nor after the one that follows it.
CREATE TABLE step AS
SELECT
    issuer, card_number, application, slot, is_alone, slotted.dated AS told, is_load,
    position AS online, before_fen, after_fen, position + is_load::INTEGER AS next_online,
    greatest(slotted.dated, coalesce(left_time, '-infinity'::TIMESTAMP)) AS time,
    left_online, left_balance_fen, left_time, opened_day
FROM slotted JOIN (FROM slot_side WHERE is_alone) USING (issuer, card_number, application, slot)
UNION ALL
SELECT
    issuer, card_number, application, slot, is_alone, slotted.dated, is_load,
    position, before_fen, after_fen, position + is_load::INTEGER,
    least(
        greatest(
            max(slotted.dated) OVER (
                PARTITION BY issuer, card_number, application, slot
                ORDER BY position, is_load, slotted.dated, before_fen, after_fen
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ),
            coalesce(left_time, '-infinity'::TIMESTAMP)
        ),
        coalesce(right_time, 'infinity'::TIMESTAMP)
    ),
    left_online, left_balance_fen, left_time, opened_day
FROM slotted JOIN (FROM slot_side WHERE NOT is_alone) USING (issuer, card_number, application, slot)
WHERE slot >= 0;

-- What was paid in a slot before lies on both sides of a new statement: debits of closed days dated
-- from it on are looked up one by one, and what is left of the slot came before it.
INSERT INTO looked_up
SELECT
    issuer, card_number, application, slot, first_time AS starts,
    coalesce(right_time, 'infinity'::TIMESTAMP) AS ends
FROM slot_side
JOIN (
    SELECT issuer, card_number, application, slot, min(time) AS first_time FROM step GROUP BY ALL
) USING (issuer, card_number, application, slot)
WHERE if(slot = 0, paid_count > 0 AND paid_time >= first_time, paid_fen <> 0);
CREATE TABLE past_debit (
    issuer UBIGINT, card_number UBIGINT, application UTINYINT, slot BIGINT, dated TIMESTAMP,
    amount_fen BIGINT
);
