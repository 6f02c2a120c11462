-- Movements settled on closed days that records of today are about again.

INSERT INTO past
SELECT
    factor, application, is_load, transaction_type, amount_fen, terminal, sequence,
    signed_balance_fen, time, tac, record_hash_high, record_hash_low
FROM (
    SELECT *, factor_of(card_number) AS factor
    FROM read_parquet(getvariable('settled')) WHERE is_posted(reason)
) AS settled
SEMI JOIN record USING (
    factor, application, is_load, transaction_type, amount_fen, terminal, sequence,
    signed_balance_fen, time
)
ANTI JOIN taken_up USING (file, row)
ANTI JOIN (FROM torn_before WHERE is_taken_back) AS taken_back USING (file, row);
