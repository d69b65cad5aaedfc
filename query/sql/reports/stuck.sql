-- What was sent and never heard of again?
--
-- Unit: one message to one recipient with a Send event, in the period by the time it was sent; simulator
-- addresses and what SES rejected left out. Stuck is a message without delivery, bounce, open, click or
-- complaint at the last read, though the time in the metric has passed since it was sent. SES tries for
-- up to 14 hours; what is stuck for longer was lost on the way here, or its events are not published.
-- To list them: SELECT * FROM messages WHERE state IN ('sent', 'delayed') ORDER BY sent_time
WITH cohort AS (
    SELECT
        *,
        $by AS "group"
    FROM messages
    WHERE $period AND simulated IS NOT TRUE AND send_seen AND failed_time IS NULL
),

last_read AS (
    SELECT max(ingest_time) AS at
    FROM events
),

aged AS (
    SELECT
        "group",
        state IN ('sent', 'delayed') AS stuck,
        state = 'delayed' AS delayed,
        greatest((CAST(last_read.at AS BIGINT) - CAST(sent_time AS BIGINT)) / 1000, 0) AS age_ms
    FROM cohort
    CROSS JOIN last_read
),

counts AS (
    SELECT
        "group",
        count(*) FILTER (WHERE stuck AND age_ms >= 3600000) AS stuck_1h,
        count(*) FILTER (WHERE age_ms >= 3600000) AS sent_1h,
        count(*) FILTER (WHERE stuck AND age_ms >= 50400000) AS stuck_14h,
        count(*) FILTER (WHERE age_ms >= 50400000) AS sent_14h,
        count(*) FILTER (WHERE stuck AND age_ms >= 259200000) AS stuck_3d,
        count(*) FILTER (WHERE age_ms >= 259200000) AS sent_3d,
        count(*) FILTER (WHERE delayed AND age_ms >= 3600000) AS delayed_1h,
        CAST(max(age_ms) FILTER (WHERE stuck) AS BIGINT) AS oldest_ms,
        count(*) FILTER (WHERE stuck) AS stuck
    FROM aged
    GROUP BY "group"
),

metrics AS (
    SELECT
        "group",
        unnest(make_array(
            named_struct(
                'place', 1, 'metric', 'stuck after 1 h', 'kind', 'rate',
                'numerator', stuck_1h, 'denominator', sent_1h,
                'numerator_is', 'sends without any outcome at the last read',
                'denominator_is', 'sends at least 1 hour before the last read'
            ),
            named_struct(
                'place', 2, 'metric', 'of these delayed', 'kind', 'rate',
                'numerator', delayed_1h, 'denominator', stuck_1h,
                'numerator_is', 'of those stuck after 1 h, with a DeliveryDelay event: SES is still trying, or was',
                'denominator_is', 'stuck after 1 h'
            ),
            named_struct(
                'place', 3, 'metric', 'stuck after 14 h', 'kind', 'rate',
                'numerator', stuck_14h, 'denominator', sent_14h,
                'numerator_is', 'the same after the time for which SES tries',
                'denominator_is', 'sends at least 14 hours before the last read'
            ),
            named_struct(
                'place', 4, 'metric', 'stuck after 3 d', 'kind', 'rate',
                'numerator', stuck_3d, 'denominator', sent_3d,
                'numerator_is', 'the same after three days',
                'denominator_is', 'sends at least 3 days before the last read'
            ),
            named_struct(
                'place', 5, 'metric', 'oldest', 'kind', 'milliseconds',
                'numerator', oldest_ms, 'denominator', stuck,
                'numerator_is', 'time since the oldest send without an outcome',
                'denominator_is', 'sends without an outcome, of any age'
            )
        )) AS m
    FROM counts
)

$figures
