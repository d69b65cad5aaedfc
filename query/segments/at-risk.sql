-- description = "People who got ten messages or more and engaged with none for 90 to 180 days"
-- key = "address"
-- attributes = ["deliveries", "last_engaged"]
-- schedule = "daily 05:00"
--
-- The last chance before sunset. Engagement is a person's click or open; who never engaged counts from
-- the first delivery. Opens by machines alone say nothing either way and do not help anybody out.
SELECT
    recipient AS address,
    deliveries,
    CAST(last_human_engagement_time AS DATE) AS last_engaged
FROM recipients
WHERE
    deliveries >= 10
    AND last_delivered_time >= now() - INTERVAL '90 days'
    AND coalesce(last_human_engagement_time, first_delivered_time) < now() - INTERVAL '90 days'
    AND coalesce(last_human_engagement_time, first_delivered_time) >= now() - INTERVAL '180 days'
