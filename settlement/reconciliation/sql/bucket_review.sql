-- Records of closed days that are taken up again: what was decided of them steps back.

INSERT INTO taken_up BY NAME
SELECT *, 0 AS excess_fen, false AS tariff_known
FROM waiting_before SEMI JOIN review USING (file, row);
DELETE FROM waiting_before WHERE (file, row) IN (SELECT (file, row) FROM taken_up);

-- What is posted lies in the card's chain already, as a link or loose: it is not put there twice.
INSERT INTO linked
SELECT id
FROM (FROM record WHERE reviewed) SEMI JOIN (FROM taken_up WHERE is_posted(reason)) USING (file, row);
UPDATE record SET chained = false FROM linked WHERE linked.id = record.id;

-- A key that came late proved it: under which one is not asked again.
UPDATE record
SET notes = record.notes | note_key_version_misnamed()
FROM (
    FROM taken_up WHERE is_posted(reason) AND notes & note_key_version_misnamed() <> 0
) AS misnamed
WHERE record.reviewed AND record.file = misnamed.file AND record.row = misnamed.row;

-- What stands without a TAC, because the card's statements prove it, still does: taken up again it is
-- what they proved, and none of what its record says of itself.
UPDATE record
SET
    proof = proof_wrong(), tac = 0, notes = stated.notes, record_mac = record_mac_none(),
    balance_before_fen = 0, balance_after_fen = 0, chained = false
FROM (
    FROM taken_up SEMI JOIN (FROM torn_before WHERE NOT is_taken_back) USING (file, row)
) AS stated
WHERE record.reviewed AND record.file = stated.file AND record.row = stated.row;
