-- How near is the account to a review by SES?
--
-- Estimates: SES computes its rates over a "representative volume" that differs by account and is not
-- published, and leaves out bounces of domains that you have verified, which events do not tell. So
-- each rate is given over several windows, with the interval that holds the true rate in 95 of 100
-- cases (Wilson). The truth are the metrics Reputation.BounceRate and Reputation.ComplaintRate in CloudWatch.
--
-- Unit: one message to one recipient with a Send event, in the period by the time it was sent; simulator
-- addresses left out. Windows end at the last send of the group.
WITH cohort AS (
    SELECT
        *,
        $by AS "group"
    FROM messages
    WHERE $period AND simulated IS NOT TRUE AND send_seen
),

newest AS (
    SELECT
        "group",
        max(sent_time) AS at
    FROM cohort
    GROUP BY "group"
),

windows AS (
    SELECT
        cohort."group" AS "group",
        sent_time > newest.at - INTERVAL '24 hours' AS recent_24h,
        sent_time > newest.at - INTERVAL '7 days' AS recent_7d,
        sent_time > newest.at - INTERVAL '30 days' AS recent_30d,
        row_number() OVER (PARTITION BY cohort."group" ORDER BY sent_time DESC, message_id, recipient) <= 10000 AS recent_10k,
        bounce_type = 'Permanent'
        AND (bounce_class NOT IN ('suppression_echo', 'auto_reply') OR suppression = 'Suppressed') AS hard,
        has_feedback_loop(mailbox_provider) AS loop,
        delivered_time IS NOT NULL AS delivered,
        complained_time IS NOT NULL AS complained
    FROM cohort
    INNER JOIN newest ON cohort."group" IS NOT DISTINCT FROM newest."group"
),

counts AS (
    SELECT
        "group",
        count(*) FILTER (WHERE recent_24h) AS sends_24h,
        count(*) FILTER (WHERE recent_24h AND hard) AS hard_24h,
        count(*) FILTER (WHERE recent_24h AND loop AND delivered) AS loop_24h,
        count(*) FILTER (WHERE recent_24h AND loop AND complained) AS complaints_24h,
        count(*) FILTER (WHERE recent_7d) AS sends_7d,
        count(*) FILTER (WHERE recent_7d AND hard) AS hard_7d,
        count(*) FILTER (WHERE recent_7d AND loop AND delivered) AS loop_7d,
        count(*) FILTER (WHERE recent_7d AND loop AND complained) AS complaints_7d,
        count(*) FILTER (WHERE recent_30d) AS sends_30d,
        count(*) FILTER (WHERE recent_30d AND hard) AS hard_30d,
        count(*) FILTER (WHERE recent_30d AND loop AND delivered) AS loop_30d,
        count(*) FILTER (WHERE recent_30d AND loop AND complained) AS complaints_30d,
        count(*) FILTER (WHERE recent_10k) AS sends_10k,
        count(*) FILTER (WHERE recent_10k AND hard) AS hard_10k,
        count(*) FILTER (WHERE recent_10k AND loop AND delivered) AS loop_10k,
        count(*) FILTER (WHERE recent_10k AND loop AND complained) AS complaints_10k
    FROM windows
    GROUP BY "group"
),

metrics AS (
    SELECT
        "group",
        unnest(make_array(
            named_struct(
                'place', 1, 'metric', 'hard bounce rate, 24 h', 'kind', 'rate',
                'numerator', hard_24h, 'denominator', sends_24h,
                'numerator_is', 'sends with a permanent bounce, those of the global suppression list included, those of the account or tenant list not; SES reviews at 5 % and may pause at 10 %',
                'denominator_is', 'sends in the 24 h before the last send; tells little below 500'
            ),
            named_struct(
                'place', 2, 'metric', 'hard bounce rate, 7 d', 'kind', 'rate',
                'numerator', hard_7d, 'denominator', sends_7d,
                'numerator_is', 'sends with a permanent bounce, those of the global suppression list included, those of the account or tenant list not; SES reviews at 5 % and may pause at 10 %',
                'denominator_is', 'sends in the 7 d before the last send; tells little below 500'
            ),
            named_struct(
                'place', 3, 'metric', 'hard bounce rate, 30 d', 'kind', 'rate',
                'numerator', hard_30d, 'denominator', sends_30d,
                'numerator_is', 'sends with a permanent bounce, those of the global suppression list included, those of the account or tenant list not; SES reviews at 5 % and may pause at 10 %',
                'denominator_is', 'sends in the 30 d before the last send; tells little below 500'
            ),
            named_struct(
                'place', 4, 'metric', 'hard bounce rate, last 10,000', 'kind', 'rate',
                'numerator', hard_10k, 'denominator', sends_10k,
                'numerator_is', 'sends with a permanent bounce, those of the global suppression list included, those of the account or tenant list not; SES reviews at 5 % and may pause at 10 %',
                'denominator_is', 'sends among the last 10,000 sends; tells little below 500'
            ),
            named_struct(
                'place', 5, 'metric', 'complaint rate, 24 h', 'kind', 'rate',
                'numerator', complaints_24h, 'denominator', loop_24h,
                'numerator_is', 'messages complained of, at providers with a feedback loop; SES reviews at 0.1 % and may pause at 0.5 %',
                'denominator_is', 'messages delivered at providers with a feedback loop in the 24 h before the last send; tells little below 5,000'
            ),
            named_struct(
                'place', 6, 'metric', 'complaint rate, 7 d', 'kind', 'rate',
                'numerator', complaints_7d, 'denominator', loop_7d,
                'numerator_is', 'messages complained of, at providers with a feedback loop; SES reviews at 0.1 % and may pause at 0.5 %',
                'denominator_is', 'messages delivered at providers with a feedback loop in the 7 d before the last send; tells little below 5,000'
            ),
            named_struct(
                'place', 7, 'metric', 'complaint rate, 30 d', 'kind', 'rate',
                'numerator', complaints_30d, 'denominator', loop_30d,
                'numerator_is', 'messages complained of, at providers with a feedback loop; SES reviews at 0.1 % and may pause at 0.5 %',
                'denominator_is', 'messages delivered at providers with a feedback loop in the 30 d before the last send; tells little below 5,000'
            ),
            named_struct(
                'place', 8, 'metric', 'complaint rate, last 10,000', 'kind', 'rate',
                'numerator', complaints_10k, 'denominator', loop_10k,
                'numerator_is', 'messages complained of, at providers with a feedback loop; SES reviews at 0.1 % and may pause at 0.5 %',
                'denominator_is', 'messages delivered at providers with a feedback loop among the last 10,000 sends; tells little below 5,000'
            )
        )) AS m
    FROM counts
)

$figures
