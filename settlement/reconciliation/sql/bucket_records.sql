-- Every record of the bucket with what it says of itself and what is known of its card.

CREATE TABLE record AS
SELECT
    fact.file_index::BIGINT << 20 | fact.row AS id,
    fact.* EXCLUDE (card_kind, transaction_type, psam_sequence, line, vehicle, tariff_version,
                    mac2_check, mac_profile)
        REPLACE (
            moved_fen(fact.kind, fact.amount_fen) AS amount_fen,
            moved_fen(fact.kind, fact.tariff_fen) AS tariff_fen
        ),
    moves_purse(fact.kind) AS moves_purse,
    is_load(fact.kind) AS is_load,
    coalesce(card.balance_fen, 0) AS known_balance_fen,
    coalesce(card.next_offline, 0) AS known_offline,
    coalesce(card.next_online, 0) AS known_online,
    coalesce(card.gap_count, 0) AS known_gap_count,
    -- Where no purse moves no counter is used up: what the PSAM counted tells the events of a card
    -- apart, below every counter.
    if(
        moves_purse(fact.kind),
        unwrap(
            if(is_load(fact.kind), fact.online_counter, fact.offline_counter),
            if(is_load(fact.kind), known_online, known_offline)
        ),
        -1 - fact.psam_sequence::BIGINT
    ) AS position,
    own_reason(
        fact.format_fault, fact.proof, fact.flags, terminal.terminal IS NOT NULL,
        is_balanced(fact.kind, balance_before_fen, fact.amount_fen, balance_after_fen)
    ) AS reason,
    false AS linked,
    -- The TAC holds and the balances agree with the amount: a link in the card's chain, unless
    -- its counter is taken or lies where nothing is missing.
    moves_purse(fact.kind) AND fact.format_fault = 0 AND fact.proof = proof_proven()
        AND fact.flags & flag_tac_missing() = 0
        AND is_balanced(fact.kind, balance_before_fen, fact.amount_fen, balance_after_fen)
        AS chained
FROM fact
LEFT JOIN terminal ON terminal.terminal = fact.terminal AND terminal.operator = fact.operator
    AND business_day_of(fact.time) BETWEEN terminal.valid_from AND terminal.valid_to
LEFT JOIN card_before AS card
    ON card.issuer = fact.issuer AND card.card_number = fact.card_number
    AND card.application = fact.application;

-- Records that share purse and counter with another one: copies, clones, or simply very old.
CREATE TABLE crowd AS
SELECT issuer, card_number, application, is_load, position
FROM record
WHERE reason <> reason_format_wrong()
GROUP BY ALL
HAVING count(*) > 1;

-- Counters that the purse has used up already, as far as is known; and every event without one.
CREATE TABLE old_counter AS
SELECT DISTINCT issuer, card_number, application, is_load, position
FROM record
WHERE reason <> reason_format_wrong() AND position < if(is_load, known_online, known_offline);
