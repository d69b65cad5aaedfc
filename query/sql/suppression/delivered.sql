-- How many messages did these providers take in each hour?
--
-- {since} is the first day that is read; {only} limits the providers.
SELECT
    coalesce(nullif(mailbox_provider, 'other'), recipient_domain) AS provider,
    date_trunc('hour', event_time) AS hour,
    count(*) AS delivered
FROM events
WHERE
    event_date >= DATE '{since}'
    AND event_type = 'delivery'
    AND channel = 'email'
    {only}
GROUP BY 1, 2
