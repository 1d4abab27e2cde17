"""os_refresh_data on other servers, and by users who lack rights."""
import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.cluster import unique
from harness.refusal import refusal

OLD, NEW = datasets.products(120), datasets.products(200, start=1000)
RIGHTS = ["indices:admin/get", "indices:admin/aliases*", "indices:monitor/*", "indices:admin/refresh*", "indices:data/read/*",
          "indices:data/write/*", "indices:admin/resolve/index", "indices:admin/mappings/get", "indices:admin/mapping/put",
          "indices:admin/forcemerge*"]
CLUSTER = ["cluster:monitor/*", "cluster:admin/tasks/cancel", "indices:data/write/reindex", "indices:data/write/bulk",
           "indices:data/read/scroll*"]


class Pair:
    def __init__(self, box, cluster):
        self.box, self.cluster, self.base = box, cluster, unique("rf")
        self.alias, self.primary, self.secondary = self.names = [self.base + end for end in ("_live", "_a", "_b")]
        cluster.create(self.primary, datasets.PRODUCTS, aliases={self.alias: {"filter": {"exists": {"field": "sku"}}}})
        cluster.create(self.secondary, datasets.PRODUCTS)
        cluster.bulk_put(self.primary, datasets.by_id(OLD))
        datasets.write(box / "new.ndjson", NEW)

    def run(self, **options):
        return self.box.run("os_refresh_data", *self.names, "new.ndjson", {"delay": 0, **options})

    def where(self):
        return self.cluster.get("/_alias/" + self.alias)

    def check(self):
        assert self.where() == {self.primary: {"aliases": {self.alias: {"filter": {"exists": {"field": "sku"}}}}}}
        assert_exactly_once(self.cluster, self.primary, NEW)
        assert_exactly_once(self.cluster, self.secondary, OLD)


@pytest.mark.parametrize("server", ["v3", "es7"])
def test_other_servers(request, bare_box, server):
    cluster = request.getfixturevalue(server)
    bare_box.env["OPENSEARCH_ENDPOINT"] = cluster.url
    pair = Pair(bare_box, cluster)
    assert pair.run()["status"] == "success"
    pair.check()


@pytest.fixture
def as_user(bare_box, security):
    def make(rights, cluster=CLUSTER):
        pair = Pair(bare_box, security.admin)
        name = "u" + unique()
        password = security.user(name, {pair.base + "*": rights}, cluster)
        bare_box.env.clear()
        bare_box.env.update(security.environment(name, password))
        bare_box.shell.env = bare_box.env
        return pair
    return make


def test_who_has_just_the_rights_it_takes(as_user):
    pair = as_user(RIGHTS)
    pair.run()
    pair.check()


@pytest.mark.parametrize("missing, named", [("indices:admin/aliases", "indices:admin/aliases"), ("indices:data/write", "indices:data/write"),
                                            ("indices:data/read", "indices:data/read"), ("indices:admin/refresh", "indices:admin/refresh")])
def test_a_right_is_missing(as_user, missing, named):
    """Named, and the alias still answers with the old data."""
    pair = as_user([r for r in RIGHTS if not r.startswith(missing)])
    with refusal() as caught:
        pair.run()
    assert named in str(caught.value), caught.value
    assert list(pair.where()) == [pair.primary]
    assert pair.cluster.count(pair.primary) == 120


def test_whether_others_write_may_not_be_asked(as_user):
    rights = [r for r in RIGHTS if r != "indices:monitor/*"] + ["indices:monitor/settings/get"]
    pair = as_user(rights)
    with refusal() as caught:
        pair.run()
    assert "indices:monitor/stats" in str(caught.value) and list(pair.where()) == [pair.primary]
    assert pair.run(allow_unverified=True)["status"] == "success"
    pair.check()
    assert {r["verdict"] for r in pair.box.rows("SELECT verdict FROM os_audit WHERE check_name = 'writers'")} >= {"unknown"}
