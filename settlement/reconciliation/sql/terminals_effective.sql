-- R9: as of which day each debit is judged that its PSAM signed behind one of a later day. One of no
-- proven PSAM may be of any that its terminal has: it makes no debit of a proven one later.

CREATE TABLE psam_time AS
SELECT file, row, latest AS day
FROM (
    SELECT
        file, row, day,
        if(psam = 0, max(day) OVER lower_of_terminal, max(day) OVER lower_of_psam) AS latest
    FROM (
        FROM dated_debit
        UNION ALL
        SELECT NULL, NULL, terminal, psam, sequence, day
        FROM (FROM psam_before UNION ALL FROM psam_past) SEMI JOIN dated_terminal USING (terminal)
    )
    WINDOW
        lower_of_terminal AS (
            PARTITION BY terminal ORDER BY sequence::BIGINT
            RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ),
        lower_of_psam AS (
            PARTITION BY terminal, psam ORDER BY sequence::BIGINT
            RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
)
WHERE file IS NOT NULL AND latest > day;
