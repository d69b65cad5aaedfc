-- description = "People whose mail bounced for now (mailbox full, busy, unreachable) within 14 days and did not arrive since"
-- key = "address"
-- attributes = ["bounces", "cause"]
-- schedule = "daily 05:00"
-- max_shrink = 1.0
--
-- To be left out of campaigns for a while. Blocks for spam or policy are the sender's fault and are not
-- in here; messages are counted, not events.
SELECT
    recipient AS address,
    count(*) AS bounces,
    max(bounce_class) AS cause
FROM messages
WHERE
    state = 'bounced'
    AND bounce_class IN ('mailbox_full', 'rate_limited', 'routing', 'expired')
    AND bounced_time >= now() - INTERVAL '14 days'
    AND NOT EXISTS (
        SELECT 1
        FROM events
        WHERE
            events.recipient = messages.recipient
            AND events.event_type = 'delivery'
            AND events.event_time > messages.bounced_time
    )
GROUP BY recipient
