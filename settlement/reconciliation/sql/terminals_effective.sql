-- R9: as of which day each debit is judged that its PSAM signed behind one of a later day.

CREATE TABLE psam_time AS
SELECT file, row, latest AS day
FROM (
    SELECT
        file, row, day,
        max(day) OVER (
            PARTITION BY terminal ORDER BY sequence::BIGINT
            RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS latest
    FROM (
        FROM dated_debit
        UNION ALL
        SELECT NULL, NULL, terminal, sequence, day
        FROM (FROM psam_before UNION ALL FROM psam_past) SEMI JOIN dated_terminal USING (terminal)
    )
)
WHERE file IS NOT NULL AND latest > day;
