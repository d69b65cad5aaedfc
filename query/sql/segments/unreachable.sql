-- One row per address that must not be written to, with the strongest reason.
--
-- complained: reported a message as spam. unsubscribed: the newest subscription event leaves
-- everything (unsubscribeAll, Pinpoint's unsubscribe, or no topic left opted in), or one of the
-- segment's topics; or an endpoint imported from Pinpoint is opted out since then. invalid: a bounce said
-- that the mailbox does not exist or is closed, and nothing was delivered there since. suppressed: the
-- service itself refused, because the address is on its list, and nothing was delivered there since; or it
-- stands on a list that was read, or the policy of suppression pauses it.
WITH signals AS (
    SELECT
        recipient,
        max(event_time) FILTER (
            WHERE event_type = 'complaint'
            AND complaint_subtype IS NULL
            AND coalesce(complaint_type, 'abuse') NOT IN ('not-spam', 'auth-failure')
        ) AS complained_time,
        max(event_time) FILTER (WHERE leaves) AS left_time,
        max(event_time) FILTER (WHERE event_type = 'subscription' AND NOT leaves) AS stayed_time,
        max(event_time) FILTER (
            WHERE bounce_class IN ('invalid_recipient', 'inactive_mailbox')
        ) AS invalid_time,
        max(event_time) FILTER (WHERE bounce_class = 'suppression_echo') AS echo_time
    FROM (
        SELECT
            recipient,
            event_time,
            event_type,
            bounce_class,
            complaint_type,
            complaint_subtype,
            CASE
                WHEN event_type <> 'subscription' THEN false
                WHEN source = 'pinpoint' THEN true
                WHEN extra->'subscription'->'newTopicPreferences'->>'unsubscribeAll' = 'true' THEN true
                ELSE coalesce(
                    extra->'subscription'->'newTopicPreferences'->>'topicSubscriptionStatus'
                    LIKE '%OptOut%'
                    AND extra->'subscription'->'newTopicPreferences'->>'topicSubscriptionStatus'
                    NOT LIKE '%OptIn%',
                    false
                ) OR false /* topics */
            END AS leaves
        FROM events
        WHERE
            channel = 'email'
            AND recipient IS NOT NULL
            AND event_type IN ('complaint', 'subscription', 'bounce')
        UNION ALL
        SELECT
            address AS recipient,
            changed_time AS event_time,
            'subscription' AS event_type,
            NULL AS bounce_class,
            NULL AS complaint_type,
            NULL AS complaint_subtype,
            opt_out = 'ALL' AS leaves
        FROM endpoints
        WHERE channel = 'EMAIL' AND opt_out = 'ALL' AND address IS NOT NULL
    ) AS evidence
    WHERE
        event_type <> 'bounce'
        OR bounce_class IN ('invalid_recipient', 'inactive_mailbox', 'suppression_echo')
    GROUP BY recipient
),

delivered AS (
    SELECT events.recipient, max(events.event_time) AS delivered_time
    FROM events
    INNER JOIN signals ON signals.recipient = events.recipient
    WHERE
        events.channel = 'email'
        AND events.event_type = 'delivery'
        AND (signals.invalid_time IS NOT NULL OR signals.echo_time IS NOT NULL)
    GROUP BY events.recipient
),

judged AS (
    SELECT
        signals.recipient,
        CASE
            WHEN complained_time IS NOT NULL THEN 'complained'
            WHEN left_time IS NOT NULL AND (stayed_time IS NULL OR left_time >= stayed_time)
                THEN 'unsubscribed'
            WHEN invalid_time IS NOT NULL AND (delivered_time IS NULL OR delivered_time <= invalid_time)
                THEN 'invalid'
            WHEN echo_time IS NOT NULL AND (delivered_time IS NULL OR delivered_time <= echo_time)
                THEN 'suppressed'
        END AS reason
    FROM signals
    LEFT JOIN delivered ON delivered.recipient = signals.recipient
),

kept_out AS (
    SELECT DISTINCT recipient
    FROM suppressions
    WHERE listed OR kind = 'pause'
)

SELECT
    coalesce(judged.recipient, kept_out.recipient) AS address,
    coalesce(judged.reason, 'suppressed') AS reason
FROM judged
FULL OUTER JOIN kept_out ON judged.recipient = kept_out.recipient
WHERE judged.reason IS NOT NULL OR kept_out.recipient IS NOT NULL
