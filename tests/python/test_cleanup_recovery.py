"""An index is being made anew and the process dies, or the cluster's answer is lost: no document is lost, and the next command
on the index clears up."""
import sqlite3

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.crash import kill_at

DOCS = datasets.products(120)
OLD, NEW = DOCS[:60], DOCS[60:]
# where the process dies: (request whose answer it never sees, is the index still there, does it hold its documents)
MOMENTS = {"trial created": (r"PUT /%s-os-trial-\d+", 60), "trial deleted": (r"DELETE /%s-os-trial-\d+", 60),
           "writes blocked": (r"PUT /%s/_block/write", 60), "cloned": (r"PUT /%s/_clone/", 60),
           "deleted": (r"DELETE /%s(\?|$)", None), "created": (r"PUT /%s(\?|$)", 0),
           "backup deleted": (r"DELETE /%s-os-backup-\d+", 0)}


@pytest.fixture
def ready(through, plain, index):
    plain.create(index, datasets.PRODUCTS, settings={"refresh_interval": "7s"})
    plain.bulk_put(index, datasets.by_id(OLD))
    through.one("SELECT os_config('INDEX_RECREATE_THRESHOLD', 10)")
    datasets.write(through / "n.ndjson", NEW)
    return through


def assert_tidy(plain, index):
    assert [i["index"] for i in plain.get("/_cat/indices/%s*?format=json" % index)] == [index]
    assert plain.setting(index, "blocks.write") in (None, "false") and plain.setting(index, "refresh_interval") == "7s"


def dies(ready, proxy, index, moment):
    """os_cleanup, killed when the cluster has done the moment's request and not answered yet."""
    kill_at(ready, proxy, "SELECT os_cleanup('%s');" % index, MOMENTS[moment][0] % index, env={"INDEX_RECREATE_THRESHOLD": "10"})


@pytest.mark.table
@pytest.mark.parametrize("moment, then", [*((m, "append") for m in MOMENTS), ("cloned", "fresh"), ("deleted", "fresh"), ("deleted", "cleanup")])
def test_killed(ready, proxy, plain, index, moment, then):
    dies(ready, proxy, index, moment)
    there = MOMENTS[moment][1]
    assert plain.exists(index) == (there is not None)
    if then == "cleanup":
        ready.run("os_cleanup", index)
        assert plain.count(index) == 0
    else:
        ready.load("n.ndjson", index, mode=then)
        kept = OLD if then == "append" and there != 0 else []
        assert_exactly_once(plain, index, kept + NEW)
    assert_tidy(plain, index)


@pytest.mark.table
@pytest.mark.parametrize("moment", MOMENTS)
def test_answer_lost(ready, proxy, plain, index, moment):
    """In the same process: put back at once, or done."""
    proxy.rule("cut_after", on=MOMENTS[moment][0] % index, times=1)
    try:
        ready.run("os_cleanup", index)
        left = 0
    except sqlite3.Error as error:
        left = 0 if moment == "backup deleted" else 60
        assert "os_cleanup" in str(error)
    assert plain.count(index) == left
    ready.load("n.ndjson", index, mode="append")
    assert_exactly_once(plain, index, (OLD if left else []) + NEW)
    assert_tidy(plain, index)


def test_the_cluster_goes_away_meanwhile(ready, proxy, plain, index):
    """Neither done nor put back: the next command does it, also when it comes from another process."""
    proxy.rule("cut_after", on=MOMENTS["deleted"][0] % index, times=1)
    proxy.rule("status", code=503, on=r"PUT /.*(_clone|_block)", skip=2)
    ready.one("SELECT os_config('MAX_RETRIES', 0)")
    with pytest.raises(sqlite3.Error, match="os-backup-"):
        ready.run("os_cleanup", index)
    assert not plain.exists(index)
    with pytest.raises(sqlite3.Error, match="os-backup-|made index"):
        ready.load("n.ndjson", index, mode="append")
    proxy.clear()
    result = ready.sql("SELECT os_bulk_load('n.ndjson', '%s', '{\"mode\":\"append\"}');" % index)
    assert result.json()["status"] == "success"
    assert_exactly_once(plain, index, OLD + NEW)
    assert_tidy(plain, index)
    assert any(a["check_name"] == "recovered" and "cloned back" in a["detail"] for a in ready.audit())


def test_resume_after_fresh_broke_off_while_it_deleted(through, proxy, plain, index):
    """What is left of the old documents belongs to nobody: resume does not load beside them without a word."""
    plain.create(index, datasets.PRODUCTS)
    plain.bulk_put(index, datasets.by_id(OLD))
    datasets.write(through / "n.ndjson", NEW)
    proxy.rule("status", code=500, on=r"POST /%s/_delete_by_query" % index)
    through.load_fails("n.ndjson", index, "500", mode="fresh")
    proxy.clear()
    text = through.load_fails("n.ndjson", index, "was emptying", "fresh", mode="resume")
    assert "append" in text and plain.count(index) == len(OLD)
    through.load("n.ndjson", index, mode="fresh")
    assert_exactly_once(plain, index, NEW)
    through.load("n.ndjson", index, mode="resume")
    assert_exactly_once(plain, index, NEW)


def test_killed_twice(ready, proxy, plain, index):
    """The second process tidied up behind the first, and then died over the same index itself."""
    dies(ready, proxy, index, "cloned")
    dies(ready, proxy, index, "deleted")
    assert not plain.exists(index)
    ready.load("n.ndjson", index, mode="append")
    assert_exactly_once(plain, index, OLD + NEW)
    assert_tidy(plain, index)
