#!/usr/bin/env python3
"""Measures what planning and applying a large segment costs, in one run.

    python3 benches/segments.py [--messages N] [--rounds N] [--binary PATH] [--folder PATH]

`hearback simulate` is piped into `hearback ingest` (a message gives about three events and half a person, so
2,100,000 messages are a million members and some seven million events). The segment is everybody, with two
attributes. Then, each in a process of its own, wall time from start to end and peak memory from the kernel
(ru_maxrss):

    question    the segment's SQL alone, as `hearback query` counts it
    plan        the first plan: everybody is new
    apply       into a folder: CSV, Parquet, ledger, state
    plan again  nothing changed
    apply again nothing changed, nothing is sent

Prints medians and the ratio to the question alone; ratios within one run are what counts on a noisy machine.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

SQL = "SELECT recipient AS address, deliveries, mailbox_provider AS provider FROM recipients"
CONFIG = f"""[[segments]]
name = "everybody"
sql = "{SQL}"
suppressed = "include"
destinations = [{{ uri = "out" }}]
"""


def measured(binary, folder, *arguments):
    """Seconds and peak MB of one process."""
    program = (
        "import resource, subprocess, sys, time\n"
        "begun = time.monotonic()\n"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n"
        "print(time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, code)\n"
    )
    output = subprocess.run([sys.executable, "-c", program, binary, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    seconds, megabytes, code = output.stdout.split()
    if code != "0":
        sys.exit(f"{arguments} ended with {code}: {output.stderr}")
    return float(seconds), float(megabytes)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=2_100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", default="target/release/hearback")
    parser.add_argument("--folder", help="keep the lake here, and use the one that is there")
    arguments = parser.parse_args()
    binary = os.path.abspath(arguments.binary)
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.abspath(arguments.folder or scratch)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "hearback.toml"), "w") as file:
            file.write(CONFIG)
        if not os.path.exists(os.path.join(folder, "hearback-lake")):
            made = subprocess.Popen([binary, "simulate", "--messages", str(arguments.messages), "--plain"], stdout=subprocess.PIPE)
            subprocess.run([binary, "ingest", "-", "--quiet"], cwd=folder, stdin=made.stdout, check=True, stdout=subprocess.DEVNULL)
            made.wait()
        counted = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM recipients)"
        counts = subprocess.run([binary, "query", counted, "--format", "csv"], cwd=folder, capture_output=True, text=True, check=True)
        events, members = counts.stdout.strip().splitlines()[-1].split(",")
        results = {}
        question = ["query", f"SELECT count(*), count(DISTINCT address) FROM ({SQL})"]
        rounds = [("question", question), ("plan", ["segments", "plan", "--quiet"])] * arguments.rounds
        rounds.append(("apply", ["segments", "apply", "--yes", "--quiet"]))
        rounds += [("plan again", ["segments", "plan", "--quiet"]), ("apply again", ["segments", "apply", "--yes", "--quiet"])] * arguments.rounds
        for name, command in rounds:
            results.setdefault(name, []).append(measured(binary, folder, *command))
        print(f"{members} members, {events} events, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n")
        base = statistics.median(seconds for seconds, _ in results["question"])
        print("| step | seconds | peak MB | seconds / question alone |\n|---|---|---|---|")
        for name, rows in results.items():
            seconds = statistics.median(row[0] for row in rows)
            memory = max(row[1] for row in rows)
            print(f"| {name} | {seconds:.2f} | {memory:,.0f} | {seconds / base:.2f} |")


if __name__ == "__main__":
    main()
