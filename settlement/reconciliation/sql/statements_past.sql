-- Debits of closed days dated behind a new statement. A record that was decided twice counts as it
-- was decided last.

INSERT INTO past_debit
WITH settled AS (
    SELECT
        issuer, card_number, application, dated, amount_fen, reason,
        list_position(getvariable('past_days'), filename) AS number
    FROM read_parquet(getvariable('past_days'), filename = true)
    SEMI JOIN looked_up USING (issuer, card_number, application)
    WHERE moves_purse(kind) AND NOT is_load
    QUALIFY row_number() OVER (PARTITION BY file, row ORDER BY number DESC) = 1
)
SELECT
    settled.issuer, settled.card_number, settled.application, looked_up.slot, settled.dated,
    amount_fen
FROM settled ASOF JOIN looked_up
    ON looked_up.issuer = settled.issuer AND looked_up.card_number = settled.card_number
    AND looked_up.application = settled.application AND settled.dated >= looked_up.starts
WHERE is_posted(settled.reason) AND settled.dated < looked_up.ends;
