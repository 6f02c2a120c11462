-- Movements settled on closed days that records of today are about again. A day is opened for a card
-- by what it has proven of that day today, and by nothing else: neither junk, nor what other cards of
-- the bucket signed, may decide what is known of a record that nothing proves.

CREATE TABLE proven_day AS
SELECT DISTINCT factor, business_day_of(time) AS day FROM record WHERE is_posted(reason);

INSERT INTO past
SELECT
    factor, application, is_load, transaction_type, amount_fen, terminal, sequence,
    signed_balance_fen, time, tac, record_hash_high, record_hash_low
FROM (
    SELECT *, factor_of(card_number) AS factor
    FROM read_parquet(getvariable('settled')) WHERE is_posted(reason)
) AS settled
SEMI JOIN (
    FROM record SEMI JOIN proven_day
        ON proven_day.factor = record.factor AND proven_day.day = business_day_of(record.time)
) AS record USING (
    factor, application, is_load, transaction_type, amount_fen, terminal, sequence,
    signed_balance_fen, time
)
ANTI JOIN taken_up USING (file, row)
ANTI JOIN (FROM torn_before WHERE is_taken_back) AS taken_back USING (file, row);
