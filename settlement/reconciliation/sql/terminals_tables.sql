-- V07, V09 and the device registers: what the records of a run say of their terminals.

CREATE TABLE terminal_before (
    terminal UBIGINT, last_serial BIGINT, register_serial BIGINT,
    lifetime_records BIGINT, lifetime_debit_fen BIGINT, lifetime_load_fen BIGINT
);
CREATE TABLE terminal_gap_before (
    terminal UBIGINT, first_serial BIGINT, last_serial BIGINT, opened_day DATE, state UTINYINT
);
CREATE TABLE terminal_gap_after AS FROM terminal_gap_before;
-- Running totals of each device as they stood after its last file of this run.
CREATE TABLE register (
    terminal UBIGINT, last_serial BIGINT,
    lifetime_records BIGINT, lifetime_debit_fen BIGINT, lifetime_load_fen BIGINT
);
-- Where each terminal's PSAM stood when its latest debit was signed.
CREATE TABLE psam_before (terminal UBIGINT, sequence UINTEGER, time TIMESTAMP);
-- Nothing is dated otherwise before it is known how the PSAMs counted.
CREATE TABLE effective (file UBIGINT, row UINTEGER, moment TIMESTAMP);
-- What is judged again counts for no terminal: it did so when it came.
CREATE TABLE standing (file UBIGINT, row UINTEGER);
