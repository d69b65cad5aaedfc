-- In which hours did so much fail at one provider that it says nothing about addresses?
--
-- Numerator: distinct recipients with a failure of any cause but echoes and automatic answers.
-- Denominator: these and the messages delivered in that hour. A provider that took nothing in all the time
-- that is read is not frozen. {since} is the first day that is read;
-- {recipients} and {share} are the configured limits.
WITH failed AS (
    SELECT
        coalesce(nullif(mailbox_provider, 'other'), recipient_domain) AS provider,
        date_trunc('hour', event_time) AS hour,
        count(DISTINCT recipient) AS recipients
    FROM events
    WHERE
        event_date >= DATE '{since}'
        AND event_type = 'bounce'
        AND channel = 'email'
        AND (recipient_domain IS DISTINCT FROM 'simulator.amazonses.com')
        AND bounce_class NOT IN ('auto_reply', 'suppression_echo')
    GROUP BY 1, 2
    HAVING count(DISTINCT recipient) >= {recipients}
),

delivered AS (
    SELECT
        coalesce(nullif(mailbox_provider, 'other'), recipient_domain) AS provider,
        date_trunc('hour', event_time) AS hour,
        count(*) AS messages
    FROM events
    WHERE
        event_date >= DATE '{since}'
        AND event_type = 'delivery'
        AND channel = 'email'
    GROUP BY 1, 2
),

alive AS (
    SELECT DISTINCT provider
    FROM delivered
)

SELECT
    failed.provider,
    failed.hour,
    failed.recipients AS failed,
    coalesce(delivered.messages, 0) AS delivered
FROM failed
INNER JOIN alive ON failed.provider = alive.provider
LEFT JOIN delivered ON failed.provider = delivered.provider AND failed.hour = delivered.hour
WHERE failed.recipients > {share} * (failed.recipients + coalesce(delivered.messages, 0))
ORDER BY failed.provider, failed.hour
