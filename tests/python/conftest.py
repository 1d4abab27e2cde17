"""Fixtures: real servers (each started only when a test needs it) and a box, in which a test runs the extension.

A box is an empty folder that is the working directory, HOME and state folder of everything the test runs; nothing of
the caller's environment that is a setting gets into it. Through a box one has
    box.sql(script)            the real sqlite3 shell, see harness/shell.py
    box.fails(script, words…)  the same, which must fail with an error that has the words
    box.db                     Python's sqlite3 in this process, on box/app.db
    box.python(code)           another Python process
    box.load(path, index, …)   os_bulk_load through box.db
"""
import faulthandler
import json
import os
import signal
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "faults")]

from harness import aws as aws_control  # noqa: E402
from harness import nodes as node_control  # noqa: E402
from harness import signed  # noqa: E402
from harness.cluster import Cluster, unique  # noqa: E402
from harness.credentials import creds, es, places  # noqa: E402,F401  (fixtures)
from harness.paths import EXTENSION  # noqa: E402
from harness.refusal import refusal  # noqa: E402
from harness.s3 import bucket, s3, s3_server  # noqa: E402,F401  (fixtures)
from harness.servers import Certificates  # noqa: E402
from harness.shell import Shell, clean_environment, run_python  # noqa: E402
from harness.worker import trigger_servers, world  # noqa: E402,F401  (fixtures)
from proxy import Proxy  # noqa: E402

ORIGINAL_ENVIRONMENT = dict(os.environ)
DATA_MEMBERS = ("files", "files_done", "documents_read", "documents_created", "documents_updated", "documents_noop",
                "documents_already", "documents_failed", "documents_skipped")


def pytest_addoption(parser):
    parser.addoption("--brief", action="store_true", help="leave out what is slow, what needs servers beside the plain node, "
                                                          "and three of four cases of the tests marked `table`")


def pytest_configure(config):
    if not sys.executable.startswith("/usr/bin/"):
        print("note: %s may be unable to load extensions; the tests are meant for /usr/bin/python3" % sys.executable, file=sys.stderr)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun by a shell's &: what the tests start would ignore it, too
        signal.signal(signal.SIGINT, signal.default_int_handler)
    Watchdog.stderr = os.fdopen(os.dup(2), "w", buffering=1)  # not yet captured, so that what hangs is said


def pytest_sessionstart(session):
    signed.adapt_the_proxy()
    # settings must come from the tests alone
    for name in list(os.environ):
        if name.startswith(("OPENSEARCH", "AWS_", "LOG_", "OS_LEDGER", "OS_ENV", "BATCH_", "MAX_", "LOAD_MODE", "VERIFY_", "CA_BUNDLE",
                            "CURL_CA", "SSL_CERT", "HTTP_", "HTTPS_", "http_", "https_", "ALL_PROXY", "all_proxy", "DLQ", "SQS",
                            "OUTPUT_BUCKET", "REQUEST_TIMEOUT", "INDEX_RECREATE", "DOCUMENT_COUNT", "NETRC", "XDG_")):
            del os.environ[name]


def pytest_collection_modifyitems(config, items):
    """Servers beside the plain one cost memory: tests of one module stay together (they do already), and the modules
    that start servers of their own come last, so that a simple failure shows first."""
    late = ("test_security", "test_pressure", "test_versions", "test_two_nodes", "test_alias_servers", "test_alias_two_nodes", "test_reindex_versions_servers", "test_docs")
    signed.skip_what_is_lacking(items)
    items.sort(key=lambda item: next((i + 1 for i, name in enumerate(late) if item.module.__name__ == name), 0))
    if config.getoption("--brief"):
        left_out = set(not_brief(items))
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]


OTHER_SERVERS = {"v3", "es7", "tiny_queue", "tiny_body", "duo", "security"}


def not_brief(items):
    """What --brief leaves out. Of a table every fourth case stays, counted over its module."""
    cases = {}
    for item in items:
        given = getattr(item, "callspec", None)
        named = {value for value in (given.params.values() if given else ()) if isinstance(value, str)}
        if item.get_closest_marker("slow") or OTHER_SERVERS & named.union(item.fixturenames):
            yield item
        elif item.get_closest_marker("table"):
            number = cases[item.module] = cases.get(item.module, -1) + 1
            if number % 4:
                yield item


# ---- a test must end ------------------------------------------------------------------------------------------
class Watchdog:
    """Interrupts this process's connections when a test takes too long, and ends the run when that does not help."""

    stderr = sys.stderr

    def __init__(self, test, seconds, nodes):
        self.test, self.connections, self.seconds, self.nodes = test, [], seconds, nodes
        self.timers = [threading.Timer(seconds, self.interrupt), threading.Timer(seconds + 30, self.give_up)]

    def start(self):
        for timer in self.timers:
            timer.daemon = True
            timer.start()

    def interrupt(self):
        for connection in self.connections:
            try:
                connection.interrupt()
            except sqlite3.Error:
                pass

    def give_up(self):
        self.stderr.write("\n%s did not end %d s after it was interrupted; where it hangs:\n" % (self.test, 30))
        faulthandler.dump_traceback(self.stderr, all_threads=True)
        self.nodes.stop_all()
        os._exit(70)

    def stop(self):
        for timer in self.timers:
            timer.cancel()


@pytest.fixture(autouse=True)
def watchdog(request, node_pool):
    mark = request.node.get_closest_marker("limit")
    dog = Watchdog(request.node.nodeid, mark.args[0] if mark else 120, node_pool)
    dog.start()
    yield dog
    dog.stop()


# ---- servers ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def node_pool():
    pool = node_control.Nodes(ORIGINAL_ENVIRONMENT)
    pool.sweep()
    yield pool
    pool.stop_all()


def _start(pool, what, *args):
    try:
        return pool.start(what, *args)
    except node_control.Unavailable as reason:
        pytest.skip(str(reason))


class AwsServers(aws_control.AwsServers):
    """Skips the test when a server cannot be had on this machine."""

    def start(self, what, kind, *args):
        try:
            return super().start(what, kind, *args)
        except node_control.Unavailable as reason:
            pytest.skip(str(reason))


@pytest.fixture(scope="session")
def aws_servers():
    """Servers that stand in for AWS, see harness/aws.py; module fixtures start and stop what their tests need."""
    servers = AwsServers(ORIGINAL_ENVIRONMENT)
    servers.sweep()
    yield servers
    servers.stop_all()


@pytest.fixture(scope="session")
def plain(node_pool):
    """OpenSearch 2.19.4 without security, for the whole session; OS_TEST_ENDPOINT names one that runs already."""
    given = ORIGINAL_ENVIRONMENT.get("OS_TEST_ENDPOINT")
    if given:
        return Cluster(given)
    return Cluster(_start(node_pool, "plain", "--heap", "1g").url)


def _special(what, *args):
    @pytest.fixture(scope="module")
    def fixture(node_pool):
        cluster = Cluster(_start(node_pool, what, *args).url)
        yield cluster
        node_pool.rest(what, cluster)
    return fixture


v3 = _special("v3", "--version", "3.8.0", "--heap", "512m")
es7 = _special("es7", "--flavor", "elasticsearch", "--heap", "512m")
tiny_queue = _special("tiny-queue", "--heap", "512m", "--set", "thread_pool.write.queue_size=1", "--set", "thread_pool.write.size=1")
tiny_body = _special("tiny-body", "--heap", "512m", "--set", "http.max_content_length=1mb")


class Duo:
    """Two nodes of one cluster; the second holds data only and can be stopped and started."""

    def __init__(self, pool):
        self.pool = pool
        self.first = _start(pool, "duo1", "--cluster", "duo-%d" % os.getpid(), "--heap", "512m")
        self.cluster = Cluster(self.first.url)
        self.second = None
        self.start_second()

    def start_second(self):
        if "duo2" in self.pool.running:
            return
        self.second = _start(self.pool, "duo2", "--cluster", "duo-%d" % os.getpid(), "--heap", "512m",
                             "--join", str(self.first.port + 100), "--roles", "data,ingest")

    def stop_second(self):
        self.pool.stop("duo2", purge=False)


@pytest.fixture(scope="module")
def duo(node_pool):
    pair = Duo(node_pool)
    yield pair
    node_pool.stop("duo2")
    node_pool.stop("duo1")


class Secure:
    """A TLS cluster: the admin's client, and users made through the security REST API."""

    def __init__(self, node):
        self.url, self.ca, self.password = node.url, node.ca, node.password
        self.admin = node_control.wait_ready(Cluster(node.url, "admin", node.password, node.ca))

    def user(self, name, index_permissions, cluster_permissions=()):
        """A user who may do `index_permissions` = {pattern: [actions]} and no more."""
        password = "Blue-Harbour.77-lamp"  # the plugin refuses one that resembles the name
        self.admin.call("PUT", "/_plugins/_security/api/roles/r_" + name, {
            "cluster_permissions": list(cluster_permissions),
            "index_permissions": [{"index_patterns": [p], "allowed_actions": a} for p, a in index_permissions.items()]})
        self.admin.call("PUT", "/_plugins/_security/api/internalusers/" + name, {"password": password})
        self.admin.call("PUT", "/_plugins/_security/api/rolesmapping/r_" + name, {"users": [name]})
        return password

    def environment(self, username="admin", password=None):
        return {"OPENSEARCH_ENDPOINT": self.url, "OPENSEARCH_USERNAME": username,
                "OPENSEARCH_PASSWORD": password or self.password, "CA_BUNDLE": self.ca}


@pytest.fixture(scope="module")
def security(node_pool):
    node = _start(node_pool, "security", "--security", "--heap", "768m")
    secure = Secure(node)
    yield secure
    node_pool.rest("security", secure.admin)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


# ---- the box ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def extension():
    if not EXTENSION.exists():
        pytest.fail("%s is missing: run make first" % EXTENSION, pytrace=False)
    return EXTENSION


class Box:
    def __init__(self, path, env, monkeypatch, dog):
        self.path, self.env, self._monkeypatch, self._dog = path, dict(env), monkeypatch, dog
        self.shell = Shell(path, self.env, "app.db")
        self._db = None
        self._mine = []

    # files
    def __truediv__(self, name):
        return self.path / name

    def file(self, name, content):
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    # other processes
    def sql(self, script, **how):
        return self.shell.run(script, **how)

    def fails(self, script, *words, **how):
        return self.shell.fails(script, *words, **how)

    def start(self, script, **how):
        return self.shell.start(script, **how)

    def python(self, code, env=None, **how):
        return run_python(code, self.path, {**self.env, **(env or {})}, **how)

    # this process
    def connect(self, path="app.db", env=None):
        """Python's sqlite3 with the extension; the environment is the box's while it is loaded and used."""
        for name, value in clean_environment(self.path, {**self.env, **(env or {})}).items():
            self._monkeypatch.setenv(name, value)
        if path != ":memory:":
            path = str(self.path / path)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._mine.append(db)
        self._dog.connections.append(db)
        db.enable_load_extension(True)
        db.load_extension(str(EXTENSION))
        db.row_factory = sqlite3.Row
        return db

    @property
    def db(self):
        if self._db is None:
            self._db = self.connect()
        return self._db

    def close(self):
        for db in self._mine:
            db.close()
        self._mine, self._db = [], None

    def one(self, sql, *arguments):
        """The first column of the first row."""
        row = self.db.execute(sql, arguments).fetchone()
        return None if row is None else row[0]

    def rows(self, sql, *arguments):
        return [dict(row) for row in self.db.execute(sql, arguments)]

    def run(self, function, *arguments):
        """A command: dicts and lists become JSON text; gives the JSON it returned."""
        values = [json.dumps(a) if isinstance(a, (dict, list)) else str(a) if isinstance(a, Path) else a for a in arguments]
        return json.loads(self.one("SELECT %s(%s)" % (function, ",".join("?" * len(values))), *values))

    def load(self, path, index, **options):
        return self.run("os_bulk_load", path, index, options)

    def load_fails(self, path, index, *words, **options):
        with refusal() as caught:
            self.load(path, index, **options)
        text = str(caught.value)
        for word in words:
            assert str(word).lower() in text.lower(), "%r is not in the error %r" % (word, text)
        return text

    def job(self, number=None):
        """The row of os_jobs (the newest load when no number is given)."""
        if number is None:
            rows = self.rows("SELECT * FROM os_jobs WHERE kind = 'bulk_load' ORDER BY job DESC LIMIT 1")
        else:
            rows = self.rows("SELECT * FROM os_jobs WHERE job = ?", number)
        assert rows, "no such job in os_jobs"
        return rows[0]

    def figures(self, number=None):
        """The counts of a job that are not zero."""
        job = self.job(number)
        return {k[10:] if k.startswith("documents_") else k: job[k] for k in DATA_MEMBERS if job[k]}

    def dlq(self, where="1"):
        return self.rows("SELECT * FROM dlq_failures WHERE resolved_at IS NULL AND %s ORDER BY file, byte_offset" % where)

    def audit(self, number=None):
        return self.rows("SELECT * FROM os_audit WHERE job = ?", number or self.job()["job"])


@pytest.fixture(scope="session")
def front(plain, aws_servers):
    """What a box needs to reach the plain node, through the server of OS_TEST_SIGNED when it is set (harness/signed.py)."""
    if signed.SERVICE:
        return signed.environment(aws_servers, plain.url)
    return {"OPENSEARCH_ENDPOINT": plain.url}


@pytest.fixture
def box(tmp_path, monkeypatch, front, extension, watchdog):
    """A box whose cluster is the plain node."""
    yield from _box(tmp_path, monkeypatch, watchdog, front)


@pytest.fixture
def bare_box(tmp_path, monkeypatch, extension, watchdog):
    """A box with no cluster configured."""
    yield from _box(tmp_path, monkeypatch, watchdog, {})


def _box(tmp_path, monkeypatch, watchdog, env):
    home = tmp_path / "box"
    home.mkdir()
    monkeypatch.chdir(home)
    made = Box(home, env, monkeypatch, watchdog)
    yield made
    made.close()


@pytest.fixture
def index(plain):
    """The name of an index that is removed afterwards; it does not exist yet."""
    name = unique()
    yield name
    plain.call("DELETE", "/%s*" % name, allowed=(404,))


@pytest.fixture
def proxy(front):
    """A proxy in front of the plain node; box.env must be pointed at it (see `through`)."""
    with Proxy(front["OPENSEARCH_ENDPOINT"], seed=20261120) as running:
        yield running


@pytest.fixture
def through(box, proxy):
    """The box, behind the proxy."""
    box.env["OPENSEARCH_ENDPOINT"] = proxy.url
    box.shell.env["OPENSEARCH_ENDPOINT"] = proxy.url
    return box

