-- What failed, and who complained? One row per bounce and recipient, and per complaint and recipient that it
-- may be of, without simulator mail, automatic answers and echoes of suppression lists.
--
-- {since} is the first day that is read; {only} limits the rows; {test} says what test mail is.
SELECT
    event_id,
    event_type,
    recipient,
    event_time,
    sent_time,
    message_id,
    bounce_class,
    bounce_type,
    complaint_type,
    account_id,
    region,
    tenant,
    coalesce(nullif(mailbox_provider, 'other'), recipient_domain) AS provider,
    {test} AS test
FROM events
WHERE
    event_date >= DATE '{since}'
    AND event_type IN ('bounce', 'complaint')
    AND channel = 'email'
    AND recipient IS NOT NULL
    AND (recipient_domain IS DISTINCT FROM 'simulator.amazonses.com')
    AND (
        (event_type = 'bounce' AND bounce_class NOT IN ('auto_reply', 'suppression_echo'))
        OR (event_type = 'complaint' AND complaint_subtype IS NULL)
    )
    {only}
