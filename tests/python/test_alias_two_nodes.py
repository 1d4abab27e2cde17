"""An alias and an index whose node is gone."""
import pytest

from harness.refusal import refusal
from test_alias_switch import FIELDS, Pair, documents


@pytest.mark.limit(300)
def test_leaving_a_red_source(bare_box, duo):
    """Its node is gone: the source cannot be counted. That stops, but may be allowed; the target is checked all the same."""
    bare_box.env["OPENSEARCH_ENDPOINT"] = duo.cluster.url
    duo.start_second()
    pair = Pair(bare_box, duo.cluster)
    node = next(n for n in (row["name"] for row in duo.cluster.get("/_cat/nodes?h=name&format=json")) if n.endswith("duo2"))
    pair.settings(pair.old, **{"index.routing.allocation.require._name": node})
    lost = pair.alias + "_v3"
    duo.cluster.create(lost, FIELDS, settings={"index.routing.allocation.require._name": node})
    duo.cluster.bulk_put(lost, documents(10))
    keep = next(n for n in (row["name"] for row in duo.cluster.get("/_cat/nodes?h=name&format=json")) if n != node)
    pair.settings(pair.new, **{"index.routing.allocation.require._name": keep})
    duo.cluster.get("/_cluster/health?wait_for_no_relocating_shards=true&timeout=60s")
    duo.stop_second()
    try:
        for index in (pair.old, lost):
            duo.cluster.settle(index, ("red",))
        pair.refused("is red", target=lost, allow_unverified=True)
        pair.refused("is red: its documents cannot be counted", "allow_unverified")
        result = pair.switch(allow_unverified=True)
        assert list(pair.where()) == [pair.new] and result["response"]["source_documents"] is None
        pair.before = pair.where()
        with refusal("is red"):
            bare_box.run("os_undo_alias", result["job"])
        assert pair.where() == pair.before
    finally:
        duo.start_second()
    duo.cluster.settle(pair.old, ("green", "yellow"))
    bare_box.run("os_undo_alias", result["job"])
    assert list(pair.where()) == [pair.old]
