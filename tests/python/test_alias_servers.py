"""Moving an alias on other servers (OpenSearch 3.x, Elasticsearch 7.10, which has no must_exist), and by users who lack rights."""
import threading

import pytest

from harness.cluster import unique
from harness.refusal import refusal
from proxy import Proxy
from test_alias_switch import FULL, Pair

READ = ["indices:admin/get", "indices:admin/aliases/get", "indices:monitor/settings/get", "indices:admin/refresh*", "indices:data/read/*",
        "indices:admin/resolve/index", "indices:admin/mappings/get"]
MOVE = ["indices:admin/aliases"]
HEALTH = ["cluster:monitor/health", "cluster:monitor/main"]


@pytest.mark.parametrize("server", ["v3", "es7"])
def test_other_servers(request, bare_box, server):
    """The same course; before the request is read again where the server has no must_exist."""
    cluster = request.getfixturevalue(server)
    bare_box.env["OPENSEARCH_ENDPOINT"] = cluster.url
    pair = Pair(bare_box, cluster, alias=FULL)
    result = pair.switch()
    assert pair.where() == {pair.new: pair.before[pair.old]}
    did = [r["detail"] for r in pair.audit(result["job"]) if r["verdict"] == "did"][0]
    assert ("must_exist" in did) is (server == "v3")
    with refusal("already"):
        pair.switch()
    assert bare_box.run("os_undo_alias", result["job"])["status"] == "success"
    assert pair.where() == pair.before
    pair.refused("there is no alias", alias=pair.alias + "_x")
    pair.refused("is an index, not an alias", alias=pair.alias + "_i" if cluster.create(pair.alias + "_i") else "")
    pair.refused("does not exist", target=pair.alias + "_x")
    cluster.call("POST", "/%s/_close" % pair.new)
    pair.refused("is closed")
    cluster.call("POST", "/%s/_open" % pair.new)
    pair.settings(pair.new, **{"index.blocks.write": True})
    pair.refused("index.blocks.write")


def test_moved_by_somebody_right_before_without_must_exist(bare_box, es7):
    """The server adds the alias to a second index without a word; that is seen and taken back."""
    with Proxy(es7.url, seed=1) as proxy:
        bare_box.env["OPENSEARCH_ENDPOINT"] = proxy.url
        pair = Pair(bare_box, es7)
        other = pair.alias + "_v3"
        es7.create(other)
        rule = proxy.rule("delay", on=r"POST /_aliases", seconds=1.5, times=1)

        def elsewhere():
            while not rule["fired"]:
                proxy.wait(0.01)
            pair.change({"remove": {"index": pair.old, "alias": pair.alias}}, {"add": {"index": other, "alias": pair.alias}})
        thread = threading.Thread(target=elsewhere)
        thread.start()
        with refusal("somebody else changed alias.*%s" % other):
            pair.switch()
        thread.join()
        assert pair.where() == {other: {}}
        assert [r["check_name"] for r in pair.audit() if r["verdict"] == "did"] == ["alias", "repair"]


@pytest.mark.parametrize("fault", ["cut_after", "cut_before", "duplicate"])
def test_answer_lost_without_must_exist(bare_box, es7, fault):
    with Proxy(es7.url, seed=1) as proxy:
        bare_box.env["OPENSEARCH_ENDPOINT"] = proxy.url
        pair = Pair(bare_box, es7, alias=FULL)
        proxy.rule(fault, on=r"POST /_aliases", times=1)
        pair.switch()
        assert pair.where() == {pair.new: pair.before[pair.old]}


# ---- rights ---------------------------------------------------------------------------------------------------------------------
@pytest.fixture
def as_user(bare_box, security):
    """A Pair whose commands run as a user who may do `rights` with the two indices and their alias."""
    def make(rights, cluster):
        pair = Pair(bare_box, security.admin)
        name = "u" + unique()
        password = security.user(name, {pair.alias + "*": rights}, cluster)
        bare_box.env.clear()
        bare_box.env.update(security.environment(name, password))
        bare_box.shell.env = bare_box.env
        return pair
    return make


def without(rights, *missing):
    return [r for r in rights if not r.startswith(missing)]


def test_who_has_just_the_rights_it_takes(as_user):
    pair = as_user(READ + MOVE, HEALTH)
    assert pair.switch()["status"] == "success" and list(pair.where()) == [pair.new]


@pytest.mark.parametrize("missing, named, check", [
    ("cluster:monitor/health", "cluster:monitor/health", "health"), ("indices:data/read", "indices:data/read/search", "source documents"),
    ("indices:admin/refresh", "indices:admin/refresh", "source documents"), ("indices:admin/get", "indices:admin/get", "source index")])
def test_a_guard_that_may_not_be_asked(as_user, missing, named, check):
    pair = as_user(without(READ + MOVE, missing), without(HEALTH, missing))
    text = pair.refused(named, "allow_unverified")
    row = pair.audit()[-1]
    assert (row["verdict"], row["check_name"]) == ("unknown", check) and named in row["detail"], text
    result = pair.switch(allow_unverified=True)
    assert list(pair.where()) == [pair.new]
    assert any(r["verdict"] == "unknown" and "allow_unverified" in r["detail"] for r in pair.audit(result["job"]))


def test_who_may_not_see_the_alias(as_user):
    """Its filter could not be kept: nothing allows that."""
    pair = as_user(without(READ, "indices:admin/aliases/get") + MOVE, HEALTH)
    for allowed in (False, True):
        pair.refused("indices:admin/aliases/get", allow_unverified=allowed)


def test_who_may_not_move_it(as_user):
    pair = as_user(READ, HEALTH)
    with refusal("stays on '%s'.*indices:admin/aliases" % pair.old):
        pair.switch()
    assert pair.where() == pair.before
