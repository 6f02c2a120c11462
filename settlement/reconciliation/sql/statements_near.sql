-- Which statements there are, and near which position in its card's life each counter is.

-- MAC1 of our cards. A host may load others too; what those hold is no money of ours.
CREATE VIEW asked AS
SELECT DISTINCT
    load_log.issuer, load_log.card_number, load_log.application, load_log.online_counter,
    load_log.balance_before_fen, load_log.time
FROM load_log
LEFT JOIN number ON number.application = load_log.application AND number.issuer = load_log.issuer
    AND load_log.card_number BETWEEN number.first_number AND number.last_number
    AND business_day_of(load_log.time) BETWEEN number.valid_from AND number.valid_to
WHERE coalesce(
    number.centre = 0 AND number.is_asked,
    load_log.application NOT IN (SELECT application FROM number WHERE centre = 0)
);

-- A counter has 16 bits. One card is followed from its last statement; a card that never stated
-- anything from the earliest load there is of it, or, where its counters lie on both sides of the
-- last one, from those before that.
CREATE TABLE near_counter AS
SELECT
    issuer, card_number, application,
    if(
        max(counter) - min(counter) > 32768, max(counter), first(counter ORDER BY dated, counter)
    ) AS near, max(counter) AS most, count(*) AS statements
FROM (
    SELECT issuer, card_number, application, counter, dated FROM posted_load WHERE sign > 0
    UNION ALL
    SELECT issuer, card_number, application, online_counter, time FROM asked
    UNION ALL
    SELECT issuer, card_number, application, online_counter, as_of FROM handed
)
GROUP BY issuer, card_number, application;

-- A card that was taken for new, and states now what lies before counter 1: it has gone round.
CREATE TABLE gone_round AS
SELECT issuer, card_number, application
FROM near_counter JOIN statement_before AS known USING (issuer, card_number, application)
WHERE known.time IS NOT NULL AND known.online < 32768 AND most > 0
    AND nearest(most, known.online) < 1;
