-- Of which provider are these recipients, when did their mailboxes last work (a delivery, or a person's open
-- or click), and were they mailed under these addresses at all?
--
-- {since} is the first day that is read; {only} limits the recipients.
SELECT
    recipient,
    min(coalesce(nullif(mailbox_provider, 'other'), recipient_domain)) AS provider,
    max(event_time) FILTER (
        WHERE
        event_type = 'delivery'
        OR (event_type IN ('open', 'click') AND actor IN ('human', 'proxy'))
    ) AS last_success,
    count(*) FILTER (WHERE event_type = 'send') AS sends
FROM events
WHERE
    event_date >= DATE '{since}'
    AND channel = 'email'
    AND (recipient_domain IS DISTINCT FROM 'simulator.amazonses.com')
    AND event_type IN ('send', 'delivery', 'bounce', 'complaint', 'open', 'click')
    {only}
GROUP BY recipient
