"""Tools against each other on the same file: they take turns, round by round, in an order that rotates, so that other
work on the machine and the receiver's own state hit all of them alike."""
import dataclasses
import os
import tempfile

import measure
from plan import file_of


def environment(receiver, tool, folder):
    return {"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8", "OPENSEARCH_ENDPOINT": receiver.url, "LOG_LEVEL": "WARNING",
            **tool.environment()}


def files_of(path):
    return [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names] if os.path.isdir(path) else [path]


def read_through(path):
    """A system that gave a file's memory away reads it from the disk again, at the expense of whoever comes first."""
    for one in files_of(path):
        with open(one, "rb", buffering=0) as file:
            while file.read(1 << 20):
                pass


def load(tool, receiver, path, file):
    """One load into an index made anew, from an empty folder; over when its documents can be searched."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        receiver.prepare()
        read_through(path)
        run = measure.run(tool.command(receiver, path, file, folder), environment(receiver, tool, folder), folder)
        run.seconds += receiver.settle()
        run.arrived = receiver.arrived()
        return run


def fault_of(run):
    if not run.status:
        return ""
    lines = [line for line in run.output.splitlines() if line.strip()]
    return "ended with status %d: %s" % (run.status, lines[-1].strip()[:300] if lines else "no message")


def works(tool, receiver, file):
    """"" or why the tool cannot be measured: it loads a small file first, which also compiles what it compiles once."""
    run = load(tool, receiver, tool.prepare(file), file)
    return fault_of(run) or ("" if run.arrived == file.documents else "delivered %d of %d documents" % (run.arrived, file.documents))


def entry_of(tool, receiver, file):
    return {"receiver": receiver.name, "tool": tool.name, "peer": tool.peer, "file": file.name, "compression": file.compression,
            "size": file.size, "documents": file.documents, "unfit": tool.unfit(file), "runs": []}


def compare(tools, receiver, data, name, compression, megabytes, rounds, say):
    # a variant of ours that makes no difference here is no row; a peer that does not read the file is one
    tools = [tool for tool in tools if tool.peer or not tool.unfit(file_of(data, name, megabytes, compression))]
    files = {tool: file_of(data, name, max(1, megabytes // tool.part[receiver.name]), compression) for tool in tools}
    entries = {tool: entry_of(tool, receiver, files[tool]) for tool in tools}
    taking = [tool for tool in tools if not entries[tool]["unfit"]]
    paths = {tool: tool.prepare(files[tool]) for tool in taking}
    for turn in range(rounds):
        first = turn % len(taking)
        for tool in taking[first:] + taking[:first]:
            run = load(tool, receiver, paths[tool], files[tool])
            entries[tool]["runs"].append({**dataclasses.asdict(run), "output": "", "fault": fault_of(run)})
    for entry in entries.values():
        say(entry)
    return list(entries.values())
