-- One row for each serial that a terminal used, records of one movement counted once.
--
-- What was never proven proves no serial; it is told apart, for the registers, which count all that
-- a terminal wrote.

CREATE TABLE seen AS
SELECT
    file, row, terminal, terminal_serial, card_number, time,
    NOT reviewed AND NOT is_void(reason) AS counts,
    is_load(kind) AS is_load, if(is_load(kind), online_counter, psam_sequence) AS sequence,
    moved_fen(kind, amount_fen) AS amount_fen, is_posted(reason) AS is_posted,
    if(record_mac = record_mac_held(), psam, 0)::UBIGINT AS psam,
    -- The day that a PSAM signed a debit on, where no clock was ahead of its receipt (R9).
    if(
        is_posted(reason) AND NOT is_load(kind) AND signed_by_card(kind) AND time <= time_max,
        business_day_of(time), NULL
    ) AS signed_day
FROM told;

-- The few serials that came more than once. Serials stand close together, so they are counted 64 at a
-- time, and one by one only where fewer came than records.
CREATE TABLE serial_twice AS
SELECT terminal, terminal_serial
FROM seen
SEMI JOIN (
    SELECT terminal, terminal_serial >> 6 AS block
    FROM seen
    WHERE counts
    GROUP BY ALL
    HAVING count(*) > bit_count(bit_or(1::UBIGINT << (terminal_serial & 63)))
) AS crowded
    ON crowded.terminal = seen.terminal AND crowded.block = seen.terminal_serial >> 6
WHERE counts
GROUP BY terminal, terminal_serial
HAVING count(*) > 1;

-- Is it one movement, or are there several?
CREATE TABLE serial_shared AS
SELECT
    terminal, terminal_serial, count(*) AS records,
    coalesce(sum(amount_fen) FILTER (NOT is_load), 0)::BIGINT AS debit_fen,
    coalesce(sum(amount_fen) FILTER (is_load), 0)::BIGINT AS load_fen,
    count(*) FILTER (is_posted) AS proven
FROM (
    SELECT
        terminal, terminal_serial, card_number, time, is_load, sequence, amount_fen,
        bool_or(is_posted) AS is_posted
    FROM seen SEMI JOIN serial_twice USING (terminal, terminal_serial)
    WHERE counts
    GROUP BY ALL
)
GROUP BY terminal, terminal_serial;

-- Nearly all came once, and are read where they stand.
CREATE VIEW serial_seen AS
SELECT
    terminal, terminal_serial, 1::BIGINT AS records,
    if(is_load, 0, amount_fen)::BIGINT AS debit_fen, if(is_load, amount_fen, 0)::BIGINT AS load_fen,
    is_posted::BIGINT AS proven
FROM seen ANTI JOIN serial_twice USING (terminal, terminal_serial)
WHERE counts
UNION ALL
FROM serial_shared;

CREATE TABLE terminal_seen AS
SELECT
    terminal, count(*) AS serials, min(terminal_serial) AS first_serial,
    max(terminal_serial) AS last_serial,
    coalesce(any_value(terminal_before.last_serial), 0) AS last_before
FROM serial_seen LEFT JOIN (SELECT terminal, last_serial FROM terminal_before) AS terminal_before
    USING (terminal)
WHERE proven > 0
GROUP BY terminal;

-- Serials that a terminal has used up already and that are not missing.
CREATE TABLE old_serial AS
SELECT seen.terminal, seen.terminal_serial
FROM (
    SELECT terminal, terminal_serial
    FROM serial_seen JOIN terminal_seen USING (terminal)
    WHERE proven > 0 AND terminal_serial <= last_before
) AS seen
ASOF LEFT JOIN terminal_gap_before AS gap
    ON gap.terminal = seen.terminal AND gap.first_serial <= seen.terminal_serial
WHERE NOT coalesce(seen.terminal_serial <= gap.last_serial, false);

-- Terminals whose serials do not simply go on.
CREATE TABLE odd_terminal AS
SELECT terminal, last_before
FROM terminal_seen
WHERE serials <> last_serial - last_before OR first_serial <= last_before
    OR terminal IN (SELECT terminal FROM terminal_gap_before);
