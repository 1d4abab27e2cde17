"""The ledger: where it is, what it shows to other processes while a load runs, and the commands that reach into a running
job from outside."""
import json
import os
import sqlite3
import stat
import time

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.refusal import refusal

DOCS = datasets.products(2000)


@pytest.fixture
def slow(through, proxy, plain, index):
    """A box whose loads take a while; `start(extra options)` runs one in another process."""
    plain.create(index, datasets.PRODUCTS)
    datasets.write(through / "p.ndjson", DOCS)
    proxy.rule("delay", seconds=0.15)

    def start(**options):
        options = {"batch_size": 50, "max_workers": 1, **options}
        return through.start("SELECT os_bulk_load('p.ndjson', '%s', '%s');" % (index, json.dumps(options)))
    through.start_load = start
    return through


def job_row(box):
    rows = box.rows("SELECT * FROM os_jobs WHERE kind = 'bulk_load' ORDER BY job DESC LIMIT 1")
    return rows[0] if rows else None


def wait_row(box, check, timeout=20):
    end = time.time() + timeout
    while True:
        row = job_row(box)
        if row and check(row):
            return row
        assert time.time() < end, "the job never came to that: %s" % row
        time.sleep(0.05)


# ---- live ---------------------------------------------------------------------------------------------------------------
def test_a_running_job_is_seen_from_elsewhere(slow, plain, index):
    running = slow.start_load()
    row = wait_row(slow, lambda r: r["documents_created"] >= 100)
    assert row["status"] == "running" and row["index_name"] == index and row["pid"] == running.process.pid and row["host"]
    assert row["documents_created"] < 2000 and row["finished_at"] is None and row["files"] == 1 and row["files_done"] == 0
    first = row["documents_created"]
    wait_row(slow, lambda r: r["documents_created"] > first)
    state = slow.rows("SELECT * FROM os_job_files WHERE job = ?", row["job"])[0]
    assert 0 < state["byte_offset"] < (slow / "p.ndjson").stat().st_size
    assert slow.audit(row["job"]), "guards are not in the audit while the job runs"
    result = running.finish()
    assert result.code == 0, result
    row = job_row(slow)
    assert row["status"] == "success" and row["documents_created"] == 2000 and row["finished_at"] and row["seconds"] > 0
    assert json.loads(row["arguments"]) and json.loads(row["response"]) and row["version"]
    assert row["count_before"] == 0 and row["count_after"] == 2000 and row["rate"] > 0
    for column in ("started_at", "updated_at", "finished_at"):
        assert row[column].endswith("Z") and "T" in row[column]


def test_every_guard_is_audited(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    box.load(datasets.write(box / "a.csv", DOCS[:20]), index)
    rows = box.audit()
    assert len(rows) >= 5 and {r["verdict"] for r in rows} <= {"pass", "fail", "unknown", "skip", "did"}
    text = json.dumps([dict(r) for r in rows]).lower()
    for word in ("endpoint", "alias", "health", "exist", "count"):
        assert word in text, "no row about %s" % word


def test_a_dead_job_is_interrupted_not_running(slow, plain, index):
    running = slow.start_load()
    wait_row(slow, lambda r: r["documents_created"] > 0)
    running.kill()
    assert job_row(slow)["status"] == "interrupted"
    out = slow.sql("SELECT status FROM os_jobs WHERE kind = 'bulk_load';").lines
    assert out == ["interrupted"]


# ---- control ----------------------------------------------------------------------------------------------------------------
def test_cancel_from_another_process(slow, proxy, plain, index):
    running = slow.start_load()
    row = wait_row(slow, lambda r: r["documents_created"] > 0)
    started = time.monotonic()
    slow.run("os_cancel", row["job"])
    result = running.finish(15)
    assert time.monotonic() - started < 5
    assert result.code == 1 and "cancel" in result.err.lower() and "resume" in result.err, result
    row = job_row(slow)
    assert row["status"] == "cancelled" and 0 < row["documents_created"] < 2000
    proxy.clear()
    slow.load("p.ndjson", index, mode="resume")
    assert_exactly_once(plain, index, DOCS)


def test_pause_and_continue_from_another_process(slow, proxy, plain, index):
    running = slow.start_load()
    row = wait_row(slow, lambda r: r["documents_created"] > 0)
    slow.run("os_pause", row["job"])
    time.sleep(1.5)
    stopped = len(proxy.calls("bulk"))
    time.sleep(1.2)
    assert len(proxy.calls("bulk")) == stopped and running.process.poll() is None, "it went on while paused"
    proxy.clear()
    slow.run("os_continue", row["job"])
    result = running.finish(30)
    assert result.code == 0, result
    assert_exactly_once(plain, index, DOCS)


def test_a_paused_job_can_be_cancelled(slow, proxy, plain, index):
    running = slow.start_load()
    row = wait_row(slow, lambda r: r["documents_created"] > 0)
    slow.run("os_pause", row["job"])
    time.sleep(1)
    slow.run("os_cancel", row["job"])
    assert running.finish(10).code == 1 and job_row(slow)["status"] == "cancelled"


@pytest.mark.parametrize("command", ["os_cancel", "os_pause", "os_continue"])
def test_control_of_what_does_not_run(box, plain, index, command):
    with refusal("4711"):
        box.run(command, 4711)
    plain.create(index)
    box.load(box.file("a.ndjson", '{"a":1}\n'), index)
    job = box.job()["job"]
    with refusal(str(job)):
        box.run(command, job)
    assert box.job()["status"] == "success"


# ---- places and modes ----------------------------------------------------------------------------------------------------------
def load_script(index):
    return "SELECT os_bulk_load('a.ndjson', '%s', '{\"mode\":\"append\",\"allow_again\":true}');\n" % index


def test_beside_the_database_with_its_mode(box, plain, index):
    plain.create(index)
    box.file("a.ndjson", '{"a":1}\n')
    for mode in (0o600, 0o640):
        name = "m%o.db" % mode
        box.file("a.ndjson", '{"a":%d}\n' % mode)
        sqlite3.connect(box / name).execute("CREATE TABLE t(x)").connection.close()
        os.chmod(box / name, mode)
        box.sql(load_script(index), database=name)
        ledger = box / (name + "-ledger")
        assert ledger.exists() and stat.S_IMODE(ledger.stat().st_mode) == mode
        with open(ledger, "rb") as f:
            assert f.read(16) == b"SQLite format 3\0"


@pytest.mark.parametrize("database", [":memory:", ""])
def test_in_the_state_folder_when_there_is_no_file(box, plain, index, database):
    plain.create(index)
    box.file("a.ndjson", '{"a":1}\n')
    box.sql(load_script(index), database=database or ":memory:")
    ledger = box / ".local/state/sqlite-opensearch/ledger.db"
    assert ledger.exists() and stat.S_IMODE(ledger.stat().st_mode) == 0o600
    assert stat.S_IMODE(ledger.parent.stat().st_mode) == 0o700
    out = box.sql("SELECT count(*) FROM os_jobs WHERE kind='bulk_load';", database=":memory:").lines
    assert out == ["1"], "a bare sqlite3 forgot"


def test_read_only_folder(box, plain, index):
    plain.create(index)
    box.file("a.ndjson", '{"a":1}\n')
    sqlite3.connect(box / "ro.db").execute("CREATE TABLE t(x)").connection.close()
    box.sql(load_script(index), database="file:%s?mode=ro" % (box / "ro.db"))
    assert not (box / "ro.db-ledger").exists() and (box / ".local/state/sqlite-opensearch/ledger.db").exists()


def test_a_named_ledger_and_one_in_memory(box, plain, index):
    plain.create(index)
    box.file("a.ndjson", '{"a":1}\n')
    box.sql(load_script(index), env={"OS_LEDGER": box / "elsewhere.db"})
    assert (box / "elsewhere.db").exists() and not (box / "app.db-ledger").exists()
    box.file("a.ndjson", '{"a":2}\n')
    out = box.sql(load_script(index) + "SELECT count(*) FROM os_jobs;", env={"OS_LEDGER": ":memory:"}).lines
    assert int(out[-1]) >= 1
    assert sorted(p.name for p in box.path.rglob("*ledger*")) == []


def test_a_ledger_that_is_none(box, plain, index):
    plain.create(index)
    box.file("a.ndjson", '{"a":1}\n')
    other = sqlite3.connect(box / "users.db")
    other.execute("CREATE TABLE os_jobs(mine)")
    other.commit()
    other.close()
    box.fails(load_script(index), "users.db", env={"OS_LEDGER": box / "users.db"})
    box.file("garbage.db", "this is no database" * 500)
    box.fails(load_script(index), "garbage.db", env={"OS_LEDGER": box / "garbage.db"})
    assert plain.count(index) == 0
    assert sqlite3.connect(box / "users.db").execute("SELECT sql FROM sqlite_master").fetchall() == [("CREATE TABLE os_jobs(mine)",)]


def test_a_newer_ledger_is_refused(box, plain, index):
    plain.create(index)
    box.file("a.ndjson", '{"a":1}\n')
    box.sql(load_script(index))
    ledger = sqlite3.connect(box / "app.db-ledger")
    ledger.execute("PRAGMA user_version = %d" % (ledger.execute("PRAGMA user_version").fetchone()[0] + 1))
    ledger.commit()
    ledger.close()
    box.fails(load_script(index), "newer", "app.db-ledger")
    assert plain.count(index) == 1


def test_prune(box, plain, index):
    plain.create(index, {"a": {"type": "integer"}})
    f = box.file("a.ndjson", '{"a":1}\n{"a":"x"}\n')
    box.load(f, index)
    box.run("os_ledger_prune", "2001-01-01")
    assert len(box.rows("SELECT * FROM os_jobs WHERE kind='bulk_load'")) == 1
    time.sleep(0.01)
    box.run("os_ledger_prune", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60)))
    assert box.rows("SELECT * FROM os_jobs WHERE kind='bulk_load'") == []
    assert box.rows("SELECT * FROM os_job_files") == []
    with refusal("yesterday"):
        box.run("os_ledger_prune", "yesterday")


def test_prune_leaves_running_jobs(slow, plain, index):
    running = slow.start_load()
    row = wait_row(slow, lambda r: r["documents_created"] > 0)
    slow.run("os_ledger_prune", "2100-01-01")
    assert job_row(slow)["job"] == row["job"]
    assert running.finish().code == 0


def test_views_over_the_tables_work(box, plain, index):
    plain.create(index)
    db = box.db
    db.execute("CREATE VIEW v AS SELECT job, status FROM os_jobs")
    box.load(box.file("a.ndjson", '{"a":1}\n'), index)
    box.close()
    assert "success" in [r["status"] for r in box.rows("SELECT * FROM v")]
    assert box.rows("SELECT j.job, f.file FROM os_jobs j JOIN os_job_files f ON f.job = j.job")


def test_jobs_of_failed_commands_have_their_error(box, plain, index):
    text = box.load_fails(box.file("a.ndjson", '{"a":1}\n'), index, index)
    row = box.job()
    assert row["status"] == "failed" and row["error"] and row["error"] in text or text.split(": ", 1)[1] in row["error"]
    assert any(a["verdict"] == "fail" for a in box.audit())


# ---- tune_index ------------------------------------------------------------------------------------------------------------------
def test_tune_index_is_restored(slow, proxy, plain, index):
    plain.call("PUT", "/%s/_settings" % index, {"index": {"refresh_interval": "5s", "number_of_replicas": 1}})
    running = slow.start_load(tune_index=True)
    wait_row(slow, lambda r: r["documents_created"] > 0)
    assert plain.setting(index, "refresh_interval") == "-1" and plain.setting(index, "number_of_replicas") == "0"
    proxy.clear()
    assert running.finish().code == 0
    assert plain.setting(index, "refresh_interval") == "5s" and plain.setting(index, "number_of_replicas") == "1"


def test_tune_index_is_restored_after_kill_by_the_next_command(slow, proxy, plain, index):
    assert plain.setting(index, "refresh_interval") is None
    running = slow.start_load(tune_index=True)
    wait_row(slow, lambda r: r["documents_created"] > 0)
    running.kill()
    assert plain.setting(index, "refresh_interval") == "-1"
    proxy.clear()
    slow.load("p.ndjson", index, mode="resume")
    assert plain.setting(index, "refresh_interval") is None, "absent must become absent again"
    assert plain.setting(index, "number_of_replicas") == "0"
    assert_exactly_once(plain, index, DOCS)


def test_tune_index_leaves_what_somebody_else_set(slow, proxy, plain, index):
    running = slow.start_load(tune_index=True)
    wait_row(slow, lambda r: r["documents_created"] > 0)
    plain.call("PUT", "/%s/_settings" % index, {"index": {"refresh_interval": "33s"}})
    proxy.clear()
    assert running.finish().code == 0
    assert plain.setting(index, "refresh_interval") == "33s"


def test_tune_index_shared_by_two_loads(slow, proxy, plain, index):
    datasets.write(slow / "q.ndjson", datasets.products(300, seed=50, start=5000))
    running = slow.start_load(tune_index=True)
    wait_row(slow, lambda r: r["documents_created"] > 0)
    slow.load("q.ndjson", index, mode="append", tune_index=True)
    assert plain.setting(index, "refresh_interval") == "-1", "restored while another job still needs it"
    proxy.clear()
    assert running.finish().code in (0, 1)
    assert plain.setting(index, "refresh_interval") is None


def test_tune_index_and_a_live_index_are_refused_together(box, plain, index):
    plain.create(index, aliases={index + "_a": {}})
    box.load_fails(box.file("a.ndjson", '{"a":1}\n'), index, "tune_index", tune_index=True, allow_live=True)
