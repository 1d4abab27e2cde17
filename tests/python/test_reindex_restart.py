"""os_reindex while the node that copies is stopped and started again."""
import pytest

from harness.cluster import Cluster, unique
from proxy import Proxy
from test_reindex import in_thread, last, running, until, verdicts


@pytest.mark.slow
@pytest.mark.limit(300)
@pytest.mark.parametrize("script", [None, "ctx._source.more = 1"], ids=["ids are kept", "script"])
def test_a_vanished_task(node_pool, bare_box, script):
    """The node that ran the task is stopped and started again: nothing of the task is left but what it wrote."""
    name, docs = unique(), {"d%d" % i: {"n": i} for i in range(3000)}
    node = node_pool.start("restart", "--heap", "512m")
    try:
        with Proxy(node.url, seed=1) as proxy:
            cluster = Cluster(node.url)
            cluster.create(name + "-a", settings={"number_of_shards": 2})
            cluster.bulk_put(name + "-a", docs)
            bare_box.env["OPENSEARCH_ENDPOINT"] = bare_box.shell.env["OPENSEARCH_ENDPOINT"] = proxy.url
            options = {"create": True, "requests_per_second": 500, "slices": 2, **({"script": script} if script else {})}
            process = in_thread(bare_box, name + "-a", name + "-b", **options)
            until(lambda: running(cluster, name + "-b") and cluster.count(name + "-b"))
            node_pool.stop("restart", purge=False)
            node = node_pool.start("restart", "--heap", "512m")
            proxy.upstream = ("127.0.0.1", node.port)
            out = process.finish(200)
            cluster = Cluster(node.url)
            assert out.code == 0, out
            assert cluster.documents(name + "-b") == {k: {**d, "more": 1} if script else d for k, d in docs.items()}
            figures = out.json()["response"]
            assert figures["created"] + figures["version_conflicts"] == figures["total"] == 3000
            assert (figures["version_conflicts"] == 0) == bool(script)
            assert ("anew" if script else "lost") in verdicts(bare_box) and last(bare_box)["status"] == "success"
    finally:
        node_pool.stop("restart")
