-- description = "People who got ten messages or more and engaged with none for 180 days: stop writing to them"
-- key = "address"
-- attributes = ["deliveries", "last_engaged"]
-- schedule = "daily 05:00"
--
-- To be excluded by the sending tool, not put on a suppression list: order mail must still reach them.
SELECT
    recipient AS address,
    deliveries,
    CAST(last_human_engagement_time AS DATE) AS last_engaged
FROM recipients
WHERE
    deliveries >= 10
    AND coalesce(last_human_engagement_time, first_delivered_time) < now() - INTERVAL '180 days'
