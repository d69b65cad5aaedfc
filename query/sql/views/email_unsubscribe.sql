-- One row per recipient's wish to get no more mail, or none on a topic.
--
-- One of the views of AWS's Digital User Engagement Events Database: same name, same columns, over
-- SES and Pinpoint events alike. event_timestamp is when the message was sent, arrival_timestamp when
-- this happened to it. One row per recipient, so destination holds one address.
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
    message_id,
    sent_time AS message_send_timestamp,
    sender AS from_address,
    CASE WHEN recipient IS NOT NULL THEN make_array(recipient) END AS destination,
    subject,
    ip_address,
    user_agent,
    link,
    json_get_array(
        extra, 'facets', 'email_channel', 'mail_event', 'click', 'link_tags', 'unsubscribeLinkTag'
    ) AS unsubscribelinktag,
    message_tags(tags, extra, campaign) AS message_tags,
    ingest_time AS ingest_timestamp
FROM events
WHERE channel = 'email' AND event_type = 'subscription'
    AND (
        source = 'pinpoint'
        OR extra->'subscription'->'newTopicPreferences'->>'unsubscribeAll' = 'true'
        OR extra->'subscription'->'newTopicPreferences'->>'topicSubscriptionStatus' LIKE '%OptOut%'
    )
