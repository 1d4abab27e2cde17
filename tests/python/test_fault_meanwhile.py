"""What others do to the index while a load runs: load into it, move its alias, block it, change its mapping, delete it. The load
waits, goes on, or ends with words for it; afterwards each record is in the index once, or in dlq_failures, or the load said no."""
import json
import time

import pytest

import datasets
from harness.checker import assert_exactly_once

DOCS = datasets.products(2000)
OTHERS = datasets.products(1500, start=9000)


def start(box, name, index, env=None, **options):
    text = json.dumps({"batch_size": 50, "max_workers": 2, **options})
    return box.start("SELECT os_bulk_load('%s', '%s', '%s');" % (name, index, text), env=env)


@pytest.fixture
def slow(through, proxy, plain, index):
    """A load of p.ndjson takes a few seconds."""
    plain.create(index, datasets.PRODUCTS)
    datasets.write(through / "p.ndjson", DOCS)
    proxy.rule("delay_answer", seconds=0.08)
    return through


@pytest.mark.parametrize("mode", ["append", "fresh"])
def test_a_document_of_others_between_the_first_readings(slow, proxy, plain, index, mode):
    """Somebody's document comes in after the count was taken and before the load begins: theirs, no fault."""
    plain.bulk_put(index, datasets.by_id(datasets.products(3, start=5000)))
    proxy.rule("delay_answer", on=r"[A-Z]+ /[^ ]+/_count", seconds=1)
    running = start(slow, "p.ndjson", index, mode=mode, batch_size=500)
    last = {"append": 1, "fresh": 3}[mode]  # the count that decides: fresh counts before and after it deletes
    end = time.time() + 20
    while sum("_count" in c["path"] for c in proxy.calls()) < last and time.time() < end:
        time.sleep(0.02)
    time.sleep(0.4)
    plain.bulk_put(index, {"others": OTHERS[0]})
    result = running.finish(60)
    assert result.code == 0 and result.json()["status"] == "success", result
    assert slow.one("SELECT verdict FROM os_audit WHERE check_name = 'count' AND step = 'finish'") == "unknown"


@pytest.mark.parametrize("ids", [False, True], ids=["computed ids", "own ids"])
def test_two_loads_into_one_index(slow, proxy, plain, index, ids):
    """Each counts what it brought, and takes what the other brought for somebody else's."""
    proxy.rule("cut_after", share=0.1)
    docs = datasets.products(2000) + OTHERS
    datasets.write(slow / "one.ndjson", DOCS, ids)
    datasets.write(slow / "two.csv.gz", OTHERS, ids)
    mode = "upsert" if ids else "append"
    both = [start(slow, name, index, {"MAX_RETRIES": "20"}, mode=mode) for name in ("one.ndjson", "two.csv.gz")]
    for running in both:
        result = running.finish(100)
        assert result.code == 0 and result.json()["status"] == "success", result
    assert_exactly_once(plain, index, datasets.by_id(docs) if ids else docs)
    assert [j["status"] for j in slow.rows("SELECT status FROM os_jobs WHERE kind = 'bulk_load'")] == ["success"] * 2


def test_the_same_load_twice_at_once_with_lost_answers(slow, proxy, plain, index):
    """Own ids: both may go through; each document is the record's. A third load finds nothing to change."""
    proxy.rule("cut_after", share=0.15)
    proxy.rule("items", status=429, percent=20, share=0.3)
    datasets.write(slow / "i.ndjson", DOCS, ids=True)
    both = [start(slow, "i.ndjson", index, {"MAX_RETRIES": "30"}, mode="upsert") for _ in range(2)]
    results = [running.finish(100) for running in both]
    assert any(result.code == 0 for result in results), results
    assert all(result.code == 0 or result.err.strip() for result in results)
    assert_exactly_once(plain, index, datasets.by_id(DOCS))
    assert slow.dlq() == []


def test_an_alias_comes_to_the_index_midway(slow, proxy, plain, index):
    """The guard looked before the first byte; what is begun is finished, whole."""
    running = start(slow, "p.ndjson", index)
    proxy.wait_for(5)
    plain.call("POST", "/_aliases", {"actions": [{"add": {"index": index, "alias": index + "_live"}}]})
    result = running.finish(60)
    assert result.code == 0, result
    assert_exactly_once(plain, index, DOCS)
    slow.load_fails("p.ndjson", index, index + "_live", mode="resume")


def test_a_write_alias_moves_midway(slow, proxy, plain, index):
    """A rollover: what comes later lies in the next index, nothing is lost between the two."""
    first, second, alias = index + "-000001", index + "-000002", index + "_roll"
    plain.create(index + "-000000", datasets.PRODUCTS, aliases={alias: {"is_write_index": False}})
    plain.create(first, datasets.PRODUCTS, aliases={alias: {"is_write_index": True}})
    running = start(slow, "p.ndjson", alias, mode="append")
    proxy.wait_for(6)
    plain.create(second, datasets.PRODUCTS, aliases={alias: {}})
    plain.call("POST", "/_aliases", {"actions": [{"add": {"index": first, "alias": alias, "is_write_index": False}},
                                                 {"add": {"index": second, "alias": alias, "is_write_index": True}}]})
    result = running.finish(60)
    counts = plain.count(first), plain.count(second)
    assert sum(counts) == 2000 and min(counts) > 0, (counts, result)
    assert result.code == 0 or "count" in result.err or "documents" in result.err, result
    skus = sorted(doc["sku"] for name in (first, second) for _, doc, _ in plain.read_all(name))
    assert skus == sorted(doc["sku"] for doc in DOCS)


@pytest.mark.parametrize("block", ["read_only_allow_delete", "write"])
def test_a_block_that_is_lifted_is_waited_for(slow, proxy, plain, index, block):
    """A disk that is too full, and then is not: the load waits and ends as if nothing had been."""
    running = start(slow, "p.ndjson", index, {"MAX_RETRIES": "20"})
    proxy.wait_for(6)
    plain.call("PUT", "/%s/_settings" % index, {"index.blocks." + block: True})
    seen = len(proxy.calls("bulk"))
    time.sleep(2)
    assert running.process.poll() is None, "it did not wait: %r" % running.finish(5)
    assert len(proxy.calls("bulk")) - seen < 40, "it hammers"
    plain.call("PUT", "/%s/_settings" % index, {"index.blocks." + block: None})
    result = running.finish(100)
    assert result.code == 0 and result.json()["status"] == "success", result
    assert_exactly_once(plain, index, DOCS)
    assert slow.dlq() == []


@pytest.mark.parametrize("block", ["read_only_allow_delete", "write"])
def test_a_block_that_stays_ends_the_load_and_resume_goes_on(slow, proxy, plain, index, block):
    running = start(slow, "p.ndjson", index, {"MAX_RETRIES": "2"})
    proxy.wait_for(6)
    plain.call("PUT", "/%s/_settings" % index, {"index.blocks." + block: True})
    result = running.finish(60)
    assert result.code == 1 and "block" in result.err and "resume" in result.err, result
    assert slow.dlq() == []
    plain.call("PUT", "/%s/_settings" % index, {"index.blocks." + block: None})
    proxy.clear()
    assert slow.load("p.ndjson", index, mode="resume")["status"] == "success"
    assert_exactly_once(plain, index, DOCS)


def test_a_mapping_that_changes_midway(slow, proxy, plain, index):
    """A new field of the wrong type: what no longer fits is refused with its reason, everything else is in."""
    docs = [{**doc, "added_later": "word %d" % n} for n, doc in enumerate(DOCS)]
    slow.file("m.ndjson", "".join(json.dumps(doc) + "\n" for doc in docs))
    plain.call("PUT", "/%s/_mapping" % index, {"dynamic": False})
    running = start(slow, "m.ndjson", index, max_failed=None)
    proxy.wait_for(10)
    plain.call("PUT", "/%s/_mapping" % index, {"properties": {"added_later": {"type": "long"}}})
    result = running.finish(60)
    assert result.code == 0 and result.json()["status"] == "partial", result
    rows = slow.dlq()
    assert 0 < len(rows) < 2000 and {row["status"] for row in rows} == {400} and "added_later" in rows[0]["error_reason"]
    assert_exactly_once(plain, index, docs, rows)
    assert slow.job()["documents_failed"] == len(rows)


def test_an_index_that_is_made_anew_midway(slow, proxy, plain, index):
    """Deleted and created again by somebody: what was acknowledged is gone, and the load does not call that a success."""
    running = start(slow, "p.ndjson", index)
    proxy.wait_for(10)
    plain.delete(index)
    plain.call("PUT", "/" + index, {"settings": {"number_of_replicas": 0}}, allowed=(400,))  # the load's own request may be faster
    result = running.finish(60)
    assert result.code == 1 and index in result.err, result
    proxy.clear()
    assert slow.load("p.ndjson", index, mode="fresh")["status"] == "success"
    assert_exactly_once(plain, index, DOCS)


def test_an_index_that_is_closed_and_opened_midway(slow, proxy, plain, index):
    running = start(slow, "p.ndjson", index, {"MAX_RETRIES": "3"})
    proxy.wait_for(6)
    plain.call("POST", "/%s/_close" % index)
    result = running.finish(60)
    assert result.code == 1 and "closed" in result.err, result
    assert slow.dlq() == []
    plain.call("POST", "/%s/_open" % index)
    plain.settle(index)
    proxy.clear()
    assert slow.load("p.ndjson", index, mode="resume")["status"] == "success"
    assert_exactly_once(plain, index, DOCS)
