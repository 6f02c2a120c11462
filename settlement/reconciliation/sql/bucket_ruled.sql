-- What two people ruled of records that are suspended: the last word on them. A ruling is on what
-- still waits; where the cause went away by itself meanwhile, nothing is left to rule on.

CREATE TABLE ruled AS
SELECT record.file, record.row, review.ruling, fare.known_tariff_fen
FROM review
JOIN record ON record.file = review.file AND record.row = review.row
LEFT JOIN fare
    ON fare.sector = record.sector AND fare.operator = record.operator AND fare.kind = record.kind
    AND fare.tariff_fen = record.tariff_fen AND fare.amount_fen = record.amount_fen
    AND fare.transfer = (record.flags & flag_transfer() <> 0)
    AND fare.concession = record.concession
WHERE review.ruling <> 0;

UPDATE decision
SET
    reason = if(ruled.ruling = verdict_release(), reason_released(), reason_returned()),
    disposition = disposition_accepted(),
    -- Released: what is charged above a known tariff pays nobody, as ever. Returned: nothing does.
    excess_fen = if(
        ruled.ruling = verdict_release(),
        greatest(decision.amount_fen::BIGINT - coalesce(ruled.known_tariff_fen, decision.amount_fen), 0),
        decision.amount_fen
    ),
    -- A fare that is given back is no discount.
    fare_class = if(ruled.ruling = verdict_release(), decision.fare_class, 0),
    tariff_known = decision.tariff_known AND ruled.ruling = verdict_release()
FROM ruled
WHERE decision.file = ruled.file AND decision.row = ruled.row AND is_suspended(decision.reason);

DELETE FROM waiting_after
WHERE settlement_day = getvariable('settlement_day')
    AND (file, row) IN (SELECT (file, row) FROM ruled);
