"""os_refresh_data: new data under an alias that answers all the way; whatever breaks, the alias is on a whole index, and the
same call with `resume` ends where an undisturbed one would have."""
import json
import os
import sqlite3
import subprocess
import threading
import time

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.crash import kill_at
from harness.paths import EXTENSION, ROOT

OLD, NEW = datasets.products(300), datasets.products(450, start=2000)


@pytest.fixture
def names(index):
    return index + "_live", index + "_a", index + "_b"


@pytest.fixture
def ready(through, plain, names):
    """The alias on a primary that holds OLD; an empty secondary; NEW in a folder."""
    alias, primary, secondary = names
    plain.create(primary, datasets.PRODUCTS, aliases={alias: {}})
    plain.create(secondary, datasets.PRODUCTS)
    plain.bulk_put(primary, datasets.by_id(OLD))
    (through / "new").mkdir()
    datasets.write(through / "new/one.ndjson", NEW[:200])
    datasets.write(through / "new/two.csv.gz", NEW[200:])
    return through


def refresh(box, names, path="new", **options):
    return box.run("os_refresh_data", *names, path, {"delay": 0, **options})


def refused(box, names, *words, path="new", **options):
    with pytest.raises(sqlite3.Error) as caught:
        refresh(box, names, path, **options)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    return str(caught.value)


def serving(plain, alias):
    return sorted(plain.get("/_alias/" + alias))


class Reader(threading.Thread):
    """Searches through the alias until it is stopped: every answer there was."""
    def __init__(self, plain, alias):
        super().__init__(daemon=True)
        self.plain, self.alias, self.seen, self.faults, self.ending = plain, alias, [], [], False
        self.start()

    def run(self):
        while not self.ending:
            try:
                found = self.plain.call("POST", "/%s/_search" % self.alias, {"size": 0, "track_total_hits": True})
                count = found["hits"]["total"]["value"]
                if not self.seen or self.seen[-1] != count:
                    self.seen.append(count)
            except Exception as error:  # whatever it is, a user would have seen it
                self.faults.append(error)

    def stop(self):
        self.ending = True
        self.join(10)
        return self


def assert_refreshed(plain, names):
    alias, primary, secondary = names
    assert serving(plain, alias) == [primary]
    assert_exactly_once(plain, primary, NEW)
    assert_exactly_once(plain, secondary, OLD)
    left = [row["index"] for row in plain.get("/_cat/indices/%s*?format=json" % primary[:-2])]
    assert sorted(left) == [primary, secondary]
    assert plain.setting(primary, "blocks.write") in (None, "false")


def test_the_alias_answers_all_the_way(ready, plain, names):
    alias, primary, secondary = names
    reader = Reader(plain, alias)
    result = refresh(ready, names, delay=0.3)
    reader.stop()
    assert reader.faults == [] and reader.seen == [300, 450], (reader.faults[:3], reader.seen)
    assert_refreshed(plain, names)
    assert result["status"] == "success" and "450 documents" in result["message"]
    steps = result["response"]["steps"]
    assert [s["step"] for s in steps] == ["reindex", "to_secondary", "load", "to_primary"]
    assert result["response"]["seconds"] >= 0.9 and all(s["seconds"] >= 0 and s["status"] == "success" for s in steps)
    children = ready.rows("SELECT job, kind, status FROM os_jobs WHERE parent = ? ORDER BY job", result["job"])
    assert [(c["kind"], c["status"]) for c in children] == [
        ("reindex", "success"), ("switch_alias", "success"), ("bulk_load", "success"), ("switch_alias", "success")]
    assert [c["job"] for c in children] == [s["job"] for s in steps]
    checks = {a["check_name"]: a["verdict"] for a in ready.audit(result["job"])}
    assert checks["alias"] == checks["primary"] == checks["sources"] == checks["writers"] == "pass"


def test_again_and_again(ready, plain, names):
    """The second night: the secondary holds the day before yesterday, and is emptied for the copy."""
    refresh(ready, names)
    datasets.write(ready / "next.ndjson", OLD)
    result = refresh(ready, names, "next.ndjson")
    assert result["status"] == "success"
    assert serving(plain, names[0]) == [names[1]]
    assert_exactly_once(plain, names[1], OLD)
    assert_exactly_once(plain, names[2], NEW)


def test_a_secondary_is_made(ready, plain, names):
    plain.delete(names[2])
    refused(ready, names, names[2])
    refresh(ready, names, create=True)
    assert_refreshed(plain, names)
    assert plain.get("/%s/_mapping" % names[2])[names[2]]["mappings"]["properties"]["sku"] == {"type": "keyword"}


def test_dry_run_changes_nothing(ready, proxy, plain, names):
    before = len(proxy.calls())
    result = refresh(ready, names, dry_run=True)
    assert {c["verdict"] for c in result["checks"]} <= {"pass", "skip"} and len(result["checks"]) > 6
    assert all(c["method"] in ("GET", "HEAD") or c["path"].split("?")[0].endswith(("/_refresh", "/_count", "/_search"))
               for c in proxy.calls()[before:]), [c["path"] for c in proxy.calls()[before:] if c["method"] != "GET"]
    assert serving(plain, names[0]) == [names[1]] and plain.count(names[1]) == 300 and plain.count(names[2]) == 0


def test_resume_by_itself(ready, plain, names):
    """For cron: the same call every night, whatever became of the last one."""
    broken = ready.file("new/three.ndjson", '{"price":"none"}\n' * 20)
    refused(ready, names, "step 3", resume="auto", load={"max_failed": 5})
    broken.unlink()
    result = refresh(ready, names, resume="auto", load={"mode": "fresh"})
    assert len(result["response"]["steps"]) == 2
    assert_refreshed(plain, names)
    assert len(refresh(ready, names, resume="auto")["response"]["steps"]) == 4


@pytest.mark.parametrize("program", ["refresh.sh", "python/refresh.py"])
def test_examples(ready, plain, names, program):
    given = [*(["/usr/bin/python3"] if program.endswith(".py") else []), str(ROOT / "examples" / program), "app.db", *names, "new"]
    for count in (450, 450):
        done = subprocess.run(given, cwd=ready.path, capture_output=True, text=True, timeout=100,
                              env={**os.environ, **ready.env, "OPENSEARCH_EXTENSION": str(EXTENSION)[:-3]})
        assert done.returncode == 0 and "%d documents loaded anew" % count in done.stdout, done
    assert serving(plain, names[0]) == [names[1]] and plain.count(names[1]) == 450


# ---- guards: nothing moves ------------------------------------------------------------------------------------------
def test_guards(ready, plain, names):
    alias, primary, secondary = names
    before = plain.uuid(primary), plain.uuid(secondary)
    for arguments, words in [((alias, primary, primary), ["two indices"]), ((primary, primary, secondary), ["as the alias and as an index"]),
                             ((alias + "x", primary, secondary), ["there is no alias"]), ((secondary, primary, alias), ["is an index"]),
                             ((alias, secondary, primary), ["is on " + primary]), ((alias, primary + "*", secondary), ["*"])]:
        with pytest.raises(sqlite3.Error) as caught:
            ready.run("os_refresh_data", *arguments, "new", {"delay": 0})
        assert all(word in str(caught.value) for word in words), caught.value
    refused(ready, names, "No such file", path="nothing-here")
    refused(ready, names, "mode 'append'", load={"mode": "append"})
    refused(ready, names, "did you mean 'mode'", load={"modus": "fresh"})
    refused(ready, names, "option 'load'", load={"delimiter": ""})
    refused(ready, names, "stopped half-way", resume=True)
    plain.call("POST", "/_aliases", {"actions": [{"add": {"index": primary, "alias": alias + "_2"}}]})
    refused(ready, names, alias + "_2", "too")
    plain.call("POST", "/_aliases", {"actions": [{"remove": {"index": primary, "alias": alias + "_2"}},
                                                 {"add": {"index": secondary, "alias": alias}}]})
    refused(ready, names, "not on %s alone" % primary)
    assert (plain.uuid(primary), plain.uuid(secondary)) == before
    assert plain.count(primary) == 300 and plain.count(secondary) == 0


def test_an_empty_source_of_files_changes_nothing(ready, plain, names):
    (ready / "none").mkdir()
    refused(ready, names, "none", path="none")
    assert serving(plain, names[0]) == [names[1]] and plain.count(names[1]) == 300


# ---- what others do meanwhile ------------------------------------------------------------------------------------
def when(proxy, pattern, act):
    """Run `act` while the cluster's answer to such a request is held back."""
    rule = proxy.rule("delay_answer", on=pattern, seconds=0.8, times=1)
    def wait():
        while not rule["fired"]:
            time.sleep(0.01)
        time.sleep(0.2)
        act()
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_writes_during_the_copy_would_be_lost(ready, proxy, plain, names):
    alias, primary, secondary = names
    thread = when(proxy, r"POST /_reindex", lambda: plain.put(alias, "late", OLD[0]))
    refused(ready, names, "others wrote to " + primary)
    thread.join()
    assert serving(plain, alias) == [primary] and plain.count(primary) == 301
    assert refresh(ready, names)["status"] == "success"  # from the beginning: nothing was lost
    assert plain.count(secondary) == 301 and plain.count(primary) == 450


def test_a_write_between_the_last_look_and_the_move(ready, proxy, plain, names):
    """It is noticed after the move, and the alias goes back to the index that has it."""
    alias, primary, secondary = names
    thread = when(proxy, r"POST /_aliases", lambda: plain.put(primary, "late", OLD[0]))
    text = refused(ready, names, "others wrote to " + primary)
    thread.join()
    assert "the alias is back" in text and serving(plain, alias) == [primary] and plain.count(primary) == 301


@pytest.mark.parametrize("allowed", [False, True])
def test_writes_through_the_alias_during_the_load(ready, proxy, plain, names, allowed):
    alias, primary, secondary = names
    thread = when(proxy, r"POST /%s/_bulk" % primary, lambda: plain.put(alias, "late", OLD[0]))
    if allowed:
        refresh(ready, names, allow_writes=True)
        assert serving(plain, alias) == [primary] and plain.count(primary) == 450
    else:
        refused(ready, names, "others wrote to " + secondary, "allow_writes")
        assert serving(plain, alias) == [secondary] and plain.doc(alias, "late")
        refused(ready, names, "others wrote to " + secondary, resume=True)
        refresh(ready, names, resume=True, allow_writes=True)
        assert serving(plain, alias) == [primary]
    thread.join()


def test_a_load_that_refuses_too_much(ready, plain, names):
    """The alias stays on the copy; mended and resumed, it ends well."""
    alias, primary, secondary = names
    broken = ready.file("new/three.ndjson", "".join('{"price":"no price %d"}\n' % n for n in range(20)))
    text = refused(ready, names, "step 3 of 4 (load)", load={"max_failed": 5})
    assert "resume" in text or "max_failed" in text
    assert serving(plain, alias) == [secondary] and plain.count(alias) == 300
    refused(ready, names, "stopped half-way", "resume")
    broken.unlink()
    result = refresh(ready, names, resume=True, load={"mode": "fresh"})
    assert [s["step"] for s in result["response"]["steps"]] == ["load", "to_primary"]
    assert_refreshed(plain, names)


def test_partial_is_told(ready, plain, names):
    ready.file("new/three.ndjson", '{"price":"no price"}\n')
    result = refresh(ready, names)
    assert result["status"] == "partial" and len(ready.dlq()) == 1
    assert_refreshed(plain, names)


def test_cancelled_from_elsewhere(ready, plain, names):
    alias, primary, secondary = names
    text = json.dumps({"delay": 20})
    running = ready.start("SELECT os_refresh_data('%s', '%s', '%s', 'new', '%s');" % (*names, text))
    end = time.time() + 30
    while not ready.rows("SELECT 1 FROM os_jobs WHERE kind = 'reindex' AND status = 'success'") and time.time() < end:
        time.sleep(0.1)
    job = ready.one("SELECT job FROM os_jobs WHERE kind = 'refresh_data'")
    ready.one("SELECT os_cancel(?)", job)
    result = running.finish(20)
    assert result.code == 1 and "cancel" in result.err, result
    assert ready.job(job)["status"] == "cancelled" and serving(plain, alias) == [primary]
    refresh(ready, names, resume=True)
    assert_refreshed(plain, names)


def test_paused_between_two_steps(ready, plain, names):
    running = ready.start("SELECT os_refresh_data('%s', '%s', '%s', 'new', '{\"delay\":1.5}');" % names)
    end = time.time() + 30
    while not ready.rows("SELECT 1 FROM os_jobs WHERE kind = 'reindex' AND status = 'success'") and time.time() < end:
        time.sleep(0.05)
    job = ready.one("SELECT job FROM os_jobs WHERE kind = 'refresh_data'")
    ready.one("SELECT os_pause(?)", job)
    time.sleep(2.5)
    assert running.process.poll() is None and serving(plain, names[0]) == [names[1]], "it did not wait"
    assert not ready.rows("SELECT 1 FROM os_jobs WHERE kind = 'switch_alias'")
    ready.one("SELECT os_continue(?)", job)
    assert running.finish(60).code == 0
    assert_refreshed(plain, names)
    with pytest.raises(sqlite3.Error, match="has ended"):
        ready.one("SELECT os_pause(?)", job)


def test_a_copy_by_the_cluster_does_not_pause(ready, proxy, plain, names):
    proxy.rule("delay_answer", on=r"POST /_reindex", seconds=2)
    running = ready.start("SELECT os_reindex('%s', '%s');" % names[1:])
    end = time.time() + 30
    while not ready.rows("SELECT 1 FROM os_jobs WHERE kind = 'reindex'") and time.time() < end:
        time.sleep(0.05)
    with pytest.raises(sqlite3.Error, match="cannot pause"):
        ready.one("SELECT os_pause(max(job)) FROM os_jobs")
    assert running.finish(60).code == 0


def test_a_limit_for_the_whole(ready, plain, names):
    """Reached between two steps: the alias is on a whole index, and resume goes on."""
    text = refused(ready, names, delay=60, timeout=8)
    assert "resume" in text and serving(plain, names[0]) == [names[1]] and plain.count(names[2]) == 300, text
    refresh(ready, names, resume=True)
    assert_refreshed(plain, names)


def test_the_plain_script(ready, plain, names):
    """sql/refresh.sql, with its five seconds cut short."""
    script = (ROOT / "sql/refresh.sql").read_text().replace("os_sleep(5)", "os_sleep(0.01)")
    given = "".join(".parameter set :%s %s\n" % pair for pair in zip(("alias", "primary", "secondary", "path"), (*names, "new")))
    result = ready.sql(given + script)
    assert result.code == 0 and len([line for line in result.lines if line]) >= 4, result
    assert_refreshed(plain, names)
    plain.delete(names[2])
    failed = ready.sql(given + script, check=False)
    assert failed.code == 1 and serving(plain, names[0]) == [names[1]] and plain.count(names[1]) == 450


# ---- crash points --------------------------------------------------------------------------------------------------
# killed when the cluster has done this request, and not answered yet: (request, how many such go before, where the alias is then)
MOMENTS = {"copy begun": (r"POST /_reindex", 0, "a"), "copy counted": (r"GET /%s_b/_count", 0, "a"),
           "moved to the copy": (r"POST /_aliases", 0, "b"), "primary emptied": (r"POST /%s_a/_delete_by_query", 0, "b"),
           "loading": (r"POST /%s_a/_bulk", 1, "b"), "loaded": (r"(GET|POST) /%s_a/_count", 3, "b"),
           "moved back": (r"POST /_aliases", 1, "a")}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_resumed(ready, proxy, plain, names, moment):
    alias, primary, secondary = names
    pattern, before, where = MOMENTS[moment]
    options = json.dumps({"delay": 0, "load": {"batch_size": 50, "max_workers": 1}})
    kill_at(ready, proxy, "SELECT os_refresh_data('%s', '%s', '%s', 'new', '%s');" % (*names, options),
            pattern % primary[:-2] if "%s" in pattern else pattern, skip=before)
    assert serving(plain, alias) == [primary[:-1] + where]
    assert plain.count(alias) in (300, 450)
    reader = Reader(plain, alias)
    result = refresh(ready, names, resume=True)
    reader.stop()
    assert result["status"] == "success" and reader.faults == [] and set(reader.seen) <= {300, 450}
    assert_refreshed(plain, names)


@pytest.mark.parametrize("pattern", [r"POST /_reindex", r"POST /_aliases", r"POST /%s_a/_delete_by_query", r"PUT /%s_a"])
def test_an_answer_is_lost(ready, proxy, plain, names, pattern):
    """Once: either it goes on, or it says where it stands and resume ends it."""
    proxy.rule("cut_after", on=pattern % names[1][:-2] if "%s" in pattern else pattern, times=1)
    try:
        refresh(ready, names)
    except sqlite3.Error as error:
        assert "resume" in str(error), error
        assert len(serving(plain, names[0])) == 1 and plain.count(names[0]) == 300
        refresh(ready, names, resume=True)
    assert_refreshed(plain, names)
