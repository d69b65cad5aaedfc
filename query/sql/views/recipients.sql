-- One row per email recipient: the first and last event of each kind, and how many there were.
--
-- bounces counts failures only: automatic answers and suppression echoes stand in columns of their
-- own. complaints leaves out reports that accuse nobody (not-spam, auth-failure). An open through an
-- image proxy is a person's open; a prefetch by Apple Mail or a scanner is not. suppressed tells whether
-- the recipient stands on any suppression list, or is paused; suppressed_why says on which and by which rule.
WITH events_of AS (
    SELECT
        recipient,
        min(recipient_domain) AS recipient_domain,
        min(mailbox_provider) AS mailbox_provider,
        min(event_time) FILTER (WHERE event_type = 'send') AS first_sent_time,
        max(event_time) FILTER (WHERE event_type = 'send') AS last_sent_time,
        count(*) FILTER (WHERE event_type = 'send') AS sends,
        min(event_time) FILTER (WHERE event_type = 'delivery') AS first_delivered_time,
        max(event_time) FILTER (WHERE event_type = 'delivery') AS last_delivered_time,
        count(*) FILTER (WHERE event_type = 'delivery') AS deliveries,
        min(event_time) FILTER (
            WHERE event_type = 'bounce' AND bounce_class NOT IN ('suppression_echo', 'auto_reply')
        ) AS first_bounced_time,
        max(event_time) FILTER (
            WHERE event_type = 'bounce' AND bounce_class NOT IN ('suppression_echo', 'auto_reply')
        ) AS last_bounced_time,
        count(*) FILTER (
            WHERE event_type = 'bounce' AND bounce_class NOT IN ('suppression_echo', 'auto_reply')
        ) AS bounces,
        count(*) FILTER (
            WHERE
            event_type = 'bounce'
            AND bounce_type = 'Permanent'
            AND bounce_class NOT IN ('suppression_echo', 'auto_reply')
        ) AS permanent_bounces,
        count(*) FILTER (
            WHERE event_type = 'bounce' AND bounce_class = 'suppression_echo'
        ) AS suppression_echoes,
        count(*) FILTER (WHERE event_type = 'bounce' AND bounce_class = 'auto_reply') AS auto_replies,
        min(event_time) FILTER (
            WHERE event_type = 'complaint'
            AND complaint_subtype IS NULL
            AND coalesce(complaint_type, 'abuse') NOT IN ('not-spam', 'auth-failure')
        ) AS first_complained_time,
        max(event_time) FILTER (
            WHERE event_type = 'complaint'
            AND complaint_subtype IS NULL
            AND coalesce(complaint_type, 'abuse') NOT IN ('not-spam', 'auth-failure')
        ) AS last_complained_time,
        count(*) FILTER (
            WHERE event_type = 'complaint'
            AND complaint_subtype IS NULL
            AND coalesce(complaint_type, 'abuse') NOT IN ('not-spam', 'auth-failure')
        ) AS complaints,
        min(event_time) FILTER (WHERE event_type = 'open') AS first_open_time,
        max(event_time) FILTER (WHERE event_type = 'open') AS last_open_time,
        count(*) FILTER (WHERE event_type = 'open') AS opens,
        min(event_time) FILTER (
            WHERE event_type = 'open' AND actor IN ('human', 'proxy')
        ) AS first_human_open_time,
        max(event_time) FILTER (
            WHERE event_type = 'open' AND actor IN ('human', 'proxy')
        ) AS last_human_open_time,
        count(*) FILTER (WHERE event_type = 'open' AND actor IN ('human', 'proxy')) AS human_opens,
        min(event_time) FILTER (WHERE event_type = 'click') AS first_click_time,
        max(event_time) FILTER (WHERE event_type = 'click') AS last_click_time,
        count(*) FILTER (WHERE event_type = 'click') AS clicks,
        min(event_time) FILTER (
            WHERE event_type = 'click' AND actor IN ('human', 'proxy')
        ) AS first_human_click_time,
        max(event_time) FILTER (
            WHERE event_type = 'click' AND actor IN ('human', 'proxy')
        ) AS last_human_click_time,
        count(*) FILTER (WHERE event_type = 'click' AND actor IN ('human', 'proxy')) AS human_clicks,
        max(event_time) FILTER (
            WHERE event_type IN ('open', 'click') AND actor IN ('human', 'proxy')
        ) AS last_human_engagement_time,
        max(event_time) FILTER (WHERE event_type = 'subscription') AS last_subscription_time
    FROM events
    WHERE channel = 'email' AND recipient IS NOT NULL
    GROUP BY recipient
),

suppressed AS (
    SELECT
        recipient,
        string_agg(DISTINCT
            CASE
                WHEN kind = 'pause' THEN concat('paused by ', rule)
                ELSE concat(reason, ' on ', account_id, '/', region, ' (', coalesce(rule, 'not ours'), ')')
            END, '; '
        ) AS why
    FROM suppressions
    WHERE listed OR kind = 'pause'
    GROUP BY recipient
)

SELECT
    events_of.*,
    suppressed.recipient IS NOT NULL AS suppressed,
    suppressed.why AS suppressed_why
FROM events_of
LEFT JOIN suppressed ON events_of.recipient = suppressed.recipient
