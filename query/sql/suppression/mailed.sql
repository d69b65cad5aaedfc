-- To whom were messages really sent? A bounce can name the address that mail was forwarded to
-- (Final-Recipient, RFC 3464 section 2.3.2), which nobody mailed. Whoever reads the rows looks for the Sends
-- of a few messages.
--
-- {since} is the first day that is read; {only} limits the days on which the messages were sent.
SELECT
    event_type,
    channel,
    message_id,
    recipient
FROM events
WHERE
    event_date >= DATE '{since}'
    {only}
