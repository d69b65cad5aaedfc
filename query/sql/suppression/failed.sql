-- In which hours did many recipients of one provider fail, whatever the cause but echoes and automatic
-- answers?
--
-- {since} is the first day that is read; {only} limits the providers; {recipients} is the configured
-- number of failing recipients.
SELECT
    coalesce(nullif(mailbox_provider, 'other'), recipient_domain) AS provider,
    date_trunc('hour', event_time) AS hour,
    count(DISTINCT recipient) AS failed
FROM events
WHERE
    event_date >= DATE '{since}'
    AND event_type = 'bounce'
    AND channel = 'email'
    AND (recipient_domain IS DISTINCT FROM 'simulator.amazonses.com')
    AND bounce_class NOT IN ('auto_reply', 'suppression_echo')
    {only}
GROUP BY 1, 2
HAVING count(DISTINCT recipient) >= {recipients}
