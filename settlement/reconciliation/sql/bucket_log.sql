-- R6: what load hosts allowed beside what records tell, and the few purses that need a closer look.

-- Entries that are asked about: new ones, and those that earlier runs left open; each with who
-- answers for its terminal on that day. For a card that is not ours nobody does.
CREATE TABLE entry AS
SELECT
    asked.*, factor_of(card_number) AS factor, business_day_of(asked.time) AS day,
    if(
        coalesce(
            number.centre = 0 AND number.is_asked,
            asked.application NOT IN (SELECT application FROM number WHERE centre = 0)
        ),
        terminal.owner, NULL
    ) AS owner,
    terminal.sector
FROM (
    SELECT *, false AS is_settled, false AS is_confirmed, true AS is_new FROM load_log
    UNION ALL BY NAME
    SELECT *, false AS is_new FROM log_waiting_before
) AS asked
LEFT JOIN terminal ON terminal.terminal = asked.terminal
    AND business_day_of(asked.time) BETWEEN terminal.valid_from AND terminal.valid_to
LEFT JOIN number ON number.application = asked.application AND number.issuer = asked.issuer
    AND asked.card_number BETWEEN number.first_number AND number.last_number
    AND business_day_of(asked.time) BETWEEN number.valid_from AND number.valid_to;

-- Loads as records tell them. What a TAC proves of one is settled, today or on a closed day; a torn
-- one says that somebody claims it.
CREATE TABLE load_told AS
SELECT
    factor, application, sequence AS online_counter, amount_fen, terminal, time,
    bool_or(is_posted(reason)) AS is_proven,
    coalesce(max(balance_before_fen) FILTER (is_posted(reason)), 0)::BIGINT AS balance_before_fen
FROM record
WHERE is_load AND (is_posted(reason) OR reason = reason_tac_missing())
GROUP BY factor, application, sequence, amount_fen, terminal, time;

-- A purse is done when every entry has its own proven record; it is quiet when nothing was said of
-- it that could confirm anything: only the others are matched one by one.
CREATE TABLE log_purse AS
SELECT
    factor, application,
    bool_and(entry.is_settled OR coalesce(proven.is_proven, false) OR load_past.time IS NOT NULL)
        AS is_done,
    any_value(told.factor) IS NULL AND NOT bool_or(is_confirmed AND NOT entry.is_settled AND owner IS NOT NULL)
        AND (NOT bool_or(is_new) OR count(*) = 1) AS is_quiet
FROM entry
LEFT JOIN load_told AS proven
    USING (factor, application, online_counter, amount_fen, terminal, time)
LEFT JOIN load_past USING (factor, application, online_counter, amount_fen, terminal, time)
LEFT JOIN (SELECT DISTINCT factor, application FROM load_told) AS told
    USING (factor, application)
GROUP BY factor, application;

INSERT INTO log_verdict
SELECT issuer, number, is_settled, is_confirmed, false AS is_due, true AS waits
FROM entry SEMI JOIN (FROM log_purse WHERE is_quiet AND NOT is_done) USING (factor, application);

-- In the order of the log, purse by purse.
CREATE TABLE odd_entry AS
SELECT
    factor, application, issuer, number, card_number, online_counter, balance_before_fen,
    amount_fen, terminal, time, owner IS NOT NULL AS is_payable, is_settled, is_confirmed
FROM entry
SEMI JOIN (FROM log_purse WHERE NOT is_quiet AND NOT is_done) USING (factor, application)
ORDER BY factor, application, issuer, number;

CREATE TABLE odd_load AS
SELECT factor, application, online_counter, amount_fen, terminal, time, is_proven, balance_before_fen
FROM load_told SEMI JOIN odd_entry USING (factor, application)
UNION ALL
SELECT
    factor, application, online_counter, amount_fen, terminal, time, true, balance_before_fen
FROM load_past SEMI JOIN odd_entry USING (factor, application)
ORDER BY ALL;
