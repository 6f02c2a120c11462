-- R9: a PSAM signs its sequence. A debit dated before one of a lower sequence is judged as of that
-- later moment, as far as no clock was ahead of its receipt; also where the other one was settled on
-- an earlier day. The registry knows days, so a day and its lowest sequence are all that is kept.
-- Which PSAM it was the record MAC tells, one that no other PSAM can make. A number that nothing
-- vouches for is a claim, and tells no two PSAMs of a terminal apart.

CREATE VIEW signed_debit AS
SELECT file, row, terminal, psam, sequence, signed_day AS day FROM seen WHERE signed_day IS NOT NULL;

CREATE TABLE psam_step AS
SELECT terminal, psam, day, min(sequence) AS sequence FROM signed_debit GROUP BY ALL;

-- Where each PSAM of a terminal stood on the latest day that it signed on.
CREATE TABLE psam_after AS
SELECT terminal, psam, day, min(sequence)::UINTEGER AS sequence
FROM (
    FROM (FROM psam_before UNION ALL FROM psam_step)
    QUALIFY day = max(day) OVER (PARTITION BY terminal, psam)
)
GROUP BY ALL;

-- Only terminals whose debits are not all of their latest day.
CREATE TABLE dated_terminal AS
SELECT DISTINCT terminal
FROM psam_step JOIN psam_after AS latest USING (terminal)
WHERE psam_step.day < latest.day;

CREATE TABLE dated_debit AS FROM signed_debit SEMI JOIN dated_terminal USING (terminal);

-- A debit behind the latest day's lowest sequence is as late as that day. One that came late and
-- lies before it may lie behind a day between: only such days are looked up.
CREATE VIEW psam_day_asked AS
SELECT DISTINCT settlement_day
FROM psam_day_before JOIN (
    SELECT min(debit.day) AS first_day, max(latest.day) AS last_day
    FROM dated_debit AS debit JOIN psam_before AS latest
        ON latest.terminal = debit.terminal AND debit.psam IN (0, latest.psam)
    WHERE debit.day < latest.day AND debit.sequence <= latest.sequence
) ON signed_day > first_day AND signed_day < last_day;

CREATE TABLE psam_day_after AS
FROM psam_day_before
UNION
SELECT DISTINCT day, getvariable('settlement_day') FROM psam_step;
