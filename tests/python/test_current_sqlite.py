"""The same extension on the SQLite of the day: apsw's wheel carries one, which checks more than the distribution's 3.40
(it is built with STRICT_SUBTYPE and without what is deprecated) and plans differently. scripts/setup --test fetches it.

Python's own sqlite3 stays in use beside it, so it gets a copy of the file: one copy serves one SQLite."""
import importlib
import json
import os
import shutil
import sqlite3
import sys
import threading
import time
from pathlib import Path

import pytest

import datasets
from conftest import ORIGINAL_ENVIRONMENT
from harness.paths import EXTENSION
from harness.refusal import ABSENT
from harness.servers import Listener
from harness.shell import clean_environment

SOON = 2.0  # one second by the contract, and one for a machine that is busy
DOCS = datasets.products(300)


def node_state():
    """Where scripts/setup keeps what it fetches."""
    env = ORIGINAL_ENVIRONMENT
    if env.get("OSN_STATE"):
        return Path(env["OSN_STATE"])
    cache = Path(env.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    return Path("/var/lib/opensearch-node") if os.getuid() == 0 else cache / "opensearch-node"


@pytest.fixture(scope="module")
def apsw():
    found = sorted(node_state().glob("apsw-*"))
    if not found:
        pytest.skip("no newer SQLite at %s (scripts/setup --test fetches one)" % node_state())
    sys.path.insert(0, str(found[-1]))
    try:
        return importlib.import_module("apsw")
    finally:
        sys.path.remove(str(found[-1]))


@pytest.fixture(scope="module")
def copied(tmp_path_factory, extension):
    return str(shutil.copy(extension, tmp_path_factory.mktemp("current") / "opensearch.so"))


class Current:
    """What Box offers, on the newer SQLite."""

    def __init__(self, apsw, copied, box):
        self.apsw, self.copied, self.box, self.connections = apsw, copied, box, []

    def connect(self, path="app.db", load=True):
        for name, value in clean_environment(self.box.path, self.box.env).items():
            self.box._monkeypatch.setenv(name, value)
        db = self.apsw.Connection(path if path == ":memory:" else str(self.box.path / path))
        self.connections.append(db)
        if load:
            db.enable_load_extension(True)
            db.load_extension(self.copied)
        return db

    @property
    def db(self):
        return self.connections[0] if self.connections else self.connect()

    def rows(self, sql, *arguments):
        cursor = self.db.execute(sql, arguments)
        return [dict(zip((d[0] for d in cursor.get_description()), row)) for row in cursor]

    def all(self, sql, *arguments):
        return self.db.execute(sql, arguments).fetchall()

    def one(self, sql, *arguments):
        row = self.db.execute(sql, arguments).fetchone()
        return None if row is None else row[0]

    def run(self, function, *arguments):
        values = [json.dumps(a) if isinstance(a, (dict, list)) else str(a) if isinstance(a, Path) else a for a in arguments]
        return json.loads(self.one("SELECT %s(%s)" % (function, ",".join("?" * len(values))), *values))

    def fails(self, sql, *words):
        with pytest.raises(self.apsw.Error) as caught:
            self.all(sql)
        text = str(caught.value)
        assert not ABSENT.search(text), text
        for word in words:
            assert word.lower() in text.lower(), "%r is not in the error %r" % (word, text)
        return caught.value


@pytest.fixture
def current(apsw, copied, box):
    made = Current(apsw, copied, box)
    yield made
    for db in made.connections:
        db.close()


@pytest.fixture
def bare_current(apsw, copied, bare_box):
    made = Current(apsw, copied, bare_box)
    yield made
    for db in made.connections:
        db.close()


def test_it_is_a_newer_sqlite(current):
    assert current.one("SELECT sqlite_version()") == current.apsw.sqlite_lib_version() != sqlite3.sqlite_version
    assert "STRICT_SUBTYPE" in current.apsw.compile_options, "the test of subtypes proves less"
    facts = json.loads(current.one("SELECT os_debug()"))
    assert facts["libraries"]["sqlite"]["running"] == current.apsw.sqlite_lib_version()


# ---- session ------------------------------------------------------------------------------------------------------------
def test_session_functions(current, plain, index):
    assert current.one("SELECT os_config('BATCH_SIZE', 77)") is not None
    assert str(current.one("SELECT os_config('BATCH_SIZE')")) == "77"
    assert current.all("SELECT value, source FROM os_settings WHERE name = 'BATCH_SIZE'") == [("77", "session")]
    current.all("UPDATE os_settings SET value = 88 WHERE name = 'BATCH_SIZE'")
    assert str(current.one("SELECT os_config('BATCH_SIZE')")) == "88"
    current.fails("UPDATE os_settings SET value = 'many' WHERE name = 'BATCH_SIZE'", "BATCH_SIZE", "many")
    assert current.run("os_ping")["response"]["version"] == plain.version()
    assert current.run("os_create_index", index, {"settings": {"number_of_replicas": 0}})["status"] == "success"
    assert current.one("SELECT os_count(?)", index) == 0
    assert current.run("os_connect", "other", {"endpoint": plain.url}) and current.run("os_ping", "other")["status"] == "success"
    assert {r[0] for r in current.all("SELECT name FROM os_connections")} == {"main", "other"}
    assert current.all("SELECT * FROM os_permissions(?)", index)
    assert current.run("os_delete_index", index, index)["status"] == "success" and not plain.exists(index)
    current.fails("SELECT os_ping(1, 2, 3)", "os_ping")


def test_results_are_json_to_the_json_functions(current, plain, index):
    """Subtype J survives, and a function that sets it is registered as one that does (SQLITE_RESULT_SUBTYPE)."""
    plain.create(index)
    current.box.file("a.ndjson", '{"a":1}\n')
    for call in ("os_ping()", "os_debug()", "os_request('GET', '/')", "os_refresh_index('%s')" % index, "os_bulk_load('a.ndjson', '%s')" % index):
        value = json.loads(current.one("SELECT json_object('x', %s)" % call))["x"]
        assert isinstance(value, dict), "%s came as text" % call


def test_one_statement_runs_a_command_once(current, plain, index):
    sql = "SELECT r FROM (SELECT os_create_index('%s') AS r) WHERE r IS NOT NULL AND length(r) > 0" % index
    assert json.loads(current.one(sql))["status"] == "success"
    assert current.one("SELECT count(*) FROM os_jobs WHERE kind = 'create_index'") == 1
    sql = "SELECT r, count(*) FROM (SELECT os_refresh_index('%s') AS r FROM json_each('[1,2,3]')) GROUP BY r HAVING length(r) > 0" % index
    assert [row[1] for row in current.all(sql)] == [3]
    assert current.one("SELECT count(*) FROM os_jobs WHERE kind = 'refresh_index'") == 1
    statement = "SELECT os_delete_index(?1, ?1)"
    assert json.loads(current.one(statement, index))["status"] == "success"
    with pytest.raises(current.apsw.Error):  # a new execution is a new command
        current.one(statement, index)


# ---- loading --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["p.csv", "p.tsv.gz", "p.json", "p.ndjson", "p.jsonl.zst"])
def test_load(current, plain, index, name):
    plain.create(index, datasets.PRODUCTS)
    datasets.write(current.box / name, DOCS, ids=True)
    assert [r[0] for r in current.all("SELECT count(*) FROM os_preview(?)", name)][0] > 0
    assert [r["file"] for r in current.rows("SELECT file FROM os_load_plan(?, ?)", name, index)] == [name]
    result = current.run("os_bulk_load", name, index, {"mode": "upsert", "batch_size": 50})
    assert result["status"] == "success" and plain.count(index) == len(DOCS)
    job = current.rows("SELECT * FROM os_jobs WHERE job = ?", result["job"])[0]
    assert job["documents_created"] == len(DOCS) and job["status"] == "success"


def test_load_inside_a_transaction_and_a_cleanup(current, plain, index):
    plain.create(index, datasets.PRODUCTS)
    datasets.write(current.box / "p.ndjson", DOCS)
    current.all("BEGIN")
    current.all("CREATE TABLE log AS SELECT os_bulk_load('p.ndjson', ?) AS r", index)
    current.all("ROLLBACK")
    assert plain.count(index) == len(DOCS)
    assert current.one("SELECT count(*) FROM os_jobs WHERE kind = 'bulk_load' AND status = 'success'") == 1
    assert current.run("os_cleanup", index)["status"] == "success" and plain.count(index) == 0


def test_interrupt_from_another_thread_ends_a_load(current, through, proxy, plain, index):
    """Compiled against 3.40, the probe statement notices it on a newer SQLite as well."""
    plain.create(index, datasets.PRODUCTS)
    datasets.write(current.box / "p.ndjson", datasets.products(2000))
    proxy.rule("delay", seconds=0.2)
    db, stopped = current.db, []

    def later():
        proxy.wait_for(4)
        stopped.append(time.monotonic())
        db.interrupt()
    thread = threading.Thread(target=later)
    thread.start()
    with pytest.raises(current.apsw.InterruptError) as caught:
        current.run("os_bulk_load", "p.ndjson", index, {"batch_size": 50, "max_workers": 2})
    took = time.monotonic() - stopped[0]
    thread.join()
    assert took < SOON, "it took %.1f s" % took
    assert "resume" in str(caught.value)
    job = current.rows("SELECT * FROM os_jobs WHERE kind = 'bulk_load'")[0]
    assert job["status"] == "interrupted" and 0 < job["documents_created"] < 2000
    proxy.clear()
    assert current.run("os_bulk_load", "p.ndjson", index, {"mode": "resume"})["status"] == "success"
    assert plain.count(index) == 2000


@pytest.mark.parametrize("sql", ["SELECT os_sleep(30)", "SELECT os_ping()"])
def test_interrupt_ends_other_commands(bare_current, sql):
    with Listener(silent=True) as server:
        bare_current.box.env["OPENSEARCH_ENDPOINT"] = server.url
        db, stopped = bare_current.db, []

        def later():
            time.sleep(0.5)
            stopped.append(time.monotonic())
            db.interrupt()
        threading.Thread(target=later).start()
        with pytest.raises(bare_current.apsw.InterruptError):
            bare_current.all(sql)
        assert time.monotonic() - stopped[0] < SOON


# ---- the ledger's tables ------------------------------------------------------------------------------------------------------
QUERIES = (
    "SELECT * FROM os_jobs",
    "SELECT job, status FROM os_jobs ORDER BY job DESC LIMIT 2 OFFSET 1",
    "SELECT job FROM os_jobs WHERE job = 2",
    "SELECT job FROM os_jobs WHERE job = '2'",
    "SELECT job FROM os_jobs WHERE job IN (1, 3, 99) ORDER BY job",
    "SELECT job FROM os_jobs WHERE job IN (SELECT job FROM os_job_files) ORDER BY 1",
    "SELECT job FROM os_jobs WHERE job BETWEEN 2 AND 3 AND kind <> 'x' ORDER BY rowid DESC",
    "SELECT job FROM os_jobs WHERE job = 2 OR job = 3 ORDER BY 1",
    "SELECT job FROM os_jobs WHERE rowid = 2",
    "SELECT job FROM os_jobs WHERE job = NULL",
    "SELECT job FROM os_jobs WHERE job IS NULL",
    "SELECT kind, count(*), sum(documents_created) FROM os_jobs GROUP BY kind ORDER BY kind",
    "SELECT DISTINCT kind FROM os_jobs ORDER BY kind",
    "SELECT j.job, f.file, f.documents FROM os_jobs j JOIN os_job_files f ON f.job = j.job ORDER BY j.job, f.file",
    "SELECT j.job, count(f.file) FROM os_jobs j LEFT JOIN os_job_files f USING (job) GROUP BY j.job ORDER BY j.job",
    "SELECT f.file FROM os_job_files f RIGHT JOIN os_jobs j ON f.job = j.job ORDER BY j.job, f.file",
    "SELECT j.job FROM os_jobs j WHERE EXISTS (SELECT 1 FROM dlq_failures d WHERE d.job = j.job) ORDER BY 1",
    "SELECT job, (SELECT count(*) FROM os_audit a WHERE a.job = j.job) FROM os_jobs j ORDER BY job",
    "SELECT job, step, check_name, verdict FROM os_audit WHERE job = 2 ORDER BY rowid",
    "SELECT id, line, doc_id, document, raw FROM dlq_failures WHERE job = 3 ORDER BY id DESC",
    "SELECT id FROM dlq_failures WHERE id = (SELECT max(id) FROM dlq_failures)",
    "SELECT line FROM dlq_failures WHERE error_type LIKE 'mapper%' ORDER BY line LIMIT 1",
    "SELECT row_number() OVER (ORDER BY id), max(id) OVER () FROM dlq_failures",
    "WITH j AS MATERIALIZED (SELECT * FROM os_jobs) SELECT a.job, b.job FROM j a, j b WHERE a.job < b.job ORDER BY 1, 2",
    "SELECT a.job, b.job FROM os_jobs a, os_jobs b WHERE b.job = a.job + 1 ORDER BY a.job",
    "SELECT name, value FROM os_settings WHERE name IN ('BATCH_SIZE', 'MAX_WORKERS') ORDER BY name",
    "SELECT count(*) FROM os_settings s JOIN os_settings t USING (name)",
    "SELECT p.file, s.value FROM os_load_plan('good.ndjson', 'INDEX') p, os_settings s WHERE s.name = 'BATCH_SIZE'",
    "SELECT p.file FROM json_each('[\"good.ndjson\", \"bad.ndjson\"]') e, os_load_plan(e.value, 'INDEX') p ORDER BY 1",
    "SELECT count(*) FROM os_preview WHERE path = 'good.ndjson'",
)


@pytest.fixture
def history(current, plain, index):
    """A few jobs, a refused record in the third."""
    plain.create(index, {"n": {"type": "integer"}})
    current.box.file("good.ndjson", '{"_id":"1","n":1}\n{"_id":"2","n":2}\n')
    current.box.file("bad.ndjson", '{"_id":"3","n":3}\n{"_id":"4","n":"four"}\n{"_id":"5","n":\n{"_id":"6","n":"six"}\n')
    current.run("os_refresh_index", index)
    current.run("os_bulk_load", "good.ndjson", index)
    assert current.run("os_bulk_load", "bad.ndjson", index, {"max_failed": None})["status"] == "partial"
    return current


@pytest.mark.parametrize("sql", QUERIES)
def test_both_read_the_same(history, index, sql):
    """Plans differ between the two; rows may not."""
    sql = sql.replace("INDEX", index)
    old = [tuple(row) for row in history.box.db.execute(sql).fetchall()]
    assert history.all(sql) == old
    if "NULL" not in sql:
        assert old, "this compares nothing with nothing"


def test_views_over_tables_that_only_read(history):
    history.all("CREATE VIEW v AS SELECT job, kind FROM os_jobs")
    assert len(history.all("SELECT * FROM v")) == 3
    history.all("PRAGMA trusted_schema = OFF")
    history.fails("SELECT * FROM v", "unsafe use")
    assert len(history.all("SELECT job FROM os_jobs")) == 3 and history.one("SELECT os_version()")


def test_repair_retry_and_dismiss(history, plain, index):
    history.all("UPDATE dlq_failures SET document = json_set(document, '$.n', 4) WHERE doc_id = '4'")
    assert history.one("SELECT changes()") == 1
    history.all("UPDATE dlq_failures SET raw = '{\"_id\":\"5\",\"n\":5}' WHERE line = 3")
    assert history.run("os_retry_failures")["status"] == "partial"
    assert plain.documents(index) == {str(n): {"n": n} for n in (1, 2, 3, 4, 5)}
    assert [r[0] for r in history.all("SELECT doc_id FROM dlq_failures WHERE resolved_at IS NULL")] == ["6"]
    history.fails("UPDATE dlq_failures SET document = '{broken' WHERE doc_id = '6'", "document")
    history.fails("INSERT INTO dlq_failures(doc_id) VALUES ('7')", "dlq_failures")
    history.all("DELETE FROM dlq_failures WHERE resolved_at IS NULL")
    assert history.all("SELECT doc_id FROM dlq_failures WHERE resolved_at IS NULL") == []


# ---- a schema may not run commands -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("statements", [
    ["CREATE VIEW v AS SELECT os_request('DELETE', '/victim') AS r", "SELECT * FROM v"],
    ["CREATE TABLE t(x)", "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT os_request('DELETE', '/victim'); END", "INSERT INTO t VALUES (1)"],
    ["CREATE TABLE t(x, CHECK (os_request('DELETE', '/victim') IS NOT NULL))", "INSERT INTO t VALUES (1)"],
    ["CREATE TABLE t(x, y DEFAULT (os_request('DELETE', '/victim')))", "INSERT INTO t(x) VALUES (1)"],
    ["CREATE TABLE t(x, y GENERATED ALWAYS AS (os_request('DELETE', '/victim')))", "INSERT INTO t(x) VALUES (1)"],
    ["CREATE TABLE t(x)", "CREATE INDEX i ON t(os_request('DELETE', '/victim'))", "INSERT INTO t VALUES (1)"],
    ["CREATE TABLE t(x)", "CREATE TRIGGER tr AFTER INSERT ON t BEGIN UPDATE os_settings SET value = 1 WHERE name = 'BATCH_SIZE'; END",
     "INSERT INTO t VALUES (1)"],
    ["CREATE TABLE t(x)", "CREATE TRIGGER tr AFTER INSERT ON t BEGIN DELETE FROM dlq_failures; END", "INSERT INTO t VALUES (1)"],
], ids=["view", "trigger", "check", "default", "generated", "index", "settings", "dlq"])
def test_a_schema_runs_no_command(bare_current, statements):
    with Listener() as server:
        bare_current.box.env["OPENSEARCH_ENDPOINT"] = server.url
        refused = []
        for statement in statements:
            try:
                bare_current.all(statement)
            except bare_current.apsw.Error as error:
                refused.append(str(error))
        assert any("unsafe use" in text or "non-deterministic" in text for text in refused), refused
        assert server.requests == []
        assert str(bare_current.one("SELECT os_config('BATCH_SIZE')")) == "10000"


def test_check_constraint_of_an_older_sqlite(bare_current):
    """A file made where CHECK takes such a function: on the newer one an INSERT runs nothing either."""
    with Listener() as server:
        bare_current.box.env["OPENSEARCH_ENDPOINT"] = server.url
        old = bare_current.box.connect("hostile.db")
        if sqlite3.sqlite_version_info >= (3, 41):
            pytest.skip("the distribution's SQLite refuses it as well")
        old.execute("CREATE TABLE t(x, CHECK (os_request('DELETE', '/victim') IS NOT NULL OR 1))")
        db = bare_current.connect("hostile.db")
        try:
            db.execute("INSERT INTO t VALUES (1)").fetchall()
        except bare_current.apsw.Error as error:
            assert "os_request" in str(error)
        assert server.requests == []


# ---- two SQLites in one process ----------------------------------------------------------------------------------------------------
def test_one_file_serves_one_sqlite(current, apsw):
    """The second SQLite of a process is refused the same file, and the first goes on; a copy of the file will do."""
    assert current.box.one("SELECT os_version()")  # Python's own sqlite3
    db = current.connect(load=False)
    db.enable_load_extension(True)
    with pytest.raises(apsw.ExtensionLoadingError) as caught:
        db.load_extension(str(EXTENSION))
    text = str(caught.value)
    assert sqlite3.sqlite_version in text and apsw.sqlite_lib_version() in text and "copy" in text
    assert current.box.run("os_ping")["status"] == "success"
    db.load_extension(current.copied)
    assert json.loads(db.execute("SELECT os_ping()").fetchone()[0])["status"] == "success"
    assert current.box.run("os_ping")["status"] == "success"


def test_load_twice(current):
    current.one("SELECT os_config('BATCH_SIZE', 55)")
    current.db.load_extension(current.copied)
    assert str(current.one("SELECT os_config('BATCH_SIZE')")) == "55", "loading again forgot the session"
