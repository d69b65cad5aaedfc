-- How does each mailbox provider treat the mail?
--
-- Unit: one message to one recipient, in the period by the time it was sent; simulator addresses left
-- out. Complaints are n/a where the provider has no feedback loop (Gmail, iCloud, …): no complaint can
-- arrive from there, so nothing is known, which is not the same as none.
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
        count(*) FILTER (WHERE send_seen) AS sends,
        count(delivered_time) AS delivered,
        count(delivered_time) FILTER (WHERE send_seen) AS sent_delivered,
        count(*) FILTER (
            WHERE send_seen AND bounced_time IS NOT NULL AND bounce_class <> 'suppression_echo'
        ) AS bounced,
        count(*) FILTER (WHERE send_seen AND delays > 0) AS delayed,
        count(complained_time) FILTER (WHERE has_feedback_loop(mailbox_provider)) AS loop_complaints,
        count(delivered_time) FILTER (WHERE has_feedback_loop(mailbox_provider)) AS loop_delivered,
        count(first_human_open_time) AS human_opened,
        count(first_human_click_time) AS human_clicked
    FROM cohort
    GROUP BY "group"
),

metrics AS (
    SELECT
        "group",
        unnest(make_array(
            named_struct(
                'place', 1, 'metric', 'sends', 'kind', 'count',
                'numerator', sends, 'denominator', 0,
                'numerator_is', 'messages with a Send event',
                'denominator_is', ''
            ),
            named_struct(
                'place', 2, 'metric', 'delivery rate', 'kind', 'rate',
                'numerator', sent_delivered, 'denominator', sends,
                'numerator_is', 'sends with a Delivery event',
                'denominator_is', 'sends'
            ),
            named_struct(
                'place', 3, 'metric', 'bounce rate', 'kind', 'rate',
                'numerator', bounced, 'denominator', sends,
                'numerator_is', 'sends that bounced, suppression echoes and automatic answers left out',
                'denominator_is', 'sends'
            ),
            named_struct(
                'place', 4, 'metric', 'delayed', 'kind', 'rate',
                'numerator', delayed, 'denominator', sends,
                'numerator_is', 'sends delayed at least once',
                'denominator_is', 'sends'
            ),
            named_struct(
                'place', 5, 'metric', 'complaint rate', 'kind', 'rate',
                'numerator', loop_complaints, 'denominator', loop_delivered,
                'numerator_is', 'messages complained of, at providers with a feedback loop',
                'denominator_is', 'messages delivered at providers with a feedback loop'
            ),
            named_struct(
                'place', 6, 'metric', 'human opens', 'kind', 'rate',
                'numerator', human_opened, 'denominator', delivered,
                'numerator_is', 'messages opened by a person, as far as can be told',
                'denominator_is', 'messages with a Delivery event'
            ),
            named_struct(
                'place', 7, 'metric', 'human clicks', 'kind', 'rate',
                'numerator', human_clicked, 'denominator', delivered,
                'numerator_is', 'messages with a click by a person',
                'denominator_is', 'messages with a Delivery event'
            )
        )) AS m
    FROM counts
)

$figures
