-- R4, R6: a load that log and card confirm stands, as the record of it that came without a TAC, or
-- else as its entry in the log. What the card had before is in MAC1, which the host verified.

CREATE TABLE due AS
SELECT entry.* FROM entry JOIN log_verdict USING (issuer, number) WHERE log_verdict.is_due;

-- A torn record that a closed day left as a claim is decided again.
CREATE TABLE due_claim AS
SELECT due.issuer AS log_issuer, due.number, waiting_before.*
FROM due
JOIN (SELECT *, factor_of(card_number) AS factor FROM waiting_before) AS waiting_before
    USING (factor, application, amount_fen, terminal, time)
WHERE is_load AND reason = reason_tac_missing() AND waiting_before.sequence = due.online_counter
QUALIFY row_number() OVER (
    PARTITION BY due.issuer, due.number ORDER BY record_hash_high, record_hash_low
) = 1;
INSERT INTO taken_up BY NAME SELECT * EXCLUDE (log_issuer, number, factor), 0 AS excess_fen, false AS tariff_known FROM due_claim;
DELETE FROM waiting_before WHERE (file, row) IN (SELECT (file, row) FROM due_claim);

-- Of several torn records of today one stands, as of several proven ones.
CREATE TABLE due_record AS
SELECT due.issuer AS log_issuer, due.number, due.balance_before_fen, record.id
FROM due
JOIN record ON record.is_load AND record.reason = reason_tac_missing()
    AND record.factor = due.factor AND record.application = due.application
    AND record.sequence = due.online_counter AND record.amount_fen = due.amount_fen
    AND record.terminal = due.terminal AND record.time = due.time
ANTI JOIN due_claim ON due_claim.log_issuer = due.issuer AND due_claim.number = due.number
QUALIFY row_number() OVER (
    PARTITION BY due.issuer, due.number
    ORDER BY
        mac_rank(record_mac), record_hash_high, record_hash_low, proof, id
) = 1;

UPDATE record
SET
    reason = reason_none(), chained = true, tac = 0,
    notes = notes & ~note_balance_broken() | note_statement_proven(),
    balance_before_fen = due_record.balance_before_fen,
    balance_after_fen = due_record.balance_before_fen + record.amount_fen,
    signed_balance_fen = due_record.balance_before_fen + record.amount_fen
FROM due_record
WHERE due_record.id = record.id;

INSERT INTO record BY NAME
SELECT
    -- Below those of records, which count from 0.
    -row_number() OVER (ORDER BY due.issuer, due.number) AS id,
    coalesce(due_claim.file, due.issuer) AS file,
    coalesce(due_claim.row, due.number)::UINTEGER AS row,
    coalesce(due_claim.record_hash_high, due.issuer) AS record_hash_high,
    coalesce(due_claim.record_hash_low, due.number) AS record_hash_low,
    due_claim.file IS NOT NULL AS reviewed,
    due.issuer, due.card_number, due.application, due.terminal,
    coalesce(due_claim.terminal_serial, 0) AS terminal_serial,
    kind_load() AS kind, due.sector, due.owner AS operator,
    reason_none() AS reason, 0 AS flags, record_mac_none() AS record_mac,
    0 AS concession, 0 AS hotlist_version, 0 AS tariff_fen,
    due.balance_before_fen, due.balance_before_fen::BIGINT + due.amount_fen AS balance_after_fen,
    due.amount_fen, due.online_counter AS counter, transaction_type_load() AS transaction_type, due.time,
    due.day, 0 AS previous_type, 0 AS previous_counter,
    true AS is_load, due.factor, due.online_counter AS sequence,
    due.balance_before_fen::BIGINT + due.amount_fen AS signed_balance_fen, 0 AS tac,
    unwrap(due.online_counter, coalesce(card.next_online, 0)) AS position,
    note_statement_proven() AS notes, 0 AS centre,
    true AS chained
FROM due
LEFT JOIN due_claim ON due_claim.log_issuer = due.issuer AND due_claim.number = due.number
LEFT JOIN card_before AS card
    ON card.issuer = due.issuer AND card.card_number = due.card_number
    AND card.application = due.application
ANTI JOIN due_record ON due_record.log_issuer = due.issuer AND due_record.number = due.number;

INSERT INTO log_waiting_after BY NAME
SELECT entry.* EXCLUDE (is_settled, is_confirmed, is_new, factor, day, owner, sector),
    log_verdict.is_settled, log_verdict.is_confirmed
FROM entry JOIN log_verdict USING (issuer, number)
WHERE waits;
