#!/usr/bin/python3
"""compare.py [--runs 3] [--documents 30000]: the same files through the same faults, by this extension and by other clients.

Each run: a fresh index, the proxy with the faults of a plan and a seed of its own, one client with every retry it offers, and
then what the client says is held against what is in the index. Prints each run as a row of Markdown, then the sums. The other clients are fetched on demand,
in the versions named here, into OS_PEERS (default ~/.cache/sqlite-opensearch/fault-peers); one that cannot be had is left out,
with the reason. Needs an OpenSearch without security (--endpoint) and the extension (OS_TEST_EXTENSION).
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "python")]

from harness.cluster import Cluster, unique  # noqa: E402
from harness.paths import EXTENSION, SQLITE3  # noqa: E402
from harness.shell import clean_environment  # noqa: E402
from proxy import Proxy  # noqa: E402

OPENSEARCH_PY, ELASTICDUMP, OPENSEARCH_GO = "opensearch-py==3.2.0", "elasticdump@6.125.1", "opensearch-go v4.8.1"
CACHE = Path(os.environ.get("OS_PEERS", Path.home() / ".cache" / "sqlite-opensearch" / "fault-peers"))
LIMIT = 900  # seconds a run may take
REQUESTS = [dict(fault="cut_before", share=0.06), dict(fault="cut_after", share=0.07), dict(fault="status", code=429, share=0.06),
            dict(fault="status", code=503, share=0.03)]
ITEMS = [dict(fault="items", status=429, percent=10, share=0.1), dict(fault="items", status=503, percent=10, share=0.05)]
PLANS = (("requests", REQUESTS), ("requests, items", REQUESTS + ITEMS))


class Missing(Exception):
    """Why a client cannot take part."""


def run(words, **how):
    try:
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, **how)
    except FileNotFoundError as error:
        raise Missing("%s is not installed" % words[0]) from error
    except subprocess.TimeoutExpired as error:
        return subprocess.CompletedProcess(words, 124, error.stdout or b"", "no end within %d s" % LIMIT)


def fetched(name, wanted, maker):
    folder, mark = CACHE / name, CACHE / name / "versions"
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        done = maker(folder)
        if done.returncode:
            raise Missing("cannot be fetched: %s" % (done.stderr.strip().splitlines() or ["no message"])[-1][:200])
        mark.write_text(wanted)
    return folder


def fetch_py(folder):
    return run(["/usr/bin/python3", "-m", "pip", "--disable-pip-version-check", "install", "-q", "--target", str(folder), OPENSEARCH_PY],
               env=dict(os.environ, PIP_ROOT_USER_ACTION="ignore"))


def fetch_go(folder):
    for name in ("main.go", "go.mod", "go.sum"):
        shutil.copy(HERE / "go" / name, folder)
    return run(["go", "build", "-mod=readonly", "-o", "peer", "."], env=dict(os.environ, GOTOOLCHAIN="local", GOFLAGS="", GOWORK="off"), cwd=folder)


def fetch_npm(folder):
    return run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix", str(folder), ELASTICDUMP])


# ---- the clients: (what the program says as indexed, what it says as failed, a note) ----------------------------------------
def said_in_json(done):
    if done.returncode:
        return None, None, "ends with an error: %s" % (done.stderr.strip().splitlines() or ["no message"])[-1][:120]
    said = json.loads(done.stdout.strip().splitlines()[-1])
    return said["indexed"], said["failed"], ""


def by_py(mode):
    def client(url, index, path, _):
        folder = fetched("python", OPENSEARCH_PY, fetch_py)
        return said_in_json(run(["/usr/bin/python3", str(HERE / "opensearch_py.py"), mode, url, index, str(path)],
                                env=dict(os.environ, PYTHONPATH=str(folder), PYTHONWARNINGS="ignore")))
    return client


def by_go(url, index, path, _):
    source = "".join((HERE / "go" / name).read_text() for name in ("main.go", "go.mod", "go.sum"))
    return said_in_json(run([str(fetched("go", source, fetch_go) / "peer"), url, index, str(path)]))


def by_elasticdump(url, index, path, folder):
    program = fetched("npm", ELASTICDUMP, fetch_npm) / "node_modules" / ".bin" / "elasticdump"
    lines = folder / "dump.ndjson"
    with open(path, encoding="utf-8") as source, open(lines, "w", encoding="utf-8") as out:
        for line in source:
            document = json.loads(line)
            head = {"_id": document.pop("_id")} if "_id" in document else {}
            out.write(json.dumps({**head, "_source": document}) + "\n")
    done = run([str(program), "--input=%s" % lines, "--output=%s/%s" % (url, index), "--type=data", "--limit=250", "--retryAttempts=10", "--retryDelay=50"])
    words = [line for line in done.stdout.splitlines() if "Total Writes" in line]
    written = int(words[-1].split("Total Writes:")[1].split()[0]) if words else None
    return written, None, "" if done.returncode == 0 else "ends with an error"


def by_us(url, index, path, folder):
    env = clean_environment(folder, {"OPENSEARCH_ENDPOINT": url, "LOG_LEVEL": "OFF", "MAX_RETRIES": 10})
    options = json.dumps({"mode": "append", "batch_size": 250, "max_workers": 4})
    done = run([SQLITE3, "-batch", "-bail", "-cmd", ".load %s" % EXTENSION, "app.db", "SELECT os_bulk_load('%s','%s','%s')" % (path, index, options)],
               env=env, cwd=folder)
    if done.returncode:
        return None, None, "ends with an error: %s" % done.stderr.strip()[-160:]
    said = json.loads(done.stdout)["response"]
    return said["created"] + said["updated"] + said["already"], said["failed"], ""


CLIENTS = (("this extension", by_us), ("opensearch-py 3.2.0 parallel_bulk", by_py("parallel")), ("opensearch-py 3.2.0 streaming_bulk", by_py("stream")),
           (OPENSEARCH_GO + " BulkIndexer", by_go), ("elasticdump 6.125.1", by_elasticdump))


def write(path, count, ids):
    with open(path, "w", encoding="utf-8") as out:
        for n in range(count):
            out.write(json.dumps({**({"_id": "own-%d" % n} if ids else {}), "n": n, "name": "document %d" % n, "text": "x" * 120}) + "\n")


def one(cluster, client, rules, seed, path, count):
    """{read, said, failed, there, lost, doubled, seconds, note}"""
    index = unique("peers")
    cluster.create(index, {"n": {"type": "long"}, "name": {"type": "keyword"}, "text": {"type": "keyword", "index": False}})
    try:
        with tempfile.TemporaryDirectory(prefix="fault-peers-") as folder, Proxy(cluster.url, seed=seed, rules=rules) as proxy:
            started = time.monotonic()
            said, failed, note = client(proxy.url, index, path, Path(folder))
            seconds = time.monotonic() - started
            while proxy.busy:
                time.sleep(0.05)
        seen = Counter(source["n"] for _, source, _ in cluster.read_all(index))
        return {"said": said, "failed": failed, "there": sum(seen.values()), "lost": count - len(seen), "seconds": seconds, "note": note,
                "doubled": sum(times - 1 for times in seen.values())}
    finally:
        cluster.delete(index)


def verdict(row, count):
    """Is what the client says what happened? Lost records that it calls failed are honest, everything else is not."""
    if row["note"]:
        return row["note"]
    honest = row["doubled"] == 0 and row["said"] == row["there"] and row["lost"] == (row["failed"] or 0)
    return "exact" if honest and not row["lost"] else "says so" if honest else "wrong"


def summary(rows):
    """The sums over the runs of each client, kind of ids and plan."""
    words = {"exact": "exact", "says so": "honest", "wrong": "wrong"}
    print("\n| ids | faults of | client | says indexed | says failed | in the index | lost | doubled | runs |\n|---|---|---|---|---|---|---|---|---|")
    for (ids, plan, who), runs in rows.items():
        sums = ["" if all(run[key] is None for run, _ in runs) else "{:,}".format(sum(run[key] or 0 for run, _ in runs))
                for key in ("said", "failed", "there", "lost", "doubled")]
        verdicts = Counter(words.get(text, "broken off") for _, text in runs)
        print("| %s | %s | %s | %s | %s |" % (ids, plan, who, " | ".join(sums), ", ".join("%d %s" % (n, word) for word, n in verdicts.items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--documents", type=int, default=30000)
    parser.add_argument("--only", default="", help="clients whose name has this")
    parser.add_argument("--endpoint", default=os.environ.get("OS_TEST_ENDPOINT", "http://127.0.0.1:9200"))
    args = parser.parse_args()
    cluster = Cluster(args.endpoint)
    print("| client | ids | faults of | run | says indexed | says failed | in the index | lost | doubled | s | |\n|---|---|---|---|---|---|---|---|---|---|---|")
    rows = {}
    with tempfile.TemporaryDirectory(prefix="fault-peers-data-") as folder:
        for ids in (False, True):
            path = Path(folder) / ("own.ndjson" if ids else "none.ndjson")
            write(path, args.documents, ids)
            for name, rules in PLANS:
                for number in range(1, args.runs + 1):
                    for who, client in (c for c in CLIENTS if args.only in c[0]):
                        try:
                            row = one(cluster, client, rules, number, path, args.documents)
                        except Missing as why:
                            print("| %s | | | | left out: %s |" % (who, why), flush=True)
                            continue
                        rows.setdefault(("own" if ids else "none", name, who), []).append((row, verdict(row, args.documents)))
                        shown = ["" if row[key] is None else "{:,}".format(row[key]) for key in ("said", "failed", "there", "lost", "doubled")]
                        print("| %s | %s | %s | %d | %s | %.0f | %s |" % (who, "own" if ids else "none", name, number, " | ".join(shown), row["seconds"],
                                                                          verdict(row, args.documents)), flush=True)
    summary(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
