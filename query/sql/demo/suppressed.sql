-- Whom does the built-in policy of suppression find, and by which rule? One row per recipient and rule.
--
-- The same policy as in `hearback suppression policy`, written once more and independently of the program,
-- with the defaults of [suppression], so that the plan's counts can be checked. {as_of} is the time it is
-- asked for. Nobody is taken to stand on a list yet.
WITH mail AS (
    SELECT
        event_type,
        event_time,
        recipient,
        actor,
        bounce_class,
        account_id,
        region,
        tags['test'] IS NOT NULL AS is_test,
        coalesce(message_id, event_id) AS message,
        coalesce(nullif(mailbox_provider, 'other'), recipient_domain) AS provider,
        lower(coalesce(bounce_type, '')) AS bounce_type,
        lower(coalesce(complaint_type, 'abuse')) AS complaint_type,
        complaint_subtype
    FROM events
    WHERE
        channel = 'email'
        AND recipient IS NOT NULL
        AND (recipient_domain IS DISTINCT FROM 'simulator.amazonses.com')
        AND event_date >= CAST(TIMESTAMP '{as_of}' - INTERVAL '400 days' AS DATE)
),

-- The newest proof that a mailbox works: a delivery, or a person's open or click.
proof AS (
    SELECT
        recipient,
        min(provider) AS provider,
        max(event_time) FILTER (
            WHERE
            event_type = 'delivery'
            OR (event_type IN ('open', 'click') AND actor IN ('human', 'proxy'))
        ) AS proof_time
    FROM mail
    WHERE event_type IN ('send', 'delivery', 'bounce', 'complaint', 'open', 'click')
    GROUP BY recipient
),

-- Hours in which so much failed at a provider that it says nothing about addresses.
hours AS (
    SELECT
        provider,
        date_trunc('hour', event_time) AS hour,
        count(DISTINCT recipient) FILTER (
            WHERE event_type = 'bounce' AND bounce_class NOT IN ('auto_reply', 'suppression_echo')
        ) AS failed,
        count(*) FILTER (WHERE event_type = 'delivery') AS delivered
    FROM mail
    WHERE event_type IN ('bounce', 'delivery')
    GROUP BY 1, 2
),

outages AS (
    SELECT hours.provider, hours.hour
    FROM hours
    INNER JOIN (SELECT DISTINCT provider FROM hours WHERE delivered > 0) AS alive
        ON hours.provider = alive.provider
    WHERE hours.failed >= 20 AND hours.failed > 0.3 * (hours.failed + hours.delivered)
),

failures AS (
    SELECT
        mail.recipient,
        mail.event_time,
        mail.message,
        mail.account_id,
        mail.region,
        CASE
            WHEN mail.bounce_class = 'mailbox_full' THEN 'mailbox-full'
            WHEN mail.bounce_class IN ('routing', 'expired') THEN 'soft-bounces'
            WHEN mail.bounce_class = 'undetermined' AND mail.bounce_type = 'permanent'
                THEN 'permanent-unclassified'
            WHEN mail.bounce_class = 'undetermined' OR mail.bounce_type = 'transient' THEN 'soft-bounces'
            ELSE replace(mail.bounce_class, '_', '-')
        END AS rule
    FROM mail
    INNER JOIN proof ON mail.recipient = proof.recipient
    WHERE
        mail.event_type = 'bounce'
        AND NOT mail.is_test
        AND mail.bounce_class IN (
            'invalid_recipient', 'bad_domain', 'inactive_mailbox', 'undetermined', 'routing', 'expired',
            'mailbox_full'
        )
        AND (proof.proof_time IS NULL OR mail.event_time > proof.proof_time)
        AND NOT EXISTS (
            SELECT 1
            FROM outages
            WHERE
                outages.provider = proof.provider
                AND mail.event_time >= outages.hour - INTERVAL '1 hour'
                AND mail.event_time < outages.hour + INTERVAL '2 hours'
        )
),

reports AS (
    SELECT recipient, event_time, message, provider, complaint_type
    FROM mail
    WHERE event_type = 'complaint' AND complaint_subtype IS NULL AND NOT is_test
),

-- How many recipients at one provider a report names: one of several complained, nobody says who.
named AS (
    SELECT message, event_time, provider, count(DISTINCT recipient) AS people
    FROM reports
    GROUP BY message, event_time, provider
),

wanted AS (
    SELECT recipient, max(event_time) AS wanted_time
    FROM reports
    WHERE complaint_type = 'not-spam'
    GROUP BY recipient
),

complained AS (
    SELECT reports.recipient
    FROM reports
    INNER JOIN named
        ON
            reports.message = named.message
            AND reports.event_time = named.event_time
            AND reports.provider = named.provider
    LEFT JOIN wanted ON reports.recipient = wanted.recipient
    WHERE
        reports.complaint_type NOT IN ('not-spam', 'auth-failure')
        AND (wanted.wanted_time IS NULL OR reports.event_time > wanted.wanted_time)
    GROUP BY reports.recipient
    HAVING min(named.people) = 1 OR count(DISTINCT reports.message) >= 2
),

-- One bounce that is enough; of several rules the one that lasts longest.
ends AS (
    SELECT
        recipient,
        rule,
        CASE rule
            WHEN 'inactive-mailbox' THEN max(event_time) + INTERVAL '180 days'
            WHEN 'bad-domain' THEN max(event_time) + INTERVAL '365 days'
            WHEN 'permanent-unclassified' THEN max(event_time) + INTERVAL '365 days'
        END AS end_time
    FROM failures
    WHERE
        rule NOT IN ('soft-bounces', 'mailbox-full')
        AND recipient NOT IN (SELECT recipient FROM complained)
    GROUP BY recipient, rule
),

hard AS (
    SELECT
        recipient,
        rule,
        row_number() OVER (PARTITION BY recipient ORDER BY end_time DESC NULLS FIRST, rule) AS nth
    FROM ends
    WHERE end_time IS NULL OR end_time > TIMESTAMP '{as_of}'
),

-- Failures count by message, its last one. A mailbox is full everywhere; a road is bad where it begins.
messages_failed AS (
    SELECT
        recipient,
        rule,
        CASE WHEN rule = 'soft-bounces' THEN account_id END AS account_id,
        CASE WHEN rule = 'soft-bounces' THEN region END AS region,
        message,
        max(event_time) AS failed_time
    FROM failures
    WHERE
        rule IN ('soft-bounces', 'mailbox-full')
        AND recipient NOT IN (SELECT recipient FROM complained UNION ALL SELECT recipient FROM hard)
    GROUP BY 1, 2, 3, 4, 5
),

repeated AS (
    SELECT recipient, rule
    FROM messages_failed
    WHERE rule = 'mailbox-full' OR (account_id IS NOT NULL AND region IS NOT NULL)
    GROUP BY recipient, rule, account_id, region
    HAVING
        (
            rule = 'soft-bounces'
            AND count(*) >= 3
            AND max(failed_time) - min(failed_time) >= INTERVAL '14 days'
            AND max(failed_time) + INTERVAL '90 days' > TIMESTAMP '{as_of}'
        )
        OR (
            rule = 'mailbox-full'
            AND count(*) >= 5
            AND max(failed_time) - min(failed_time) >= INTERVAL '30 days'
            AND max(failed_time) + INTERVAL '30 days' > TIMESTAMP '{as_of}'
        )
)

SELECT recipient, 'complaint' AS rule
FROM complained
UNION ALL
SELECT recipient, rule
FROM hard
WHERE nth = 1
UNION ALL
SELECT DISTINCT recipient, rule
FROM repeated
