-- One row per text message that failed.
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
    extra->'attributes'->>'sender_request_id' AS sender_request_id,
    coalesce(extra->'attributes'->>'destination_phone_number', recipient) AS destination_phone_number,
    extra->'attributes'->>'record_status' AS record_status,
    extra->'attributes'->>'iso_country_code' AS iso_country_code,
    extra->'attributes'->>'number_of_message_parts' AS number_of_message_parts,
    message_id,
    CAST(extra->'metrics'->>'price_in_millicents_usd' AS DOUBLE) AS price_in_millicents_usd,
    message_tags(tags, extra, campaign) AS message_tags,
    ingest_time AS ingest_timestamp
FROM events
WHERE source = 'pinpoint' AND extra->>'event_type' = '_SMS.FAILURE'
