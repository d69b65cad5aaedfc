-- The newest day with events, today at the latest.
SELECT max(event_date) AS newest
FROM events
WHERE event_date <= DATE '{today}'
