"""Method live of os_reindex_versions on other servers, and by users who lack rights."""
import pytest

from harness.cluster import unique
from harness.refusal import refusal
from test_reindex_live import run, start_writers, stop
from test_reindex_versions import Versions, documents
from test_reindex_versions_servers import CLUSTER, RIGHTS

BLOCK = ["indices:admin/block/add*", "indices:admin/settings/update", "indices:data/read/*"]


@pytest.mark.parametrize("server", ["v3", "es7"])
def test_other_servers(request, bare_box, server):
    cluster = request.getfixturevalue(server)
    bare_box.env["OPENSEARCH_ENDPOINT"] = cluster.url
    v = Versions(bare_box, cluster, count=2000)
    v.trigger["indices"] = v.names[:1]
    writers = start_writers(v, v.names[0] + "_other", documents(2000))
    run(v)
    model = stop(writers)
    assert cluster.documents(v.next[0]) == model and not cluster.exists(v.names[0])


@pytest.fixture
def as_user(bare_box, security):
    def make(rights):
        bare_box.env.clear()
        v = Versions(bare_box, security.admin, url=security.url)
        name = "u" + unique()
        password = security.user(name, {v.base + "*": rights}, CLUSTER)
        bare_box.env.update(security.environment(name, password))
        bare_box.shell.env = bare_box.env
        return v
    return make


def test_who_has_just_the_rights_it_takes(as_user):
    v = as_user(RIGHTS + BLOCK)
    run(v)
    v.check_done()


@pytest.mark.parametrize("missing, named", [("indices:admin/block/add*", "indices:admin/block"), ("indices:data/read/search", "indices:data/read/search"),
                                            ("indices:monitor/stats", "indices:monitor/stats")])
def test_a_right_is_missing(as_user, security, missing, named):
    rights = [r for r in RIGHTS + BLOCK if r not in (missing, "indices:data/read/*", "indices:monitor/*")]
    rights += [r for r in ("indices:monitor/settings/get", "indices:monitor/stats", "indices:data/read/search", "indices:data/read/mget*",
                           "indices:data/read/get") if r != missing]
    v = as_user(rights)
    with refusal() as caught:
        run(v)
    assert named in str(caught.value), caught.value
    assert security.admin.setting(v.names[0], "blocks.write") in (None, "false")
    assert set(v.aliases(v.names[0])) == {v.names[0] + "_other"}
