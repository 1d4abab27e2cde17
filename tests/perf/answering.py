#!/usr/bin/env python3
"""answering.py EXTENSION DATABASE: how long os_jobs takes to answer this process while another one loads.

Waits for a job that runs, asks every 20 ms until it has ended, and prints {"asked", "median", "p99", "longest"} in
milliseconds and in "steps" how many different counts of documents were seen.
"""
import json
import sqlite3
import statistics
import sys
import time

QUERY = "SELECT status, documents_read FROM os_jobs WHERE kind = 'bulk_load' ORDER BY job DESC LIMIT 1"
PATIENCE = 60  # seconds for the job to begin


def ask(db):
    begin = time.perf_counter()
    row = db.execute(QUERY).fetchone()
    return row, (time.perf_counter() - begin) * 1000


def main():
    extension, database = sys.argv[1:]
    db = sqlite3.connect(database)
    db.enable_load_extension(True)
    db.load_extension(extension)
    row, times, seen, limit = None, [], set(), time.monotonic() + PATIENCE
    while (row is None or row[0] != "running") and time.monotonic() < limit:
        row, _ = ask(db)
        time.sleep(0.005)
    while row and row[0] == "running":
        row, took = ask(db)
        times.append(took)
        seen.add(row[1])
        time.sleep(0.02)
    if len(times) < 20:
        sys.exit("answering: only %d answers while a load ran" % len(times))
    times.sort()
    print(json.dumps({"asked": len(times), "median": statistics.median(times), "p99": times[int(len(times) * 0.99)],
                      "longest": times[-1], "steps": len(seen)}))


if __name__ == "__main__":
    main()
