#!/usr/bin/env python3
"""Measures what planning and applying a large segment costs, in one run.

    python3 benches/segments.py [--messages N | --lake PATH] [--rounds N] [--binary PATH] [--folder PATH] [--steps NAMES]

`hearback simulate` is piped into `hearback ingest` (a message gives about three events and half a person, so
2,100,000 messages are a million members and some seven million events). The segment is everybody who may be
written to, with two attributes. With --lake, a lake that is there is measured instead: its files are linked into
the folder, so nothing is written into it. Then, each in a process of its own, wall time from start to end and peak memory from the kernel
(ru_maxrss), CPU time of all threads beside it:

    question    the segment's SQL alone, as `hearback query` counts its rows
    rows        the same, with all rows and columns written to /dev/null
    plan        the first plan: everybody is new
    apply       into a folder: CSV, Parquet, ledger, state
    plan again  nothing changed
    apply again nothing changed, nothing is sent

Prints medians and the ratio of CPU time to the question alone, which is what counts on a noisy machine.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SQL = "SELECT recipient AS address, deliveries, mailbox_provider AS provider FROM recipients"
CONFIG = f"""[[segments]]
name = "reachable"
sql = "{SQL}"
destinations = [{{ uri = "out" }}]
"""


def measured(binary, folder, *arguments):
    """Seconds, seconds of all cores together, and peak MB of one process."""
    program = (
        "import resource, subprocess, sys, time\n"
        "begun = time.monotonic()\n"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, code)\n"
    )
    output = subprocess.run([sys.executable, "-c", program, binary, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    seconds, busy, megabytes, code = output.stdout.split()
    if code != "0":
        sys.exit(f"{arguments} ended with {code}: {output.stderr}")
    return float(seconds), float(busy), float(megabytes)


def linked(lake, place):
    """A lake of its own that shares the data files, which never change, with another."""

    def link(source, target):
        (os.link if source.endswith(".parquet") else shutil.copy2)(source, target)

    shutil.copytree(lake, place, copy_function=link)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=2_100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", default="target/release/hearback")
    parser.add_argument("--folder", help="keep the lake here, and use the one that is there")
    parser.add_argument("--lake", help="measure this lake, on this machine; it is not written to")
    parser.add_argument("--steps", default="question,rows,plan,apply,plan again,apply again", help="which to measure")
    arguments = parser.parse_args()
    binary = os.path.abspath(arguments.binary)
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.abspath(arguments.folder or scratch)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "hearback.toml"), "w") as file:
            file.write(CONFIG)
        place = os.path.join(folder, "hearback-lake")
        if arguments.lake and not os.path.exists(place):
            linked(arguments.lake, place)
        if not os.path.exists(place):
            made = subprocess.Popen([binary, "simulate", "--messages", str(arguments.messages), "--plain"], stdout=subprocess.PIPE)
            subprocess.run([binary, "ingest", "-", "--quiet"], cwd=folder, stdin=made.stdout, check=True, stdout=subprocess.DEVNULL)
            made.wait()
        counted = "SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM recipients) AS people"
        counts = subprocess.run([binary, "query", counted, "--format", "csv"], cwd=folder, capture_output=True, text=True, check=True)
        events, people = counts.stdout.strip().splitlines()[-1].split(",")
        results = {}
        question = ["query", f"SELECT count(*), count(DISTINCT address) FROM ({SQL})"]
        rows = ["query", SQL, "--format", "arrow", "-o", "/dev/null"]
        rounds = [("question", question), ("rows", rows), ("plan", ["segments", "plan", "--quiet"])] * arguments.rounds
        rounds.append(("apply", ["segments", "apply", "--yes", "--quiet"]))
        rounds += [("plan again", ["segments", "plan", "--quiet"]), ("apply again", ["segments", "apply", "--yes", "--quiet"])] * arguments.rounds
        steps = arguments.steps.split(",")
        for name, command in rounds:
            if name not in steps:
                continue
            results.setdefault(name, []).append(measured(binary, folder, *command))
        print(f"{people} people, {events} events, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n")
        base = statistics.median(row[1] for row in results[steps[0]])
        print(f"| step | seconds | CPU seconds | peak MB | CPU / {steps[0]} |\n|---|---|---|---|---|")
        for name, rows in results.items():
            seconds = statistics.median(row[0] for row in rows)
            busy = statistics.median(row[1] for row in rows)
            memory = max(row[2] for row in rows)
            print(f"| {name} | {seconds:.2f} | {busy:.2f} | {memory:,.0f} | {busy / base:.2f} |")


if __name__ == "__main__":
    main()
