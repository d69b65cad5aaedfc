-- The bounces that may be evidence, without simulator and test mail.
--
-- {since} is the first day that is read; {test} says what test mail is.
SELECT
    event_id,
    recipient,
    message_id
FROM events
WHERE
    event_date >= DATE '{since}'
    AND event_type = 'bounce'
    AND channel = 'email'
    AND recipient IS NOT NULL
    AND bounce_class NOT IN ('rate_limited', 'auto_reply', 'suppression_echo')
    AND (recipient_domain IS DISTINCT FROM 'simulator.amazonses.com')
    AND NOT ({test})
