-- One row for each serial that a terminal used, copies of a record counted once.

CREATE VIEW sound AS
SELECT
    fact.terminal, fact.terminal_serial, fact.record_hash_high, fact.record_hash_low,
    moved_fen(fact.kind, fact.amount_fen) AS amount_fen, is_load(fact.kind) AS is_load, fact.reviewed,
    own_reason(
        fact.format_fault, fact.proof, fact.flags, terminal.terminal IS NOT NULL,
        is_balanced(fact.kind, fact.balance_before_fen, fact.amount_fen, fact.balance_after_fen)
    ) = reason_none() AS clean
FROM fact
LEFT JOIN terminal ON terminal.terminal = fact.terminal AND terminal.operator = fact.operator
    AND business_day_of(fact.time) BETWEEN terminal.valid_from AND terminal.valid_to
WHERE fact.format_fault = 0;

CREATE TABLE serial_seen AS
SELECT
    terminal, terminal_serial, count(*) AS records,
    coalesce(sum(amount_fen) FILTER (NOT is_load), 0)::BIGINT AS debit_fen,
    coalesce(sum(amount_fen) FILTER (is_load), 0)::BIGINT AS load_fen
FROM (SELECT DISTINCT * EXCLUDE (clean, reviewed) FROM sound WHERE NOT reviewed)
GROUP BY terminal, terminal_serial;

CREATE TABLE terminal_seen AS
SELECT
    terminal, count(*) AS serials, min(terminal_serial) AS first_serial,
    max(terminal_serial) AS last_serial,
    coalesce(any_value(terminal_before.last_serial), 0) AS last_before
FROM serial_seen LEFT JOIN (SELECT terminal, last_serial FROM terminal_before) AS terminal_before
    USING (terminal)
GROUP BY terminal;

-- Serials that the terminal has used up already, as far as is known.
CREATE TABLE old_serial AS
SELECT serial_seen.terminal, terminal_serial
FROM serial_seen JOIN terminal_seen USING (terminal)
WHERE terminal_serial <= last_before
UNION
SELECT terminal, terminal_serial FROM sound WHERE reviewed;

-- The few records of which two may stand against each other.
CREATE TABLE rival AS
SELECT DISTINCT terminal, terminal_serial, record_hash_high, record_hash_low, clean
FROM sound SEMI JOIN (
    SELECT terminal, terminal_serial FROM serial_seen WHERE records > 1
    UNION
    FROM old_serial
) USING (terminal, terminal_serial);

-- Terminals whose serials do not simply go on.
CREATE TABLE odd_terminal AS
SELECT terminal, last_before
FROM terminal_seen
WHERE serials <> last_serial - last_before OR first_serial <= last_before
    OR terminal IN (SELECT terminal FROM terminal_gap_before);
