-- How far do people come who sign up?
--
-- Unit: one person, in the period and under the day of the first mail of their sign-up. Mails of a
-- sign-up are those whose tag flow is sign-up, signup or confirmation, and those with a tag signup_id;
-- a person is a signup_id, or else an address. However often the mail was sent again, each step counts
-- once, when it was first reached. Opens and clicks are those of people, as far as can be told: a scanner
-- that follows the link confirms nothing. Times begin with SES taking the first mail, because the
-- sign-up itself is not among the events. Rates leave out whoever signed up in the 72 hours before the
-- last read: they may still come.
WITH tagged AS (
    SELECT
        message_id,
        recipient,
        min(coalesce(tags['signup_id'][1], recipient)) AS person
    FROM events
    WHERE
        channel = 'email'
        AND message_id IS NOT NULL
        AND recipient IS NOT NULL
        AND (tags['signup_id'] IS NOT NULL OR tags['flow'][1] IN ('sign-up', 'signup', 'confirmation'))
    GROUP BY message_id, recipient
),

cohort AS (
    SELECT
        messages.*,
        tagged.person,
        $by AS "group"
    FROM messages
    INNER JOIN tagged
        ON messages.message_id = tagged.message_id AND messages.recipient = tagged.recipient
    WHERE $period AND simulated IS NOT TRUE
),

last_read AS (
    SELECT max(ingest_time) AS at
    FROM events
),

people AS (
    SELECT
        person,
        first_value("group" ORDER BY sent_time, message_id) AS "group",
        min(sent_time) AS began,
        min(delivered_time) AS delivered,
        min(first_human_open_time) AS opened,
        min(first_human_click_time) AS clicked
    FROM cohort
    GROUP BY person
),

steps AS (
    SELECT
        "group",
        began <= last_read.at - INTERVAL '72 hours' AS mature,
        greatest(CAST(delivered AS BIGINT) - CAST(began AS BIGINT), 0) / 1000 AS delivered_ms,
        greatest(CAST(opened AS BIGINT) - CAST(began AS BIGINT), 0) / 1000 AS opened_ms,
        greatest(CAST(clicked AS BIGINT) - CAST(began AS BIGINT), 0) / 1000 AS clicked_ms,
        delivered IS NOT NULL AS was_delivered,
        opened IS NOT NULL AS has_opened,
        clicked IS NOT NULL AS has_clicked
    FROM people
    CROSS JOIN last_read
),

counts AS (
    SELECT
        "group",
        count(*) AS signed_up,
        count(*) FILTER (WHERE mature) AS mature,
        count(*) FILTER (WHERE mature AND was_delivered) AS delivered,
        count(*) FILTER (WHERE mature AND has_opened) AS opened,
        count(*) FILTER (WHERE mature AND has_clicked) AS clicked,
        CAST(percentile_cont(delivered_ms, 0.5) FILTER (WHERE mature AND was_delivered) AS BIGINT) AS delivered_p50,
        CAST(percentile_cont(delivered_ms, 0.9) FILTER (WHERE mature AND was_delivered) AS BIGINT) AS delivered_p90,
        CAST(percentile_cont(opened_ms, 0.5) FILTER (WHERE mature AND has_opened) AS BIGINT) AS opened_p50,
        CAST(percentile_cont(clicked_ms, 0.5) FILTER (WHERE mature AND has_clicked) AS BIGINT) AS clicked_p50
    FROM steps
    GROUP BY "group"
),

metrics AS (
    SELECT
        "group",
        unnest(make_array(
            named_struct(
                'place', 1, 'metric', 'signed up', 'kind', 'count',
                'numerator', signed_up, 'denominator', 0,
                'numerator_is', 'people to whom a sign-up mail was sent first on that day',
                'denominator_is', ''
            ),
            named_struct(
                'place', 2, 'metric', 'delivered', 'kind', 'rate',
                'numerator', delivered, 'denominator', mature,
                'numerator_is', 'people with a Delivery event for any of these mails',
                'denominator_is', 'people whose first mail is at least 72 hours older than the last read'
            ),
            named_struct(
                'place', 3, 'metric', 'opened', 'kind', 'rate',
                'numerator', opened, 'denominator', mature,
                'numerator_is', 'people with an open by a person',
                'denominator_is', 'the same'
            ),
            named_struct(
                'place', 4, 'metric', 'clicked', 'kind', 'rate',
                'numerator', clicked, 'denominator', mature,
                'numerator_is', 'people with a click by a person',
                'denominator_is', 'the same'
            ),
            named_struct(
                'place', 5, 'metric', 'half delivered within', 'kind', 'milliseconds',
                'numerator', delivered_p50, 'denominator', delivered,
                'numerator_is', 'median time from the first mail to the first delivery',
                'denominator_is', 'people delivered to'
            ),
            named_struct(
                'place', 6, 'metric', '90 % delivered within', 'kind', 'milliseconds',
                'numerator', delivered_p90, 'denominator', delivered,
                'numerator_is', '90th percentile of the same',
                'denominator_is', 'people delivered to'
            ),
            named_struct(
                'place', 7, 'metric', 'half opened within', 'kind', 'milliseconds',
                'numerator', opened_p50, 'denominator', opened,
                'numerator_is', 'median time from the first mail to the first open by a person',
                'denominator_is', 'people who opened'
            ),
            named_struct(
                'place', 8, 'metric', 'half clicked within', 'kind', 'milliseconds',
                'numerator', clicked_p50, 'denominator', clicked,
                'numerator_is', 'median time from the first mail to the first click by a person',
                'denominator_is', 'people who clicked'
            )
        )) AS m
    FROM counts
)

$figures
