-- The journal of one collector (a depot, a station, a shop): all its terminals, one file.
-- States of taps: 1 open, 2 recorded, 3 void, 4 lapsed, 5 forged.
-- Every index costs a page in each of the two syncs of a tap, so there is none for convenience.

CREATE TABLE collector (
    sender INTEGER NOT NULL,        -- who signs the batch files
    serial_floor INTEGER NOT NULL   -- serials up to here may have been used before a salvage
) STRICT;

-- One row a debit or load that was about to happen. Written before the card is told.
CREATE TABLE taps (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    card_number TEXT NOT NULL,
    terminal TEXT NOT NULL,
    state INTEGER NOT NULL,
    outcome INTEGER,                -- NULL while open
    position INTEGER,               -- of its record, when it has one
    draft BLOB NOT NULL,            -- the record as it will be, without serial, TAC and late flags
    trace_before BLOB NOT NULL,     -- APDUs up to the intent
    trace_after BLOB,               -- APDUs after it or, when it was torn, of the later visit
    application INTEGER NOT NULL DEFAULT 0  -- whose purse: one card has several
) STRICT;
CREATE UNIQUE INDEX taps_one_open_a_purse ON taps (card_number, application) WHERE state = 1;
CREATE INDEX taps_lapsed ON taps (terminal) WHERE state = 4;

-- Which request was answered by which tap. A void tap frees its request.
CREATE TABLE requests (
    request_id TEXT PRIMARY KEY,
    content_hash BLOB NOT NULL,
    tap INTEGER NOT NULL REFERENCES taps (id)
) STRICT, WITHOUT ROWID;

-- One row a finished record, with the terminal's life-long totals after it.
-- Positions have no holes, and in one terminal they rise with the serial.
CREATE TABLE records (
    position INTEGER PRIMARY KEY,
    tap INTEGER NOT NULL,
    terminal TEXT NOT NULL,
    serial INTEGER NOT NULL,
    record BLOB NOT NULL,
    lifetime_records INTEGER NOT NULL,
    lifetime_debit_fen INTEGER NOT NULL,
    lifetime_load_fen INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX records_serial ON records (terminal, serial);

-- One row a batch file. It is committed before the file is made, so the same sequence is always
-- the same bytes. A file holds a set of positions: those from first to last that were never held
-- back, and those held back that were given to it. Up to the highest last_position, every record
-- is in a file unless it is held back still.
CREATE TABLE batches (
    sequence INTEGER PRIMARY KEY,
    first_position INTEGER NOT NULL,
    last_position INTEGER NOT NULL, -- first - 1 when it took nothing new
    record_count INTEGER NOT NULL,  -- with copies
    business_day TEXT NOT NULL,
    key_version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    answer TEXT,                    -- the received acknowledgement, JSON
    settled INTEGER NOT NULL        -- 1 when the answer says that the file need not be sent again
) STRICT;

CREATE TABLE batch_registers (
    sequence INTEGER NOT NULL REFERENCES batches (sequence),
    terminal TEXT NOT NULL,
    first_serial INTEGER NOT NULL,
    last_serial INTEGER NOT NULL,
    lifetime_records INTEGER NOT NULL,
    lifetime_debit_fen INTEGER NOT NULL,
    lifetime_load_fen INTEGER NOT NULL,
    unresolved_records INTEGER NOT NULL,
    unresolved_fen INTEGER NOT NULL,
    PRIMARY KEY (sequence, terminal)
) STRICT, WITHOUT ROWID;

-- Finished records that the collector cannot read out of their terminal yet (未采集): a bus that
-- did not come home. Never a record that was in a file when it was to be held back.
CREATE TABLE holds (
    position INTEGER PRIMARY KEY REFERENCES records (position),
    until TEXT NOT NULL,            -- the first day on which it can go up
    sequence INTEGER                -- NULL until a batch file holds it
) STRICT;

-- Records that a collector read out of their terminal once more (重复采集). They go up again, and
-- settlement is the one that knows them for what they are.
CREATE TABLE repeats (
    position INTEGER NOT NULL REFERENCES records (position),
    copy INTEGER NOT NULL,          -- from 1
    sequence INTEGER,               -- NULL until a batch file holds it
    PRIMARY KEY (position, copy)
) STRICT, WITHOUT ROWID;
