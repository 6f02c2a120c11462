-- Records of closed days that are taken up again: what was decided of them steps back.

INSERT INTO taken_up FROM waiting_before SEMI JOIN review USING (file, row);
DELETE FROM waiting_before WHERE (file, row) IN (SELECT (file, row) FROM taken_up);

DELETE FROM loose_before
WHERE (record_hash_high, record_hash_low) IN (
    SELECT (record_hash_high, record_hash_low) FROM taken_up
);

-- What is in the card's chain already is not put there a second time.
UPDATE record
SET linked = true, chained = false
FROM taken_up JOIN input ON input.file = taken_up.file
WHERE taken_up.chained AND record.file_index = input.number AND record.row = taken_up.row;
