"""The same load on OpenSearch 3.x and on Elasticsearch 7.10."""
import json

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.cluster import unique

DOCS = datasets.products(1000)


@pytest.mark.parametrize("server", ["v3", "es7"])
def test_load_on(request, bare_box, server):
    cluster = request.getfixturevalue(server)
    box, index = bare_box, unique()
    box.env["OPENSEARCH_ENDPOINT"] = cluster.url
    ping = box.one("SELECT os_ping()")
    assert cluster.version() in ping and ("elasticsearch" if server == "es7" else "opensearch") in ping
    cluster.create(index, datasets.PRODUCTS)
    assert box.load(datasets.write(box / "a.csv.gz", DOCS), index, batch_size=100)["status"] == "success"
    assert_exactly_once(cluster, index, DOCS)
    assert box.load(datasets.write(box / "b.ndjson", DOCS[:200], ids=True), index, mode="upsert", tune_index=True)["status"] == "success"
    assert cluster.count(index) == 1200 and cluster.setting(index, "refresh_interval") is None
    box.load(box / "a.csv.gz", index, mode="fresh")
    assert_exactly_once(cluster, index, DOCS)
    box.one("SELECT os_config('INDEX_RECREATE_THRESHOLD', 10)")
    uuid = cluster.uuid(index)
    box.load(box / "b.ndjson", index, mode="fresh")
    assert_exactly_once(cluster, index, datasets.by_id(DOCS[:200]))
    assert cluster.uuid(index) != uuid
    typed = unique()
    cluster.create(typed, {"n": {"type": "integer"}})
    result = box.load(box.file("bad.ndjson", '{"n":1}\n{"n":"x"}\n'), typed)
    assert result["status"] == "partial"
    row = box.dlq()[0]
    assert row["status"] == 400 and row["error_type"] and json.loads(row["document"]) == {"n": "x"}
    cluster.create(unique("al"), aliases={index + "_alias": {}})
    box.load_fails(box / "a.csv.gz", index + "_alias", index + "_alias")
