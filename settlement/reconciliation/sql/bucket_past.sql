-- Settled records of closed days whose counter a record of today carries again.

INSERT INTO past
SELECT issuer, card_number, application, is_load, position, reason, record_hash_high, record_hash_low
FROM read_parquet(getvariable('history')) SEMI JOIN old_counter
    USING (issuer, card_number, application, is_load, position)
ANTI JOIN taken_up USING (record_hash_high, record_hash_low)
WHERE reason NOT IN (reason_format_wrong(), reason_duplicate());
