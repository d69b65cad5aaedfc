-- One row per email message and recipient: what became of it, whatever order its events came in.
--
-- Each column is a minimum, a maximum or a count over the events, so neither order nor repetition
-- matters, and nothing that arrives late can undo something worse: complained > bounced > delivered.
-- Opens and clicks that cannot be told to a recipient (several destinations) are not in here;
-- `SELECT count(*) FROM events WHERE recipient IS NULL` counts them.
--
-- bounce_class is the strongest evidence among the bounces. An automatic answer (auto_reply) is not a
-- bounce: it leaves bounced_time NULL. A message that the service did not even try because the address
-- is on a suppression list has bounce_class suppression_echo and the state suppressed.
-- complained_time leaves out reports that accuse nobody (not-spam, auth-failure) and suppression echoes.
-- An open through an image proxy (Gmail, Yahoo) is a person's open; a prefetch by Apple Mail or a
-- scanner is not. Simulator addresses of SES are marked, for rates to leave them out.
WITH grouped AS (
    SELECT
        message_id,
        recipient,
        min(recipient_domain) AS recipient_domain,
        min(mailbox_provider) AS mailbox_provider,
        min(source) AS source,
        min(account_id) AS account_id,
        min(region) AS region,
        min(sender) AS sender,
        min(sender_domain) AS sender_domain,
        min(configuration_set) AS configuration_set,
        min(campaign) AS campaign,
        min(template) AS template,
        min(tenant) AS tenant,
        min(sent_time) AS mail_time,
        min(event_time) FILTER (WHERE event_type = 'send') AS send_time,
        min(event_time) FILTER (WHERE event_type = 'delivery') AS delivered_time,
        min(event_time) FILTER (WHERE event_type = 'delivery_delay') AS delayed_time,
        min(event_time) FILTER (WHERE event_type IN ('reject', 'rendering_failure')) AS failed_time,
        min(event_time) FILTER (
            WHERE event_type = 'bounce' AND bounce_class NOT IN ('suppression_echo', 'auto_reply')
        ) AS failure_time,
        min(event_time) FILTER (
            WHERE event_type = 'bounce' AND bounce_class = 'suppression_echo'
        ) AS echo_time,
        min(
            CASE bounce_class
                WHEN 'invalid_recipient' THEN 1
                WHEN 'bad_domain' THEN 2
                WHEN 'inactive_mailbox' THEN 3
                WHEN 'policy' THEN 4
                WHEN 'spam_block' THEN 5
                WHEN 'content' THEN 6
                WHEN 'too_large' THEN 7
                WHEN 'mailbox_full' THEN 8
                WHEN 'rate_limited' THEN 9
                WHEN 'routing' THEN 10
                WHEN 'expired' THEN 11
                WHEN 'suppression_echo' THEN 13
                WHEN 'auto_reply' THEN 14
                ELSE 12
            END
        ) FILTER (WHERE event_type = 'bounce') AS bounce_rank,
        min(bounce_type) FILTER (
            WHERE event_type = 'bounce' AND bounce_class NOT IN ('suppression_echo', 'auto_reply')
        ) AS failure_type,
        min(bounce_type) FILTER (
            WHERE event_type = 'bounce' AND bounce_class <> 'auto_reply'
        ) AS bounce_type,
        min(bounce_subtype) FILTER (
            WHERE event_type = 'bounce' AND bounce_class = 'suppression_echo'
        ) AS echo_subtype,
        min(event_time) FILTER (
            WHERE event_type = 'complaint'
            AND complaint_subtype IS NULL
            AND coalesce(complaint_type, 'abuse') NOT IN ('not-spam', 'auth-failure')
        ) AS complained_time,
        min(event_time) FILTER (WHERE event_type = 'open') AS first_open_time,
        min(event_time) FILTER (
            WHERE event_type = 'open' AND actor IN ('human', 'proxy')
        ) AS first_human_open_time,
        min(event_time) FILTER (WHERE event_type = 'click') AS first_click_time,
        min(event_time) FILTER (
            WHERE event_type = 'click' AND actor IN ('human', 'proxy')
        ) AS first_human_click_time,
        count(*) FILTER (WHERE event_type = 'open') AS opens,
        count(*) FILTER (WHERE event_type = 'click') AS clicks,
        count(*) FILTER (WHERE event_type = 'delivery_delay') AS delays,
        min(processing_ms) FILTER (WHERE event_type = 'delivery') AS processing_ms
    FROM events
    WHERE
        channel = 'email'
        AND event_type IN (
            'send', 'delivery', 'delivery_delay', 'bounce', 'complaint', 'reject', 'open', 'click',
            'rendering_failure'
        )
        AND message_id IS NOT NULL
        AND recipient IS NOT NULL
    GROUP BY message_id, recipient
)

SELECT
    message_id,
    recipient,
    recipient_domain,
    mailbox_provider,
    source,
    account_id,
    region,
    sender,
    sender_domain,
    configuration_set,
    campaign,
    template,
    tenant,
    coalesce(send_time, mail_time) AS sent_time,
    delivered_time,
    coalesce(failure_time, echo_time) AS bounced_time,
    CASE bounce_rank
        WHEN 1 THEN 'invalid_recipient'
        WHEN 2 THEN 'bad_domain'
        WHEN 3 THEN 'inactive_mailbox'
        WHEN 4 THEN 'policy'
        WHEN 5 THEN 'spam_block'
        WHEN 6 THEN 'content'
        WHEN 7 THEN 'too_large'
        WHEN 8 THEN 'mailbox_full'
        WHEN 9 THEN 'rate_limited'
        WHEN 10 THEN 'routing'
        WHEN 11 THEN 'expired'
        WHEN 12 THEN 'undetermined'
        WHEN 13 THEN 'suppression_echo'
        WHEN 14 THEN 'auto_reply'
    END AS bounce_class,
    coalesce(failure_type, bounce_type) AS bounce_type,
    echo_subtype AS suppression,
    complained_time,
    first_open_time,
    first_human_open_time,
    first_click_time,
    first_human_click_time,
    opens,
    clicks,
    delays,
    processing_ms,
    failed_time,
    send_time IS NOT NULL AS send_seen,
    recipient_domain = 'simulator.amazonses.com' AS simulated,
    CASE
        WHEN complained_time IS NOT NULL THEN 'complained'
        WHEN failure_time IS NOT NULL THEN 'bounced'
        WHEN echo_time IS NOT NULL THEN 'suppressed'
        WHEN
            delivered_time IS NOT NULL OR first_open_time IS NOT NULL OR first_click_time IS NOT NULL
            THEN 'delivered'
        WHEN failed_time IS NOT NULL THEN 'rejected'
        WHEN delayed_time IS NOT NULL THEN 'delayed'
        ELSE 'sent'
    END AS state
FROM grouped
