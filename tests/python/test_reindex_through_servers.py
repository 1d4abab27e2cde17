"""os_reindex through this process out of other servers: Elasticsearch 7, which has no point in time, and OpenSearch 3."""
import pytest

from harness.refusal import refusal
from test_reindex_through import SPARSE, bulk, connected, everything, odd_documents


def copied(box, other, plain, index):
    other.create(index, mappings=SPARSE, settings={"number_of_shards": 3})
    bulk(other, index, odd_documents(4000))
    options = connected(box, other.url)
    result = box.run("os_reindex", index, index, options)["response"]
    assert result["through_process"] and result["source_writes"] == 0
    assert everything(plain, index) == everything(other, index)
    assert result["total"] == result["created"] == result["target_documents"] == 4000
    return options


@pytest.mark.limit(400)
def test_from_elasticsearch_7(box, plain, es7, index):
    """Under the same name on both: they are two indices."""
    options = copied(box, es7, plain, index)
    es7.put(index, "another", {"n": 1})
    assert box.run("os_reindex", index, index, options)["response"]["target_documents"] == 4001
    es7.call("POST", "/_aliases", {"actions": [{"add": {"index": index, "alias": index + "-live"}}]})
    with refusal("is an alias, not an index"):
        box.run("os_reindex", index + "-live", index + "-b", options)
    assert not plain.exists(index + "-b")


@pytest.mark.limit(400)
def test_from_opensearch_3(box, plain, v3, index):
    copied(box, v3, plain, index)
