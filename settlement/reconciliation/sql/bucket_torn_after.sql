-- What statements proved so far: as it was decided last, with the segment that it closed.

INSERT INTO torn_after BY NAME
SELECT
    decision.file, decision.row, decision.record_hash_high, decision.record_hash_low,
    decision.issuer, decision.card_number, decision.application, decision.terminal,
    decision.terminal_serial, decision.kind, decision.sector, decision.is_load,
    decision.position, decision.operator, decision.time, decision.amount_fen,
    decision.tariff_fen, decision.transaction_type, decision.sequence,
    decision.signed_balance_fen, decision.hotlist_version, decision.fare_class,
    decision.reason, decision.notes, decision.late, decision.chained, decision.centre,
    getvariable('settlement_day') AS settlement_day, decision.excess_fen, decision.tariff_known,
    side.left_online, side.left_balance_fen, side.left_time, side.right_online,
    side.right_balance_fen, side.right_time, NOT is_posted(decision.reason) AS is_taken_back
FROM decision JOIN (
    SELECT
        file, row, left_online, left_balance_fen, left_time, right_online, right_balance_fen,
        right_time
    FROM torn_before ANTI JOIN torn_signed USING (file, row)
    UNION ALL
    FROM stated_debit
) AS side USING (file, row);

INSERT INTO torn_after
FROM torn_before
ANTI JOIN torn_signed USING (file, row)
ANTI JOIN torn_after AS decided USING (file, row);
