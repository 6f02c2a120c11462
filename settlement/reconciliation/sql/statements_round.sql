-- What is kept of purses that have gone round is counted on.

UPDATE statement_before SET online = online + 65535
WHERE (issuer, card_number, application) IN (FROM gone_round);
UPDATE segment_before SET
    -- An opening goes on beginning with the card.
    left_online = if(left_time IS NULL, left_online, left_online + 65535),
    right_online = right_online + 65535,
    missing_loads = missing_loads + if(left_online = 0 AND left_time IS NULL, 65535, 0)
WHERE (issuer, card_number, application) IN (FROM gone_round) AND left_online IS NOT NULL;
UPDATE torn_before SET left_online = left_online + 65535, right_online = right_online + 65535
WHERE (issuer, card_number, application) IN (FROM gone_round);
UPDATE torn_after SET left_online = left_online + 65535, right_online = right_online + 65535
WHERE (issuer, card_number, application) IN (FROM gone_round);
