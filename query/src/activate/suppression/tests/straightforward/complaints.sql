-- The complaints that are no echoes of a suppression list, one row for each recipient that they name,
-- with the number of recipients that the same report names at the same provider.
--
-- {since} is the first day that is read; {test} says what test mail is.
WITH reports AS (
    SELECT
        event_id,
        recipient,
        event_time,
        message_id,
        complaint_type,
        account_id,
        region,
        tenant,
        coalesce(nullif(mailbox_provider, 'other'), recipient_domain) AS provider
    FROM events
    WHERE
        event_date >= DATE '{since}'
        AND event_type = 'complaint'
        AND channel = 'email'
        AND recipient IS NOT NULL
        AND complaint_subtype IS NULL
        AND (recipient_domain IS DISTINCT FROM 'simulator.amazonses.com')
        AND NOT ({test})
),

named AS (
    SELECT message_id, event_time, provider, count(DISTINCT recipient) AS accused
    FROM reports
    GROUP BY message_id, event_time, provider
)

SELECT
    reports.event_id,
    reports.recipient,
    reports.event_time,
    reports.message_id,
    reports.complaint_type,
    reports.account_id,
    reports.region,
    reports.tenant,
    reports.provider,
    coalesce(named.accused, 1) AS accused
FROM reports
LEFT JOIN named
    ON
        reports.message_id = named.message_id
        AND reports.event_time = named.event_time
        AND reports.provider = named.provider
