-- Every record with what the registry says of its terminal, and the first reason it gives by itself.
--
-- Who is paid and for which sector is the registry's word, on the business day of the signed time; a
-- debit dated before one of a lower PSAM sequence is judged as of that later day (`effective`).
-- Whoever is not the terminal's collector, then or later, may not deliver.

-- Most terminals are one row, whatever the day: these are looked up once for everything. Only the
-- others are asked which of their rows holds, and who collects for them until when.
CREATE TABLE known_terminal AS
SELECT
    terminal, count(*) = 1 AS is_one, any_value(owner) AS owner, any_value(sector) AS sector,
    any_value(collector) AS collector, min(valid_from) AS valid_from, max(valid_to) AS valid_to
FROM terminal
GROUP BY terminal;
CREATE TABLE changed_terminal AS
FROM terminal SEMI JOIN (FROM known_terminal WHERE NOT is_one) USING (terminal);
CREATE TABLE collected AS
SELECT terminal, collector, max(valid_to) AS last_day FROM changed_terminal GROUP BY ALL;

CREATE VIEW told AS
SELECT
    dated.* EXCLUDE (operator, sector, is_known, owner, owner_sector, collected_until),
    coalesce(dated.owner, dated.participant) AS operator,
    coalesce(dated.owner_sector, dated.sector) AS sector,
    coalesce(dated.owner <> dated.operator OR dated.owner_sector <> dated.sector, false)
        AS claims_differ,
    -- Who answers for the card: nobody but ourselves, or its issuer's centre.
    coalesce(number.centre, 0) AS centre,
    CASE
        WHEN format_fault <> 0 THEN reason_format_wrong()
        -- What was posted before is true: only who is paid for it may be new.
        WHEN NOT stands AND is_known
            AND NOT coalesce(collected_until >= business_day_of(dated.time), false)
            THEN reason_not_your_terminal()
        -- No keys but those of the number's owner on that day prove anything.
        WHEN signed_by_card(kind) AND NOT coalesce(
            number.is_asked,
            dated.application NOT IN (SELECT application FROM number WHERE centre = 0)
        )
            THEN reason_foreign_card()
        -- Its centre can prove what no key that is held here can.
        WHEN number.centre <> 0 AND proof IN (proof_unknown_algorithm(), proof_unknown_version())
            THEN reason_foreign_card()
        WHEN proof = proof_unknown_algorithm() THEN reason_algorithm_unknown()
        WHEN proof = proof_unknown_version() THEN reason_key_version_unknown()
        -- The flag says nothing about a TAC that is there and holds.
        WHEN NOT is_proven(proof) AND (flags & flag_tac_missing() <> 0 OR tac = 0)
            THEN reason_tac_missing()
        WHEN NOT is_proven(proof) THEN reason_tac_wrong()
        WHEN dated.owner IS NULL THEN reason_terminal_unknown()
        ELSE reason_none()
    END::UTINYINT AS reason
FROM (
    SELECT
        signed.*, known.terminal IS NOT NULL AS is_known,
        CASE
            WHEN NOT known.is_one THEN changed.owner
            WHEN signed.day BETWEEN known.valid_from AND known.valid_to THEN known.owner
        END AS owner,
        CASE
            WHEN NOT known.is_one THEN changed.sector
            WHEN signed.day BETWEEN known.valid_from AND known.valid_to THEN known.sector
        END AS owner_sector,
        CASE
            WHEN NOT known.is_one THEN collected.last_day
            WHEN known.collector = signed.participant THEN known.valid_to
        END AS collected_until
    FROM (
        SELECT
            fact.*, input.file, input.participant, input.time_max,
            standing.row IS NOT NULL AS stands,
            coalesce(effective.day, business_day_of(fact.time)) AS day
        FROM fact
        JOIN input ON input.number = fact.file_index
        LEFT JOIN effective ON effective.file = input.file AND effective.row = fact.row
        LEFT JOIN standing ON standing.file = input.file AND standing.row = fact.row
    ) AS signed
    LEFT JOIN known_terminal AS known ON known.terminal = signed.terminal
    LEFT JOIN changed_terminal AS changed ON changed.terminal = signed.terminal
        AND signed.day BETWEEN changed.valid_from AND changed.valid_to
    LEFT JOIN collected
        ON collected.terminal = signed.terminal AND collected.collector = signed.participant
) AS dated
LEFT JOIN number ON number.application = dated.application AND number.issuer = dated.issuer
    AND dated.card_number BETWEEN number.first_number AND number.last_number
    AND dated.day BETWEEN number.valid_from AND number.valid_to;
