-- What became of the mail that was sent?
--
-- Unit: one message to one recipient, in the period by the time it was sent. Simulator addresses of
-- SES (…@simulator.amazonses.com) are left out. Each metric states its numerator and denominator.
-- Rates of sends count only messages whose Send event is there: feedback notifications have none.
-- The bounce rate that SES judges an account by counts only unverified domains over a volume that it
-- does not publish: nobody can compute it from events, the SES-like rate here is an estimate.
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
        count(*) AS messages,
        count(*) FILTER (WHERE send_seen) AS sends,
        count(*) FILTER (
            WHERE send_seen AND failed_time IS NULL
            AND bounce_class IS DISTINCT FROM 'suppression_echo'
        ) AS attempted,
        count(delivered_time) FILTER (WHERE send_seen) AS sent_delivered,
        count(*) FILTER (WHERE send_seen AND bounce_class = 'suppression_echo') AS echoes,
        count(*) FILTER (WHERE failed_time IS NOT NULL) AS rejected,
        count(*) FILTER (
            WHERE send_seen AND bounce_type = 'Permanent'
            AND (bounce_class NOT IN ('suppression_echo', 'auto_reply') OR suppression = 'Suppressed')
        ) AS hard_bounces,
        count(*) FILTER (
            WHERE send_seen AND bounce_type = 'Permanent' AND bounce_class <> 'auto_reply'
            AND (bounce_class <> 'suppression_echo' OR suppression <> 'OnAccountSuppressionList')
        ) AS permanent_bounces,
        count(*) FILTER (
            WHERE send_seen AND bounce_type = 'Transient'
            AND bounce_class NOT IN ('suppression_echo', 'auto_reply')
        ) AS transient_bounces,
        count(delivered_time) AS delivered,
        count(*) FILTER (
            WHERE delivered_time IS NOT NULL AND bounced_time IS NOT NULL
        ) AS delivered_then_bounced,
        count(complained_time) AS complaints,
        count(complained_time) FILTER (WHERE has_feedback_loop(mailbox_provider)) AS loop_complaints,
        count(delivered_time) FILTER (WHERE has_feedback_loop(mailbox_provider)) AS loop_delivered,
        count(first_open_time) AS opened,
        count(first_human_open_time) AS human_opened,
        count(first_human_click_time) AS human_clicked,
        count(*) FILTER (WHERE send_seen AND state IN ('sent', 'delayed')) AS pending
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
                'numerator_is', 'messages with a Send event, suppressed ones included',
                'denominator_is', ''
            ),
            named_struct(
                'place', 2, 'metric', 'attempted', 'kind', 'count',
                'numerator', attempted, 'denominator', 0,
                'numerator_is', 'sends that SES neither suppressed nor rejected',
                'denominator_is', ''
            ),
            named_struct(
                'place', 3, 'metric', 'suppressed', 'kind', 'rate',
                'numerator', echoes, 'denominator', sends,
                'numerator_is', 'sends that met a suppression list, not tried',
                'denominator_is', 'sends'
            ),
            named_struct(
                'place', 4, 'metric', 'rejected', 'kind', 'rate',
                'numerator', rejected, 'denominator', messages,
                'numerator_is', 'messages that the service refused or could not render',
                'denominator_is', 'all messages, with or without a Send event'
            ),
            named_struct(
                'place', 5, 'metric', 'delivery rate (VDM)', 'kind', 'rate',
                'numerator', sent_delivered, 'denominator', sends,
                'numerator_is', 'sends with a Delivery event',
                'denominator_is', 'sends'
            ),
            named_struct(
                'place', 6, 'metric', 'delivery rate (attempted)', 'kind', 'rate',
                'numerator', sent_delivered, 'denominator', attempted,
                'numerator_is', 'sends with a Delivery event',
                'denominator_is', 'attempted'
            ),
            named_struct(
                'place', 7, 'metric', 'hard bounce rate (SES-like)', 'kind', 'rate',
                'numerator', hard_bounces, 'denominator', sends,
                'numerator_is', 'sends with a permanent bounce, those of the global suppression list included, those of the account or tenant list not',
                'denominator_is', 'sends'
            ),
            named_struct(
                'place', 8, 'metric', 'permanent bounce rate (VDM)', 'kind', 'rate',
                'numerator', permanent_bounces, 'denominator', sends,
                'numerator_is', 'sends with a permanent bounce, except hits of the account suppression list',
                'denominator_is', 'sends'
            ),
            named_struct(
                'place', 9, 'metric', 'transient bounce rate (VDM)', 'kind', 'rate',
                'numerator', transient_bounces, 'denominator', sends,
                'numerator_is', 'sends with a transient bounce, automatic answers left out',
                'denominator_is', 'sends'
            ),
            named_struct(
                'place', 10, 'metric', 'delivered, then bounced', 'kind', 'rate',
                'numerator', delivered_then_bounced, 'denominator', delivered,
                'numerator_is', 'messages with a Delivery event and a bounce',
                'denominator_is', 'messages with a Delivery event'
            ),
            named_struct(
                'place', 11, 'metric', 'complaint rate', 'kind', 'rate',
                'numerator', loop_complaints, 'denominator', loop_delivered,
                'numerator_is', 'messages complained of, at providers with a feedback loop',
                'denominator_is', 'messages delivered at providers with a feedback loop'
            ),
            named_struct(
                'place', 12, 'metric', 'complaints', 'kind', 'count',
                'numerator', complaints, 'denominator', 0,
                'numerator_is', 'messages complained of, anywhere',
                'denominator_is', ''
            ),
            named_struct(
                'place', 13, 'metric', 'open rate (VDM)', 'kind', 'rate',
                'numerator', opened, 'denominator', delivered,
                'numerator_is', 'messages opened by anyone, machines included',
                'denominator_is', 'messages with a Delivery event'
            ),
            named_struct(
                'place', 14, 'metric', 'human open rate', 'kind', 'rate',
                'numerator', human_opened, 'denominator', delivered,
                'numerator_is', 'messages opened by a person, as far as can be told',
                'denominator_is', 'messages with a Delivery event'
            ),
            named_struct(
                'place', 15, 'metric', 'human click rate', 'kind', 'rate',
                'numerator', human_clicked, 'denominator', delivered,
                'numerator_is', 'messages with a click by a person',
                'denominator_is', 'messages with a Delivery event'
            ),
            named_struct(
                'place', 16, 'metric', 'no outcome yet', 'kind', 'rate',
                'numerator', pending, 'denominator', sends,
                'numerator_is', 'sends without delivery, bounce, rejection, open, click or complaint',
                'denominator_is', 'sends'
            )
        )) AS m
    FROM counts
)

$figures
