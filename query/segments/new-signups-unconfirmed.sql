-- description = "People whose confirmation mail arrived 1 to 14 days ago and was not clicked by a person"
-- key = "address"
-- attributes = ["delivered", "opened"]
-- schedule = "1h"
-- max_shrink = 1.0
--
-- Confirmation mails are those whose campaign or template is named confirmation; put your own name into
-- the condition. People come and go every day, so shrinking is no alarm here.
SELECT
    recipient AS address,
    CAST(min(delivered_time) AS DATE) AS delivered,
    bool_or(first_human_open_time IS NOT NULL) AS opened
FROM messages
WHERE
    (campaign = 'confirmation' OR template = 'confirmation')
    AND delivered_time < now() - INTERVAL '1 day'
    AND delivered_time >= now() - INTERVAL '14 days'
GROUP BY recipient
HAVING bool_and(first_human_click_time IS NULL)
