-- Facts with the answers of a review: rows that can be judged now and could not before.

CREATE TABLE review AS FROM read_parquet(getvariable('review'));

CREATE VIEW fact AS
SELECT
    -- What was proven as it came in stays so; its day or its terminal has come.
    kept.* REPLACE (
        if(is_proven(kept.proof), kept.proof, coalesce(review.proof, kept.proof)) AS proof
    ),
    input.is_settled AS reviewed
FROM (SELECT *, file_index FROM read_parquet(getvariable('facts'))) AS kept
JOIN input ON input.number = kept.file_index
LEFT JOIN review ON review.file = input.file AND review.row = kept.row
WHERE NOT input.is_settled OR review.row IS NOT NULL;
