"""Jobs, ledger, dead letters and further clusters: promises that the other modules do not look at."""
import json
import os
import sqlite3
import stat
import time

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.refusal import refusal

DOCS = datasets.products(600)


@pytest.fixture
def bad(box, plain, index):
    """An index with one refused record of two."""
    plain.create(index, {"n": {"type": "integer"}})
    box.file("r.ndjson", '{"_id":"1","n":1}\n{"_id":"2","n":"two"}\n')
    return box


def connect_again(box, name="other", url=None):
    box.run("os_connect", name, {"endpoint": url or box.env["OPENSEARCH_ENDPOINT"]})


def start_slow(through, proxy, plain, index, name, docs, **options):
    datasets.write(through / name, docs)
    if not plain.exists(index):
        plain.create(index, datasets.PRODUCTS)
    if not proxy.rules:
        proxy.rule("delay", seconds=0.15)
    options = {"mode": "append", "batch_size": 30, "max_workers": 1, **options}
    return through.start("SELECT os_bulk_load('%s', '%s', '%s');" % (name, index, json.dumps(options)))


def wait_for(check, timeout=20):
    end = time.time() + timeout
    while not check():
        assert time.time() < end, "it never came to that"
        time.sleep(0.05)


# ---- further clusters -----------------------------------------------------------------------------------------------
def test_a_load_to_a_further_cluster_and_its_retry(bad, proxy, plain, index):
    """The proxy is the further cluster: another address, and it sees who was asked."""
    connect_again(bad, "far", proxy.url)
    assert bad.load("r.ndjson", index, mode="upsert", connection="far")["status"] == "partial"
    assert proxy.calls("bulk") and plain.doc(index, "1") == {"n": 1}
    bad.db.execute("UPDATE dlq_failures SET document = '{\"n\":2}'")
    seen = len(proxy.log)
    with refusal("connection") as caught:
        bad.run("os_retry_failures")
    assert proxy.url in str(caught.value), "which cluster refused them is not told"
    assert plain.doc(index, "2") is None and len(proxy.log) == seen and len(bad.dlq()) == 1
    result = bad.run("os_retry_failures", None, {"connection": "far"})
    assert result["status"] == "success" and result["response"]["resolved"] == 1
    assert plain.doc(index, "2") == {"n": 2} and len(proxy.log) > seen


def test_retry_takes_this_clusters_rows_and_leaves_the_others(bad, proxy, plain, index):
    connect_again(bad, "far", proxy.url)
    bad.load("r.ndjson", index, mode="upsert", connection="far")
    bad.load(bad.file("here.ndjson", '{"_id":"3","n":"three"}\n{"_id":"4","n":4}\n'), index, mode="upsert")
    bad.db.execute("UPDATE dlq_failures SET document = '{\"n\":0}'")
    result = bad.run("os_retry_failures")
    assert result["response"]["tried"] == 1 and plain.doc(index, "3") == {"n": 0} and plain.doc(index, "2") is None
    assert [r["doc_id"] for r in bad.dlq()] == ["2"]
    assert any(a["check_name"] == "cluster" and proxy.url in a["detail"] for a in bad.audit(result["job"]))


@pytest.mark.parametrize("call", [
    "os_count(?1, NULL, '{\"connection\":\"far\"}')", "os_request('GET', '/' || ?1 || '/_count', NULL, '{\"connection\":\"far\"}')",
    "os_refresh_index(?1, '{\"connection\":\"far\"}')", "os_cleanup(?1, '{\"connection\":\"far\"}')",
    "os_delete_index(?1, ?1, '{\"connection\":\"far\"}')", "os_create_index(?1 || '_x', NULL, '{\"connection\":\"far\"}')"])
def test_every_command_goes_where_connection_says(box, proxy, plain, index, call):
    plain.create(index)
    connect_again(box, "far", proxy.url)
    box.one("SELECT os_config('OPENSEARCH_ENDPOINT', 'http://127.0.0.1:1')")
    box.one("SELECT " + call, index)
    assert proxy.calls(), "the named cluster was not asked"


# ---- dead letters -------------------------------------------------------------------------------------------------------
def test_on_partial_error_of_a_retry(bad, plain, index):
    bad.load(bad.file("two.ndjson", '{"_id":"1","n":"one"}\n{"_id":"2","n":"two"}\n{"_id":"3","n":3}\n'), index, mode="upsert", max_failed=None)
    bad.db.execute("UPDATE dlq_failures SET document = '{\"n\":1}' WHERE doc_id = '1'")
    with refusal("dlq_failures"):
        bad.run("os_retry_failures", None, {"on_partial": "error"})
    assert plain.doc(index, "1") == {"n": 1}, "the work stays done"
    assert [r["doc_id"] for r in bad.dlq()] == ["2"]


def test_overwrite_sends_what_would_be_superseded(bad, plain, index):
    bad.load("r.ndjson", index, mode="upsert")
    plain.put(index, "2", {"n": 2000})
    bad.db.execute("UPDATE dlq_failures SET document = '{\"n\":22}'")
    assert bad.run("os_retry_failures")["response"]["superseded"] == 1 and plain.doc(index, "2") == {"n": 2000}
    bad.db.execute("UPDATE dlq_failures SET resolved_at = NULL, superseded = 0")
    assert bad.run("os_retry_failures", None, {"overwrite": True})["response"]["resolved"] == 1
    assert plain.doc(index, "2") == {"n": 22}


def test_prune_keeps_what_waits_and_forgets_what_is_done(bad, plain, index):
    bad.load("r.ndjson", index, mode="upsert")
    time.sleep(0.01)
    bad.run("os_ledger_prune", "2100-01-01")
    assert len(bad.dlq()) == 1, "a refused record was forgotten before it was dealt with"
    bad.db.execute("UPDATE dlq_failures SET document = '{\"n\":2}'")
    assert bad.run("os_retry_failures", bad.dlq()[0]["job"])["status"] == "success"
    time.sleep(0.01)
    result = bad.run("os_ledger_prune", "2100-01-01T00:00:00Z")
    assert result["response"]["jobs_removed"] >= 1 and bad.rows("SELECT * FROM dlq_failures") == []
    for wrong in ("2026-13-01", "", "12", None):
        with refusal("os_ledger_prune"):
            bad.run("os_ledger_prune", wrong)


# ---- jobs ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", ["os_cancel", "os_pause", "os_continue"])
def test_control_wants_a_job(bare_box, command):
    db = bare_box.connect()
    for argument in ("1", "'one'", "NULL", "-1", "1.5"):
        with refusal(command):
            db.execute("SELECT %s(%s)" % (command, argument)).fetchall()
    assert not (bare_box / "app.db-ledger").exists(), "looking for a job made a ledger"


def test_control_of_a_job_whose_process_died(through, proxy, plain, index):
    running = start_slow(through, proxy, plain, index, "p.ndjson", DOCS)
    proxy.wait_for(3)
    running.kill()
    job = through.job()["job"]
    assert through.job()["status"] == "interrupted"
    for command in ("os_cancel", "os_pause", "os_continue"):
        with refusal("died"):
            through.run(command, job)


def test_continue_of_a_job_that_is_not_paused(through, proxy, plain, index):
    running = start_slow(through, proxy, plain, index, "p.ndjson", DOCS)
    proxy.wait_for(3)
    job = through.job()["job"]
    assert through.run("os_continue", job)["status"] == "success"  # nothing to do is no fault
    assert through.run("os_pause", job)["response"]["job"] == job
    through.run("os_pause", job)
    through.run("os_continue", job)
    proxy.clear()
    assert running.finish().code == 0 and plain.count(index) == 600


def test_arguments_and_figures_of_a_job(box, plain, index):
    plain.create(index)
    f = box.file("a.csv", "a\n1\n2\n")
    options = {"batch_size": 7, "mode": "append", "correlation_id": "nightly"}
    result = box.load(f, index, **options)
    row = box.job(result["job"])
    assert json.loads(row["response"]) == result["response"]
    arguments = json.dumps(json.loads(row["arguments"]))
    assert str(f) in arguments and index in arguments and "batch_size" in arguments
    files = box.rows("SELECT * FROM os_job_files WHERE job = ?", result["job"])[0]
    assert files["file"] == str(f) and files["documents"] == 2 and files["failed"] == 0 and files["status"] == "success"
    assert str(f.stat().st_size) in files["fingerprint"] or files["fingerprint"]
    assert files["byte_offset"] == f.stat().st_size and files["format"] == "csv" and row["correlation_id"] == "nightly"
    assert row["pid"] == os.getpid() and row["version"] == box.one("SELECT os_version()")


# ---- tune_index ------------------------------------------------------------------------------------------------------------------
def test_tuned_settings_come_back_with_the_last_of_two_loads(through, proxy, plain, index):
    """Two processes at once; the first that ends leaves them, the last one restores, and only what is still ours."""
    plain.create(index, datasets.PRODUCTS)
    plain.call("PUT", "/%s/_settings" % index, {"index": {"refresh_interval": "7s", "number_of_replicas": 1}})
    long = start_slow(through, proxy, plain, index, "p.ndjson", DOCS, tune_index=True)
    wait_for(lambda: plain.setting(index, "refresh_interval") == "-1")
    short = start_slow(through, proxy, plain, index, "q.ndjson", datasets.products(60, seed=50, start=5000), tune_index=True)
    assert short.finish().code in (0, 1)
    assert plain.setting(index, "refresh_interval") == "-1" and plain.setting(index, "number_of_replicas") == "0"
    plain.call("PUT", "/%s/_settings" % index, {"index": {"refresh_interval": "33s"}})  # somebody else's from here on
    proxy.clear()
    assert long.finish().code in (0, 1)
    assert plain.setting(index, "refresh_interval") == "33s" and plain.setting(index, "number_of_replicas") == "1"
    assert plain.count(index) == 660


def test_tuned_settings_come_back_when_the_load_fails(through, proxy, plain, index):
    plain.create(index, datasets.PRODUCTS)
    plain.call("PUT", "/%s/_settings" % index, {"index": {"refresh_interval": "7s"}})
    through.one("SELECT os_config('MAX_RETRIES', 0)")
    f = datasets.write(through / "p.ndjson", DOCS)
    proxy.rule("status", code=403)
    through.load_fails(f, index, "403", tune_index=True)
    assert plain.setting(index, "refresh_interval") == "7s"


# ---- places of the ledger ----------------------------------------------------------------------------------------------------
def test_two_databases_have_two_ledgers_and_one_name_shares_one(box, plain, index):
    plain.create(index)
    load = "SELECT os_bulk_load('%s.ndjson', '%s', '{\"mode\":\"append\"}');\nSELECT count(*) FROM os_jobs WHERE kind = 'bulk_load';"
    for name in "ab":
        box.file(name + ".ndjson", '{"%s":1}\n' % name)
        out = box.sql(load % (name, index), database=name + ".db").lines
        assert out[-1] == "1" and (box / (name + ".db-ledger")).exists()
    box.fails(load % ("a", index), "allow_again", database="a.db")
    assert box.sql("SELECT count(*) FROM os_jobs WHERE status = 'success';", database="b.db").lines == ["1"]
    for n, name in enumerate("cd"):
        box.file(name + ".ndjson", '{"%s":1}\n' % name)
        out = box.sql(load % (name, index), database=name + ".db", env={"OS_LEDGER": "shared.db"}).lines
        assert out[-1] == str(n + 1) and not (box / (name + ".db-ledger")).exists()


def test_modes_of_everything_beside_the_database(box, plain, index):
    plain.create(index)
    box.file("a.ndjson", '{"a":1}\n')
    sqlite3.connect(box / "app.db").execute("CREATE TABLE t(x)").connection.close()
    os.chmod(box / "app.db", 0o640)
    box.db.execute("SELECT os_bulk_load('a.ndjson', ?)", (index,)).fetchall()
    made = {p.name: stat.S_IMODE(p.stat().st_mode) for p in box.path.glob("app.db-ledger*")}
    assert "app.db-ledger-jobs" in made and set(made.values()) == {0o640}, made
    box.sql("SELECT os_refresh_index('%s');" % index, database=":memory:", env={"OS_LEDGER": "own.db"})
    own = {p.name: stat.S_IMODE(p.stat().st_mode) for p in box.path.glob("own.db*")}
    assert own and set(own.values()) == {0o600}, own


def test_os_ledger_as_a_setting_of_the_session(box, plain, index):
    plain.create(index)
    out = box.sql("SELECT os_config('OS_LEDGER', 'mine.db') IS NULL; SELECT os_refresh_index('%s') IS NULL; SELECT count(*) FROM os_jobs;" % index).lines
    assert out == ["0", "0", "1"] and (box / "mine.db").exists() and not (box / "app.db-ledger").exists()
    box.fails("SELECT os_refresh_index('%s');" % index, "/no/such/folder", env={"OS_LEDGER": "/no/such/folder/l.db"})


def test_a_ledger_that_cannot_be_written_stops_the_command_before_the_cluster(through, proxy, plain, index):
    plain.create(index)
    through.file("a.ndjson", '{"a":1}\n')
    through.sql("SELECT os_refresh_index('%s');" % index)
    ledger = sqlite3.connect(through / "app.db-ledger")
    ledger.execute("ALTER TABLE audit RENAME COLUMN verdict TO spoiled")  # every guard writes there
    ledger.commit()
    ledger.close()
    seen = len(proxy.calls("bulk"))
    result = through.fails("SELECT os_bulk_load('a.ndjson', '%s');" % index, "ledger")
    assert plain.count(index) == 0 and len(proxy.calls("bulk")) == seen, result


def test_a_table_of_the_users_own_is_reported_and_left_alone(box, plain, index):
    plain.create(index)
    db = box.db
    db.execute("CREATE TABLE os_jobs(mine)")
    db.execute("INSERT INTO os_jobs VALUES('kept')")
    box.load(box.file("a.ndjson", '{"a":1}\n'), index)
    assert [tuple(r) for r in db.execute("SELECT * FROM os_jobs")] == [("kept",)]
    assert "os_jobs" in json.dumps(json.loads(box.one("SELECT os_debug()")))
    assert box.one("SELECT count(*) FROM os_audit") > 0


def test_a_killed_load_of_one_database_is_resumed_through_another_ledger_without_doubling(through, proxy, plain, index):
    """The ids depend on name and content, not on the ledger: a moved database doubles nothing."""
    running = start_slow(through, proxy, plain, index, "p.ndjson", DOCS)
    proxy.wait_for(4)
    running.kill()
    proxy.clear()
    time.sleep(0.3)
    assert 0 < plain.count(index) < 600
    other = through.sql("SELECT os_bulk_load('p.ndjson', '%s', '{\"mode\":\"resume\"}');" % index, database="moved.db").json()
    assert other["response"]["already"] > 0
    assert_exactly_once(plain, index, DOCS)
