-- Who could be suppressed? One row per recipient of email with a failure or a complaint that may count,
-- with the newest proof that the mailbox works: a delivery, or a person's open or click.
--
-- Deliberately more than the policy suppresses: windows, outages and pardons are judged row by row later.
-- {since} is the first day that is read; {only} limits the recipients; {soft} and {full} are the
-- configured numbers of failures.
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
    AND recipient IS NOT NULL
    AND (recipient_domain IS DISTINCT FROM 'simulator.amazonses.com')
    AND event_type IN ('send', 'delivery', 'bounce', 'complaint', 'open', 'click')
    {only}
GROUP BY recipient
HAVING
    bool_or(event_type = 'complaint')
    OR bool_or(
        event_type = 'bounce'
        AND bounce_class IN (
            'invalid_recipient', 'bad_domain', 'inactive_mailbox', 'undetermined', 'policy', 'spam_block',
            'content', 'too_large'
        )
        AND (bounce_type IS DISTINCT FROM 'Transient')
    )
    OR count(*) FILTER (
        WHERE
        event_type = 'bounce'
        AND bounce_class IN (
            'invalid_recipient', 'bad_domain', 'inactive_mailbox', 'undetermined', 'routing', 'expired'
        )
    ) >= {soft}
    OR count(*) FILTER (
        WHERE event_type = 'bounce' AND bounce_class = 'mailbox_full'
    ) >= {full}
