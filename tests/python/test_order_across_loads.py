"""A load that broke off and is gone on with ends as one that did not: the last record of an id wins over files and lives, an
append stays an append, and what is refused in one life and taken in the next is refused no more. Each of these was found by
the fault campaign (tests/faults/torture.py); here it is alone."""
import json

import pytest

from harness.checker import assert_exactly_once

PROPERTIES = {"v": {"type": "keyword"}, "n": {"type": "integer"}}
SMALL = {"batch_size": 10, "max_workers": 2}
LATE = {"status": 503, "seconds": 1}  # the other requests have long been answered; with 429 the window would shrink, too


def lines(docs):
    return "".join(json.dumps(d, separators=(",", ":")) + "\n" for d in docs)


def keys(v, count=100):
    return [{"_id": "k%02d" % i, "v": v, "n": i} for i in range(count)]


@pytest.fixture
def ready(through, plain, index):
    plain.create(index, PROPERTIES)
    return through


def breaks_off(ready, path, index, retries=1, **options):
    """A load that fails because the cluster does: what was acknowledged stays so."""
    ready.one("SELECT os_config('MAX_RETRIES', ?)", retries)
    ready.load_fails(path, index, "resume", **options)


def test_a_later_file_is_sent_again_when_an_earlier_one_is(ready, proxy, plain, index):
    """The first batch of a.ndjson never gets in, all others do. Going on in a.ndjson sends its records over those of b.ndjson."""
    first = [{"_id": "stuck%d" % i, "v": "stuck"} for i in range(10)]
    ready.file("d/a.ndjson", lines(first + keys("a")))
    ready.file("d/b.ndjson", lines(keys("b")))
    proxy.rule("items", match="stuck", **LATE)
    breaks_off(ready, "d", index, mode="upsert", **SMALL)
    assert plain.count(index) >= 50, "too little got in for the test to mean anything"
    proxy.clear()
    ready.load("d", index, mode="resume", **SMALL)
    assert_exactly_once(plain, index, {**{d["_id"]: {"v": "b", "n": d["n"]} for d in keys("b")}, **{d["_id"]: {"v": "stuck"} for d in first}})
    states = {r["file"][-8:]: r["status"] for r in ready.rows("SELECT * FROM os_job_files WHERE job = ?", ready.job()["job"])}
    assert states == {"a.ndjson": "success", "b.ndjson": "success"}


def test_a_file_that_the_broken_load_had_not_begun_is_loaded_again(ready, proxy, plain, index):
    """An older load had finished it, but what the broken one brought from the file before came over its records."""
    ready.file("d/a.ndjson", lines(keys("a")))
    ready.file("d/b.ndjson", lines(keys("b")))
    ready.load("d", index, mode="upsert", **SMALL)
    proxy.rule("status", code=503, skip=5)
    breaks_off(ready, "d", index, mode="upsert", batch_size=10, max_workers=1)
    assert {d["v"] for d in plain.documents(index).values()} == {"a", "b"}
    proxy.clear()
    ready.load("d", index, mode="resume", **SMALL)
    assert_exactly_once(plain, index, {d["_id"]: {"v": "b", "n": d["n"]} for d in keys("b")})


@pytest.mark.parametrize("lives", [1, 2])
def test_resume_of_an_append_inserts_only(ready, proxy, plain, index, lives):
    plain.bulk_put(index, {"k%02d" % i: {"v": "mine"} for i in (3, 55, 95)})
    f = ready.file("a.ndjson", lines(keys("a")))
    for life in range(lives):
        proxy.rule("status", code=503, skip=3)
        breaks_off(ready, f, index, mode="resume" if life else "append", batch_size=10, max_workers=1)
        proxy.clear()
    assert ready.load(f, index, mode="resume", **SMALL)["status"] == "partial"
    have = plain.documents(index)
    assert len(have) == 100 and sorted(k for k, d in have.items() if d["v"] == "mine") == ["k03", "k55", "k95"]
    assert [r["doc_id"] for r in ready.dlq()] == ["k03", "k55", "k95"]


def test_resume_of_an_upsert_still_overwrites(ready, proxy, plain, index):
    plain.bulk_put(index, {"k95": {"v": "old"}})
    f = ready.file("a.ndjson", lines(keys("a")))
    proxy.rule("status", code=503, skip=3)
    breaks_off(ready, f, index, mode="upsert", batch_size=10, max_workers=1)
    proxy.clear()
    ready.load(f, index, mode="resume", **SMALL)
    assert_exactly_once(plain, index, {d["_id"]: {"v": "a", "n": d["n"]} for d in keys("a")})


def test_a_lost_conflict_is_no_success(ready, proxy, plain, index):
    """Two records with one id, only the first of which is created. The answer that refuses the second is lost."""
    f = ready.file("a.ndjson", lines([{"_id": "k", "v": "first"}, {"_id": "k", "v": "second"}]))
    proxy.rule("cut_after", skip=1, times=1)
    result = ready.load(f, index, mode="upsert", op="create", batch_size=1, max_workers=1)
    assert result["status"] == "partial" and plain.documents(index) == {"k": {"v": "first"}}
    assert [json.loads(r["document"])["v"] for r in ready.dlq()] == ["second"]


@pytest.mark.parametrize("fault", [dict(fault="cut_after", times=3), dict(fault="duplicate", answer="second"),
                                   dict(fault="items", status=429, percent=50, sent=True, times=5)])
def test_own_ids_that_are_created_are_known_again(ready, proxy, plain, index, fault):
    """The 409 comes from what the load itself has put there: neither twice nor refused."""
    f = ready.file("a.ndjson", lines(keys("a")))
    proxy.rule(**fault)
    assert ready.load(f, index, mode="append", **SMALL)["status"] == "success"
    assert_exactly_once(plain, index, {d["_id"]: {"v": "a", "n": d["n"]} for d in keys("a")})
    assert ready.dlq() == [] and ready.job()["documents_already"] > 0


def test_when_what_stands_there_cannot_be_seen_the_load_goes_no_further(ready, proxy, plain, index):
    """A 409 of which nobody knows whose it is: an error, and the next life asks again."""
    f = ready.file("a.ndjson", lines([{"_id": "k", "v": "first"}, {"_id": "k", "v": "second"}]))
    proxy.rule("cut_after", skip=1, times=1)
    proxy.rule("status", code=503, on="POST .*/_mget")
    breaks_off(ready, f, index, mode="append", batch_size=1, max_workers=1)
    assert ready.dlq() == []
    proxy.clear()
    ready.load_fails(f, index, "refused", mode="resume")  # all that is left is refused
    assert plain.documents(index) == {"k": {"v": "first"}}
    assert [json.loads(r["document"])["v"] for r in ready.dlq()] == ["second"]


def test_what_the_next_life_takes_is_refused_no_more(through, proxy, plain, index):
    """One record is refused behind a batch that never gets in, so it comes again; by then the mapping knows its field."""
    plain.create(index, mappings={"dynamic": "strict", "properties": PROPERTIES})
    docs = [{"v": "stuck"}] + [{"v": "a", "n": i, **({"late": 1} if i == 50 else {})} for i in range(100)]
    f = through.file("a.ndjson", lines(docs))
    proxy.rule("items", match="stuck", **LATE)
    breaks_off(through, f, index, mode="append", **SMALL)
    assert len(through.dlq()) == 1
    proxy.clear()
    plain.call("PUT", "/%s/_mapping" % index, {"properties": {"late": {"type": "integer"}}})
    through.load(f, index, mode="resume", **SMALL)
    assert_exactly_once(plain, index, docs)
    assert through.dlq() == []
    assert [r["resolved_by"] for r in through.rows("SELECT * FROM dlq_failures")] == [through.job()["job"]]


def test_a_refused_update_that_was_overtaken_is_superseded_at_once(ready, plain, index):
    """Sent again under the condition that nothing has changed, it conflicts for ever: trying again cannot help."""
    f = ready.file("u.ndjson", lines([{"_id": "k", "v": "old"}, {"_id": "k", "n": "many"}]))
    assert ready.load(f, index, op="update", mode="upsert")["status"] == "partial"
    plain.put(index, "k", {"v": "newer"})
    ready.one("UPDATE dlq_failures SET document = '{\"doc\":{\"n\":5},\"doc_as_upsert\":true}'")
    ready.one("SELECT os_config('MAX_RETRIES', 2)")
    ready.run("os_retry_failures")
    assert plain.documents(index) == {"k": {"v": "newer"}}
    assert [r["superseded"] for r in ready.rows("SELECT * FROM dlq_failures")] == [1]


# ---- settings changed for the time of a load ----------------------------------------------------------------------------
TUNED = {"refresh_interval": "7s", "number_of_replicas": "1"}


def settings(plain, index):
    return {name: plain.setting(index, name) for name in TUNED}


def test_tune_index_with_an_index_that_the_load_creates(through, plain, index):
    f = through.file("a.ndjson", lines(keys("a")))
    through.load(f, index, mode="append", tune_index=True, create={"settings": {"index": TUNED}})
    assert settings(plain, index) == TUNED and plain.count(index) == 100


def test_settings_that_could_not_be_restored_are_tried_again(through, proxy, plain, index):
    """The load dies, then the cluster does not let the next one put the settings back: the one after it does."""
    plain.create(index, PROPERTIES, settings=TUNED)
    f = through.file("a.ndjson", lines(keys("a")))
    proxy.rule("delay_answer", seconds=0.3)
    running = through.start("SELECT os_bulk_load('a.ndjson', '%s', '{\"mode\":\"append\",\"tune_index\":true,\"batch_size\":10}');" % index)
    proxy.wait_for(3)
    running.kill()
    assert settings(plain, index) != TUNED
    proxy.clear()
    proxy.rule("status", code=503, on="PUT .*/_settings")
    through.one("SELECT os_config('MAX_RETRIES', 0)")
    through.load(f, index, mode="resume")
    assert settings(plain, index) != TUNED
    proxy.clear()
    through.load(f, index, mode="resume")
    assert settings(plain, index) == TUNED
    assert_exactly_once(plain, index, {d["_id"]: {"v": "a", "n": d["n"]} for d in keys("a")})
