"""os_reindex on OpenSearch 3.x and Elasticsearch 7.10, and for a user who lacks rights."""
import pytest

import datasets
from harness.cluster import unique
from test_reindex import OLD, DOCS, fails, in_thread, running, until


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
