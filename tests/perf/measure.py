#!/usr/bin/env python3
"""One run of one program: how long it took, what it cost. The same for every tool of the bench.

The program is started by a small process of its own, this file run as a script: Linux counts what the parent held when
it started a program into that program's largest memory.
"""
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

LIMIT = 900  # seconds after which a run counts as hung


@dataclass
class Run:
    seconds: float  # wall clock, from before the program was started until it had ended, or what it loaded can be searched
    cpu: float  # seconds, user and system, of it and the children it waited for
    rss: float  # largest resident memory in MiB
    status: int
    output: str
    arrived: int = -1  # documents, as the receiver counted them


def run(command, env, folder):
    """Start to finish of a process. Its output goes to a file: a pipe would have to be read meanwhile."""
    starter = subprocess.run(["/usr/bin/python3", "-ISB", os.path.abspath(__file__), os.path.join(folder, "output"), *command], env=env,
                             cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    return Run(**json.loads(starter.stdout))


def start(path, command):
    with open(path, "w+", encoding="utf-8", errors="replace") as output:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        guard = threading.Timer(LIMIT, os.kill, (process.pid, signal.SIGKILL))
        guard.start()
        _, status, usage = os.wait4(process.pid, 0)
        guard.cancel()
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss / 1024, "status": process.returncode,
                "output": output.read()[-2000:]}


if __name__ == "__main__":
    print(json.dumps(start(sys.argv[1], sys.argv[2:])))
