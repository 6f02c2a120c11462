-- R5: what the proof of the float says of a bucket. Everything gross.

-- Claims that stand, by the day that judged them so.
CREATE TABLE claim_after AS
SELECT reason, day, sum(count)::BIGINT AS count, sum(amount_fen)::BIGINT AS amount_fen
FROM (
    FROM claim_before
    UNION ALL
    SELECT reason, getvariable('settlement_day'), count(*), sum(amount_fen)
    FROM decision WHERE is_claim(reason) GROUP BY reason
    UNION ALL
    -- Judged again, or no claim any more because the card proved it after all.
    SELECT reason, settlement_day, -count(*), -sum(amount_fen)
    FROM (
        SELECT reason, settlement_day, amount_fen FROM taken_up
        UNION ALL
        SELECT reason, settlement_day, amount_fen
        FROM waiting_before ANTI JOIN waiting_after USING (file, row)
    )
    WHERE is_claim(reason) GROUP BY ALL
)
GROUP BY reason, day
HAVING sum(count) <> 0 OR sum(amount_fen) <> 0;

-- Gaps of the chain that are claimed: since the card's last statement.
CREATE VIEW claimed_gap AS
SELECT price_fen
FROM gap_after LEFT JOIN statement_after AS stated USING (issuer, card_number, application)
WHERE is_claimed_gap(gap_after.state, price_fen, right_time, loose_days, stated.time);

CREATE MACRO in_all(amount_fen) AS coalesce(sum(amount_fen), 0)::BIGINT;
CREATE VIEW stated_figure AS
SELECT
    count(*) FILTER (time IS NOT NULL) AS stated_purses,
    in_all(balance_fen) AS stated_fen,
    in_all(if(time IS NULL, 0, tail_count)) AS tail_debits,
    in_all(if(time IS NULL, 0, tail_fen)) AS tail_fen,
    count(*) FILTER (time IS NULL) AS unopened_purses,
    in_all(if(time IS NULL, tail_count, 0)) AS unopened_debits,
    in_all(if(time IS NULL, tail_fen, 0)) AS unopened_fen
FROM statement_after;
CREATE VIEW segment_figure AS
SELECT
    in_all(if(kind = segment_missing_debits(), price_fen, 0)) AS missing_debits_fen,
    in_all(if(kind = segment_contradiction(), 0, missing_loads)) AS missing_loads,
    in_all(if(kind = segment_missing_loads(), -price_fen, 0)) AS missing_loads_fen,
    count(*) FILTER (left_online IS NOT NULL AND left_time IS NULL) AS openings,
    in_all(if(left_online IS NOT NULL AND left_time IS NULL, greatest(-price_fen, 0), 0))
        AS openings_fen,
    count(*) FILTER (kind = segment_contradiction()) AS contradictions,
    in_all(if(kind = segment_contradiction(), greatest(price_fen, 0), 0))
        AS contradictions_out_fen,
    in_all(if(kind = segment_contradiction(), greatest(-price_fen, 0), 0))
        AS contradictions_in_fen
FROM unexplained_segment;
CREATE VIEW claimed_figure AS
SELECT
    count(*) AS claimed_gaps, in_all(greatest(price_fen, 0)) AS claimed_debits_fen,
    in_all(greatest(-price_fen, 0)) AS claimed_loads_fen
FROM claimed_gap;
CREATE VIEW claim_figure AS
SELECT in_all(count) AS claims, in_all(amount_fen) AS claims_fen FROM claim_after;
CREATE VIEW opening_figure AS
SELECT
    count(opened_day) AS opened_purses, in_all(opening_fen) AS opened_fen,
    count(*) FILTER (is_handed AND NOT stated.after_load AND stated.time = as_of) AS handed_purses,
    in_all(if(is_handed AND NOT stated.after_load AND stated.time = as_of, stated.balance_fen, 0))
        AS handed_fen,
    count(*) FILTER (is_disputed) AS disputed_purses,
    count(due_day) AS due_purses, in_all(due_fen) AS due_fen
FROM opening_after LEFT JOIN statement_after AS stated USING (issuer, card_number, application);
CREATE VIEW float_figure AS
FROM stated_figure, segment_figure, claimed_figure, claim_figure, opening_figure;

-- (what, age in days, how many, their money); `settlement.clearing.proof` has the classes.
CREATE VIEW age_figure AS
SELECT
    'stated_by_age' AS name, getvariable('settlement_day') - business_day_of(time) AS days,
    count(*) AS count, sum(balance_fen)::BIGINT AS amount_fen
FROM statement_after WHERE time IS NOT NULL GROUP BY ALL
UNION ALL
SELECT
    'claims_by_age', getvariable('settlement_day') - day, sum(count)::BIGINT,
    sum(amount_fen)::BIGINT
FROM claim_after GROUP BY ALL;
