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
-- The latest day that each terminal's PSAMs signed on, and the lowest sequence of that day. What no
-- record MAC vouches for stands under PSAM 0.
CREATE TABLE psam_before (terminal UBIGINT, psam UBIGINT, day DATE, sequence UINTEGER);
-- The same of days before, where it is looked up; and which closed days know of which.
CREATE TABLE psam_past AS FROM psam_before;
CREATE TABLE psam_day_before (signed_day DATE, settlement_day DATE);
-- Nothing is dated otherwise before it is known how the PSAMs counted.
CREATE TABLE effective (file UBIGINT, row UINTEGER, day DATE);
-- What is judged again counts for no terminal: it did so when it came.
CREATE TABLE standing (file UBIGINT, row UINTEGER);
