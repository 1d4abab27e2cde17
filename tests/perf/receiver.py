"""Where documents go to: the sink that keeps nothing, or a real node. Either counts what arrived."""
import json
import os
import subprocess
import time
import urllib.error
import urllib.request

INDEX = "bench-load"
SETTINGS = {"settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}}


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


class Node:
    name = "node"

    def __init__(self, url):
        self.url = url.rstrip("/")

    def version(self):
        about = call("GET", self.url + "/")["version"]
        return "%s %s" % (about.get("distribution", "elasticsearch"), about["number"])

    def prepare(self):
        """An index made anew, on the node that also answers what the sink passes on."""
        self.remove()
        call("PUT", "%s/%s" % (self.url, INDEX), SETTINGS)

    def settle(self):
        """Until what it took can be searched: seconds. A tool that has seen to that itself leaves next to nothing of it."""
        begin = time.monotonic()
        call("POST", "%s/%s/_refresh" % (self.url, INDEX))
        return time.monotonic() - begin

    def arrived(self):
        return call("GET", "%s/%s/_count" % (self.url, INDEX))["count"]

    def remove(self):
        call("DELETE", "%s/%s" % (self.url, INDEX))


class Sink(Node):
    """tests/perf/nullsink.c before a node: bulk requests end in it, everything else reaches the node."""
    name = "sink"

    def __init__(self, program, node):
        self.process = subprocess.Popen([os.path.abspath(program), node.url.rpartition(":")[2]], stdout=subprocess.PIPE, text=True)
        port = self.process.stdout.readline().strip()
        if not port:
            raise SystemExit("bench: error: %s did not start" % program)
        super().__init__("http://127.0.0.1:" + port)

    def prepare(self):
        super().prepare()
        self.arrived()

    def settle(self):
        """It keeps nothing that could be searched."""
        return 0.0

    def arrived(self):
        return call("GET", self.url + "/_sink")["documents"]

    def close(self):
        self.process.terminate()
        self.process.wait()
