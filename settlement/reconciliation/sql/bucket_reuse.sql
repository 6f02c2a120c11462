-- R1: what the card signed once stands once, whatever else the records of it say.

-- The same bytes again. Copies differ only in how well they could be proven when they came in.
CREATE TABLE copy AS
SELECT id
FROM (
    SELECT
        id,
        row_number() OVER (
            PARTITION BY record_hash_high, record_hash_low
            ORDER BY NOT reviewed, mac_rank(record_mac), proof, id
        ) AS number
    FROM record SEMI JOIN crowd USING (message)
    WHERE NOT is_void(reason)
)
WHERE number > 1
UNION
SELECT id
FROM record SEMI JOIN (
    SELECT record_hash_high, record_hash_low FROM past
    UNION ALL
    -- What waits as one that was not this sender's to deliver is no first copy.
    SELECT record_hash_high, record_hash_low FROM waiting_before WHERE NOT is_void(reason)
    UNION ALL
    SELECT record_hash_high, record_hash_low
    FROM torn_before ANTI JOIN taken_up USING (file, row)
    WHERE NOT is_taken_back
) USING (record_hash_high, record_hash_low)
WHERE NOT is_void(reason)
UNION
SELECT id
FROM record SEMI JOIN (FROM taken_up SEMI JOIN stated_debit USING (file, row)) AS stated
    USING (record_hash_high, record_hash_low)
WHERE NOT reviewed AND NOT is_void(reason);

UPDATE record SET reason = reason_duplicate(), chained = false FROM copy WHERE copy.id = record.id;

-- Of the records of one movement one stands: the one settled already; else one that its PSAM signed
-- whole; else the smallest digest. Never the order of arrival.
CREATE TABLE variant AS
SELECT id
FROM (
    SELECT
        record.id,
        row_number() OVER (
            PARTITION BY
                factor, application, is_load, transaction_type, amount_fen, terminal, sequence,
                signed_balance_fen, time, tac
            ORDER BY linked.id IS NULL, mac_rank(record_mac), record_hash_high, record_hash_low
        ) AS number
    FROM (FROM record SEMI JOIN crowd USING (message) WHERE is_posted(reason)) AS record
    LEFT JOIN linked ON linked.id = record.id
)
WHERE number > 1
UNION
SELECT id
FROM record SEMI JOIN past USING (
    factor, application, is_load, transaction_type, amount_fen, terminal, sequence,
    signed_balance_fen, time, tac
)
WHERE is_posted(reason)
UNION
-- What stands without a TAC, by what the card stated, is the movement whose proof comes later.
SELECT id
FROM record SEMI JOIN (FROM past WHERE tac = 0) AS past USING (
    factor, application, is_load, transaction_type, amount_fen, terminal, sequence,
    signed_balance_fen, time
)
WHERE moves_purse(kind) AND is_posted(reason)
UNION
-- One of two tries that are alike may have been settled by the log, before this record of it came.
SELECT id
FROM record SEMI JOIN load_unsigned USING (factor, application, sequence, amount_fen, terminal)
WHERE is_load AND is_posted(reason);

UPDATE record SET reason = reason_variant(), chained = false
FROM variant WHERE variant.id = record.id;

-- A torn tap that the card proved after all: what was written down without a TAC is another record
-- of the same movement.
CREATE TABLE torn_message AS
SELECT message FROM record WHERE reason = reason_tac_missing() AND moves_purse(kind)
UNION
SELECT message_of(factor_of(card_number), terminal, sequence, time)
FROM waiting_before WHERE reason = reason_tac_missing();

CREATE TABLE proven_message AS
SELECT
    factor, application, is_load, transaction_type, amount_fen, terminal, sequence,
    signed_balance_fen, time
FROM record SEMI JOIN torn_message USING (message) WHERE is_posted(reason) AND moves_purse(kind)
UNION
SELECT * EXCLUDE (tac, record_hash_high, record_hash_low) FROM past
UNION
SELECT
    factor_of(card_number), application, is_load, transaction_type, amount_fen, terminal, sequence,
    signed_balance_fen, time
FROM torn_before WHERE NOT is_taken_back;

UPDATE record SET reason = reason_variant()
FROM proven_message AS proven
WHERE record.reason = reason_tac_missing() AND moves_purse(record.kind)
    AND proven.factor = record.factor AND proven.application = record.application
    AND proven.is_load = record.is_load AND proven.transaction_type = record.transaction_type
    AND proven.amount_fen = record.amount_fen AND proven.terminal = record.terminal
    AND proven.sequence = record.sequence
    AND proven.signed_balance_fen = record.signed_balance_fen AND proven.time = record.time;
