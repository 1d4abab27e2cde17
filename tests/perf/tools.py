"""The programs that are compared: how each is started for a file, and which files it does not take."""
import json
import os
import shutil
import subprocess

import peers
from bench_data import COMPRESSORS
from receiver import INDEX

HERE = os.path.dirname(os.path.abspath(__file__))
WORKERS = 4  # requests in flight, the same for all that can
BATCH = 5 << 20  # bytes of a request of the peers; ours keeps its default


class Tool:
    """name; peer: not ours; part: it gets the n-th part of a file in front of a receiver, because it takes long."""
    peer = True
    part = {"sink": 1, "node": 1}

    def __init__(self, name):
        self.name = name

    def unfit(self, file):
        """Why the tool does not take such a file, or None."""
        return None

    def prepare(self, file):
        """What has to be done once before the runs and is not measured. Returns the path to load."""
        return file.path

    def command(self, receiver, path, file, folder):
        raise NotImplementedError

    def environment(self):
        return {}


class Ours(Tool):
    """os_bulk_load in the sqlite3 shell, with defaults but for the options given, and for what a receiver that keeps
    nothing cannot answer."""
    peer = False

    def __init__(self, extension, label="", **options):
        super().__init__(", ".join(filter(None, ("sqlite-opensearch", label))))
        self.extension, self.options = os.path.abspath(extension), options

    def unfit(self, file):
        if file.has_ids and "exactly_once" in self.options:
            return "the records carry ids: nothing would be different"
        return None

    def options_for(self, receiver, file):
        options = {"progress": False, **self.options}
        if receiver.name == "sink":
            options["validate"] = "none"
        if file.name == "products.json":
            options["id_field"] = "@key"
        return options

    def command(self, receiver, path, file, folder):
        sql = "SELECT os_bulk_load('%s', '%s', '%s');" % (path.replace("'", "''"), INDEX, json.dumps(self.options_for(receiver, file)))
        return ["sqlite3", "-batch", "-bail", "-cmd", ".load " + self.extension, os.path.join(folder, "bench.db"), sql]


class GoClient(Tool):
    def __init__(self, name, program, *options):
        super().__init__(name)
        self.program, self.options = program, options

    def command(self, receiver, path, file, folder):
        keys = ["-keys"] if file.name == "products.json" else []
        return [self.program, *self.options, *keys, "-workers", str(WORKERS), "-bytes", str(BATCH), receiver.url, INDEX, path]


class OpenSearchPy(Tool):
    part = {"sink": 4, "node": 1}

    def __init__(self, mode, packages):
        super().__init__("opensearch-py %s_bulk" % mode)
        self.mode, self.packages = mode, packages

    def command(self, receiver, path, file, folder):
        return ["/usr/bin/python3", os.path.join(HERE, "peers", "opensearch_py.py"), self.mode, receiver.url, INDEX, path]

    def environment(self):
        return {"PYTHONPATH": self.packages}


class Elasticdump(Tool):
    part = {"sink": 4, "node": 4}

    def __init__(self, program):
        super().__init__("elasticdump")
        self.program = program

    def unfit(self, file):
        if file.compression == "zst":
            return "it does not read zstd"
        if file.name.endswith(".csv"):
            return "its CSV has no types: every cell is sent as text"
        return None if file.name.endswith(".ndjson") else "it reads nothing but lines of its own shape"

    def prepare(self, file):
        lines, packed = file.plain + ".dump", file.plain + ".dump.gz"
        if not os.path.exists(lines):
            subprocess.run(["/usr/bin/python3", os.path.join(HERE, "peers", "elasticdump_lines.py"), file.plain, lines + ".new"], check=True)
            os.replace(lines + ".new", lines)
        if file.compression and not os.path.exists(packed):
            with open(packed + ".new", "wb") as out:
                subprocess.run([*COMPRESSORS["gz"], lines], stdout=out, check=True)
            os.replace(packed + ".new", packed)
        return packed if file.compression else lines

    def command(self, receiver, path, file, folder):
        lines = max(1000, min(20000, BATCH // file.document_bytes))
        return [self.program, "--quiet", "--type=data", "--noRefresh", "--concurrency=%d" % WORKERS, "--limit=%d" % lines,
                *(["--fsCompress"] if file.compression else []), "--input=" + path, "--output=%s/%s" % (receiver.url, INDEX)]

    def environment(self):
        return {"PATH": os.path.dirname(shutil.which("node") or "") + os.pathsep + os.environ["PATH"]}


def ours(extension):
    return [Ours(extension), Ours(extension, "exactly_once false", exactly_once=False)]


def tunings(extension):
    """Ours with other numbers of requests in flight, and other sizes of a request."""
    workers = [Ours(extension, "max_workers %d" % count, max_workers=count) for count in (1, 2, 4, 8)]
    sizes = [Ours(extension, "batch_bytes %d MiB" % size, batch_bytes="%dMiB" % size, batch_size=1000000) for size in (1, 4, 8, 16)]
    return workers + sizes


def others(cache):
    """([tools], {name: why it is missing})"""
    found, missing = [], {}

    def attempt(names, fetch, make):
        try:
            found.extend(make(fetch(cache)))
        except (peers.Missing, OSError) as reason:
            missing.update({name: str(reason) for name in names})

    attempt(["opensearch-go", "go-elasticsearch"], peers.go_clients, lambda program: [
        GoClient("opensearch-go", program), GoClient("go-elasticsearch", program, "-elastic"),
        GoClient("go-elasticsearch, tuned", program, "-elastic", "-tuned")])
    attempt(["opensearch-py"], peers.opensearch_py, lambda packages: [OpenSearchPy("parallel", packages), OpenSearchPy("streaming", packages)])
    attempt(["elasticdump"], peers.elasticdump, lambda program: [Elasticdump(program)])
    return found, missing
