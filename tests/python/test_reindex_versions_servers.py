"""os_reindex_versions on other servers, and by users who lack rights."""
import pytest

from harness.cluster import unique
from harness.refusal import refusal
from proxy import Proxy
from test_reindex_versions import Versions

RIGHTS = ["indices:admin/get", "indices:admin/aliases*", "indices:monitor/*", "indices:admin/refresh*", "indices:data/read/*", "indices:data/write/*",
          "indices:admin/resolve/index", "indices:admin/mappings/get", "indices:admin/mapping/put", "indices:admin/create", "indices:admin/delete"]
CLUSTER = ["cluster:monitor/health", "cluster:monitor/main", "cluster:monitor/task*", "cluster:admin/tasks/cancel", "indices:data/write/reindex",
           "indices:data/write/bulk", "indices:data/read/scroll*"]


@pytest.mark.parametrize("server", ["v3", "es7"])
def test_other_servers(request, bare_box, server):
    """The whole course, an answer lost at each request that changes something, and one that is broken off."""
    cluster = request.getfixturevalue(server)
    with Proxy(cluster.url, seed=1) as proxy:
        bare_box.env["OPENSEARCH_ENDPOINT"] = proxy.url
        v = Versions(bare_box, cluster, url=proxy.url)
        for on in (r"PUT /%s(\?|$)" % v.next[0], r"POST /_aliases", r"DELETE /%s(\?|$)" % v.names[0]):
            proxy.rule("cut_after", on=on, times=1)
        rule = proxy.rule("status", on=r"POST /_aliases", skip=2, code=403, body='{"error":{"type":"x","reason":"no"}}', times=1)
        with refusal("goes on from here"):
            v.run()
        assert rule["fired"] == 1
        proxy.clear()
        assert v.run()["response"]["continued"] == 1
        v.check_done()


@pytest.fixture
def as_user(bare_box, security):
    def make(rights, cluster):
        bare_box.env.clear()
        v = Versions(bare_box, security.admin, url=security.url)
        name = "u" + unique()
        password = security.user(name, {v.base + "*": rights}, cluster)
        bare_box.env.update(security.environment(name, password))
        bare_box.shell.env = bare_box.env
        return v
    return make


def test_who_has_just_the_rights_it_takes(as_user):
    v = as_user(RIGHTS, CLUSTER)
    v.run()
    v.check_done()


@pytest.mark.parametrize("missing, named, allowed", [
    ("indices:admin/delete", "indices:admin/delete", False), ("indices:admin/create", "indices:admin/create", False),
    ("indices:monitor/stats", "indices:monitor/stats", True), ("cluster:monitor/health", "cluster:monitor/health", True)])
def test_a_right_is_missing(as_user, security, missing, named, allowed):
    """Named; given back (or allowed to be unverified), the same trigger completes it."""
    rights = [r for r in RIGHTS if r != missing and r != "indices:monitor/*"] + ["indices:monitor/settings/get"]
    if missing != "indices:monitor/stats":
        rights.append("indices:monitor/stats")
    v = as_user(rights, [r for r in CLUSTER if r != missing])
    with refusal(named):
        v.run()
    assert all(security.admin.exists(name) for name in v.names)
    if allowed:
        v.run(allow_unverified=True)
    else:
        user = v.box.env["OPENSEARCH_USERNAME"]
        security.user(user, {v.base + "*": RIGHTS}, CLUSTER)
        v.run()
    v.check_done()
