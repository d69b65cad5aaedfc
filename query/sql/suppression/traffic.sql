-- What does the traffic say, beside what failed? One row per event, in no order.
--
-- sent: the recipient was mailed under this address. delivered, engaged: the mailbox works, because it took
-- a message, or a person opened one or clicked. active: counts for the caps.
--
-- {from} is the first day that is read, {since} the first one that is evidence; {active} says which days
-- are asked about for the caps.
SELECT
    recipient,
    event_time,
    mailbox_provider,
    recipient_domain,
    channel = 'email' AND event_date >= DATE '{since}' AND event_type = 'send' AS sent,
    channel = 'email' AND event_date >= DATE '{since}' AND event_type = 'delivery' AS delivered,
    channel = 'email'
    AND event_date >= DATE '{since}'
    AND event_type IN ('open', 'click')
    AND actor IN ('human', 'proxy') AS engaged,
    channel = 'email' AND {active} AND event_type IN ('send', 'delivery', 'bounce') AS active
FROM events
WHERE event_date >= DATE '{from}'
