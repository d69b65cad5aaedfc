#!/usr/bin/env python3
"""Measures `hearback suppression plan` over a large lake.

    python3 benches/suppression.py [--messages N] [--rounds N] [--binary PATH] [--lake PATH]

Simulates a sender's traffic a million messages at a time straight into a lake (no file in between), unless `--lake`
names one that is there, and makes the same plan a few times with two threads. Prints events, recipients and
changes planned, wall time and peak memory of each round (ru_maxrss), and events a second.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

CHUNK = 1_000_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=3 * CHUNK)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", default="target/release/hearback")
    parser.add_argument("--lake", help="a lake that is there already, or where to make one")
    options = parser.parse_args()
    binary = os.path.abspath(options.binary)
    with tempfile.TemporaryDirectory() as folder:
        lake = os.path.abspath(options.lake or os.path.join(folder, "lake"))
        config = os.path.join(folder, "hearback.toml")
        with open(config, "w") as file:
            file.write("[query]\nthreads = 2\n")
        hearback = [binary, "--lake", lake, "--config", config, "--quiet"]
        if not os.path.exists(lake):
            fill(hearback, options.messages)
        count = "SELECT count(*) AS events, count(DISTINCT recipient) AS recipients FROM events"
        counted = subprocess.run([*hearback, "query", count, "--format", "json"], check=True, capture_output=True)
        lake_is = json.loads(counted.stdout)[0]
        print(f"{lake_is['events']:,} events, {lake_is['recipients']:,} recipients")
        for _ in range(options.rounds):
            measure(hearback, lake_is["events"], folder)


def fill(hearback, messages):
    for seed, first in enumerate(range(0, messages, CHUNK), start=1):
        some = min(CHUNK, messages - first)
        traffic = subprocess.Popen(
            [hearback[0], "simulate", "--messages", str(some), "--seed", str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        subprocess.run([*hearback, "ingest", "-"], stdin=traffic.stdout, check=True, stdout=subprocess.DEVNULL)
        assert traffic.wait() == 0


def measure(hearback, events, folder):
    result = os.path.join(folder, "plan.json")
    command = [*hearback, "suppression", "plan", "--no-pull", "--max-adds", "1000000000", "--format", "json"]
    with open(result, "wb") as output:
        begun = time.monotonic()
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
    assert os.waitstatus_to_exitcode(status) == 0
    with open(result) as file:
        planned = sum(target["add"] for target in json.load(file))
    print(f"{planned:,} additions planned in {seconds:.2f} s, {usage.ru_maxrss // 1024:,} MB, {events / seconds:,.0f} events/s")


if __name__ == "__main__":
    main()
