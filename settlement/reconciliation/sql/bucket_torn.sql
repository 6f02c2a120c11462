-- R4: a torn debit without a TAC stands when what the card stated before and after it falls short by
-- exactly its amount, nobody else claims that, and the scheme's late days are over: by then no file
-- of another collector can still bring the debit that is missing there.

-- What a key that is not held may prove yet is a rival.
CREATE MACRO may_be_proven(word) AS
    word IN (reason_tac_missing(), reason_algorithm_unknown(), reason_key_version_unknown());

-- R1: variants of one movement are one claimant, told by the smallest digest of those that wait.
CREATE TABLE torn_debit AS
SELECT
    claim.issuer, claim.card_number, claim.application, claim.time, claim.amount_fen,
    bool_or(terminal.terminal IS NOT NULL) AS is_registered,
    arg_min(
        {'file': claim.file, 'row': claim.row}, (claim.record_hash_high, claim.record_hash_low)
    ) FILTER (claim.file IS NOT NULL AND claim.reason = reason_tac_missing()) AS place
FROM (
    SELECT
        issuer, card_number, application, transaction_type, amount_fen, terminal, sequence,
        signed_balance_fen, time, record_hash_high, record_hash_low, reason, file, row
    FROM waiting_before
    WHERE may_be_proven(reason) AND moves_purse(kind) AND NOT is_load
    UNION ALL
    SELECT
        issuer, card_number, application, transaction_type, amount_fen, terminal, sequence,
        signed_balance_fen, time, record_hash_high, record_hash_low, reason, NULL, NULL
    FROM record
    WHERE may_be_proven(reason) AND moves_purse(kind) AND NOT is_load
) AS claim
-- What was taken back once is never proven so again, and rivals nothing.
ANTI JOIN (FROM torn_before WHERE is_taken_back) AS back
    USING (
        issuer, card_number, application, transaction_type, amount_fen, terminal, sequence,
        signed_balance_fen, time
    )
LEFT JOIN terminal ON terminal.terminal = claim.terminal
    AND business_day_of(claim.time) BETWEEN terminal.valid_from AND terminal.valid_to
GROUP BY
    claim.issuer, claim.card_number, claim.application, claim.transaction_type, claim.amount_fen,
    claim.terminal, claim.sequence, claim.signed_balance_fen, claim.time;

-- What names a terminal that nobody registered is no rival of what names a registered one.
CREATE TABLE claimant AS
SELECT
    torn.place, torn.amount_fen AS claimed_fen, segment.*
FROM segment_before AS segment
JOIN torn_debit AS torn
    ON torn.issuer = segment.issuer AND torn.card_number = segment.card_number
    AND torn.application = segment.application
    AND torn.time >= segment.left_time AND torn.time < segment.right_time
WHERE segment.kind = segment_missing_debits() AND segment.missing_loads = 0
    -- What comes today may explain it yet; what is only judged again stood there before.
    AND NOT EXISTS (
        FROM record ANTI JOIN linked USING (id)
        WHERE record.issuer = segment.issuer AND record.card_number = segment.card_number
            AND record.application = segment.application AND is_posted(record.reason)
            AND record.time <= segment.right_time
    )
QUALIFY torn.is_registered = bool_or(torn.is_registered) OVER (
    PARTITION BY segment.issuer, segment.card_number, segment.application, segment.left_online,
    segment.left_time, segment.right_online, segment.right_time, segment.price_fen
);

INSERT INTO stated_debit BY NAME
SELECT
    any_value(place).file AS file, any_value(place).row AS row, left_online,
    any_value(left_balance_fen) AS left_balance_fen, left_time,
    right_online, any_value(right_balance_fen) AS right_balance_fen, right_time
FROM claimant
GROUP BY issuer, card_number, application, left_online, left_time, right_online, right_time,
    price_fen
HAVING count(*) = 1 AND any_value(claimed_fen) = price_fen
    AND getvariable('settlement_day') - business_day_of(any_value(right_time))
        > getvariable('late_days')
    AND any_value(place) IS NOT NULL;

CREATE TABLE stated_claim AS
SELECT * FROM waiting_before SEMI JOIN stated_debit USING (file, row);
INSERT INTO taken_up BY NAME SELECT *, 0 AS excess_fen, false AS tariff_known FROM stated_claim;
DELETE FROM waiting_before WHERE (file, row) IN (SELECT (file, row) FROM stated_claim);

INSERT INTO record BY NAME
SELECT
    -- Below those of entries of the load log.
    -1099511627776 - row_number() OVER (ORDER BY claim.file, claim.row) AS id,
    claim.file, claim.row, claim.record_hash_high, claim.record_hash_low, true AS reviewed,
    claim.issuer, claim.card_number, claim.application, claim.terminal, claim.terminal_serial,
    claim.kind, coalesce(terminal.sector, claim.sector) AS sector,
    coalesce(terminal.owner, claim.operator) AS operator,
    if(terminal.terminal IS NULL, reason_terminal_unknown(), reason_none()) AS reason,
    0 AS flags, record_mac_none() AS record_mac, 0 AS concession,
    claim.hotlist_version, claim.tariff_fen, 0 AS balance_before_fen, 0 AS balance_after_fen,
    claim.amount_fen, claim.transaction_type, claim.time, business_day_of(claim.time) AS day,
    0 AS previous_type, 0 AS previous_counter, false AS is_load,
    factor_of(claim.card_number) AS factor, claim.sequence, claim.signed_balance_fen,
    -- Its variants that wait, or come today, wait for nothing any more.
    message_of(
        factor_of(claim.card_number), claim.terminal, claim.sequence, claim.time
    ) AS message,
    0 AS tac, claim.position,
    -- The station is not kept of what waits.
    note_statement_proven()
        | if(claim.kind IN (kind_entry(), kind_exit()), note_station_missing(), 0) AS notes,
    0 AS centre, false AS chained
FROM stated_claim AS claim
LEFT JOIN terminal ON terminal.terminal = claim.terminal
    AND business_day_of(claim.time) BETWEEN terminal.valid_from AND terminal.valid_to;
