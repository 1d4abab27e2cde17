"""What the fault campaign found, each as the one sequence that matters."""
import json

import pytest

import datasets
from harness.checker import assert_exactly_once


def versioned(box, name, versions):
    return box.file(name, "".join(json.dumps({"_id": key, "v": v, "n": v}) + "\n" for key, v in versions.items()))


@pytest.mark.parametrize("between", ["straight on", "emptied before"])
def test_fresh_with_versions_is_not_refused_by_what_it_deleted(box, plain, index, between):
    """The cluster remembers the version of a deleted document for a minute, and takes an equal one for older."""
    source = versioned(box, "v.ndjson", {"k%d" % i: 10 + i for i in range(50)})
    plain.create(index)
    assert box.load(source, index, mode="fresh", version_field="v")["response"]["created"] == 50
    if between == "emptied before":
        plain.call("POST", "/%s/_delete_by_query?refresh=true" % index, {"query": {"match_all": {}}})
        assert plain.count(index) == 0
    result = box.load(source, index, mode="fresh", version_field="v")
    assert result["status"] == "success" and result["response"]["created"] == 50, result
    assert plain.documents(index) == {"k%d" % i: {"v": 10 + i, "n": 10 + i} for i in range(50)}
    again = box.load(source, index, mode="upsert", version_field="v")["response"]
    assert (again["created"], again["skipped"]) == (0, 50), "versions still decide"


@pytest.mark.parametrize("fault", [dict(fault="stale", skip=1, times=3), dict(fault="answer_twice", seconds=0.02, times=4)], ids=["stale", "twice"])
def test_the_answer_to_another_request_is_not_taken(through, proxy, plain, index, fault):
    """A balancer out of step gives an answer a second time: what the second request brought is not acknowledged by it."""
    docs = datasets.products(1000)
    plain.create(index, datasets.PRODUCTS)
    datasets.write(through / "p.ndjson", docs)
    proxy.rule(**fault)
    result = through.load("p.ndjson", index, batch_size=100, max_workers=1, validate="none")
    assert result["status"] == "success"
    assert_exactly_once(plain, index, docs)
    if fault["fault"] == "stale":
        assert proxy.rules[0]["fired"] == 3 and result["response"]["retries"] >= 2


def test_an_empty_answer_does_not_make_a_duplicate_ours(through, proxy, plain, index):
    """What stands under an id that is taken decides; when the cluster is asked and says nothing, nothing is known."""
    plain.create(index)
    through.file("d.ndjson", "".join('{"_id":"k%d","n":%d}\n' % (n % 50, n) for n in range(100)))
    proxy.rule("cut_after", times=2)
    proxy.rule("lie", on="POST .*/_mget", kind="empty", times=100)
    through.one("SELECT os_config('MAX_RETRIES', 3)")
    through.load_fails("d.ndjson", index, "_mget", op="create", mode="append", batch_size=100, max_workers=1)
    proxy.clear()
    result = through.load("d.ndjson", index, op="create", mode="resume", max_failed=None)
    rows = through.dlq()
    assert len(rows) == 50 == result["response"]["failed"] and all(row["status"] == 409 for row in rows)
    assert plain.documents(index) == {"k%d" % n: {"n": n} for n in range(50)}


def test_an_index_without_a_uuid_is_not_loaded(through, proxy, plain, index):
    """An empty answer hid which index it was; the next load found no trace of the broken append, and its resume overwrote."""
    plain.create(index)
    through.file("a.ndjson", '{"_id":"k","n":1}\n' * 3)
    proxy.rule("lie", on="GET .*/_settings.filter_path", kind="empty", times=1)
    text = through.load_fails("a.ndjson", index, "_settings", "empty", mode="append")
    assert "promises" in text and not proxy.calls("bulk")
    assert through.load("a.ndjson", index, mode="append", max_failed=None)["response"]["created"] == 1
