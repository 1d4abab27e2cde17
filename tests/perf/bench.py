#!/usr/bin/env python3
"""bench.py: measure what the plan says and write the report. scripts/bench prepares the ground and calls it."""
import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

import compare
import long_loads
import peers
import plan
import report
import tools
from bench_data import Folder
from figures import summary, trouble
from receiver import Node, Sink

HERE = os.path.dirname(os.path.abspath(__file__))
SECTIONS = ["parsers", "sink", "node", "curve", "memory", "jobs"]
EXTRA = ["tuning"]  # only when named


def say(entry):
    figures, note = summary(entry), trouble(entry)
    name = " ".join(filter(None, (entry.get("label") or entry["file"], entry["compression"])))
    line = "%-5s %-20s %-36s " % (entry["receiver"], name, entry["tool"])
    if figures:
        line += "%8.1f MB/s (%.1f–%.1f) %10s documents/s %7.2f CPU s/GB %5.0f MiB" % (
            figures["rate"], figures["slowest"], figures["fastest"], "{:,.0f}".format(figures["documents"]), figures["cpu"], figures["rss"])
    print(line + ("  " + note if note else ""), flush=True)


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "missing"


def field(path, name):
    with open(path, encoding="utf-8") as text:
        return next((line.partition(":")[2].strip() for line in text if line.startswith(name)), "unknown")


def machine(node):
    memory = int(field("/proc/meminfo", "MemTotal").split()[0]) / 1024 / 1024
    return {"processor": "%s, %d cores" % (field("/proc/cpuinfo", "model name"), os.cpu_count()), "memory": "%.0f GiB" % memory,
            "system": "%s, Linux %s" % (platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"), platform.release()),
            "source": first_line("git", "describe", "--always", "--dirty"), "compiler": first_line("gcc", "--version"),
            "sqlite3": first_line("sqlite3", "--version").split()[0], "node": node.version(), "Python": platform.python_version(),
            "Go": first_line("go", "version"), "Node.js": first_line("node", "--version"),
            **peers.versions()}


def parsers(build, data, megabytes):
    lines = []
    for name, program in plan.PARSERS.items():
        file = os.path.basename(data.file(name, megabytes)[0])
        done = subprocess.run([os.path.join(build, "perf", program), file], cwd=data.path, capture_output=True, text=True, check=True)
        lines.append(done.stdout.strip())
    return "\n".join(lines)


def working(found, missing, sink, data):
    """The tools that load a small file as they should; the others join the missing."""
    file = plan.file_of(data, "log.ndjson", 1)
    sound = []
    for tool in found:
        reason = "" if tool.unfit(file) else compare.works(tool, sink, file)
        if reason and not tool.peer:
            sys.exit("bench: error: %s does not load a small file: %s" % (tool.name, reason))
        if reason:
            missing[tool.name] = reason
        else:
            sound.append(tool)
    return sound


def warm_up(tool, node, data, megabytes):
    """A server that was just started compiles for a while."""
    for name in plan.NAMES:
        file = plan.file_of(data, name, megabytes)
        compare.load(tool, node, file.path, file)


def answering(tool, sink, data, megabytes, base):
    """Ask os_jobs from a second process while the first one loads."""
    path, size, documents = data.long_log(megabytes, base)
    file = plan.File("log.ndjson", path, path, size, documents)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sink.prepare()
        env = compare.environment(sink, tool, folder)
        asking = subprocess.Popen(["/usr/bin/python3", os.path.join(HERE, "answering.py"), tool.extension, os.path.join(folder, "bench.db")],
                                  env=env, cwd=folder, stdout=subprocess.PIPE, text=True)
        loading = subprocess.Popen(tool.command(sink, path, file, folder), env=env, cwd=folder, stdout=subprocess.DEVNULL)
        answer, _ = asking.communicate(timeout=600)
        if loading.wait(600) or asking.returncode:
            sys.exit("bench: error: the load or the process that asks about it failed")
    return json.loads(answer)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--node", required=True, help="URL of a node on 127.0.0.1")
    parser.add_argument("--cache", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--megabytes", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--page", help="docs/performance.md, to put the table of targets into")
    parser.add_argument("sections", nargs="*", help=", ".join(SECTIONS + EXTRA))
    return parser.parse_args()


def measure_all(args, what, sections, sink, node, data, results):
    entries, own = results["entries"], tools.ours(os.path.join(args.build, "opensearch.so"))
    alone = args.no_peers or not {"sink", "node"} & set(sections)
    found, missing = ([], {"the peers": "not wanted"}) if alone else tools.others(os.path.join(args.cache, "peers"))
    found = working(own + found, missing, sink, data)
    results["missing"] = missing
    for name, reason in missing.items():
        print("left out: %s (%s)" % (name, reason), flush=True)
    if "parsers" in sections:
        results["parsers"] = parsers(args.build, data, what.sink_mb)
        print(results["parsers"], flush=True)
    for name, compression in what.sink if "sink" in sections else []:
        entries += compare.compare(found, sink, data, name, compression, what.sink_mb, what.rounds, say)
    if "node" in sections or "tuning" in sections:
        warm_up(own[0], node, data, max(1, what.node_mb // 2))
    for name, compression in what.node if "node" in sections else []:
        entries += compare.compare(found, node, data, name, compression, what.node_mb, what.rounds, say)
    for name in what.tuning if "tuning" in sections else []:
        for entry in compare.compare(tools.tunings(own[0].extension), node, data, name, "", what.node_mb, what.rounds, say):
            entries.append({**entry, "label": "tuning"})
    if "curve" in sections and what.curve:
        entries += long_loads.curve(own[0], sink, data, what.curve, what.sink_mb, what.rounds, say)
    if "memory" in sections and what.many:
        entries.append(long_loads.many(own[0], sink, data, *what.many, say))
    if "jobs" in sections:
        results["answering"] = answering(own[0], sink, data, what.watched_mb, what.sink_mb)


def main():
    args, begin = arguments(), time.monotonic()
    unknown = set(args.sections) - set(SECTIONS + EXTRA)
    if unknown:
        sys.exit("bench: error: there is no section %s; there are %s" % (", ".join(sorted(unknown)), ", ".join(SECTIONS + EXTRA)))
    what = plan.quick(args.megabytes or 32, args.rounds or 2) if args.quick else plan.full(args.megabytes or 128, args.rounds or 3)
    args.build, node = os.path.abspath(args.build), Node(args.node)
    data = Folder(os.path.join(args.cache, "data"))
    results = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "load": os.getloadavg()[0], "machine": machine(node), "entries": []}
    sink = Sink(os.path.join(args.build, "perf", "nullsink"), node)
    try:
        measure_all(args, what, args.sections or SECTIONS, sink, node, data, results)
    finally:
        sink.close()
        node.remove()
    results["machine"]["the whole run"] = "%.0f minutes, %d rounds, %d MB a file" % ((time.monotonic() - begin) / 60, what.rounds, what.sink_mb)
    written = report.write(results, args.out)
    with open(os.path.join(args.cache, "results.json"), "w", encoding="utf-8") as out:
        json.dump(results, out, indent=1)
    if args.page:
        report.put_into(args.page, results)
    print("\n" + report.targets_table(results))
    print("written: " + ", ".join(written))


if __name__ == "__main__":
    main()
