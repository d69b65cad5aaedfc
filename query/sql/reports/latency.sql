-- How long does it take to deliver?
--
-- Unit: one message to one recipient, in the period by the time it was sent; simulator addresses left
-- out. Times are SES's processingTimeMillis: from accepting the message to the remote server taking it,
-- of delivered messages only, exact quantiles. What was not delivered has no time, so the last metric
-- says how much had no outcome within an hour (mail sent in the hour before the last read left out).
WITH cohort AS (
    SELECT
        *,
        $by AS "group"
    FROM messages
    WHERE $period AND simulated IS NOT TRUE
),

last_read AS (
    SELECT max(ingest_time) AS at
    FROM events
),

counts AS (
    SELECT
        "group",
        count(processing_ms) AS timed,
        CAST(percentile_cont(processing_ms, 0.5) AS BIGINT) AS p50,
        CAST(percentile_cont(processing_ms, 0.9) AS BIGINT) AS p90,
        CAST(percentile_cont(processing_ms, 0.99) AS BIGINT) AS p99,
        max(processing_ms) AS slowest,
        count(*) FILTER (
            WHERE send_seen AND sent_time < last_read.at - INTERVAL '1 hour'
            AND failed_time IS NULL
        ) AS old_enough,
        count(*) FILTER (
            WHERE send_seen AND sent_time < last_read.at - INTERVAL '1 hour'
            AND failed_time IS NULL
            AND coalesce(least(delivered_time, bounced_time), last_read.at) > sent_time + INTERVAL '1 hour'
        ) AS late
    FROM cohort
    CROSS JOIN last_read
    GROUP BY "group"
),

metrics AS (
    SELECT
        "group",
        unnest(make_array(
            named_struct(
                'place', 1, 'metric', 'half within', 'kind', 'milliseconds',
                'numerator', p50, 'denominator', timed,
                'numerator_is', 'median of processingTimeMillis',
                'denominator_is', 'delivered messages with a time'
            ),
            named_struct(
                'place', 2, 'metric', '90 % within', 'kind', 'milliseconds',
                'numerator', p90, 'denominator', timed,
                'numerator_is', '90th percentile of processingTimeMillis',
                'denominator_is', 'delivered messages with a time'
            ),
            named_struct(
                'place', 3, 'metric', '99 % within', 'kind', 'milliseconds',
                'numerator', p99, 'denominator', timed,
                'numerator_is', '99th percentile of processingTimeMillis',
                'denominator_is', 'delivered messages with a time'
            ),
            named_struct(
                'place', 4, 'metric', 'slowest', 'kind', 'milliseconds',
                'numerator', slowest, 'denominator', timed,
                'numerator_is', 'largest processingTimeMillis',
                'denominator_is', 'delivered messages with a time'
            ),
            named_struct(
                'place', 5, 'metric', 'no outcome after 1 h', 'kind', 'rate',
                'numerator', late, 'denominator', old_enough,
                'numerator_is', 'sends with neither delivery nor bounce in their first hour',
                'denominator_is', 'sends at least one hour before the last read, rejected ones left out'
            )
        )) AS m
    FROM counts
)

$figures
