"""os_reindex on OpenSearch 3.x and Elasticsearch 7.10, for a user who lacks rights, and on a node that is restarted."""
import pytest

import datasets
from harness.cluster import Cluster, unique
from proxy import Proxy
from test_reindex import OLD, DOCS, fails, in_thread, last, running, until, verdicts


@pytest.mark.parametrize("server", ["v3", "es7"])
def test_on(request, bare_box, server):
    cluster, box, name = request.getfixturevalue(server), bare_box, unique()
    source, target = name + "-a", name + "-b"
    box.env["OPENSEARCH_ENDPOINT"] = box.shell.env["OPENSEARCH_ENDPOINT"] = cluster.url
    cluster.create(source, datasets.PRODUCTS, settings={"number_of_shards": 2, "refresh_interval": "7s"})
    cluster.bulk_put(source, DOCS)
    figures = box.run("os_reindex", source, target, {"create": True, "slices": 2})["response"]
    assert figures["created"] == figures["target_documents"] == 200 and figures["source_writes"] == 0
    assert cluster.documents(target) == DOCS and cluster.setting(target, "refresh_interval") == "7s"
    box.run("os_reindex", source, target, {"backup": True, "query": {"ids": {"values": list(DOCS)[:3]}}})
    assert cluster.count(target) == 3
    cluster.create(name + "-c", mappings={"dynamic": "strict", "properties": {"other": {"type": "keyword"}}})
    cluster.bulk_put(name + "-c", {"1": {"other": "x"}})
    fails(box, source, name + "-c", "strict_dynamic_mapping_exception", "holds its former documents again", backup=True)
    assert cluster.documents(name + "-c") == {"1": {"other": "x"}}
    fails(box, source, name + "-d", "was removed again", create=True, pipeline="no-such-pipeline")
    process = in_thread(box, source, name + "-e", create=True, slices=2, requests_per_second=5)
    task = until(lambda: running(cluster, name + "-e"))[0]
    process.interrupt()
    assert "was removed again" in process.finish().err
    assert not running(cluster, name + "-e") and cluster.get("/_tasks/" + task)["completed"]
    assert {i["index"] for i in cluster.get("/_cat/indices/%s*?format=json" % name)} == {source, target, name + "-c"}


# what a copy into an index of one's own needs
RIGHTS = ["indices:admin/*", "indices:data/*", "indices:monitor/*"]
CLUSTER = ["cluster:monitor/*", "indices:data/*", "cluster:admin/settings/get"]


@pytest.fixture
def user(bare_box, security):
    """A box of a user with the given rights on two indices; the first holds documents."""
    def make(name, source_rights, target_rights, cluster):
        index = unique()
        security.admin.create(index + "-a", datasets.PRODUCTS)
        security.admin.bulk_put(index + "-a", DOCS)
        security.admin.create(index + "-b", datasets.PRODUCTS)
        security.admin.bulk_put(index + "-b", OLD)
        password = security.user(name, {index + "-a*": source_rights, index + "-b*": target_rights}, cluster)
        bare_box.env.clear()
        bare_box.env.update(security.environment(name, password))
        bare_box.shell.env = bare_box.env
        return bare_box, index + "-a", index + "-b"
    return make


def test_rights_that_suffice(user, security):
    box, source, target = user("copier", RIGHTS, RIGHTS, CLUSTER)
    assert box.run("os_reindex", source, target, {"backup": True})["response"]["target_documents"] == 200
    assert security.admin.documents(target) == DOCS


@pytest.mark.parametrize("name, source_rights, target_rights, cluster, words", [
    ("nowrite", RIGHTS, ["indices:admin/*", "indices:monitor/*", "indices:data/read*"], CLUSTER, "indices:data/write"),
    ("noread", ["indices:monitor/*"], RIGHTS, ["cluster:monitor/*"], "indices:admin"),
    ("notasks", RIGHTS, RIGHTS, ["cluster:monitor/health", "cluster:monitor/main", "cluster:monitor/state", "cluster:monitor/settings*",
                                 "cluster:monitor/nodes/stats", "cluster:monitor/stats", "indices:data/*"], "may not look at tasks")])
def test_rights_that_are_missing(user, security, name, source_rights, target_rights, cluster, words):
    box, source, target = user(name, source_rights, target_rights, cluster)
    fails(box, source, target, words, backup=True)
    assert security.admin.documents(target) == OLD
    assert {i["index"] for i in security.admin.get("/_cat/indices/%s*?format=json" % target)} == {target}


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
