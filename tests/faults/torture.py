#!/usr/bin/python3
"""Look for what breaks exactly-once: random loads through random faults, each run decided by one number (its seed).

    torture.py --seed 17 -v        one run, told in full
    torture.py --seeds 1-200       a campaign; every seed that fails is printed with its plan
    torture.py                     the campaign of the file `seeds` beside this one
    torture.py --family kills …    runs without faults of the network, whose process dies again and again; power: by power cuts

With --progress FILE a campaign that was broken off goes on where it stopped; what failed is run again.
Needs an OpenSearch without security (--endpoint, default http://127.0.0.1:9200; indices torture-<seed>-<pid> are made
and removed) and the extension (OS_TEST_EXTENSION, default build/opensearch.so). See README.md.
"""
import argparse
import os
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed
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


def one(seed, endpoint, keep=None, say=None, family="faults"):
    """(seed, seconds, lives, None or what was wrong)"""
    started, plan = time.monotonic(), Plan(seed, family)
    run = Run(plan, endpoint, keep, say)
    try:
        run.run()
        wrong = None
    except Violation as violation:
        wrong = str(violation)
    except Exception:  # a fault of the campaign itself is a failure, too: nothing was shown
        wrong = traceback.format_exc()
    return seed, time.monotonic() - started, run.lives, wrong


class Progress:
    """A file with a line for each run: family, seed, right or WRONG, seconds, processes."""

    def __init__(self, path, family):
        self.path, self.family, self.lock = path, family, threading.Lock()

    def done(self):
        """{seed: (seconds, processes)} of the runs that were right."""
        if not self.path or not os.path.exists(self.path):
            return {}
        rows = [line.split() for line in Path(self.path).read_text().splitlines()]
        return {int(row[1]): (float(row[3]), int(row[4])) for row in rows if len(row) == 5 and row[0] == self.family and row[2] == "right"}

    def add(self, seed, seconds, lives, wrong):
        if self.path:
            with self.lock, open(self.path, "a") as out:
                out.write("%s %d %s %.1f %d\n" % (self.family, seed, "WRONG" if wrong else "right", seconds, lives))


def campaign(seeds, args):
    progress = Progress(args.progress, args.family)
    before = {seed: row for seed, row in progress.done().items() if seed in set(seeds)}
    if before:
        print("%d of %d runs were right before (%s)" % (len(before), len(seeds), args.progress), flush=True)
    failed, processes, started = [], sum(lives for _, lives in before.values()), time.monotonic()
    again = "tests/faults/torture.py --seed %d -v" + ("" if args.family == "faults" else " --family " + args.family)
    with ThreadPoolExecutor(args.jobs) as pool:
        waiting = [pool.submit(one, seed, args.endpoint, family=args.family) for seed in seeds if seed not in before]
        for done, future in enumerate(as_completed(waiting), len(before) + 1):
            seed, seconds, lives, wrong = future.result()
            processes += lives
            progress.add(seed, seconds, lives, wrong)
            if wrong:
                failed.append(seed)
                print("%s\nWRONG: %s\nagain: %s\n" % (Plan(seed, args.family).describe(), wrong, again % seed), flush=True)
            if args.verbose or done % 25 == 0:
                print("%d of %d runs (seed %d: %.1f s, %d lives), %d wrong" % (done, len(seeds), seed, seconds, lives, len(failed)), flush=True)
    print("%d runs, %d processes, %.0f s now: %s" % (len(seeds), processes, time.monotonic() - started, "all right" if not failed else
                                                     "%d WRONG: %s" % (len(failed), ", ".join(map(str, sorted(failed))))))
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="one run")
    parser.add_argument("--seeds", help="for example 1-200 or 3,9,20-30; a number alone: so many from 1 on")
    parser.add_argument("--family", default="faults", choices=("faults", "kills", "power"))
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--endpoint", default=os.environ.get("OS_TEST_ENDPOINT", "http://127.0.0.1:9200"))
    parser.add_argument("--progress", help="what was right is noted here, and not run again")
    parser.add_argument("--keep", help="with --seed: run in this folder and leave it and the index as they are")
    parser.add_argument("--plan", action="store_true", help="with --seed: say what would be done, and do nothing")
    parser.add_argument("-v", "--verbose", action="store_true")
    args = parser.parse_args()
    if args.seed is None:
        text = args.seeds or (HERE / "seeds").read_text()
        return campaign(parse_seeds("1-" + text if args.seeds and args.seeds.isdigit() else text), args)
    print(Plan(args.seed, args.family).describe())
    if args.plan:
        return 0
    _, seconds, lives, wrong = one(args.seed, args.endpoint, args.keep, print if args.verbose else None, args.family)
    print("%s after %.1f s and %d lives" % ("WRONG: " + wrong if wrong else "right", seconds, lives))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
