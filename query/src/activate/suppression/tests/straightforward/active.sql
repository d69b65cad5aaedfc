-- How many recipients are active? Distinct recipients of a Send, or of a delivery where Sends are not
-- recorded, from the day {since} to the day {until}.
SELECT count(DISTINCT recipient) AS active
FROM events
WHERE
    event_date >= DATE '{since}'
    AND event_date <= DATE '{until}'
    AND event_type IN ('send', 'delivery', 'bounce')
    AND channel = 'email'
    AND recipient IS NOT NULL
