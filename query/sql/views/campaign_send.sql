-- One row per decision of a campaign to message an endpoint; the message has events of its own.
--
-- One of the views of AWS's Digital User Engagement Events Database: same name, same columns, over
-- Pinpoint's event stream.
SELECT
    coalesce(sent_time, event_time) AS event_timestamp,
    event_time AS arrival_timestamp,
    application_id,
    endpoint_id,
    coalesce(tags['campaign_id'][1], extra->'attributes'->>'campaign_id', campaign) AS pinpoint_campaign_id,
    coalesce(tags['treatment_id'][1], extra->'attributes'->>'treatment_id') AS pinpoint_treatment_id,
    account_id AS aws_account_id,
    first_values(tags) AS message_tags,
    ingest_time AS ingest_timestamp
FROM events
WHERE source = 'pinpoint' AND extra->>'event_type' = '_campaign.send'
