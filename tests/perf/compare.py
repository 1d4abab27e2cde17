#!/usr/bin/env python3
"""compare.py --extension SO --url URL [--sink] [--rounds N] [--only WORD] [--peers FOLDER] FILE...: one table of loads.

Every tool loads every file into an index that was made anew for it. The tools take turns within a round, so that other
work on the machine hits all of them; the best round of each counts. What arrived is counted by the receiver: with
--sink by tests/perf/nullsink.c, else by the cluster. Status 1 when a tool did not deliver every document.

    MB/s, documents/s   of the file, by the wall clock, the start of the program included
    CPU                 seconds of processor time the client took for a GB of the file
    RSS                 the client's largest memory, in MB
    time                against the first tool of the table
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
INDEX = "bench-load"
BODY_BYTES = 8 << 20


def call(method, url, body=None):
    request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return {}
        raise


class Receiver:
    def __init__(self, url, sink):
        self.url, self.sink = url, sink

    def prepare(self):
        call("DELETE", "%s/%s" % (self.url, INDEX))
        call("PUT", "%s/%s" % (self.url, INDEX), {"settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}})
        if self.sink:
            call("GET", self.url + "/_sink")

    def arrived(self):
        if self.sink:
            return call("GET", self.url + "/_sink")["documents"]
        call("POST", "%s/%s/_refresh" % (self.url, INDEX))
        return call("GET", "%s/%s/_count" % (self.url, INDEX))["count"]


# ---- the tools: (file) -> command line, or None when the tool does not take such a file
def ours(extension):
    def command(receiver, path, folder):
        options = {"mode": "fresh", "validate": "none", "progress": False,
                   "id_field": "id" if path.endswith(".csv") else "_id"}
        # the tool is measured, not its guesses: every peer sends what it reads as it is
        sql = "SELECT os_bulk_load('%s', '%s', '%s');" % (path.replace("'", "''"), INDEX, json.dumps(options))
        return ["sqlite3", "-batch", "-bail", "-cmd", ".load " + extension, os.path.join(folder, "bench.db"), sql]
    return command


def opensearch_py(mode):
    def command(receiver, path, folder):
        return ["/usr/bin/python3", os.path.join(HERE, "peer_opensearch_py.py"), mode, receiver.url, INDEX, path]
    return command


def ready_bodies(receiver, path, folder):
    """curl with request bodies that lie ready on disk: what sending alone costs."""
    if not path.endswith(".ndjson"):
        return None
    parts = os.path.join(folder, "bodies-" + os.path.basename(path))
    if not os.path.isdir(parts):
        os.makedirs(parts)
        body, number = bytearray(), 0
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                document = json.loads(line)
                body += b'{"index":{"_id":%s}}\n' % json.dumps(document.pop("_id")).encode()
                body += json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
                if len(body) >= BODY_BYTES:
                    number += 1
                    write(os.path.join(parts, "%05d" % number), body)
                    body = bytearray()
        if body:
            write(os.path.join(parts, "%05d" % (number + 1)), body)
    line = ["curl"]
    for part in sorted(os.listdir(parts)):
        line += [] if len(line) == 1 else ["--next"]
        line += ["-sS", "--fail", "--noproxy", "*", "-o", "/dev/null", "-H", "Content-Type: application/x-ndjson", "-H", "Expect:",
                 "--data-binary", "@" + os.path.join(parts, part), "%s/%s/_bulk?filter_path=took,errors" % (receiver.url, INDEX)]
    return line


def write(path, data):
    with open(path, "wb") as out:
        out.write(data)


# ---- measuring
def measure(command, env, folder):
    begin = time.monotonic()
    with open(os.path.join(folder, "output"), "w+") as output:
        process = subprocess.Popen(command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit("bench: %s ended with status %d:\n%s" % (command[0], process.returncode, output.read()[-2000:]))
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def documents_of(path):
    if path.endswith(".csv"):
        import csv
        with open(path, newline="", encoding="utf-8") as rows:
            return sum(1 for _ in csv.reader(rows)) - 1
    with open(path, "rb") as lines:
        return sum(1 for _ in lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--extension", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--sink", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--peers")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    receiver = Receiver(args.url, args.sink)
    tools = [("sqlite-opensearch", ours(os.path.abspath(args.extension))), ("curl, ready-made bodies", ready_bodies)]
    if args.peers:
        tools += [("opensearch-py streaming_bulk", opensearch_py("stream")), ("opensearch-py parallel_bulk", opensearch_py("parallel"))]
    short = False
    print("%-16s %-30s %8s %12s %9s %7s %8s" % ("file", "tool", "MB/s", "documents/s", "CPU s/GB", "RSS MB", "time"))
    with tempfile.TemporaryDirectory() as folder:
        env = {"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8", "OPENSEARCH_ENDPOINT": args.url, "LOG_LEVEL": "WARNING",
               "OS_LEDGER": os.path.join(folder, "ledger.db"), "PYTHONPATH": args.peers or ""}
        for path in map(os.path.abspath, args.files):
            expected, size, best = documents_of(path), os.path.getsize(path), {}
            for _ in range(args.rounds):
                for name, tool in tools:
                    command = tool(receiver, path, folder) if args.only in name else None
                    if not command:
                        continue
                    receiver.prepare()
                    figures = measure(command, env, folder)
                    arrived = receiver.arrived()
                    if arrived != expected:
                        print("%s: %s delivered %d of %d documents" % (os.path.basename(path), name, arrived, expected))
                        short = True
                    best[name] = min(best.get(name, figures), figures)
            first = None
            for name, (seconds, cpu, memory) in best.items():
                first = first or seconds
                print("%-16s %-30s %8.1f %12.0f %9.2f %7.0f %7.2fx" % (
                    os.path.basename(path), name, size / 1e6 / seconds, expected / seconds, cpu / (size / 1e9), memory, seconds / first))
    call("DELETE", "%s/%s" % (args.url, INDEX))
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
