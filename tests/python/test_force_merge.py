"""os_force_merge: what it merges, when it refuses, and what it makes of an answer that never came."""
import threading
import time

import pytest

from harness.cluster import unique
from harness.refusal import refusal
from proxy import Proxy


def fill(cluster, index, segments=4):
    """One document a segment, and a policy that leaves them alone."""
    cluster.create(index, {"n": {"type": "integer"}}, settings={"index.merge.policy.segments_per_tier": 50})
    for i in range(segments):
        cluster.put(index, str(i), {"n": i})


def segments_of(cluster, index):
    cluster.call("POST", "/%s/_refresh" % index)
    return cluster.get("/%s/_stats/segments" % index)["_all"]["primaries"]["segments"]["count"]


def merges(proxy):
    return [e for e in proxy.calls() if "_forcemerge" in e["path"]]


@pytest.mark.parametrize("server", ["plain", "v3", "es7"])
def test_merges(request, bare_box, server):
    cluster, box, index = request.getfixturevalue(server), bare_box, unique()
    box.env["OPENSEARCH_ENDPOINT"] = cluster.url
    fill(cluster, index)
    try:
        preview = box.run("os_force_merge", index, {"dry_run": True, "max_num_segments": 1})
        assert preview["response"]["before"]["segments"] == segments_of(cluster, index) == 4
        result = box.run("os_force_merge", index, {"max_num_segments": 1})["response"]
        assert (result["finished"], result["before"]["segments"], result["after"]["segments"]) == (True, 4, 1)
        assert segments_of(cluster, index) == 1 and cluster.count(index) == 4
        assert bool(result["task"]) == (server != "es7")
        audit = box.audit(box.one("SELECT max(job) FROM os_jobs"))
        assert [a["verdict"] for a in audit] == ["pass"] * 4 + ["did", "pass"]
        assert "inverse" in audit[4]["detail"] and "max_num_segments=1" in audit[4]["detail"]
    finally:
        cluster.delete(index)


@pytest.mark.slow
def test_deleted_documents_go_when_the_shards_have_let_go_of_them(box, plain, index):
    """A shard keeps what was deleted until its retention leases are synchronized, every 30 s: before, a merge frees nothing."""
    fill(plain, index, segments=6)
    for i in range(3):
        plain.call("DELETE", "/%s/_doc/%d?refresh=true" % (index, i))
    for _ in range(20):
        result = box.run("os_force_merge", index, {"only_expunge_deletes": True})["response"]
        assert plain.count(index) == 3
        if result["after"]["deleted"] == 0:
            break
        time.sleep(3)
    assert result["after"]["deleted"] == 0


def test_an_index_that_is_written_to_is_left_alone(through, proxy, plain, index):
    fill(plain, index)
    stop = threading.Event()

    def write():
        n = 100
        while not stop.is_set():
            plain.put(index, str(n % 200), {"n": n})
            n += 1
            time.sleep(0.02)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        with refusal("is written to: \\d+ operations within one second.*allow_writes"):
            through.run("os_force_merge", index, {"max_num_segments": 1})
        assert not merges(proxy)
        assert through.run("os_force_merge", index, {"max_num_segments": 1, "allow_writes": True})["response"]["finished"] is True
    finally:
        stop.set()
        writer.join()
    assert len(merges(proxy)) == 1
    plain.call("PUT", "/%s/_block/write" % index)
    through.run("os_force_merge", index, {"max_num_segments": 1})
    assert "blocked for writing" in str(through.audit(through.one("SELECT max(job) FROM os_jobs")))
    plain.call("PUT", "/%s/_settings" % index, {"index.blocks.write": None})


@pytest.mark.parametrize("fault, how", [("cut_after", {}), ("cut_before", {}), ("status_after", {"code": 502}), ("status", {"code": 503})])
def test_a_lost_answer_is_settled(through, proxy, plain, index, fault, how):
    fill(plain, index)
    proxy.rule(fault, on=r"POST /%s/_forcemerge.*" % index, times=1, **how)
    result = through.run("os_force_merge", index, {"max_num_segments": 1})["response"]
    assert result["finished"] is True and segments_of(plain, index) == 1 and plain.count(index) == 4


@pytest.mark.parametrize("server", ["plain", "es7"])
def test_a_time_out_counts_as_started(request, bare_box, server):
    """The merge itself is over in no time; what is late is its answer."""
    cluster, box, index = request.getfixturevalue(server), bare_box, unique()
    fill(cluster, index)
    try:
        with Proxy(cluster.url, seed=1) as proxy:
            box.env["OPENSEARCH_ENDPOINT"] = proxy.url
            if server == "plain":
                proxy.rule("delay_answer", on=r"GET /_tasks/.*", seconds=3)
            else:
                proxy.rule("delay_answer", on=r"POST /.*_forcemerge.*", seconds=5)
            began = time.monotonic()
            result = box.run("os_force_merge", index, {"max_num_segments": 1, "timeout": 1.5})
            assert time.monotonic() - began < 12
        if server == "es7":
            assert result["response"]["finished"] is False and result["response"]["after"] is None and "goes on in the cluster" in result["message"]
            assert "goes on in the cluster" in str(box.audit(box.one("SELECT max(job) FROM os_jobs")))
        assert result["status"] == "success" and segments_of(cluster, index) == 1
    finally:
        cluster.delete(index)


def test_refusals(box, plain, index):
    fill(plain, index)
    plain.call("POST", "/_aliases", {"actions": [{"add": {"index": index, "alias": index + "-a"}}]})
    for name, options, words in ((index + "-none", {}, "there is no index"), (index + "-a", {}, "is an alias, not an index"), (index + "*", {}, "pattern"),
                                 (index, {"max_num_segments": 1, "only_expunge_deletes": True}, "together"), (index, {"max_num_segments": 0}, "max_num_segments"), (index, {"segments": 1}, "unknown option")):
        with refusal(words):
            box.run("os_force_merge", name, options)
    plain.create(index + "-red", settings={"routing.allocation.require.box": "nowhere"}, wait_for_active_shards=0)
    with refusal("is red"):
        box.run("os_force_merge", index + "-red")
    assert segments_of(plain, index) == 4
