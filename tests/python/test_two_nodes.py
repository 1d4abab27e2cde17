"""Two nodes of which one goes away: a load whose shards are half there, and the health guard."""
import time

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.cluster import unique

DOCS = datasets.products(4000)


@pytest.mark.slow
@pytest.mark.limit(300)
def test_a_node_stops_and_comes_back_while_loading(bare_box, duo):
    """Its shard's items are retried or the job stops with a reason; in the end every record is there once."""
    box, index = bare_box, unique()
    box.env["OPENSEARCH_ENDPOINT"] = box.shell.env["OPENSEARCH_ENDPOINT"] = duo.cluster.url
    duo.cluster.create(index, datasets.PRODUCTS, settings={"number_of_shards": 2, "index.routing.allocation.total_shards_per_node": 1})
    duo.cluster.settle(index, ("green",))
    datasets.write(box / "n.ndjson", DOCS)
    running = box.start("SELECT os_bulk_load('n.ndjson', '%s', '{\"batch_size\":50,\"max_workers\":2}');" % index,
                        env={"MAX_RATE": "800/s", "MAX_RETRIES": "2", "REQUEST_TIMEOUT": "5"})
    time.sleep(1.5)
    duo.stop_second()
    try:
        result = running.finish(120)
        assert result.code in (0, 1), result
        assert box.dlq() == [], "a missing shard is no fault of the records"
        if result.code == 1:
            assert any(word in result.err.lower() for word in ("shard", "503", "did not finish")), result
        text = box.load_fails("n.ndjson", index, index, "red", mode="resume")
        assert text
    finally:
        duo.start_second()
    duo.cluster.settle(index, ("green", "yellow"))
    box.load("n.ndjson", index, mode="resume")
    assert_exactly_once(duo.cluster, index, DOCS)


def test_yellow_when_the_replica_is_gone(bare_box, duo):
    box, index = bare_box, unique()
    box.env["OPENSEARCH_ENDPOINT"] = duo.cluster.url
    duo.start_second()
    duo.cluster.create(index, datasets.PRODUCTS, settings={"number_of_replicas": 1})
    duo.cluster.settle(index, ("green",))
    duo.stop_second()
    try:
        duo.cluster.settle(index, ("yellow",))
        box.load(datasets.write(box / "a.ndjson", DOCS[:500]), index)
        assert_exactly_once(duo.cluster, index, DOCS[:500])
    finally:
        duo.start_second()
