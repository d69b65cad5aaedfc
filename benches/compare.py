#!/usr/bin/env python3
"""Measures hearback against DuckDB and ClickHouse (chdb) on the same file, in one run.

    python3 -m venv /tmp/bench && /tmp/bench/bin/pip install -r benches/requirements.txt
    /tmp/bench/bin/python benches/compare.py [--messages N] [--rounds N] [--binary PATH]

Conversion: newline-delimited SES events to zstd Parquet, one row per event and recipient, with the same
columns as far as a query can say them (duckdb.sql, clickhouse.sql), two threads each, every engine in a
process of its own; wall time from start to end of the process, peak memory from the kernel (ru_maxrss).
The three tables are compared. hearback does more in that time: it classifies, deduplicates, partitions by
day, writes bloom filters and commits to Delta.

Queries: seven analyst questions on the Parquet files that hearback wrote, answered by both engines
in processes that are already running, warm, best of `rounds`.

Prints tables of medians and ratios; ratios within one run are what counts on a noisy machine.
"""

import argparse
import glob
import os
import pty
import re
import shutil
import statistics
import string
import subprocess
import sys
import tempfile
import time

THREADS = 2

DUCKDB_CONVERT = """
import duckdb, sys
db = duckdb.connect()
db.execute("SET threads = 2")
db.execute("SET preserve_insertion_order = false")
db.execute(sys.argv[1])
"""

CHDB_CONVERT = """
import chdb, sys
chdb.query(sys.argv[1])
"""

# What the three tables have to agree on.
CONTENT = """
SELECT event_type, count(*), count(DISTINCT event_id), count(nullif(recipient, '')), count(nullif(status_code, '')),
       count(nullif(diagnostic, '')), count(nullif(template, '')), count(nullif(user_agent, '')), sum(processing_ms)
FROM read_parquet('{files}', hive_partitioning = true) GROUP BY 1 ORDER BY 1
"""

QUERIES = {
    "events by day and type": "SELECT event_date, event_type, count(*) AS n FROM events GROUP BY 1, 2 ORDER BY 1, 2",
    "delivery by provider": "SELECT mailbox_provider, count(*) FILTER (WHERE event_type = 'delivery') AS delivered, count(*) FILTER (WHERE event_type = 'bounce') AS bounced FROM events GROUP BY 1 ORDER BY 2 DESC, 1",
    "bounce causes": "SELECT bounce_class, status_code, count(*) AS n FROM events WHERE event_type = 'bounce' GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 20",
    "latency quantiles": "SELECT mailbox_provider, approx_percentile_cont(processing_ms, 0.5) AS p50, approx_percentile_cont(processing_ms, 0.95) AS p95 FROM events WHERE event_type = 'delivery' GROUP BY 1 ORDER BY 1",
    "unique human clickers by campaign": "SELECT campaign, count(DISTINCT recipient) AS clickers FROM events WHERE event_type = 'click' AND actor = 'human' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20",
    "one recipient's history": "SELECT event_time, event_type, subject FROM events WHERE recipient = '{recipient}' ORDER BY event_time, event_type",
    "sent, delivered, never opened": "SELECT count(*) AS n FROM (SELECT message_id, recipient FROM events WHERE recipient IS NOT NULL GROUP BY 1, 2 HAVING count(*) FILTER (WHERE event_type = 'delivery') > 0 AND count(*) FILTER (WHERE event_type = 'open') = 0) t",
}


def measured(command, environment=None):
    """Wall seconds and peak memory (bytes) of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        sys.exit(f"{command[0]} failed: {errors.decode()[-2000:]}")
    return seconds, usage.ru_maxrss * 1024


def convert(name, source, binary, folder):
    target = os.path.join(folder, name)
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    if name == "hearback":
        command = [binary, "--lake", target, "ingest", source, "--format", "json"]
        return measured(command)
    program = {"duckdb": DUCKDB_CONVERT, "clickhouse": CHDB_CONVERT}[name]
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.sql")) as file:
        query = string.Template(file.read())
    query = query.substitute(source=source, target=os.path.join(target, "out.parquet"))
    return measured([sys.executable, "-c", program, query])


def content(name, folder):
    """What a table holds, by event type."""
    import duckdb
    files = "hearback/events/event_date=*/*.parquet" if name == "hearback" else f"{name}/out.parquet"
    return duckdb.sql(CONTENT.format(files=os.path.join(folder, files))).fetchall()


def compare_conversion(args, source, folder):
    size = os.path.getsize(source)
    results = {name: [] for name in ("hearback", "duckdb", "clickhouse")}
    with open(source, "rb") as file:
        while file.read(1 << 24):
            pass
    for _ in range(args.rounds):
        for name in results:
            results[name].append(convert(name, source, args.binary, folder))
    tables = {name: content(name, folder) for name in results}
    for name, table in tables.items():
        if table != tables["hearback"]:
            sys.exit(f"{name} has other rows than hearback: {set(table) ^ set(tables['hearback'])}")
    print(f"\nJSON to Parquet: {size / 1e6:.0f} MB, {THREADS} threads each, median of {args.rounds}")
    print("| engine | seconds | MB/s | peak memory | throughput of hearback / this | memory of hearback / this |")
    print("|---|---|---|---|---|---|")
    own = [statistics.median(column) for column in zip(*results["hearback"])]
    for name, rounds in results.items():
        seconds, memory = (statistics.median(column) for column in zip(*rounds))
        print(f"| {name} | {seconds:.2f} | {size / 1e6 / seconds:.0f} | {memory / 1e6:.0f} MB "
              f"| {seconds / own[0]:.2f} | {own[1] / memory:.2f} |")


class Shell:
    """hearback's interactive shell on a pseudo-terminal, as a person would use it."""

    def __init__(self, binary, lake):
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.environ.update(TERM="dumb", HOME=os.path.dirname(lake))
            os.execv(binary, [binary, "--lake", lake, "query", "--format", "csv"])
        self.ask("\\timing", b"timing is on")

    def ask(self, line, until):
        os.write(self.terminal, line.encode() + b"\n")
        seen = b""
        while until not in seen.replace(b"\r", b""):
            seen += os.read(self.terminal, 1 << 16)
        return seen.decode(errors="replace").replace("\r", "")

    def time(self, sql):
        """The time of one statement in seconds, and the number of rows."""
        text = self.ask(sql + ";", b" ms\n")
        seconds = float(re.search(r"([0-9.]+) ms\n", text).group(1)) / 1000
        return seconds, text.split(" ms\n")[0].split(sql + ";")[-1].strip().count("\n") - 1


def compare_queries(args, lake):
    import duckdb
    files = glob.glob(os.path.join(lake, "events", "event_date=*", "*.parquet"))
    db = duckdb.connect()
    db.execute(f"SET threads = {THREADS}")
    db.execute("CREATE VIEW events AS SELECT * FROM read_parquet("
               f"[{','.join(repr(f) for f in files)}], hive_partitioning = true)")
    recipient = db.execute("SELECT recipient FROM events WHERE recipient IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1").fetchone()[0]
    print(f"\nQueries on the same {len(files)} Parquet files, {THREADS} threads each, warm, best of {args.rounds}")
    print("| question | hearback ms | duckdb ms | hearback / duckdb |")
    print("|---|---|---|---|")
    product = 1.0
    shell = Shell(args.binary, lake)
    for name, sql in QUERIES.items():
        sql = sql.format(recipient=recipient)
        theirs_sql = sql.replace("approx_percentile_cont(", "approx_quantile(")
        # In turns, so that a noisy neighbour is everybody's; the first round warms up.
        times = []
        for _ in range(args.rounds + 1):
            seconds, rows = shell.time(sql)
            start = time.perf_counter()
            count = len(db.execute(theirs_sql).fetchall())
            times.append((seconds, time.perf_counter() - start))
        own, best = (min(column) for column in zip(*times[1:]))
        if count != rows:
            sys.exit(f"{name}: {rows} rows here, {count} in DuckDB")
        product *= own / best
        print(f"| {name} | {own * 1000:.1f} | {best * 1000:.1f} | {own / best:.2f} |")
    print(f"| geometric mean | | | {product ** (1 / len(QUERIES)):.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=180_000, help="messages to simulate (about three events each)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--binary", default="target/release/hearback")
    parser.add_argument("--source", help="an existing file of newline-delimited SES events")
    parser.add_argument("--only", choices=["conversion", "queries"])
    args = parser.parse_args()
    args.binary = shutil.which(args.binary) or os.path.abspath(args.binary)
    with tempfile.TemporaryDirectory(prefix="hearback-bench-") as folder:
        source = args.source or os.path.join(folder, "events.json")
        if not args.source:
            subprocess.run([args.binary, "simulate", "--messages", str(args.messages), "--seed", "1",
                            "--plain", "-o", source], check=True)
        if args.only != "queries":
            compare_conversion(args, source, folder)
        if args.only != "conversion":
            lake = os.path.join(folder, "hearback")
            if not os.path.exists(os.path.join(lake, "events")):
                convert("hearback", source, args.binary, folder)
            compare_queries(args, lake)


if __name__ == "__main__":
    main()
