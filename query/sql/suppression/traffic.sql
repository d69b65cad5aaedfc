-- What does the traffic say, beside what failed? Every event, in no order.
--
-- {from} is the first day that is read.
SELECT
    event_date,
    event_time,
    event_type,
    channel,
    actor,
    recipient,
    mailbox_provider,
    recipient_domain
FROM events
WHERE event_date >= DATE '{from}'
