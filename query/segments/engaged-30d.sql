-- description = "People who clicked, or opened by themselves, within 30 days"
-- key = "address"
-- attributes = ["last_engaged", "provider"]
-- schedule = "daily 05:00"
--
-- A click or open by a person (or through a person's image proxy) counts; Apple's prefetch and scanners
-- do not. People who complained, left or cannot be reached are left out by hearback itself.
SELECT
    recipient AS address,
    CAST(last_human_engagement_time AS DATE) AS last_engaged,
    mailbox_provider AS provider
FROM recipients
WHERE last_human_engagement_time >= now() - INTERVAL '30 days'
