-- What do the events of a decision say: time, SMTP text, campaign?
--
-- {since} is the first day that is read, {until} the last; {event_id} is that column, or a NULL in its place
-- where recipient and time are enough to tell events apart: it is the costliest column of all.
SELECT
    {event_id} AS event_id,
    recipient,
    event_time,
    status_code,
    coalesce(diagnostic, complaint_type) AS text,
    campaign
FROM events
WHERE
    event_date >= DATE '{since}'
    AND event_date <= DATE '{until}'
    AND event_type IN ('bounce', 'complaint')
