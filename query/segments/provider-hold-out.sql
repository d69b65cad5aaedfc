-- description = "One in ten of the engaged people of each mailbox provider, to be left out of a test"
-- key = "address"
-- attributes = ["provider"]
-- schedule = "daily 05:00"
--
-- A hash of the address decides, so the same people are held out every time, at every provider alike.
-- Change the text after || for another draw.
SELECT
    recipient AS address,
    mailbox_provider AS provider
FROM recipients
WHERE
    last_human_engagement_time >= now() - INTERVAL '90 days'
    AND substr(encode(sha256(recipient || ':hold-out-1'), 'hex'), 1, 2) < '1a'
