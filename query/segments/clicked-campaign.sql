-- description = "People who clicked a campaign, with when they did first"
-- key = "address"
-- attributes = ["clicked"]
-- schedule = "1h"
--
-- Put your campaign's name into the condition: the value of its tag, or Pinpoint's campaign id.
SELECT
    recipient AS address,
    CAST(min(first_human_click_time) AS DATE) AS clicked
FROM messages
WHERE campaign = 'spring-sale' AND first_human_click_time IS NOT NULL
GROUP BY recipient
