-- The bounces that may be evidence, one row each, simulator and test mail left out.
--
-- {since} is the first day that is read; {only} limits the recipients; {test} leaves test mail out.
SELECT
    event_id,
    recipient,
    event_time,
    message_id,
    bounce_class,
    bounce_type,
    account_id,
    region,
    tenant
FROM events
WHERE
    event_date >= DATE '{since}'
    AND event_type = 'bounce'
    AND channel = 'email'
    AND recipient IS NOT NULL
    AND bounce_class NOT IN ('rate_limited', 'auto_reply', 'suppression_echo')
    AND (recipient_domain IS DISTINCT FROM 'simulator.amazonses.com')
    {only}
    {test}
