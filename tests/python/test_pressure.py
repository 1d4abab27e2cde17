"""Servers that are really small: a write queue of one (429 inside items) and a body limit of 1 MB (413)."""
import json

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.cluster import unique


def at(box, cluster):
    box.env["OPENSEARCH_ENDPOINT"] = box.shell.env["OPENSEARCH_ENDPOINT"] = cluster.url
    return box


@pytest.mark.slow
@pytest.mark.limit(240)
def test_small_write_queue(bare_box, tiny_queue):
    """Eight requests at once over six shards on one write thread: refusals come back item by item, nothing is lost."""
    box, index = at(bare_box, tiny_queue), unique()
    docs = datasets.products(20_000)
    tiny_queue.create(index, datasets.PRODUCTS, settings={"number_of_shards": 6})
    box.one("SELECT os_config('MAX_RETRIES', 50)")
    result = box.load(datasets.write(box / "q.ndjson", docs), index, batch_size=300, max_workers=16)
    assert result["status"] == "success"
    assert_exactly_once(tiny_queue, index, docs)
    rejected = tiny_queue.get("/_nodes/stats/thread_pool")["nodes"]
    rejected = sum(n["thread_pool"]["write"]["rejected"] for n in rejected.values())
    assert rejected > 0, "the queue never overflowed: this test proves nothing"
    assert box.job()["retries"] > 0 and box.dlq() == []


def test_small_body_limit(bare_box, tiny_body):
    """413: halved, remembered, and not tried again in full size."""
    from proxy import Proxy
    box, index = at(bare_box, tiny_body), unique()
    docs = [{"n": i, "t": "x" * 4000} for i in range(1500)]
    tiny_body.create(index, mappings={"dynamic": False})
    f = box.file("b.ndjson", "".join(json.dumps(d) + "\n" for d in docs))
    with Proxy(tiny_body.url) as proxy:
        box.env["OPENSEARCH_ENDPOINT"] = proxy.url
        result = box.load(f, index, max_workers=2)
        assert result["status"] == "success"
        assert_exactly_once(tiny_body, index, docs)
        codes = [e["status"] for e in proxy.calls("bulk") if "status" in e]
        assert 413 in codes, "the limit was never met: this test proves nothing"
        assert codes.count(413) <= 12, "not remembered: %s" % codes
        assert 413 not in codes[-5:]
        before = len(proxy.calls("bulk"))
        box.load(f, index, mode="append", allow_again=True)
        again = [e["status"] for e in proxy.calls("bulk")[before:] if "status" in e]
        assert 413 not in again, "forgotten by the next load"


def test_one_document_over_the_body_limit_is_a_dead_letter(bare_box, tiny_body):
    box, index = at(bare_box, tiny_body), unique()
    docs = [{"n": 1}, {"n": 2, "t": "x" * 1_500_000}, {"n": 3}]
    tiny_body.create(index, mappings={"dynamic": False})
    f = box.file("b.ndjson", "".join(json.dumps(d) + "\n" for d in docs))
    result = box.load(f, index)
    assert result["status"] == "partial"
    rows = box.dlq()
    assert [(r["line"], r["status"]) for r in rows] == [(2, 413)] and json.loads(rows[0]["document"]) == docs[1]
    assert_exactly_once(tiny_body, index, docs, rows)


def test_gzip_bodies_count_uncompressed(bare_box, tiny_body):
    """The server's limit is on the uncompressed body, so compressing does not help and must not confuse."""
    box, index = at(bare_box, tiny_body), unique()
    docs = [{"n": i, "t": "x" * 4000} for i in range(1000)]
    tiny_body.create(index, mappings={"dynamic": False})
    f = box.file("b.ndjson", "".join(json.dumps(d) + "\n" for d in docs))
    box.one("SELECT os_config('HTTP_COMPRESS', 'true')")
    assert box.load(f, index)["status"] == "success"
    assert_exactly_once(tiny_body, index, docs)
