-- Can the figures be trusted?
--
-- Unit: one row of events, in the period by event_time. Rejects and repeats are of the whole lake.
WITH cohort AS (
    SELECT
        *,
        $by AS "group"
    FROM events
    WHERE $period
),

repeats AS (
    SELECT count(*) - count(DISTINCT event_id) AS repeated
    FROM events
),

refused AS (
    SELECT count(*) AS rejected
    FROM rejects
),

counts AS (
    SELECT
        "group",
        count(*) AS rows,
        count(*) FILTER (WHERE event_date = DATE '1970-01-01') AS undated,
        count(*) FILTER (WHERE event_type = 'unknown') AS unknown,
        count(*) FILTER (WHERE message_id IS NULL) AS anonymous,
        count(*) FILTER (WHERE event_type IN ('open', 'click')) AS visits,
        count(*) FILTER (WHERE event_type IN ('open', 'click') AND recipient IS NULL) AS unattributed,
        count(*) FILTER (WHERE event_type IN ('open', 'click') AND actor = 'unknown') AS unjudged,
        count(*) FILTER (WHERE event_type = 'bounce') AS bounces,
        count(*) FILTER (
            WHERE event_type = 'bounce' AND bounce_class = 'undetermined'
        ) AS undetermined,
        count(*) FILTER (WHERE ingest_time > event_time + INTERVAL '1 day') AS day_late,
        count(*) FILTER (
            WHERE event_type <> 'send' AND event_time < sent_time
        ) AS before_send,
        count(*) FILTER (WHERE recipient_domain = 'simulator.amazonses.com') AS simulated,
        max(repeated) AS repeated,
        max(rejected) AS rejected
    FROM cohort
    CROSS JOIN repeats
    CROSS JOIN refused
    GROUP BY "group"
),

metrics AS (
    SELECT
        "group",
        unnest(make_array(
            named_struct(
                'place', 1, 'metric', 'rows', 'kind', 'count',
                'numerator', rows, 'denominator', 0,
                'numerator_is', 'rows of events',
                'denominator_is', ''
            ),
            named_struct(
                'place', 2, 'metric', 'repeated', 'kind', 'rate',
                'numerator', repeated, 'denominator', rows,
                'numerator_is', 'rows beyond the first with the same event_id, in the whole lake',
                'denominator_is', 'rows'
            ),
            named_struct(
                'place', 3, 'metric', 'rejected', 'kind', 'count',
                'numerator', rejected, 'denominator', 0,
                'numerator_is', 'documents in rejects, in the whole lake',
                'denominator_is', ''
            ),
            named_struct(
                'place', 4, 'metric', 'unknown type', 'kind', 'rate',
                'numerator', unknown, 'denominator', rows,
                'numerator_is', 'rows whose event_type is unknown',
                'denominator_is', 'rows'
            ),
            named_struct(
                'place', 5, 'metric', 'undated', 'kind', 'rate',
                'numerator', undated, 'denominator', rows,
                'numerator_is', 'rows whose event_time cannot be right',
                'denominator_is', 'rows'
            ),
            named_struct(
                'place', 6, 'metric', 'without message', 'kind', 'rate',
                'numerator', anonymous, 'denominator', rows,
                'numerator_is', 'rows without message_id',
                'denominator_is', 'rows'
            ),
            named_struct(
                'place', 7, 'metric', 'without recipient', 'kind', 'rate',
                'numerator', unattributed, 'denominator', visits,
                'numerator_is', 'opens and clicks that cannot be told to a recipient',
                'denominator_is', 'opens and clicks'
            ),
            named_struct(
                'place', 8, 'metric', 'unjudged', 'kind', 'rate',
                'numerator', unjudged, 'denominator', visits,
                'numerator_is', 'opens and clicks by an unknown actor',
                'denominator_is', 'opens and clicks'
            ),
            named_struct(
                'place', 9, 'metric', 'undetermined bounces', 'kind', 'rate',
                'numerator', undetermined, 'denominator', bounces,
                'numerator_is', 'bounces without a known cause',
                'denominator_is', 'bounces'
            ),
            named_struct(
                'place', 10, 'metric', 'a day late', 'kind', 'rate',
                'numerator', day_late, 'denominator', rows,
                'numerator_is', 'rows read more than a day after they happened (all of an archive is)',
                'denominator_is', 'rows'
            ),
            named_struct(
                'place', 11, 'metric', 'before its send', 'kind', 'rate',
                'numerator', before_send, 'denominator', rows,
                'numerator_is', 'rows that happened before their message was sent (clocks differ)',
                'denominator_is', 'rows'
            ),
            named_struct(
                'place', 12, 'metric', 'simulator', 'kind', 'rate',
                'numerator', simulated, 'denominator', rows,
                'numerator_is', 'rows of …@simulator.amazonses.com, left out of rates',
                'denominator_is', 'rows'
            )
        )) AS m
    FROM counts
)

$figures
