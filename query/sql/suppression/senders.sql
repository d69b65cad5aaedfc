-- Whose traffic is in the lake, the most of it first?
--
-- {only} limits the events that are counted.
SELECT
    account_id,
    region,
    count(*) AS events
FROM events
WHERE
    account_id IS NOT NULL
    AND region IS NOT NULL
    AND channel = 'email'
    {only}
GROUP BY account_id, region
ORDER BY events DESC, account_id, region
