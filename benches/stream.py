#!/usr/bin/env python3
"""Measures how fast hearback reads a Kinesis stream, in how much memory, and how soon it can be queried.

    cargo build --release --locked
    python3 benches/stream.py backlog [--gigabytes N] [--shards N] [--binary PATH]
    python3 benches/stream.py delay [--seconds N] [--rate N] [--flush-interval 5s] [--binary PATH]

`backlog` reads a stream that holds so much to its tip, into a lake on disk: records and megabytes (of records as
they lie on the stream) a second from the first request to the last commit, and the resident memory every ten seconds.
`delay` lets records arrive at a steady rate (a second, all shards together), asks the lake in SQL over and over which of
them are there, and prints quantiles of the time from arrival to the end of the first query that saw a record.

The stream is synthesised by kinesis.py in a process of its own, which shares the machine's cores; how much of them it
took is printed. Needs nothing but Python.
"""

import argparse
import collections
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time

import kinesis


def templates(binary):
    """Simulated SES events of the three fullest days, as they would lie on a stream."""
    command = [binary, "simulate", "--messages", "4000", "--seed", "7", "--plain"]
    lines = subprocess.run(command, check=True, capture_output=True).stdout.splitlines()
    days = collections.Counter(day(line) for line in lines)
    fullest = {day for day, _ in days.most_common(3)}
    return kinesis.Templates([line for line in lines if day(line) in fullest])


def day(line):
    event = json.loads(line)
    kind = event["eventType"][0].lower() + event["eventType"][1:].replace(" ", "")
    return (event.get(kind) or {}).get("timestamp", event["mail"]["timestamp"])[:10]


def stub(connection, *stream):
    stream = kinesis.Stream(*stream)
    connection.send((kinesis.serve(stream).server_address[1], stream.began))
    connection.recv()
    used = os.times()
    connection.send((stream.served_bytes, used.user + used.system))


class Bench:
    """A stream, a lake in a folder of its own, and hearback between them."""

    def __init__(self, args, settings, *stream):
        self.binary = os.path.abspath(args.binary)
        self.folder = tempfile.TemporaryDirectory(dir=args.folder)
        self.connection, end = multiprocessing.Pipe()
        multiprocessing.Process(target=stub, args=(end, *stream), daemon=True).start()
        port, self.stream_began = self.connection.recv()
        with open(os.path.join(self.folder.name, "hearback.toml"), "w") as file:
            file.write(settings)
        self.environment = dict(
            os.environ, AWS_ENDPOINT_URL_KINESIS=f"http://127.0.0.1:{port}", AWS_REGION="us-east-1",
            AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench", AWS_EC2_METADATA_DISABLED="true",
            HEARBACK_LAKE=os.path.join(self.folder.name, "lake"))

    def start(self, *arguments):
        return subprocess.Popen([self.binary, *arguments], cwd=self.folder.name, env=self.environment,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def query(self, sql):
        ended = subprocess.run([self.binary, "query", sql, "--format", "json"], cwd=self.folder.name,
                               env=self.environment, capture_output=True)
        return json.loads(ended.stdout) if ended.returncode == 0 else None

    def stub_usage(self):
        self.connection.send("end")
        return self.connection.recv()


def memory(pid):
    """Resident memory, and the most there ever was, in MiB."""
    with open(f"/proc/{pid}/status") as file:
        found = dict(line.split(":", 1) for line in file)
    return tuple(int(found[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))


def backlog(args):
    made = templates(args.binary)
    records = int(args.gigabytes * 1e9 / made.bytes / args.shards)
    bench = Bench(args, "", made, args.shards, records)
    began = time.monotonic()
    process = bench.start("ingest", "kinesis:bench", "--until-caught-up", "--format", "json")
    samples = []

    def watch():
        while process.poll() is None:
            try:
                samples.append((time.monotonic() - began, *memory(process.pid)))
            except (OSError, KeyError):
                return
            time.sleep(0.25)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = process.communicate()
    elapsed = time.monotonic() - began
    watcher.join()
    used = os.times()
    report = json.loads(out)
    served, stub_cpu = bench.stub_usage()
    counted = bench.query("SELECT count(*) AS n, count(DISTINCT event_id) AS d FROM events")[0]
    assert report["records"] == records * args.shards, report
    assert counted["n"] == counted["d"] == report["events"], (counted, report)
    print(f"{report['records']:,} records of {made.bytes:,.0f} bytes on {args.shards} shards, {report['events']:,} rows committed")
    print(f"{elapsed:.1f} s: {report['records'] / elapsed:,.0f} records/s, {served / 1e6 / elapsed:,.0f} MB/s")
    print(f"CPU: hearback {used.children_user + used.children_system:.0f} s (its queries and simulation included), the stream {stub_cpu:.0f} s")
    print(f"memory: at most {max(sample[2] for sample in samples):.0f} MiB; over time:")
    step = max(1, len(samples) // 12)
    print("  " + ", ".join(f"{at:.0f} s {rss:.0f}" for at, rss, _ in samples[::step]))


def delay(args):
    made = templates(args.binary)
    rate = args.rate / args.shards
    records = int(args.seconds * rate)
    settings = f'[ingest]\nflush_interval = "{args.flush_interval}"\n'
    bench = Bench(args, settings, made, args.shards, records, rate)
    process = bench.start("ingest", "kinesis:bench")
    seen = [0] * args.shards
    delays, polls = [], []
    while sum(seen) < records * args.shards and time.time() < bench.stream_began + args.seconds + 60:
        began = time.time()
        rows = bench.query("SELECT source_shard, max(source_sequence) AS last FROM events GROUP BY 1")
        now = time.time()
        polls.append(now - began)
        for row in rows or []:
            shard = int(row["source_shard"].split("-")[1])
            last = int(row["last"].split(":")[0][14:])
            for record in range(seen[shard], last + 1):
                delays.append(now - (bench.stream_began + record / rate))
            seen[shard] = max(seen[shard], last + 1)
        time.sleep(0.05)
    process.terminate()
    process.wait()
    assert sum(seen) == records * args.shards, (seen, records)
    delays.sort()
    polls.sort()
    at = lambda values, share: values[min(len(values) - 1, int(len(values) * share))]
    print(f"{len(delays):,} records at {args.rate} a second, flush_interval = {args.flush_interval}")
    print("from arrival to visible in SQL: " + ", ".join(f"p{int(share * 100)} {at(delays, share):.2f} s" for share in (0.5, 0.9, 0.99)) + f", most {delays[-1]:.2f} s")
    print(f"of which up to one query: p50 {at(polls, 0.5):.2f} s, p99 {at(polls, 0.99):.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["backlog", "delay"])
    parser.add_argument("--binary", default="target/release/hearback")
    parser.add_argument("--folder", help="where the lake goes meanwhile; a temporary folder if left out")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--flush-interval", default="5s")
    args = parser.parse_args()
    with open("/proc/loadavg") as file:
        print(f"load before: {file.read().split()[0]} on {os.cpu_count()} cores")
    {"backlog": backlog, "delay": delay}[args.what](args)


if __name__ == "__main__":
    sys.exit(main())
