"""The tables of a cluster where a node went away, and for users who may not see everything."""
import pytest

from harness.cluster import unique
from harness.refusal import refusal


def test_a_node_that_left(bare_box, duo):
    """Red where it held the only copy, yellow where another node has one: what happened, and what helps."""
    box, name = bare_box, unique()
    box.env["OPENSEARCH_ENDPOINT"] = duo.cluster.url
    duo.start_second()
    node = [r["node"] for r in box.rows("SELECT node FROM os_nodes WHERE NOT is_manager")]
    assert len(node) == 1
    duo.cluster.create(name + "-only", settings={"routing.allocation.require._name": node[0]})
    duo.cluster.create(name + "-both", settings={"number_of_replicas": 1})
    duo.cluster.settle(name + "-*", ("green",))
    duo.stop_second()
    try:
        duo.cluster.settle(name + "-only", ("red",))
        rows = {r["name"][len(name):]: r for r in box.rows("SELECT * FROM os_health WHERE name GLOB ?", name + "*")}
        assert rows["-only"]["health"] == "red" and "the primary of shard 0 is not assigned (its node left the cluster" in rows["-only"]["why"]
        assert "start the node again that held the shard" in rows["-only"]["fix"]
        assert rows["-both"]["health"] == "yellow" and "the replica of shard 0" in rows["-both"]["why"] and "its node left the cluster" in rows["-both"]["why"]
        assert rows["-both"]["fix"]
        assert box.one("SELECT count(*) FROM os_nodes") == 1
        assert box.rows("SELECT kind, unassigned_reason, node FROM os_shards WHERE index_name = ? AND state = 'UNASSIGNED'", name + "-both") == [
            {"kind": "replica", "unassigned_reason": "NODE_LEFT", "node": None}]
    finally:
        duo.start_second()
    duo.cluster.settle(name + "-*", ("green",))
    assert box.rows("SELECT DISTINCT health, why FROM os_health WHERE name GLOB ?", name + "*") == [{"health": "green", "why": None}]
    duo.cluster.call("DELETE", "/%s*" % name)


# ---- rights ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def narrow(bare_box, security):
    """A user who may see what begins with mine-, and no more."""
    for name in ("mine-1", "theirs-1"):
        security.admin.delete(name)
        security.admin.create(name, {"a": {"type": "keyword"}}, aliases={name + "-alias": {}})
    def user(name, rights, cluster=()):
        bare_box.close()
        bare_box.env.update(security.environment(name, security.user(name, {"mine-*": rights}, cluster)))
        return bare_box
    yield user
    for name in ("mine-1", "theirs-1"):
        security.admin.delete(name)


def test_a_user_who_may_see_some_indices(narrow):
    box = narrow("some", ["indices:admin/aliases/get", "indices:admin/mappings/get", "indices:monitor/*", "indices:admin/get"],
                 ["cluster:monitor/state", "cluster:monitor/health"])
    assert box.rows("SELECT index_name, health, aliases FROM os_index WHERE index_name = 'mine-1'") == [{"index_name": "mine-1", "health": "green", "aliases": '["mine-1-alias"]'}]
    assert box.rows("SELECT index_name FROM os_index WHERE index_name LIKE 'mine-%'") == [{"index_name": "mine-1"}]
    assert box.rows("SELECT alias FROM os_aliases WHERE index_name GLOB 'mine-*'") == [{"alias": "mine-1-alias"}]
    assert box.rows("SELECT path FROM os_mapping('mine-1')") == [{"path": "a"}]
    for sql, right in (("SELECT * FROM os_index WHERE index_name = 'theirs-1'", "indices:monitor/settings/get"), ("SELECT * FROM os_mapping('theirs-1')", "indices:admin/mappings/get"),
                       ("SELECT * FROM os_nodes", "cluster:monitor/nodes/stats"), ("SELECT * FROM os_tasks", "cluster:monitor/tasks/lists")):
        with refusal("403.*missing right: " + right):
            box.rows(sql)


def test_a_right_for_one_column_is_needed_only_where_it_is_read(narrow):
    box = narrow("columns", ["indices:monitor/*"], ["cluster:monitor/state", "cluster:monitor/health"])
    assert box.one("SELECT health FROM os_index WHERE index_name = 'mine-1'") == "green"
    with refusal("missing right: indices:admin/aliases/get"):
        box.rows("SELECT health, aliases FROM os_index WHERE index_name = 'mine-1'")
    with refusal("missing right: cluster:monitor/health"):
        narrow("blind", ["indices:data/read*"]).rows("SELECT * FROM os_health")


def test_reasons_that_may_not_be_read_are_said_to_be_so(narrow, security):
    security.admin.call("PUT", "/mine-1/_settings", {"index": {"number_of_replicas": 1}})
    box = narrow("curious", ["indices:monitor/*"], ["cluster:monitor/health"])
    row = box.rows("SELECT health, why, fix FROM os_health WHERE name = 'mine-1'")[0]
    assert row["health"] == "yellow" and "1 shard is not assigned" in row["why"] and "the reason cannot be read" in row["why"]
    assert "cluster:monitor/allocation/explain" in row["fix"]
