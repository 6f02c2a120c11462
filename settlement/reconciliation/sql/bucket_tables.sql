-- What one bucket starts from. Empty for a new city.
--
-- A purse is named by issuer, card number and application: one card may have several, each with a
-- balance, counters and a chain of its own. `card_before` has a row a purse.

CREATE TABLE card_before (
    issuer UBIGINT, card_number UBIGINT, application UTINYINT,
    balance_fen BIGINT, next_offline BIGINT, next_online BIGINT, time TIMESTAMP, gap_count INTEGER
);
CREATE TABLE gap_before (
    issuer UBIGINT, card_number UBIGINT, application UTINYINT, gap INTEGER, opened_day DATE,
    left_balance_fen BIGINT, left_offline BIGINT, left_online BIGINT,
    right_balance_fen BIGINT, right_offline BIGINT, right_online BIGINT, right_time TIMESTAMP,
    loose_counters BIGINT[], loose_amounts_fen BIGINT[], loose_days DATE[],
    -- The same for people: which counters are missing (none when last < first), and the price.
    counter_kind UTINYINT, first_counter BIGINT, last_counter BIGINT, price_fen BIGINT,
    state UTINYINT
);
-- Which closed day settled movements that were signed on which day: where an old one is looked up.
CREATE TABLE settled_day_before (signed_day DATE, settlement_day DATE);
-- Records that a key, a registry entry, their own day, a statement of the card or two people may
-- still clear up, as they were last decided.
CREATE TABLE waiting_before (
    file UBIGINT, row UINTEGER, record_hash_high UBIGINT, record_hash_low UBIGINT,
    issuer UBIGINT, card_number UBIGINT, application UTINYINT, terminal UBIGINT,
    terminal_serial UINTEGER, kind UTINYINT, sector UTINYINT, is_load BOOLEAN, position BIGINT, operator UINTEGER, time TIMESTAMP,
    amount_fen UINTEGER, tariff_fen UINTEGER, transaction_type UTINYINT, sequence UINTEGER,
    signed_balance_fen UINTEGER, hotlist_version UINTEGER, fare_class UTINYINT, reason UTINYINT,
    notes USMALLINT, late BOOLEAN, chained BOOLEAN, centre UINTEGER DEFAULT 0, settlement_day DATE
);
-- Those of them that are decided again, and stand with their money in the ledger already.
CREATE TABLE standing (file UBIGINT, row UINTEGER);
-- What is decided again, as it was decided; of what was accepted also what is held for the holder.
CREATE TABLE taken_up AS
SELECT *, 0::UINTEGER AS excess_fen, false AS tariff_known FROM waiting_before;
-- R4: torn debits that statements proved, each with the segment that it closed, and those of them
-- that were taken back since, for ever: a TAC can always come.
CREATE TABLE torn_before AS
SELECT
    *, 0::BIGINT AS left_online, 0::BIGINT AS left_balance_fen, NULL::TIMESTAMP AS left_time,
    0::BIGINT AS right_online, 0::BIGINT AS right_balance_fen, NULL::TIMESTAMP AS right_time,
    false AS is_taken_back
FROM taken_up;
CREATE TABLE torn_after AS FROM torn_before;
CREATE TABLE taken_back AS FROM torn_before;
CREATE TABLE torn_signed (file UBIGINT, row UINTEGER);
-- Those that statements prove today.
CREATE TABLE stated_debit (
    file UBIGINT, row UINTEGER, left_online BIGINT, left_balance_fen BIGINT, left_time TIMESTAMP,
    right_online BIGINT, right_balance_fen BIGINT, right_time TIMESTAMP
);
-- Records whose movement lies in its card's chain already.
CREATE TABLE linked (id BIGINT);
-- Movements of closed days that records of today are about again, by all that a card signs of one.
CREATE TABLE past (
    factor UBIGINT, application UTINYINT, is_load BOOLEAN, transaction_type UTINYINT,
    amount_fen UINTEGER, terminal UBIGINT, sequence UINTEGER, signed_balance_fen UINTEGER,
    time TIMESTAMP, tac UBIGINT, record_hash_high UBIGINT, record_hash_low UBIGINT
);
-- What the continuity of single cards adds (settlement.reconciliation.continuity).
CREATE TABLE unplaced (id BIGINT);
CREATE TABLE card_threaded AS FROM card_before;
CREATE TABLE gap_threaded AS FROM gap_before;
-- What the rule of its sector says of every fare that occurs (settlement.sectors).
CREATE TABLE fare (
    sector UTINYINT, operator UINTEGER, kind UTINYINT, tariff_fen UINTEGER, amount_fen UINTEGER,
    transfer BOOLEAN, concession UTINYINT, fare_class UTINYINT, notes USMALLINT,
    known_tariff_fen UINTEGER
);
-- What others than the operator get of a payment, where its sector's rule shares out.
CREATE TABLE passed_on (
    sector UTINYINT, application UTINYINT, operator UINTEGER, paid_fen UINTEGER,
    payee UINTEGER, share_fen UINTEGER
);
-- What load hosts allowed the cards of the bucket, new since the last closed day; and entries that
-- earlier runs left open. The money of a settled one is posted; a confirmed one is owed by whoever
-- answers for its terminal.
CREATE TABLE load_log (
    issuer UBIGINT, card_number UBIGINT, number UINTEGER, application UTINYINT,
    online_counter USMALLINT, balance_before_fen UINTEGER, amount_fen UINTEGER, terminal UBIGINT,
    time TIMESTAMP, funding UTINYINT
);
CREATE TABLE log_waiting_before (
    issuer UBIGINT, card_number UBIGINT, number UINTEGER, application UTINYINT,
    online_counter USMALLINT, balance_before_fen UINTEGER, amount_fen UINTEGER, terminal UBIGINT,
    time TIMESTAMP, funding UTINYINT, is_settled BOOLEAN, is_confirmed BOOLEAN
);
CREATE TABLE log_waiting_after AS FROM log_waiting_before;
-- What the match of loads says of every entry that is not done (settlement.loads.billing).
CREATE TABLE log_verdict (
    issuer UBIGINT, number UINTEGER, is_settled BOOLEAN, is_confirmed BOOLEAN, is_due BOOLEAN,
    waits BOOLEAN
);
-- Loads of closed days: those that new entries are about, and those without a TAC that records of
-- today may be about.
CREATE TABLE load_past (
    factor UBIGINT, application UTINYINT, online_counter USMALLINT, amount_fen UINTEGER,
    terminal UBIGINT, time TIMESTAMP, balance_before_fen BIGINT
);
CREATE TABLE load_unsigned (
    factor UBIGINT, application UTINYINT, sequence UINTEGER, amount_fen UINTEGER, terminal UBIGINT
);
