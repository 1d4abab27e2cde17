#!/usr/bin/python3
"""Look for what breaks exactly-once: random loads through random faults, each run decided by one number (its seed).

    torture.py --seed 17 -v        one run, told in full
    torture.py --seeds 1-200       a campaign; every seed that fails is printed with its plan
    torture.py                     the campaign of the file `seeds` beside this one

Needs an OpenSearch without security (--endpoint, default http://127.0.0.1:9200; indices torture-<seed>-<pid> are made
and removed) and the extension (OS_TEST_EXTENSION, default build/opensearch.so). See README.md.
"""
import argparse
import os
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "python")]

from torture_plan import Plan  # noqa: E402
from torture_run import Run, Violation  # noqa: E402


def parse_seeds(text):
    """"1-200", "7", "3,9,20-30": a list of numbers."""
    out = []
    for part in text.replace("\n", ",").split(","):
        part = part.split("#")[0].strip()
        if part:
            first, _, last = part.partition("-")
            out += range(int(first), int(last or first) + 1)
    return out


def one(seed, endpoint, keep=None, say=None):
    """(seed, seconds, lives, None or what was wrong)"""
    started, plan = time.monotonic(), Plan(seed)
    run = Run(plan, endpoint, keep, say)
    try:
        run.run()
        wrong = None
    except Violation as violation:
        wrong = str(violation)
    except Exception:  # a fault of the campaign itself is a failure, too: nothing was shown
        wrong = traceback.format_exc()
    return seed, time.monotonic() - started, run.lives, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="one run")
    parser.add_argument("--seeds", help="for example 1-200 or 3,9,20-30; a number alone: so many from 1 on")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--endpoint", default=os.environ.get("OS_TEST_ENDPOINT", "http://127.0.0.1:9200"))
    parser.add_argument("--keep", help="with --seed: run in this folder and leave it and the index as they are")
    parser.add_argument("--plan", action="store_true", help="with --seed: say what would be done, and do nothing")
    parser.add_argument("-v", "--verbose", action="store_true")
    args = parser.parse_args()
    if args.seed is not None:
        print(Plan(args.seed).describe())
        if args.plan:
            return 0
        _, seconds, lives, wrong = one(args.seed, args.endpoint, args.keep, print if args.verbose else None)
        print("%s after %.1f s and %d lives" % ("WRONG: " + wrong if wrong else "right", seconds, lives))
        return 1 if wrong else 0
    text = args.seeds or (HERE / "seeds").read_text()
    seeds = parse_seeds("1-" + text if args.seeds and args.seeds.isdigit() else text)
    failed, lives_all, started, lock = [], 0, time.monotonic(), threading.Lock()
    with ThreadPoolExecutor(args.jobs) as pool:
        for done, (seed, seconds, lives, wrong) in enumerate(pool.map(lambda s: one(s, args.endpoint), seeds), 1):
            lives_all += lives
            if wrong:
                failed.append(seed)
                with lock:
                    print("%s\nWRONG: %s\nagain: tests/faults/torture.py --seed %d -v\n" % (Plan(seed).describe(), wrong, seed), flush=True)
            if args.verbose or done % 25 == 0:
                print("%d of %d runs (seed %d: %.1f s, %d lives), %d wrong" % (done, len(seeds), seed, seconds, lives, len(failed)), flush=True)
    print("%d runs, %d processes, %.0f s: %s" % (len(seeds), lives_all, time.monotonic() - started,
                                                 "all right" if not failed else "%d WRONG: %s" % (len(failed), ", ".join(map(str, failed)))))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
