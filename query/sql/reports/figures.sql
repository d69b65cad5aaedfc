SELECT
    "group",
    m['metric'] AS metric,
    m['kind'] AS kind,
    m['numerator'] AS numerator,
    m['denominator'] AS denominator,
    m['numerator_is'] AS numerator_is,
    m['denominator_is'] AS denominator_is
FROM metrics
-- Not plainly by "group": the planner takes it for unique, as it was before the unnesting.
ORDER BY "group" IS NULL, coalesce("group", ''), m['place']
