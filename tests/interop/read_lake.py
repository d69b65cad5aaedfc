"""Opens a lake with three independent readers and compares their counts with hearback's.

Usage: read_lake.py LAKE JSON, JSON being rows of (event_type, n, named, first, ids, last_id, places).
"""

import datetime
import json
import os
import sys

import duckdb
import polars
from deltalake import DeltaTable


def parse(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(datetime.timezone.utc)


def check(reader, rows, expected):
    rows = {name: (n, named, first.replace(tzinfo=first.tzinfo or datetime.timezone.utc), *texts) for name, n, named, first, *texts in rows}
    assert rows == expected, f"{reader}: {rows} instead of {expected}"
    print(f"{reader} agrees")


def main():
    lake, given = sys.argv[1:3]
    expected = {
        row["event_type"]: (row["n"], row["named"], parse(row["first"]), row["ids"], row["last_id"], row["places"])
        for row in json.loads(given)
    }
    table = DeltaTable(os.path.join(lake, "events"))
    protocol = table.protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2), protocol
    assert table.metadata().partition_columns == ["event_date"]

    arrow = polars.from_arrow(table.to_pyarrow_table())
    wanted = [
        polars.len().alias("n"),
        polars.col("recipient").count().alias("named"),
        polars.col("event_time").min().alias("first"),
        # Texts without a dictionary, each of the two kinds.
        polars.col("event_id").n_unique().alias("ids"),
        polars.col("event_id").max().alias("last_id"),
        polars.col("source_sequence").n_unique().alias("places"),
    ]
    check("deltalake", arrow.group_by("event_type").agg(wanted).rows(), expected)

    lazy = polars.scan_delta(os.path.join(lake, "events"))
    check("polars", lazy.group_by("event_type").agg(wanted).collect().rows(), expected)

    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    files = table.file_uris()
    rows = db.execute(
        "SELECT event_type, count(*), count(recipient), epoch_us(min(event_time)), count(DISTINCT event_id), max(event_id), "
        "count(DISTINCT source_sequence) FROM read_parquet(?, hive_partitioning = true) GROUP BY 1",
        [files],
    ).fetchall()
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    check("duckdb", [(a, b, c, epoch + datetime.timedelta(microseconds=d), *texts) for a, b, c, d, *texts in rows], expected)
    dates = db.execute(
        "SELECT count(*) FROM read_parquet(?, hive_partitioning = true) WHERE event_date <> event_time::DATE AND event_date <> DATE '1970-01-01'",
        [files],
    ).fetchone()[0]
    assert dates == 0, f"{dates} rows lie in the partition of another day"

    rejects = DeltaTable(os.path.join(lake, "rejects")).to_pyarrow_table()
    assert rejects.num_rows > 0
    assert all(isinstance(raw.as_py(), bytes) for raw in rejects.column("raw"))


main()
