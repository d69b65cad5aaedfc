#!/usr/bin/env python3
"""Measures `hearback suppression plan` over a large lake.

    python3 benches/suppression.py [--messages N] [--copies N] [--rounds N] [--binary PATH] [--lake PATH]

Simulates a month of a sender's traffic and pipes it into a lake as often as there are copies, each time with other
message ids: so many times the mail, to the same people. Nothing but the lake is on the disk; the default, some 50
million events of a million recipients, takes 4 GB there and a quarter of an hour to make. `--lake` names a lake that is
there already, or where to make one that stays. The plan is made a few times with two threads. Prints events,
recipients and changes planned, wall time, processor time (user and system) and peak memory of each round (ru_maxrss).
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

MESSAGE_ID = b'"messageId":"010'
CHUNK = 1 << 20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=2_100_000, help="messages of a copy; each has about three events")
    parser.add_argument("--copies", type=int, default=8, help="how often the traffic is read, at most 9")
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
            for copy in range(options.copies):
                read_copy(hearback, options.messages, copy)
        count = "SELECT count(*) AS events, count(DISTINCT recipient) AS recipients FROM events"
        counted = subprocess.run([*hearback, "query", count, "--format", "json"], check=True, capture_output=True)
        lake_is = json.loads(counted.stdout)[0]
        print(f"{lake_is['events']:,} events, {lake_is['recipients']:,} recipients", flush=True)
        for _ in range(options.rounds):
            measure(hearback, lake_is["events"], folder)


def read_copy(hearback, messages, copy):
    """Reads the traffic into the lake, its message ids marked with the number of the copy."""
    simulate = [hearback[0], "simulate", "--messages", str(messages), "--seed", "1", "--envelope", "ses"]
    traffic = subprocess.Popen(simulate, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    ingest = subprocess.Popen([*hearback, "ingest", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    marked = MESSAGE_ID.replace(b"0", str(copy).encode(), 1)
    rest = b""
    while chunk := traffic.stdout.read(CHUNK):
        lines, end, rest = (rest + chunk).rpartition(b"\n")
        ingest.stdin.write((lines + end).replace(MESSAGE_ID, marked))
    ingest.stdin.write(rest.replace(MESSAGE_ID, marked))
    ingest.stdin.close()
    assert traffic.wait() == 0 and ingest.wait() == 0


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
    print(
        f"{planned:,} additions planned in {seconds:.2f} s, {usage.ru_utime + usage.ru_stime:.2f} s of processor time,"
        f" {usage.ru_maxrss // 1024:,} MB, {events / seconds:,.0f} events/s",
        flush=True,
    )


if __name__ == "__main__":
    main()
