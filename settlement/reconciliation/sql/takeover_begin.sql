-- Taking over a city's cards: what old centres have handed over so far, and what came today.

-- Whose cards came from which old centre, and the first day as of which it said so.
CREATE TABLE scope (issuer UBIGINT, application UTINYINT, centre UINTEGER, since DATE);
-- A row a card that came so and has said or paid anything: opened with how much, or what is due.
-- `is_handed` has a balance in a file, and `is_chained` a chain that begins with it; one that
-- `is_behind` has counted less since than the old centre said.
CREATE TABLE opening_before (
    issuer UBIGINT, card_number UBIGINT, application UTINYINT, centre UINTEGER,
    is_handed BOOLEAN, balance_fen BIGINT, online_counter USMALLINT, as_of TIMESTAMP,
    is_chained BOOLEAN, is_behind BOOLEAN, opened_day DATE, opening_fen BIGINT,
    due_day DATE, due_fen BIGINT, is_disputed BOOLEAN
);
-- Chains that begin today with what was handed over.
CREATE TABLE begun_chain (issuer UBIGINT, card_number UBIGINT, application UTINYINT);
