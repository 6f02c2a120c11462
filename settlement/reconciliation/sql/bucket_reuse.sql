-- V06, V07, V08: the same record again, one terminal serial twice, one card counter twice.

CREATE TABLE copy AS
SELECT id
FROM (
    SELECT
        id,
        -- Copies of one record differ only in how well they could be proven when they came in. One
        -- that was settled already is the first.
        row_number() OVER (
            PARTITION BY record_hash_high, record_hash_low ORDER BY NOT reviewed, proof, id
        ) AS number
    FROM record SEMI JOIN crowd USING (issuer, card_number, application, is_load, position)
    WHERE reason <> reason_format_wrong()
)
WHERE number > 1
UNION
SELECT id
FROM record SEMI JOIN (FROM past UNION ALL FROM loose_before)
    USING (record_hash_high, record_hash_low)
WHERE reason <> reason_format_wrong();

UPDATE record
SET reason = reason_duplicate(), chained = false
FROM copy
WHERE copy.id = record.id;

UPDATE record
SET reason = reason_terminal_serial_reused()
FROM conflict
WHERE record.reason = reason_none()
    AND conflict.terminal = record.terminal
    AND conflict.terminal_serial = record.terminal_serial;

-- A record that failed before never stands against a sound one (`clean`), but may stand in the
-- chain where it is the only one of its counter.
CREATE TABLE shared_counter AS
SELECT
    issuer, card_number, application, is_load, position,
    count(*) FILTER (reason = reason_none()) AS clean,
    count(*) AS rivals
FROM record SEMI JOIN crowd USING (issuer, card_number, application, is_load, position)
WHERE chained
GROUP BY ALL
HAVING count(*) > 1;

CREATE TABLE settled_counter AS
SELECT DISTINCT issuer, card_number, application, is_load, position
FROM (FROM past UNION ALL FROM loose_before)
WHERE reason >= reason_card_counter_reused();

UPDATE record
SET chained = false,
    reason = if(
        reason = reason_none() AND shared_counter.clean > 1,
        reason_card_counter_reused(), reason
    )
FROM shared_counter
WHERE record.chained
    AND shared_counter.issuer = record.issuer
    AND shared_counter.card_number = record.card_number
    AND shared_counter.application = record.application
    AND shared_counter.is_load = record.is_load
    AND shared_counter.position = record.position
    AND NOT (record.reason = reason_none() AND shared_counter.clean = 1);

UPDATE record
SET chained = false, reason = reason_card_counter_reused()
FROM settled_counter
WHERE record.reason = reason_none()
    AND record.moves_purse
    AND settled_counter.issuer = record.issuer
    AND settled_counter.card_number = record.card_number
    AND settled_counter.application = record.application
    AND settled_counter.is_load = record.is_load
    AND settled_counter.position = record.position;
