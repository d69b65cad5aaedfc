-- To whom were these messages really sent? A bounce can name the address that mail was forwarded to
-- (Final-Recipient, RFC 3464 section 2.3.2), which nobody mailed.
--
-- {since} is the first day that is read; {only} limits the days on which the messages were sent.
SELECT
    message_id,
    recipient
FROM events
WHERE
    event_date >= DATE '{since}'
    AND event_type = 'send'
    AND channel = 'email'
    {only}
