-- One row per text message accepted for delivery.
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
    coalesce(tags['sender_request_id'][1], extra->'attributes'->>'sender_request_id') AS sender_request_id,
    coalesce(tags['destination_phone_number'][1], extra->'attributes'->>'destination_phone_number') AS destination_phone_number,
    coalesce(tags['record_status'][1], extra->'attributes'->>'record_status') AS record_status,
    coalesce(tags['iso_country_code'][1], extra->'attributes'->>'iso_country_code') AS iso_country_code,
    coalesce(tags['number_of_message_parts'][1], extra->'attributes'->>'number_of_message_parts') AS number_of_message_parts,
    message_id,
    coalesce(tags['message_type'][1], extra->'attributes'->>'message_type') AS message_type,
    coalesce(tags['origination_phone_number'][1], extra->'attributes'->>'origination_phone_number') AS origination_phone_number,
    CAST(extra->'metrics'->>'price_in_millicents_usd' AS DOUBLE) AS price_in_millicents_usd,
    first_values(tags) AS message_tags,
    ingest_time AS ingest_timestamp
FROM events
WHERE source = 'pinpoint' AND extra->>'event_type' = '_SMS.SUCCESS'
