"""Ours alone: what a load costs as files get longer or more, in time and memory."""
import dataclasses

import compare
from plan import File


def measured(tool, receiver, file, rounds, label, say):
    runs = []
    for _ in range(rounds):
        run = compare.load(tool, receiver, file.path, file)
        runs.append({**dataclasses.asdict(run), "output": "", "fault": compare.fault_of(run)})
    entry = {**compare.entry_of(tool, receiver, file), "label": label, "runs": runs}
    say(entry)
    return entry


def curve(tool, receiver, data, sizes, base, rounds, say):
    found = []
    for megabytes in sizes:
        path, size, documents = data.long_log(megabytes, base)
        file = File("log.ndjson", path, path, size, documents)
        found.append(measured(tool, receiver, file, rounds, "%d MB" % megabytes, say))
    return found


def many(tool, receiver, data, files, records, say):
    path, size, documents = data.many_files(files, records)
    file = File("log.ndjson", path, path, size, documents)
    return measured(tool, receiver, file, 1, "{:,} files".format(files), say)
