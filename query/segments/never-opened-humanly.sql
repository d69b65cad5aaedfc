-- description = "People with five deliveries or more that no person ever opened or clicked"
-- key = "address"
-- attributes = ["deliveries", "machine_opens"]
-- schedule = "daily 05:00"
--
-- machine_opens tells those whose mail is fetched by Apple Mail or a scanner (they may read, nobody can
-- tell) from those who left no trace at all.
SELECT
    recipient AS address,
    deliveries,
    opens - human_opens AS machine_opens
FROM recipients
WHERE deliveries >= 5 AND human_opens = 0 AND human_clicks = 0
