-- R4: where statements proved a torn debit and a TAC proves another one there, of whatever amount,
-- that one takes its place: what was posted of it is taken back, and it is a claim again. It had
-- filled its segment to the fen, so whatever is paid there beyond the price proves it wrong.

-- What the card has signed itself by now stands without its statements.
INSERT INTO torn_signed
SELECT torn.file, torn.row
FROM torn_before AS torn
SEMI JOIN (FROM record WHERE moves_purse(kind) AND is_proven(proof) AND NOT is_void(reason)) AS record
    ON record.factor = factor_of(torn.card_number) AND record.application = torn.application
    AND record.is_load = torn.is_load AND record.transaction_type = torn.transaction_type
    AND record.amount_fen = torn.amount_fen AND record.terminal = torn.terminal
    AND record.sequence = torn.sequence
    AND record.signed_balance_fen = torn.signed_balance_fen AND record.time = torn.time
WHERE NOT torn.is_taken_back;

INSERT INTO taken_back
SELECT torn.*
FROM (
    FROM torn_before
    ANTI JOIN torn_signed USING (file, row)
    ANTI JOIN taken_up USING (file, row)
    WHERE NOT is_taken_back
) AS torn
-- Debits that came since, on closed days: the segment is overpaid.
LEFT JOIN segment_before AS segment
    USING (
        issuer, card_number, application, left_online, left_time, right_online, right_time
    )
LEFT JOIN (
    SELECT torn.file, torn.row, sum(record.amount_fen)::BIGINT AS paid_fen
    FROM torn_before AS torn
    JOIN (FROM record ANTI JOIN linked USING (id)) AS record ON record.issuer = torn.issuer AND record.card_number = torn.card_number
        AND record.application = torn.application
        AND least(record.time, record.time_max) >= torn.left_time
        AND least(record.time, record.time_max) < torn.right_time
    WHERE moves_purse(record.kind) AND NOT record.is_load AND is_posted(record.reason)
        AND record.centre = 0
    GROUP BY torn.file, torn.row
) AS late USING (file, row)
WHERE coalesce(late.paid_fen, 0) - coalesce(segment.price_fen, 0) > 0;

INSERT INTO taken_up BY NAME
SELECT
    * EXCLUDE (
        left_online, left_balance_fen, left_time, right_online, right_balance_fen, right_time,
        is_taken_back
    )
FROM taken_back;
DELETE FROM waiting_before WHERE (file, row) IN (SELECT (file, row) FROM taken_back);

INSERT INTO record BY NAME
SELECT
    -- Below those that statements prove.
    -2199023255552 - row_number() OVER (ORDER BY file, row) AS id,
    file, row, record_hash_high, record_hash_low, true AS reviewed, issuer, card_number,
    application, terminal, terminal_serial, kind, sector, operator,
    reason_tac_missing() AS reason, 0 AS flags, record_mac_none() AS record_mac, 0 AS concession,
    hotlist_version, tariff_fen, 0 AS balance_before_fen, 0 AS balance_after_fen,
    amount_fen, transaction_type, time, business_day_of(time) AS day, 0 AS previous_type,
    0 AS previous_counter, false AS is_load,
    factor_of(card_number) AS factor, sequence, signed_balance_fen, 0 AS tac,
    position, note_statement_proven() AS notes, 0 AS centre, false AS chained
FROM taken_back;
