-- Settled records of closed days whose terminal serial comes again.

INSERT INTO past
SELECT terminal, terminal_serial, record_hash_high, record_hash_low, reason
FROM read_parquet(getvariable('history')) SEMI JOIN old_serial USING (terminal, terminal_serial)
ANTI JOIN (FROM sound WHERE reviewed) USING (record_hash_high, record_hash_low)
WHERE reason NOT IN (reason_format_wrong(), reason_duplicate());
