-- The chain of a card that was handed over begins at that balance and counter, where none has begun.
-- Debits that the old centre did not count are a gap of no price.

INSERT INTO begun_chain
SELECT issuer, card_number, application FROM handed
ANTI JOIN card_before USING (issuer, card_number, application);
INSERT INTO card_before
SELECT
    issuer, card_number, application, balance_fen, debit_counter AS next_offline,
    online_counter AS next_online, as_of AS time, 0 AS gap_count
FROM handed SEMI JOIN begun_chain USING (issuer, card_number, application);
