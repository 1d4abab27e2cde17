"""Operations around a load on two nodes: replicas that searches go to, and an index whose node is gone."""
import pytest

from harness.refusal import refusal
from test_refresh_servers import Pair
from test_reindex_live import run, start_writers, stop
from test_reindex_versions import Versions, documents


@pytest.mark.limit(300)
def test_with_replicas(bare_box, duo):
    """Searches go to primaries and replicas alike: what was read must be on all of them."""
    bare_box.env["OPENSEARCH_ENDPOINT"] = duo.cluster.url
    duo.start_second()
    v = Versions(bare_box, duo.cluster, count=1500)
    v.trigger["indices"] = v.names[:1]
    duo.cluster.call("PUT", "/%s/_settings" % v.names[0], {"index.number_of_replicas": 1})
    duo.cluster.settle(v.names[0], ("green",))
    writers = start_writers(v, v.names[0] + "_other", documents(1500))
    run(v)
    model = stop(writers)
    assert duo.cluster.documents(v.next[0]) == model
    assert duo.cluster.setting(v.next[0], "number_of_replicas") == "1"


@pytest.mark.limit(300)
def test_a_copy_whose_node_is_gone_does_not_get_the_alias(bare_box, duo):
    """The secondary is red: refused before anything is emptied, and the alias stays."""
    bare_box.env["OPENSEARCH_ENDPOINT"] = duo.cluster.url
    duo.start_second()
    pair = Pair(bare_box, duo.cluster)
    nodes = [row["name"] for row in duo.cluster.get("/_cat/nodes?h=name&format=json")]
    second = next(name for name in nodes if name.endswith("duo2"))
    first = next(name for name in nodes if name != second)
    for index, node in ((pair.primary, first), (pair.secondary, second)):
        duo.cluster.call("PUT", "/%s/_settings" % index, {"index.routing.allocation.require._name": node})
    duo.cluster.get("/_cluster/health?wait_for_no_relocating_shards=true&timeout=60s")
    duo.stop_second()
    try:
        duo.cluster.settle(pair.secondary, ("red",))
        with refusal() as caught:
            pair.run()
        assert "red" in str(caught.value)
        assert list(pair.where()) == [pair.primary] and duo.cluster.count(pair.primary) == 120
    finally:
        duo.start_second()
    duo.cluster.settle(pair.secondary, ("green", "yellow"))
    pair.run()
    pair.check()
