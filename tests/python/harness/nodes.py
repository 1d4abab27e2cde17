"""Starts and stops real servers through scripts/opensearch-node. Each has a name of this process, free ports, and is
purged when it is stopped; nodes that a killed test run left behind are stopped at the start of the next one.

A start takes half a minute of both processors, so a node that a module is done with may rest, emptied, until a later
module asks for it again or room for another is needed."""
import os
import re
import socket
import subprocess
import time

from .cluster import Cluster, HttpError
from .paths import node_script

PREFIX = "sqlite-opensearch-test"
LIMIT = 3  # at most so many special nodes beside the plain one


class Unavailable(Exception):
    """The server cannot be had on this machine; the text says why."""


def free_port_pair():
    """A port P so that P and P + 100 are free (HTTP and transport)."""
    for _ in range(200):
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if port + 100 > 65000 or port < 10000:
                continue
            try:
                two.bind(("127.0.0.1", port + 100))
            except OSError:
                continue
            return port
    raise Unavailable("no two free ports on 127.0.0.1")


def _state():
    return os.environ.get("OSN_STATE") or ("/var/lib/opensearch-node" if os.getuid() == 0 else
                                           os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "opensearch-node"))


class Node:
    def __init__(self, name, port, url, run):
        self.name, self.port, self.url, self.run = name, port, url, run

    @property
    def ca(self):
        return os.path.join(self.run, "ca.pem")

    @property
    def password(self):
        with open(os.path.join(self.run, "password")) as f:
            return f.read().strip()


class Nodes:
    def __init__(self, environment):
        self.environment = environment  # as it was before the tests cleaned theirs
        self.running = {}
        self.starts = {}   # what: with which arguments
        self.resting = {}  # the same of those at rest, the one that has rested longest first
        self.script = node_script()

    def _command(self, *args, timeout=600):
        if not self.script:
            raise Unavailable("scripts/opensearch-node is missing (OPENSEARCH_NODE_SCRIPT may name another)")
        return subprocess.run([self.script, *args], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=timeout)

    def sweep(self):
        """Stop what a dead test process left behind."""
        run = os.path.join(_state(), "run")
        for entry in os.listdir(run) if os.path.isdir(run) else []:
            found = re.match(PREFIX + r"-(\d+)-", entry)
            if found and not os.path.exists("/proc/%s" % found.group(1)):
                self._command("stop", "--name", entry, "--purge")

    def rest(self, what, client):
        """Nobody needs it now; `client` may delete its indices. A node that will not be emptied is stopped."""
        try:
            client.call("DELETE", "/*,-.*")
        except (OSError, HttpError):
            self.stop(what)
        else:
            self.resting[what] = self.starts[what]

    def start(self, what, *args):
        if self.resting.pop(what, None) == args:
            return self.running[what]
        self.stop(what)
        while len(self.running) > LIMIT and self.resting:
            self.stop(next(iter(self.resting)))
        if len(self.running) > LIMIT:
            raise RuntimeError("too many nodes at once: %s" % ", ".join(self.running))
        name = "%s-%d-%s" % (PREFIX, os.getpid(), what)
        for attempt in range(3):
            port = free_port_pair()
            done = self._command("start", "--name", name, "--port", str(port), *args)
            if done.returncode == 0:
                break
            if "in use" not in done.stderr or attempt == 2:
                reason = (done.stderr.strip().splitlines() or ["exit %d" % done.returncode])
                if "needs a JDK" in done.stderr or "is not installed" in done.stderr:
                    raise Unavailable(reason[-1])
                raise RuntimeError("%s did not start: %s" % (name, "\n".join(reason[-15:])))
        node = Node(name, port, done.stdout.strip().splitlines()[-1], os.path.join(_state(), "run", name))
        self.running[what] = node
        self.starts[what] = args
        return node

    def stop(self, what, purge=True):
        node = self.running.pop(what, None)
        self.resting.pop(what, None)
        if node:
            self._command("stop", "--name", node.name, *(["--purge"] if purge else []))

    def stop_all(self):
        for what in list(self.running):
            self.stop(what)


def wait_ready(cluster, timeout=120):
    """The security plugin makes its index after the node answers."""
    end = time.time() + timeout
    while True:
        try:
            cluster.get("/_cluster/health?wait_for_status=yellow&timeout=5s")
            return cluster
        except Exception:
            if time.time() > end:
                raise
            time.sleep(0.5)


__all__ = ["Nodes", "Node", "Unavailable", "Cluster", "wait_ready"]
