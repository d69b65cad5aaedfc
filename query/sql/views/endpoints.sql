-- One row per endpoint imported from Amazon Pinpoint, as it was last.
SELECT
    endpoint_id,
    application_id,
    channel,
    address,
    user_id,
    opt_out,
    endpoint_status,
    changed_time,
    attributes,
    user_attributes,
    metrics,
    demographic,
    location,
    extra
FROM (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY coalesce(application_id, ''), endpoint_id
            ORDER BY changed_time DESC, change_id
        ) AS newness
    FROM endpoint_imports
) AS states
WHERE newness = 1
