-- Who reads and clicks, people or machines?
--
-- Unit: one message to one recipient, in the period by the time it was sent; simulator addresses left
-- out. Opens and clicks of messages with several destinations belong to no recipient and are left out.
-- A person behind an image proxy counts as a person; a prefetch by Apple Mail says nothing either way.
-- Click-to-open is n/a where less than 30 % of the opened messages were opened by a person that can be
-- told apart: it would say more about Apple Mail than about the readers.
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
        count(delivered_time) AS delivered,
        count(first_open_time) AS opened,
        count(first_human_open_time) AS human_opened,
        count(first_click_time) AS clicked,
        count(first_human_click_time) AS human_clicked,
        CASE
            WHEN count(first_human_open_time) * 10 >= count(first_open_time) * 3
                THEN count(first_human_open_time)
            ELSE 0
        END AS openers
    FROM cohort
    GROUP BY "group"
),

metrics AS (
    SELECT
        "group",
        unnest(make_array(
            named_struct(
                'place', 1, 'metric', 'delivered', 'kind', 'count',
                'numerator', delivered, 'denominator', 0,
                'numerator_is', 'messages with a Delivery event',
                'denominator_is', ''
            ),
            named_struct(
                'place', 2, 'metric', 'open rate (VDM)', 'kind', 'rate',
                'numerator', opened, 'denominator', delivered,
                'numerator_is', 'messages opened by anyone, machines included',
                'denominator_is', 'messages with a Delivery event'
            ),
            named_struct(
                'place', 3, 'metric', 'human open rate', 'kind', 'rate',
                'numerator', human_opened, 'denominator', delivered,
                'numerator_is', 'messages opened by a person, as far as can be told',
                'denominator_is', 'messages with a Delivery event'
            ),
            named_struct(
                'place', 4, 'metric', 'click rate (VDM)', 'kind', 'rate',
                'numerator', clicked, 'denominator', delivered,
                'numerator_is', 'messages with a click by anyone, machines included',
                'denominator_is', 'messages with a Delivery event'
            ),
            named_struct(
                'place', 5, 'metric', 'human click rate', 'kind', 'rate',
                'numerator', human_clicked, 'denominator', delivered,
                'numerator_is', 'messages with a click by a person',
                'denominator_is', 'messages with a Delivery event'
            ),
            named_struct(
                'place', 6, 'metric', 'click-to-open rate', 'kind', 'rate',
                'numerator', human_clicked, 'denominator', openers,
                'numerator_is', 'messages with a click by a person',
                'denominator_is', 'messages opened by a person'
            )
        )) AS m
    FROM counts
)

$figures
