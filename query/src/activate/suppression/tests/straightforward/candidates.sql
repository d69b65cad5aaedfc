-- Who could be suppressed? One row per recipient of email with a failure or a complaint that may count,
-- with the newest proof that the mailbox works: all in one statement over all events, which is easily seen to
-- be right and takes long.
--
-- {since} is the first day that is read; {test} says what test mail is; {soft} and {full} are the
-- configured numbers of failures.
WITH marked AS (
    SELECT
        *,
        event_type = 'bounce' AND NOT ({test}) AS bounced,
        event_type = 'complaint' AND complaint_subtype IS NULL AND NOT ({test}) AS complained
    FROM events
)

SELECT
    recipient,
    min(coalesce(nullif(mailbox_provider, 'other'), recipient_domain)) AS provider,
    max(event_time) FILTER (
        WHERE
        event_type = 'delivery'
        OR (event_type IN ('open', 'click') AND actor IN ('human', 'proxy'))
    ) AS last_success,
    count(*) FILTER (WHERE event_type = 'send') AS sends,
    bool_or(complained)
    OR bool_or(
        bounced
        AND bounce_class IN (
            'invalid_recipient', 'bad_domain', 'inactive_mailbox', 'undetermined', 'policy', 'spam_block',
            'content', 'too_large'
        )
        AND (bounce_type IS DISTINCT FROM 'Transient')
    )
    OR count(*) FILTER (
        WHERE
        bounced
        AND bounce_class IN (
            'invalid_recipient', 'bad_domain', 'inactive_mailbox', 'undetermined', 'routing', 'expired'
        )
    ) >= {soft}
    OR count(*) FILTER (WHERE bounced AND bounce_class = 'mailbox_full') >= {full} AS candidate
FROM marked
WHERE
    event_date >= DATE '{since}'
    AND channel = 'email'
    AND recipient IS NOT NULL
    AND (recipient_domain IS DISTINCT FROM 'simulator.amazonses.com')
    AND event_type IN ('send', 'delivery', 'bounce', 'complaint', 'open', 'click')
GROUP BY recipient
