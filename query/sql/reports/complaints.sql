-- Who reports the mail as spam?
--
-- Unit: one message to one recipient, in the period by the time it was sent; simulator addresses left
-- out. Reports that accuse nobody (not-spam, auth-failure) and suppression echoes do not count. Rates
-- are n/a where the provider has no feedback loop: no complaint can arrive from there.
WITH cohort AS (
    SELECT
        *,
        $by AS "group"
    FROM messages
    WHERE $period AND simulated IS NOT TRUE
),

counts AS (
    SELECT
        "group",
        count(complained_time) AS complaints,
        count(complained_time) FILTER (WHERE has_feedback_loop(mailbox_provider)) AS loop_complaints,
        count(delivered_time) FILTER (WHERE has_feedback_loop(mailbox_provider)) AS loop_delivered,
        count(delivered_time) FILTER (WHERE has_feedback_loop(mailbox_provider) IS NOT TRUE) AS silent,
        count(delivered_time) AS delivered
    FROM cohort
    GROUP BY "group"
),

metrics AS (
    SELECT
        "group",
        unnest(make_array(
            named_struct(
                'place', 1, 'metric', 'complaints', 'kind', 'count',
                'numerator', complaints, 'denominator', 0,
                'numerator_is', 'messages complained of, anywhere',
                'denominator_is', ''
            ),
            named_struct(
                'place', 2, 'metric', 'complaint rate', 'kind', 'rate',
                'numerator', loop_complaints, 'denominator', loop_delivered,
                'numerator_is', 'messages complained of, at providers with a feedback loop',
                'denominator_is', 'messages delivered at providers with a feedback loop'
            ),
            named_struct(
                'place', 3, 'metric', 'delivered unheard', 'kind', 'rate',
                'numerator', silent, 'denominator', delivered,
                'numerator_is', 'messages delivered where no complaint can be heard of',
                'denominator_is', 'messages with a Delivery event'
            )
        )) AS m
    FROM counts
)

$figures
