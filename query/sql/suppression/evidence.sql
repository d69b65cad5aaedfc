-- What the events of a decision say: time, SMTP text, campaign.
--
-- {since} is the first day that is read; {only} limits the events.
SELECT
    event_id,
    event_type,
    event_time,
    status_code,
    coalesce(diagnostic, complaint_type) AS text,
    campaign,
    bounce_class,
    recipient
FROM events
WHERE
    event_date >= DATE '{since}'
    AND event_type IN ('bounce', 'complaint')
    {only}
