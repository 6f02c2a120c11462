-- Every record of the bucket with what it says of itself and what is known of its card. Small numbers
-- are kept wide, but for those that name a purse: the engine takes twice as long over a column of one
-- or two bytes as over one of four. They become narrow again where they are decided.

CREATE TABLE record AS
SELECT
    told.file_index::BIGINT << 20 | told.row AS id,
    told.* EXCLUDE (
        format_fault, participant, card_kind, line, station, vehicle, business_day, tariff_version,
        mac2_check, mac_profile, online_counter, offline_counter, psam_sequence, psam, claims_differ,
        tac, file_index, stands
    )
        REPLACE (
            told.kind::UINTEGER AS kind, told.sector::UINTEGER AS sector,
            told.flags::UINTEGER AS flags, told.concession::UINTEGER AS concession,
            told.proof::UINTEGER AS proof, told.record_mac::UINTEGER AS record_mac,
            told.reason::UINTEGER AS reason, told.transaction_type::UINTEGER AS transaction_type,
            told.previous_type::UINTEGER AS previous_type,
            told.previous_counter::UINTEGER AS previous_counter,
            moved_fen(told.kind, told.amount_fen) AS amount_fen,
            moved_fen(told.kind, told.tariff_fen) AS tariff_fen,
            -- A load's TAC covers the balance after it and the amount: the balance before follows.
            if(
                is_load(told.kind),
                told.balance_after_fen::BIGINT - told.amount_fen, told.balance_before_fen
            ) AS balance_before_fen
        ),
    is_load(told.kind) AS is_load,
    -- What the card signed, beside type, amount, terminal and time: a movement of a purse is the
    -- same one whatever else a record says. The TAC stands for the key that made it. A card is known
    -- to its keys by the last sixteen digits of its number.
    factor_of(told.card_number) AS factor,
    if(is_load(told.kind), told.online_counter, told.psam_sequence)::UINTEGER AS sequence,
    if(is_load(told.kind), told.balance_after_fen, 0)::UINTEGER AS signed_balance_fen,
    -- Where no purse moves, all bytes are signed.
    if(moves_purse(told.kind), told.tac, told.record_hash_low)::UBIGINT AS tac,
    message_of(factor, told.terminal, sequence, told.time) AS message,
    if(is_load(told.kind), told.online_counter, told.offline_counter)::UINTEGER AS counter,
    -- Where no purse moves no counter is used up: what the PSAM counted tells the events of a card
    -- apart, below every counter.
    if(
        moves_purse(told.kind),
        unwrap(
            counter,
            coalesce(if(is_load(told.kind), card.next_online, card.next_offline), 0)
        ),
        -1 - told.psam_sequence::BIGINT
    ) AS position,
    -- What is noted of it should it be posted, as far as it says so itself.
    (
        if(told.kind IN (kind_entry(), kind_exit()) AND told.station = 0, note_station_missing(), 0)
        | if(told.flags & flag_recovered() <> 0, note_recovered(), 0)
        | if(told.record_mac = record_mac_wrong(), note_record_mac_wrong(), 0)
        | if(told.proof = proof_wrong_version(), note_key_version_misnamed(), 0)
        | if(
            is_balanced(told.kind, told.balance_before_fen, told.amount_fen, told.balance_after_fen),
            0, note_balance_broken())
        | if(told.claims_differ, note_claims_differ(), 0)
    )::UINTEGER AS notes,
    -- Posted, and balances and amount agree: a link in the card's chain, unless its counter is
    -- taken or lies where nothing is missing. What is posted and no link is loose. Chains of other
    -- centres' cards are theirs to follow.
    moves_purse(told.kind) AND is_posted(told.reason) AND told.centre = 0
        AND if(
            is_load(told.kind), told.balance_after_fen >= told.amount_fen,
            is_balanced(told.kind, told.balance_before_fen, told.amount_fen, told.balance_after_fen)
        ) AS chained
FROM told
LEFT JOIN card_before AS card
    ON card.issuer = told.issuer AND card.card_number = told.card_number
    AND card.application = told.application;

-- A card first seen with high counters and low ones has gone round: after 65535 comes 1.
UPDATE record
SET position = position + 65535
FROM (
    SELECT DISTINCT issuer, card_number, application, is_load
    FROM record
    ANTI JOIN (FROM card_before WHERE next_offline <> 0 OR next_online <> 0)
        USING (issuer, card_number, application)
    WHERE moves_purse(kind) AND position > 49152
) AS high
WHERE moves_purse(record.kind) AND record.position BETWEEN 1 AND 16383
    AND high.issuer = record.issuer AND high.card_number = record.card_number
    AND high.application = record.application AND high.is_load = record.is_load;

-- The dates whose settled movements are looked up: those that cards or load hosts signed, and no
-- other.
CREATE TABLE signed_day AS
SELECT DISTINCT business_day_of(time) AS day FROM record WHERE is_posted(reason)
UNION
SELECT DISTINCT business_day_of(time) FROM load_log;
