-- Loads that closed days settled and that new entries of the log are about.

INSERT INTO load_past
SELECT
    settled.factor, settled.application, settled.online_counter, settled.amount_fen,
    settled.terminal, settled.time,
    any_value(signed_balance_fen)::BIGINT - settled.amount_fen AS balance_before_fen
FROM (
    SELECT *, factor_of(card_number) AS factor, sequence::USMALLINT AS online_counter
    FROM read_parquet(getvariable('settled')) WHERE kind = kind_load() AND is_posted(reason)
) AS settled
SEMI JOIN (SELECT *, factor_of(card_number) AS factor FROM load_log) AS entry
    USING (factor, application, online_counter, amount_fen, terminal, time)
GROUP BY
    settled.factor, settled.application, settled.online_counter, settled.amount_fen,
    settled.terminal, settled.time;

-- Loads that were settled without a TAC, and that records of today may be about.
INSERT INTO load_unsigned
SELECT DISTINCT factor, application, sequence, amount_fen, terminal
FROM (
    SELECT *, factor_of(card_number) AS factor
    FROM read_parquet(getvariable('settled'))
    WHERE kind = kind_load() AND is_posted(reason) AND tac = 0
)
SEMI JOIN (FROM record WHERE is_load) AS record
    USING (factor, application, sequence, amount_fen, terminal);
