-- Records of closed days that are taken up again: what was decided of them steps back.

INSERT INTO taken_up BY NAME
SELECT *, 0 AS excess_fen, false AS tariff_known
FROM waiting_before SEMI JOIN review USING (file, row);
DELETE FROM waiting_before WHERE (file, row) IN (SELECT (file, row) FROM taken_up);

-- What is posted lies in the card's chain already, as a link or loose: it is not put there twice.
UPDATE record
SET linked = true, chained = false
FROM taken_up
WHERE is_posted(taken_up.reason) AND record.reviewed
    AND record.file = taken_up.file AND record.row = taken_up.row;
