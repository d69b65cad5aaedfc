-- Why does mail bounce?
--
-- Unit: one message to one recipient, in the period by the time it was sent; simulator addresses left
-- out. Each message counts once, under the strongest cause among its bounces. suppression_echo and
-- auto_reply are shown and are no bounces: the first was never tried, the second was an answer.
WITH cohort AS (
    SELECT
        *,
        $by AS "group"
    FROM messages
    WHERE $period AND simulated IS NOT TRUE
),

sent AS (
    SELECT
        "group",
        count(*) FILTER (WHERE failed_time IS NULL) AS handed_over
    FROM cohort
    GROUP BY "group"
),

causes AS (
    SELECT
        "group",
        bounce_class,
        count(*) AS bounced
    FROM cohort
    WHERE bounce_class IS NOT NULL AND failed_time IS NULL
    GROUP BY "group", bounce_class
)

SELECT
    causes."group",
    bounce_class AS metric,
    'rate' AS kind,
    bounced AS numerator,
    handed_over AS denominator,
    CASE bounce_class
        WHEN 'suppression_echo' THEN 'not tried: the address is on a suppression list'
        WHEN 'auto_reply' THEN 'an automatic answer, no bounce'
        ELSE 'messages that bounced for this cause'
    END AS numerator_is,
    'messages handed over for sending, with or without a Send event' AS denominator_is
FROM causes
INNER JOIN sent ON causes."group" IS NOT DISTINCT FROM sent."group"
ORDER BY causes."group", bounce_class IN ('suppression_echo', 'auto_reply'), bounced DESC, bounce_class
