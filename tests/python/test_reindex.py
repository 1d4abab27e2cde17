"""os_reindex: the guards, each tripped with nothing moved; what the cluster does to a copy, and what comes of it; options."""
import json
import sqlite3
import threading
import time

import pytest

import datasets
from harness.refusal import refusal

DOCS = datasets.by_id(datasets.products(200))
OLD = datasets.by_id(datasets.products(230)[200:])


@pytest.fixture
def names(plain, index):
    source, target = index + "-a", index + "-b"
    plain.create(source, datasets.PRODUCTS, settings={"number_of_shards": 2, "refresh_interval": "7s"})
    plain.bulk_put(source, DOCS)
    return source, target


@pytest.fixture
def filled(plain, names):
    plain.create(names[1], datasets.PRODUCTS)
    plain.bulk_put(names[1], OLD)
    return names


def fails(box, source, target, *words, **options):
    with refusal() as caught:
        box.run("os_reindex", source, target, options)
    text = str(caught.value)
    for word in words:
        assert word in text, "%r is not in %r" % (word, text)
    return text


def last(box):
    return box.rows("SELECT * FROM os_jobs WHERE kind = 'reindex' ORDER BY job DESC LIMIT 1")[0]


def verdicts(box):
    return {a["check_name"]: a["verdict"] for a in box.audit(last(box)["job"])}


def changes(box):
    return [a for a in box.audit(last(box)["job"]) if a["verdict"] == "did"]


def running(plain, target):
    nodes = plain.get("/_tasks?actions=*reindex&detailed=true")["nodes"]
    return [key for n in nodes.values() for key, t in n["tasks"].items() if "[%s]" % target in t["description"] and "parent_task_id" not in t]


def in_thread(box, source, target, **options):
    """os_reindex in another process; gives what it printed."""
    return box.start("SELECT os_reindex('%s', '%s', json('%s'));" % (source, target, json.dumps(options)))


def until(what, seconds=30):
    end = time.time() + seconds
    while time.time() < end:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to it")


SLOW = {"requests_per_second": 20, "slices": 2}  # 200 documents in one batch each, and then a wait


# ---- what a copy is ------------------------------------------------------------------------------------------------
def test_created(box, plain, names):
    """Settings and mappings come from the source: _reindex itself takes over neither."""
    source, target = names
    result = box.run("os_reindex", source, target, {"create": True})
    assert plain.documents(target) == DOCS and plain.setting(target, "refresh_interval") == "7s"
    assert plain.get("/%s/_mapping" % target)[target] == plain.get("/%s/_mapping" % source)[source]
    assert plain.setting(target, "number_of_shards") == "2" and plain.uuid(target) != plain.uuid(source)
    figures = result["response"]
    assert figures["created"] == figures["total"] == figures["source_documents"] == figures["target_documents"] == 200
    assert figures["created_target"] is True and figures["source_writes"] == 0 and figures["resumed"] is False
    job = last(box)
    assert (job["status"], job["documents_created"], job["count_after"]) == ("success", 200, 200)
    assert all("undone by" in a["detail"] for a in changes(box) if a["check_name"] in ("create", "start"))


def test_create_with_changes(box, plain, names):
    source, target = names
    box.run("os_reindex", source, target, {"create": {
        "settings": {"number_of_shards": 1, "index.refresh_interval": None, "index": {"max_result_window": 20000}},
        "mappings": {"properties": {"title": {"type": "keyword"}}}}})
    assert plain.setting(target, "number_of_shards") == "1" and plain.setting(target, "refresh_interval") is None
    assert plain.setting(target, "max_result_window") == "20000" and plain.documents(target) == DOCS
    assert plain.get("/%s/_mapping" % target)[target]["mappings"]["properties"]["title"] == {"type": "keyword"}
    fails(box, source, target + "-c", "aliases", create={"aliases": {"x": {}}})
    assert not plain.exists(target + "-c")


def test_emptied_first(box, plain, filled):
    source, target = filled
    uuid = plain.uuid(target)
    result = box.run("os_reindex", source, target, {"create": True})
    assert plain.documents(target) == DOCS and result["response"]["target_before"] == 30 and plain.uuid(target) == uuid
    result = box.run("os_reindex", source, target, {"backup": True})
    assert plain.documents(target) == DOCS and plain.uuid(target) != uuid
    assert [i["index"] for i in plain.get("/_cat/indices/%s*?format=json" % target)] == [target]


def test_from_the_threshold_on_there_is_a_backup(box, plain, filled):
    uuid = plain.uuid(filled[1])
    box.run("os_reindex", *filled, {"recreate_threshold": 10})
    assert plain.uuid(filled[1]) != uuid and any("os-backup" in a["detail"] for a in changes(box))


def test_dry_run(box, plain, filled):
    result = box.run("os_reindex", *filled, {"dry_run": True})
    assert plain.documents(filled[1]) == OLD and not changes(box)
    checks = {c["check"]: c["verdict"] for c in result["checks"]}
    assert {"source", "target", "alias", "blocks", "documents", "disk", "tasks"} <= set(checks)
    assert set(checks.values()) == {"pass"} and result["response"]["source_documents"] == 200


def test_query_script_and_pipeline(box, plain, names, index):
    source, target = names
    some = list(DOCS)[:5]
    result = box.run("os_reindex", source, target, {"create": True, "query": {"ids": {"values": some}}})
    assert sorted(plain.documents(target)) == sorted(some) and result["response"]["source_documents"] == 5
    result = box.run("os_reindex", source, target, {"script": "if (ctx._id == params.x) { ctx.op = 'noop' } ctx._source.more = 1"
                                                    .replace("params.x", "'%s'" % some[0])})
    assert plain.count(target) == 199 and plain.doc(target, some[1])["more"] == 1 and result["response"]["noops"] == 1
    result = box.run("os_reindex", source, target, {"script": {"source": "if (ctx._id == params.x) ctx.op = 'delete'", "params": {"x": some[0]}}})
    assert plain.count(target) == 199 and result["response"]["deleted"] == 1
    plain.call("PUT", "/_ingest/pipeline/" + index, {"processors": [{"set": {"field": "piped", "value": True}}]})
    try:
        box.run("os_reindex", source, target, {"pipeline": index})
        assert all(d["piped"] for d in plain.documents(target).values()) and plain.count(target) == 200
    finally:
        plain.call("DELETE", "/_ingest/pipeline/" + index)


def test_a_shared_default_pipeline_runs_once(box, plain, names, index):
    """What the source holds has been through it; a target with another one runs that."""
    source, target = names
    for name, field in ((index, "twice"), (index + "x", "own")):
        plain.call("PUT", "/_ingest/pipeline/" + name, {"processors": [{"set": {"field": field, "value": 1}}]})
    plain.call("PUT", "/%s/_settings" % source, {"index.default_pipeline": index})
    try:
        box.run("os_reindex", source, target, {"create": True})
        assert plain.documents(target) == DOCS
        plain.call("PUT", "/%s/_settings" % target, {"index.default_pipeline": index + "x"})
        box.run("os_reindex", source, target)
        assert all(d["own"] == 1 and "twice" not in d for d in plain.documents(target).values())
    finally:
        plain.delete(target)
        plain.call("PUT", "/%s/_settings" % source, {"index.default_pipeline": None})
        for name in (index, index + "x"):
            plain.call("DELETE", "/_ingest/pipeline/" + name)


def test_counts_are_of_documents(box, plain, index):
    """Nested children are no documents, and one id under three routings is three."""
    source, target = index + "-n", index + "-m"
    plain.create(source, {"parts": {"type": "nested"}}, settings={"number_of_shards": 4})
    lines = []
    for routing in "abc":
        lines += [json.dumps({"index": {"_id": "same", "routing": routing}}), json.dumps({"parts": [{"n": 1}, {"n": 2}], "r": routing})]
    plain.call("POST", "/%s/_bulk?refresh=true" % source, "\n".join(lines) + "\n", content_type="application/x-ndjson")
    before = plain.count(source)
    result = box.run("os_reindex", source, target, {"create": True})
    assert result["response"]["target_documents"] == before == plain.count(target)
    assert sorted(s["r"] for _, s, _ in plain.read_all(target)) == sorted(s["r"] for _, s, _ in plain.read_all(source))


@pytest.mark.parametrize("slices", ["auto", 5])
def test_an_empty_source_is_not_sliced(box, plain, index, slices):
    """The cluster cannot slice an index that has no _id in its mapping yet: 400 'field _id not found'."""
    plain.create(index)
    fails(box, index, index + "-b", "holds no documents", create=True, slices=slices)
    assert not plain.exists(index + "-b")
    result = box.run("os_reindex", index, index + "-b", {"create": True, "slices": slices, "allow_empty": True})
    assert result["response"]["total"] == 0 and plain.count(index + "-b") == 0


# ---- guards ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("source, target, words", [
    ("%s-x", "%s-b", "there is no source index"), ("%s-a", "%s-x", '{"create":true}'), ("%s-a", "%s-a", "source and target are both"),
    ("%s-*", "%s-b", "*"), ("_all", "%s-b", "_all"), ("%s-a,%s-b", "%s-c", ","), ("%s-a", "%s-*", "*"), ("%s-a", "_all", "_all"),
    ("%s-alias", "%s-b", "is an alias"), ("%s-a", "%s-alias", "is an alias"), ("%s-a", "%s-UP", "-UP"), ("", "%s-b", "source")])
def test_names(box, plain, filled, index, source, target, words):
    plain.call("POST", "/_aliases", {"actions": [{"add": {"index": index + "-a", "alias": index + "-alias"}}]})
    before = plain.uuid(filled[1])
    fails(box, source.replace("%s", index), target.replace("%s", index), words)
    assert plain.documents(filled[1]) == OLD and plain.uuid(filled[1]) == before
    assert {i["index"] for i in plain.get("/_cat/indices/%s*?format=json" % index)} == set(filled)


def test_an_alias_serves_the_target(box, plain, filled, index):
    plain.call("POST", "/_aliases", {"actions": [{"add": {"index": filled[1], "alias": index + "-live"}}]})
    fails(box, *filled, "alias %s-live serves the target" % index, "os_switch_alias", allow_unverified=True)
    assert plain.documents(filled[1]) == OLD and verdicts(box)["alias"] == "fail" and not changes(box)


def test_data_stream(box, plain, names, index):
    plain.call("PUT", "/_index_template/" + index, {"index_patterns": [index + "-ds"], "data_stream": {}})
    plain.call("PUT", "/_data_stream/%s-ds" % index)
    try:
        fails(box, names[0], index + "-ds", "is a data stream")
        fails(box, index + "-ds", names[1], "is a data stream", create=True)
    finally:
        plain.call("DELETE", "/_data_stream/%s-ds" % index)
        plain.call("DELETE", "/_index_template/" + index)


@pytest.mark.parametrize("block", ["write", "read_only", "read_only_allow_delete", "metadata"])
def test_a_blocked_target(box, plain, filled, block):
    plain.call("PUT", "/%s/_settings" % filled[1], {"index.blocks." + block: True})
    try:
        fails(box, *filled, "index metadata (api)" if block == "metadata" else "index.blocks." + block)
        assert not changes(box)
    finally:
        plain.call("PUT", "/%s/_settings" % filled[1], {"index.blocks." + block: None})
    assert plain.documents(filled[1]) == OLD


def test_a_source_that_cannot_be_read(box, plain, filled, index):
    plain.create(index + "-s", mappings={"_source": {"enabled": False}})
    plain.bulk_put(index + "-s", {"1": {"a": 1}})
    fails(box, index + "-s", filled[1], "_source is disabled")
    plain.call("PUT", "/%s/_settings" % filled[0], {"index.blocks.read": True})
    fails(box, *filled, "blocked for reading")
    plain.call("PUT", "/%s/_settings" % filled[0], {"index.blocks.read": None})
    plain.call("POST", "/%s/_close" % filled[0])
    fails(box, *filled, "is closed")
    assert plain.documents(filled[1]) == OLD


def test_red(box, plain, filled, index):
    """A primary that no node may have."""
    nowhere = {"index.routing.allocation.require._name": "nobody"}
    plain.create(index + "-r", settings=nowhere, wait_for_active_shards=0)
    fails(box, index + "-r", filled[1], "is red")
    fails(box, filled[0], index + "-r", "is red")
    assert plain.documents(filled[1]) == OLD and verdicts(box)["health of target"] == "fail"


def test_yellow_passes_and_replicas_come_back(box, plain, names):
    """A replica that no node can take: yellow. A clone has its own number of replicas unless it is told."""
    source, target = names
    plain.call("PUT", "/%s/_settings" % source, {"index.number_of_replicas": 1})
    plain.create(target, {"other": {"type": "keyword"}}, mappings={"dynamic": "strict"}, settings={"number_of_replicas": 2, "refresh_interval": "9s"})
    plain.put(target, "1", {"other": "x"})
    fails(box, source, target, "holds its former documents again", backup=True)
    checks = box.audit(last(box)["job"])
    assert any(a["check_name"] == "health of target" and a["verdict"] == "pass" and "yellow" in a["detail"] for a in checks)
    assert plain.documents(target) == {"1": {"other": "x"}}
    assert plain.setting(target, "number_of_replicas") == "2" and plain.setting(target, "refresh_interval") == "9s"


def test_no_documents_for_the_query(box, plain, filled):
    fails(box, *filled, "no documents that the query matches", query={"term": {"title": "no such title"}})
    assert plain.documents(filled[1]) == OLD and verdicts(box)["documents"] == "fail"
    fails(box, *filled, "query", query={"nonsense": {}})
    assert plain.documents(filled[1]) == OLD


def test_too_little_room(through, proxy, plain, filled):
    """The watermark as the cluster tells it, and disks that are nearly full."""
    cat = [{"node": "n", "disk.avail": "1000", "disk.total": "1000000"}, {"node": "UNASSIGNED", "disk.avail": None, "disk.total": None}]
    settings = {"transient": {}, "persistent": {"cluster.routing.allocation.disk.watermark.high": "500b"},
                "defaults": {"cluster.routing.allocation.disk.threshold_enabled": "true"}}
    proxy.rule("status", code=200, on=r"GET /_cat/allocation", body=json.dumps(cat))
    rule = proxy.rule("status", code=200, on=r"GET /_cluster/settings", body=json.dumps(settings))
    text = fails(through, *filled, "1.2 times the source", "(500b)")
    assert rule["fired"] and plain.documents(filled[1]) == OLD and verdicts(through)["disk"] == "fail", text


def test_somebody_else_copies_there(box, plain, filled):
    task = plain.call("POST", "/_reindex?wait_for_completion=false&requests_per_second=1",
                      {"source": {"index": filled[0], "size": 10}, "dest": {"index": filled[1]}})["task"]
    try:
        fails(box, *filled, task, "is copying to")
        assert verdicts(box)["tasks"] == "fail" and not changes(box)
    finally:
        plain.call("POST", "/_tasks/%s/_cancel" % task)


@pytest.mark.parametrize("what", ["GET /_cat/allocation", "GET /[^/]*/_stats", "GET /_cluster/health/", "GET /[^/]*/_alias", "GET /_tasks\\?",
                                  "POST /[^/]*-a/_refresh"])
def test_a_guard_that_may_not_be_read(through, proxy, plain, filled, what):
    """unknown, which stops; allow_unverified goes on."""
    body = json.dumps({"error": {"type": "security_exception", "reason": "no permissions for [some:right] and User [name=u]"}})
    proxy.rule("status", code=403, on=what, body=body)
    proxy.rule("status", code=403, on=r"(GET /_resolve|HEAD /)", body=body)
    fails(through, *filled, "some:right", "allow_unverified")
    assert "unknown" in verdicts(through).values() and not changes(through) and plain.documents(filled[1]) == OLD
    if what in ("GET /_cat/allocation", "GET /_tasks\\?"):
        assert through.run("os_reindex", *filled, {"allow_unverified": True})["status"] == "success"
        assert plain.documents(filled[1]) == DOCS


def test_who_may_not_look_at_tasks(through, proxy, plain, filled):
    body = json.dumps({"error": {"type": "security_exception", "reason": "no permissions for [cluster:monitor/task/get] and User [name=u]"}})
    proxy.rule("status", code=403, on=r"GET /_tasks/", body=body)
    fails(through, *filled, "cluster:monitor/task/get", "may not look at tasks", allow_unverified=True)
    assert plain.documents(filled[1]) == OLD


# ---- while it runs -----------------------------------------------------------------------------------------------------
def test_refused_documents_are_listed(box, plain, index):
    """The task is 'completed' and has no error: what was refused stands in response.failures."""
    source, target = index + "-a", index + "-b"
    plain.create(source, {"n": {"type": "keyword"}})
    plain.bulk_put(source, {**{str(i): {"n": i} for i in range(50)}, **{"bad%d" % i: {"n": "x%d" % i} for i in range(12)}})
    plain.create(target, {"n": {"type": "integer"}})
    plain.bulk_put(target, {"old": {"n": 7}})
    text = fails(box, source, target, "12 failures", "mapper_parsing_exception", "holds its former documents again", backup=True)
    assert "bad" in text and plain.documents(target) == {"old": {"n": 7}}
    rows = [a["detail"] for a in box.audit(last(box)["job"]) if a["check_name"] == "refused"]
    assert len(rows) == 10 and all("bad" in r and "failed to parse field [n]" in r for r in rows)
    assert last(box)["documents_failed"] == 12 and last(box)["status"] == "failed"
    plain.put(target, "after", {"n": 1})  # a clone brought back inherits no write block
    text = fails(box, source, target, "its former 2 documents are lost", "backup")
    assert plain.count(target) == 0
    fails(box, source, target, "is empty, as it was", conflicts="proceed")  # proceeds over versions, not over mappings
    fails(box, source, target + "-c", "was removed again", create={"mappings": {"properties": {"n": {"type": "integer"}}}})
    assert not plain.exists(target + "-c")


def test_cancelled_by_somebody_else(box, plain, names):
    """'completed' with no failures, and some of the documents missing."""
    source, target = names
    process = in_thread(box, source, target, create=True, **SLOW)
    task = until(lambda: running(plain, target))[0]
    plain.call("POST", "/_tasks/%s/_cancel" % task)
    out = process.finish()
    assert out.code != 0 and "somebody else stopped the copy" in out.err and "was removed again" in out.err, out
    assert not plain.exists(target) and not running(plain, target) and last(box)["status"] == "failed"


def test_progress_is_summed_over_slices(box, plain, names):
    """The parent of the slices itself shows nothing until they end."""
    source, target = names
    plain.bulk_put(source, {"more%d" % i: {"title": "t"} for i in range(4000)})
    process = in_thread(box, source, target, create=True, slices=2, requests_per_second=600, poll_interval=0.1, progress="json")
    task = until(lambda: running(plain, target))[0]
    seen = until(lambda: last(box)["documents_created"])
    status = plain.get("/_tasks/" + task)
    assert not status["completed"] and seen > 0, "it had ended before"
    until(lambda: '"done":0.' in process.err)
    assert last(box)["status"] == "running"
    fails(box, source, target, "is filling %s right now" % target)
    box.one("SELECT os_cancel(?)", last(box)["job"] - 1)
    out = process.finish()
    lines = [json.loads(line) for line in out.err.splitlines() if line.startswith("{")]
    assert any(0 < line["documents"] < 4200 and 0 < line["done"] < 1 for line in lines), out.err
    assert out.code != 0 and "os_cancel" in out.err and not plain.exists(target) and not running(plain, target)
    assert box.rows("SELECT status FROM os_jobs WHERE kind = 'reindex' ORDER BY job")[0]["status"] == "cancelled"


@pytest.mark.parametrize("how", ["signal", "interrupt"])
def test_ctrl_c(box, plain, filled, how):
    source, target = filled
    options = {"backup": True, "slices": 2, "requests_per_second": 5}
    box.rows("SELECT 1")
    if how == "signal":
        process = in_thread(box, source, target, **options)
        until(lambda: running(plain, target))
        process.interrupt()
        out = process.finish()
        assert out.code != 0 and "interrupted" in out.err
    else:
        timer = threading.Timer(0, lambda: until(lambda: running(plain, target)) and box.db.interrupt())
        timer.start()
        with pytest.raises(sqlite3.Error, match="interrupted"):
            box.run("os_reindex", source, target, options)
    assert plain.documents(target) == OLD and not running(plain, target)
    assert [i["index"] for i in plain.get("/_cat/indices/%s*?format=json" % target)] == [target]
    job = last(box)
    assert job["status"] == "interrupted" and "holds its former documents again" in job["error"]


def test_timeout(box, plain, names):
    source, target = names
    fails(box, source, target, "option 'timeout'", "was removed again", create=True, timeout=1.5, **{**SLOW, "requests_per_second": 5})
    assert not plain.exists(target) and not running(plain, target)


def test_the_target_is_deleted_midway(box, plain, names):
    """The task makes an index of that name with a mapping of its own; that is no copy."""
    source, target = names
    plain.bulk_put(source, {"more%d" % i: {"title": "t"} for i in range(3000)})
    process = in_thread(box, source, target, create=True, requests_per_second=1000, slices=1)
    until(lambda: running(plain, target))
    plain.delete(target)
    out = process.finish()
    assert out.code != 0 and ("somebody deleted the target" in out.err or "not there" in out.err), out.err
    assert last(box)["status"] == "failed"


def test_the_source_is_deleted_midway(box, plain, names):
    source, target = names
    plain.bulk_put(source, {"more%d" % i: {"title": "t"} for i in range(3000)})
    process = in_thread(box, source, target, create=True, requests_per_second=1000, slices=1)
    until(lambda: running(plain, target))
    plain.delete(source)
    out = process.finish()
    assert out.code != 0 and "was removed again" in out.err and not plain.exists(target), out.err


def test_writers(box, plain, names):
    """Who writes to the source is seen; who writes to the target spoils the copy."""
    source, target = names
    process = in_thread(box, source, target, create=True, **SLOW)
    until(lambda: running(plain, target))
    plain.put(source, "late", {"title": "late"})
    out = process.finish()
    assert out.code == 0 and out.json()["response"]["source_writes"] == 1 and "1 writes meanwhile" in out.json()["message"]
    assert verdicts(box)["count of source"] == "unknown" and plain.count(target) == 200
    process = in_thread(box, source, target, **SLOW)
    until(lambda: running(plain, target))
    plain.put(target, "foreign", {"title": "foreign"})
    out = process.finish()
    assert out.code != 0 and "somebody else writes to it" in out.err and plain.count(target) == 0, out.err


def test_modes_without_a_broken_copy(box, plain, filled):
    for mode in ("resume", "undo"):
        fails(box, *filled, "nothing to " + mode, mode=mode)
    assert plain.documents(filled[1]) == OLD
    assert box.run("os_reindex", *filled, {"mode": "fresh"})["response"]["target_documents"] == 200


@pytest.mark.parametrize("options, words", [({"slices": 0}, "slices"), ({"mode": "x"}, "mode"), ({"op_type": "update"}, "op_type"), ({"scirpt": "x"}, "script"),
                                            ({"create": 7}, "create"), ({"requests_per_second": -1}, "requests_per_second"), ({"query": "x"}, "query")])
def test_options(box, plain, filled, options, words):
    fails(box, *filled, words, **options)
    assert plain.documents(filled[1]) == OLD


def test_a_bad_script_or_pipeline(box, plain, filled):
    fails(box, *filled, "holds its former documents again", backup=True, script="ctx._source.x = ")
    fails(box, *filled, "holds its former documents again", backup=True, pipeline="no-such-pipeline")
    assert plain.documents(filled[1]) == OLD


def test_conflicts_of_a_script(box, plain, names):
    """Two documents under one id: the last wins, or with op_type create it is a conflict."""
    source, target = names
    one = "ctx._id = 'one'"
    result = box.run("os_reindex", source, target, {"create": True, "script": one})["response"]
    assert (result["created"], result["updated"], result["target_documents"]) == (1, 199, 1)
    text = fails(box, source, target, "version_conflict", script=one, op_type="create")
    assert "lost" in text and plain.count(target) == 0
    result = box.run("os_reindex", source, target, {"script": one, "op_type": "create", "conflicts": "proceed"})["response"]
    assert (result["created"], result["version_conflicts"], result["target_documents"]) == (1, 199, 1)
