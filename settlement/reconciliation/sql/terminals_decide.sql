-- Which serials carry two different movements, and the terminals as they stand afterwards.

CREATE TABLE conflict AS
SELECT terminal, terminal_serial FROM serial_shared WHERE proven > 1
UNION
FROM old_serial;

CREATE TABLE register_increase AS
SELECT
    register.terminal, register.last_serial,
    coalesce(before.register_serial, 0) AS serial_before,
    register.lifetime_records - coalesce(before.lifetime_records, 0) AS expected_records,
    register.lifetime_debit_fen - coalesce(before.lifetime_debit_fen, 0) AS expected_debit_fen,
    register.lifetime_load_fen - coalesce(before.lifetime_load_fen, 0) AS expected_load_fen
FROM register LEFT JOIN terminal_before AS before USING (terminal);

CREATE TABLE register_found AS
SELECT
    increase.*,
    coalesce(sum(records), 0)::BIGINT AS found_records,
    coalesce(sum(debit_fen), 0)::BIGINT AS found_debit_fen,
    coalesce(sum(load_fen), 0)::BIGINT AS found_load_fen
FROM register_increase AS increase LEFT JOIN serial_seen
    ON serial_seen.terminal = increase.terminal
    AND serial_seen.terminal_serial > increase.serial_before
    AND serial_seen.terminal_serial <= increase.last_serial
GROUP BY ALL;

CREATE VIEW register_difference AS
FROM register_found
WHERE (expected_records, expected_debit_fen, expected_load_fen)
    IS DISTINCT FROM (found_records, found_debit_fen, found_load_fen);

CREATE TABLE terminal_after AS
SELECT
    terminal,
    greatest(coalesce(terminal_before.last_serial, 0), coalesce(terminal_seen.last_serial, 0))
        AS last_serial,
    coalesce(register.last_serial, register_serial, 0) AS register_serial,
    coalesce(register.lifetime_records, terminal_before.lifetime_records, 0) AS lifetime_records,
    coalesce(register.lifetime_debit_fen, terminal_before.lifetime_debit_fen, 0)
        AS lifetime_debit_fen,
    coalesce(register.lifetime_load_fen, terminal_before.lifetime_load_fen, 0)
        AS lifetime_load_fen
FROM terminal_before
FULL JOIN terminal_seen USING (terminal)
FULL JOIN register USING (terminal);

INSERT INTO terminal_gap_after
FROM terminal_gap_before
WHERE terminal NOT IN (SELECT terminal FROM odd_terminal);
