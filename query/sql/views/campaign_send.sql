-- One row per decision of a campaign to message an endpoint; the message has events of its own.
--
-- One of the views of AWS's Digital User Engagement Events Database: same name, same columns, over
-- Pinpoint's event stream.
SELECT
    coalesce(sent_time, event_time) AS event_timestamp,
    coalesce(
        arrow_cast(
            to_timestamp_millis(json_get_int(extra, 'arrival_timestamp')), 'Timestamp(Microsecond, Some("UTC"))'
        ),
        event_time
    ) AS arrival_timestamp,
    application_id,
    endpoint_id,
    CASE WHEN extra->'attributes'->>'journey_activity_id' IS NULL THEN campaign END AS pinpoint_campaign_id,
    extra->'attributes'->>'treatment_id' AS pinpoint_treatment_id,
    account_id AS aws_account_id,
    message_tags(tags, extra, campaign) AS message_tags,
    ingest_time AS ingest_timestamp
FROM events
WHERE source = 'pinpoint' AND extra->>'event_type' = '_campaign.send'
