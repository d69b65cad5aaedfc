-- One row per decision of a journey to message an endpoint; the message has events of its own.
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
    extra->'attributes'->>'journey_run_id' AS journey_run_id,
    extra->'attributes'->>'journey_send_status' AS journey_send_status,
    coalesce(extra->'attributes'->>'journey_id', campaign) AS journey_id,
    extra->'attributes'->>'journey_activity_id' AS journey_activity_id,
    account_id AS aws_account_id,
    message_tags(tags, extra, campaign) AS message_tags,
    ingest_time AS ingest_timestamp
FROM events
WHERE source = 'pinpoint' AND extra->>'event_type' = '_journey.send'
