-- One row for each shard of each stream that was read into the lake: how far, and how far behind
--
-- From the last committed positions alone; no stream is asked. behind_ms is what Kinesis said when the
-- last page before that commit was read (MillisBehindLatest; 0 at the tip). unread_ms is an upper bound that goes
-- on growing when nothing is read any more: the time since everything that had arrived was read. An idle stream's
-- position is committed every five minutes.
-- records_behind is 0 at the tip, else estimated from the rate between the last two commits, NULL when
-- it cannot be. Streams that are read by Lambda have no positions here.
SELECT
    stream,
    shard,
    state,
    position,
    records,
    last_arrival_time,
    read_through_time,
    behind_ms,
    records_behind,
    CASE
        WHEN state <> 'ended'
            THEN CAST(1000 * date_part('epoch', now() - read_through_time) AS BIGINT)
    END AS unread_ms,
    last_commit_time,
    CAST(1000 * date_part('epoch', now() - last_commit_time) AS BIGINT) AS last_commit_age_ms,
    gaps,
    epoch,
    stream_arn
FROM stream_shards
