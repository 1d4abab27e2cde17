"""os_reindex through this process: a source on another connection, or a collection of Serverless, is copied document by document;
exactly, whatever the ids, and whole or not at all."""
import json
import threading
import time
from urllib.parse import quote

import pytest

from harness.crash import kill_at
from harness.refusal import refusal
from harness.servers import closed_port
from proxy import Proxy
from test_aws_opensearch import serverless
from test_reindex import until

ODD = ["é", "a b", "100%", 'qu"ote', "back\\slash", "x/y", "#", "tab\there", "~", "-", "日本語", "🂡", "a" * 512, "0", "\u0001", "null"]
SPARSE = {"properties": {"n": {"type": "long"}, "parts": {"type": "nested"}, "deep": {"properties": {"er": {"type": "keyword"}}},
                         "text": {"type": "text", "index": False}, "exact": {"type": "object", "enabled": False}}}


def bulk(plain, index, actions):
    """actions: (id, routing, document as text)"""
    lines = []
    for key, routing, document in actions:
        lines += [json.dumps({"index": {"_id": key, **({"routing": routing} if routing else {})}}), document]
    answer = plain.call("POST", "/%s/_bulk?refresh=true" % index, "\n".join(lines) + "\n", content_type="application/x-ndjson")
    assert not answer["errors"], [i for i in answer["items"] if i["index"]["status"] > 201][:2]


def everything(plain, index):
    """(id, routing, document) of every document, in order."""
    plain.call("POST", "/%s/_refresh" % index)
    page, out = plain.call("POST", "/%s/_search?scroll=1m" % index, {"size": 2000, "sort": ["_doc"]}), []
    while page["hits"]["hits"]:
        out += [(hit["_id"], hit.get("_routing"), json.dumps(hit["_source"], sort_keys=True)) for hit in page["hits"]["hits"]]
        page = plain.call("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})
    plain.call("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]}, allowed=(404,))
    return sorted(out, key=str)


def odd_documents(count):
    """Ids of every kind, routings, numbers that no double holds, nested and sparse fields."""
    for i in range(count):
        key = "%s%d" % (ODD[i % len(ODD)][:500], i) if i >= len(ODD) else ODD[i]
        document = {"n": i, "text": "line\n\"quoted\" \\ é 🂡" * (i % 9), "parts": [{"a": i, "b": None}] * (i % 3)}
        if i % 5 == 0:
            document = {"deep": {"er": "e%d" % i}}
        yield key, ("r%d \"é" % (i % 7) if i % 2 else None), json.dumps(document)[:-1] + ', "exact": {"raw": [12345678901234567890, 1.10, 1e-7, {"anything": ["goes", %d]}]}}' % i


@pytest.fixture(scope="module")
def collection(plain, aws_servers):
    yield aws_servers.proxy("collection", plain.url, "aoss", "--collection", "search")
    aws_servers.stop("collection")


@pytest.fixture(scope="module")
def without_ids(plain, aws_servers):
    yield aws_servers.proxy("without-ids", plain.url, "aoss", "--collection", "vectorsearch")
    aws_servers.stop("without-ids")


@pytest.fixture
def names(plain, index):
    """A source of 3,000 plain documents on three shards; the target is not there yet."""
    source, target = index + "-a", index + "-b"
    plain.create(source, mappings=SPARSE, settings={"number_of_shards": 3})
    bulk(plain, source, (("d%04d" % i, None, '{"n":%d}' % i) for i in range(3000)))
    return source, target


def connected(box, url, **more):
    box.run("os_connect", "other", {"endpoint": url, **more})
    return {"source_connection": "other", "create": True}


@pytest.fixture(params=["connection", "serverless"])
def way(request, box, plain):
    """A box and the options with which it copies by way of this process."""
    if request.param == "connection":
        return box, connected(box, plain.url)
    return serverless(box, request.getfixturevalue("collection").url), {"create": True}


def same(plain, source, target):
    left, right = everything(plain, source), everything(plain, target)
    assert len(left) == len(right)
    assert left == right


def fails(box, source, target, options, *words):
    with refusal() as caught:
        box.run("os_reindex", source, target, options)
    for word in words:
        assert word in str(caught.value), "%r is not in %r" % (word, str(caught.value))


def last(box):
    return box.rows("SELECT * FROM os_jobs WHERE kind = 'reindex' ORDER BY job DESC LIMIT 1")[0]


# ---- exact ---------------------------------------------------------------------------------------------------------------
def test_odd_documents(way, plain, index):
    box, options = way
    source, target = index + "-a", index + "-b"
    plain.create(source, mappings=SPARSE, settings={"number_of_shards": 4})
    bulk(plain, source, odd_documents(6000))
    result = box.run("os_reindex", source, target, options)["response"]
    same(plain, source, target)
    assert result["through_process"] and result["created_target"]
    assert result["total"] == result["created"] == result["target_documents"] == len(everything(plain, source))
    assert plain.get("/%s/_mapping" % target)[target] == plain.get("/%s/_mapping" % source)[source]
    for name in ("é", "100%", "back\\slash"):  # but for blanks, byte for byte
        raw = [plain.opener.open("%s/%s/_source/%s" % (plain.url, i, quote(name, safe=""))).read().replace(b" ", b"") for i in (source, target)]
        assert raw[0] == raw[1] and b"[12345678901234567890,1.10,1e-7," in raw[1]
    assert last(box)["documents_created"] == result["created"]


def test_one_id_under_many_routings(way, plain, index):
    """Wherever a page ends, those of one id may be on both sides of it."""
    box, options = way
    source, target = index + "-a", index + "-b"
    plain.create(source, settings={"number_of_shards": 8})
    bulk(plain, source, (("k%04d" % (i // 16), "r%d" % (i % 16), '{"i":%d}' % i) for i in range(8000)))
    options["create"] = {"settings": {"number_of_shards": 8}}
    before = everything(plain, source)
    assert len(before) > 2000
    assert box.run("os_reindex", source, target, options)["response"]["total"] == len(before)
    same(plain, source, target)


def test_large_documents(way, plain, index):
    """An answer of many of these would be larger than is taken at once."""
    box, options = way
    source, target = index + "-a", index + "-b"
    plain.create(source, mappings=SPARSE)
    for i in range(0, 30, 10):
        bulk(plain, source, (("big%d" % j, None, json.dumps({"text": chr(97 + j % 26) * 1500000})) for j in range(i, i + 10)))
    bulk(plain, source, [("huge", None, json.dumps({"text": "z" * 30000000}))])
    bulk(plain, source, (("small%d" % i, None, '{"n":%d}' % i) for i in range(1000)))
    assert box.run("os_reindex", source, target, options)["response"]["total"] == 1031
    same(plain, source, target)


def test_a_query_and_a_pipeline(box, plain, names, index):
    source, target = names
    options = connected(box, plain.url)
    plain.call("PUT", "/_ingest/pipeline/" + index, {"processors": [{"set": {"field": "piped", "value": True}}]})
    try:
        result = box.run("os_reindex", source, target, {**options, "query": {"range": {"n": {"lt": 100}}}, "pipeline": index})
        assert result["response"]["source_documents"] == result["response"]["created"] == 100
        assert all(doc["piped"] for doc in plain.documents(target).values())
    finally:
        plain.call("DELETE", "/_ingest/pipeline/" + index)


def test_an_existing_target_is_emptied_first(way, plain, names):
    box, options = way
    source, target = names
    plain.create(target)
    bulk(plain, target, [("old", None, '{"n":1}'), ("d0001", "elsewhere", '{"n":2}')])
    assert box.run("os_reindex", source, target, options)["response"]["target_before"] == 2
    same(plain, source, target)
    again = box.run("os_reindex", source, target, options)["response"]
    assert again["created"] == again["target_before"] == 3000
    same(plain, source, target)


def test_dry_run(way, plain, names):
    box, options = way
    result = box.run("os_reindex", *names, {**options, "dry_run": True})
    assert result["response"]["source_documents"] == 3000 and not plain.exists(names[1])
    assert {c["verdict"] for c in result["checks"]} <= {"pass", "skip"}


def test_between_a_collection_and_a_cluster(box, collection, plain, names, index):
    source, target = names
    plain.call("PUT", "/%s/_settings" % source, {"index.routing.allocation.total_shards_per_node": 100, "index.refresh_interval": "9s"})
    serverless(box, collection.url)
    into = {**connected(box, plain.url, serverless=False, auth="none"), "create": True}
    assert box.run("os_reindex", source, target, into)["response"]["target_documents"] == 3000
    same(plain, source, target)
    assert plain.setting(target, "refresh_interval") is None, "a collection takes few settings"
    out = {"connection": "other", "source_connection": "main", "create": True}
    assert box.run("os_reindex", target, index + "-c", out)["response"]["target_documents"] == 3000
    same(plain, source, index + "-c")


# ---- whole or not at all -------------------------------------------------------------------------------------------------
def test_refused_documents(way, plain, names):
    box, options = way
    source, target = names
    options["create"] = {"mappings": {"dynamic": "strict", "properties": {"other": {"type": "keyword"}}}}
    fails(box, source, target, options, "refuses document 'd", "strict_dynamic_mapping_exception", "was removed again", "os_audit")
    assert not plain.exists(target)
    refused = [a for a in box.audit(last(box)["job"]) if a["check_name"] == "refused"]
    assert len(refused) == 10 and all(a["verdict"] == "fail" for a in refused)
    assert last(box)["documents_failed"] >= 10


def test_a_target_with_a_backup_comes_back(box, plain, names):
    source, target = names
    plain.create(target, {"other": {"type": "keyword"}}, mappings={"dynamic": "strict"})
    bulk(plain, target, [("1", None, '{"other":"x"}')])
    fails(box, source, target, {**connected(box, plain.url), "backup": True}, "holds its former documents again")
    assert everything(plain, target) == [("1", None, '{"other": "x"}')]


@pytest.mark.parametrize("rule", [
    {"fault": "status", "on": r"POST /\S*_bulk", "status": 429, "times": 3},
    {"fault": "items", "on": r"POST /\S*_bulk", "status": 429, "percent": 30, "times": 4},
    {"fault": "cut_after", "on": r"POST /\S*_bulk", "times": 2},
    {"fault": "cut_answer", "on": r"POST /\S*_bulk", "times": 2},
    {"fault": "cut_before", "on": r"POST /\S*_bulk", "times": 2},
], ids=["429", "429 of items", "answer lost", "answer cut", "request lost"])
def test_trouble_with_the_target(box, plain, names, proxy, rule):
    source, target = names
    box.env["OPENSEARCH_ENDPOINT"] = proxy.url
    fired = proxy.rule(rule.pop("fault"), **rule)
    result = box.run("os_reindex", source, target, connected(box, plain.url))
    assert fired["fired"] and result["response"]["target_documents"] == 3000
    same(plain, source, target)


def test_op_type_create(box, plain, names, proxy):
    """Two documents of one id on one shard are a conflict; one whose answer was lost is none."""
    source, target = names
    box.env["OPENSEARCH_ENDPOINT"] = proxy.url
    fired = proxy.rule("cut_after", on=r"POST /\S*_bulk", times=1)
    options = {**connected(box, plain.url), "create": {"settings": {"number_of_shards": 1}}, "op_type": "create"}
    result = box.run("os_reindex", source, target, options)["response"]
    assert fired["fired"] and result["created"] + result["version_conflicts"] == result["target_documents"] == 3000
    bulk(plain, source, [("same", r, '{"n":%d}' % i) for i, r in enumerate("abcdef")])
    fails(box, source, target, options, "version_conflict_engine_exception", "'same'", "is empty now")
    result = box.run("os_reindex", source, target, {**options, "conflicts": "proceed"})["response"]
    assert result["version_conflicts"] == result["total"] - 3001 and plain.count(target) == 3001


@pytest.mark.parametrize("rule", [
    {"fault": "cut_answer", "skip": 1, "times": 2}, {"fault": "cut_head", "skip": 1, "times": 2}, {"fault": "cut_before", "times": 2},
    {"fault": "status", "code": 429, "skip": 1, "times": 2}, {"fault": "status", "code": 503, "times": 2},
], ids=["answer cut", "head cut", "request lost", "429", "503"])
@pytest.mark.parametrize("kind", ["connection", "serverless"])
def test_trouble_with_the_source(request, box, plain, names, rule, kind):
    source, target = names
    with Proxy(plain.url if kind == "connection" else request.getfixturevalue("collection").url, seed=11) as between:
        options = connected(box, between.url) if kind == "connection" else {"create": True}
        if kind == "serverless":
            serverless(box, between.url)
        fired = between.rule(rule["fault"], on=r"POST /\S*_search(\?|$)", **{k: v for k, v in rule.items() if k != "fault"})
        result = box.run("os_reindex", source, target, options)
    assert fired["fired"] and result["response"]["total"] == 3000
    same(plain, source, target)


def test_a_point_in_time_is_lost(box, collection, plain, names):
    source, target = names
    gone = json.dumps({"error": {"root_cause": [], "type": "search_context_missing_exception", "reason": "No search context found"}, "status": 404})
    with Proxy(collection.url, seed=1) as between:
        fired = between.rule("status", on=r"POST /_search\?", code=404, body=gone, skip=1, times=2)
        serverless(box, between.url)
        box.run("os_reindex", source, target, {"create": True})
        opened = [entry for entry in between.log if "point_in_time" in entry["path"] and entry["method"] == "POST"]
    assert fired["fired"] == 2 and len(opened) == 3
    same(plain, source, target)


def test_the_source_is_written_to_meanwhile(box, plain, names):
    """What stays as it is arrives whatever happens beside it; the result says that there were writes."""
    source, target = names
    stop = threading.Event()

    def write():
        i = 0
        while not stop.is_set():
            bulk(plain, source, [("d%04d" % (j % 1000), None, '{"n":%d,"changed":true}' % j) for j in range(i, i + 50)] + [("new%d" % i, None, '{"n":-1}')])
            i += 50
            time.sleep(0.02)

    writer = threading.Thread(target=write)
    options = {**connected(box, plain.url), "requests_per_second": 1500}
    writer.start()
    try:
        result = box.run("os_reindex", source, target, options)
    finally:
        stop.set()
        writer.join()
    assert result["response"]["source_writes"] > 0 and "may be missing" in result["message"]
    copied = plain.documents(target)
    assert all(copied["d%04d" % i] == {"n": i} for i in range(1000, 3000))
    assert set(copied) >= {"d%04d" % i for i in range(1000)}


def test_interrupted(way, plain, names):
    box, options = way
    source, target = names
    box.db
    timer = threading.Timer(2, box.db.interrupt)
    timer.start()
    began = time.time()
    fails(box, source, target, {**options, "requests_per_second": 200}, "interrupted", "was removed again")
    assert time.time() - began < 12 and not plain.exists(target) and last(box)["status"] == "interrupted"


def test_cancelled(box, plain, names):
    source, target = names
    options = {**connected(box, plain.url), "requests_per_second": 200}
    process = box.start("SELECT os_connect('other', '{\"endpoint\":\"%s\"}'); SELECT os_reindex('%s', '%s', '%s');" % (plain.url, source, target, json.dumps(options)))
    job = until(lambda: box.rows("SELECT job FROM os_jobs WHERE kind = 'reindex' AND status = 'running'"))[0]["job"]
    until(lambda: plain.exists(target) and plain.count(target))
    box.one("SELECT os_cancel(?)", job)
    assert "cancelled" in process.finish().err
    assert not plain.exists(target)


@pytest.mark.parametrize("done", [True, False], ids=["done", "not done"])
def test_killed_then_again(way, plain, names, done):
    """The same call goes on, and the copy is exact."""
    box, options = way
    source, target = names
    with Proxy(box.env["OPENSEARCH_ENDPOINT"], seed=5) as between:
        box.env["OPENSEARCH_ENDPOINT"] = box.shell.env["OPENSEARCH_ENDPOINT"] = between.url
        connect = "SELECT os_connect('other', '{\"endpoint\":\"%s\"}');" % plain.url if "source_connection" in options else ""
        call = "%s SELECT os_reindex('%s', '%s', '%s');" % (connect, source, target, json.dumps(options))
        kill_at(box, between, call, r"POST /%s/_bulk(?!\?require_alias)" % target, skip=0, done=done)
        again = box.sql(call)
    assert '"resumed":true' in again.out
    same(plain, source, target)


def test_going_on_from_where_it_was(box, proxy, plain, names):
    """After five seconds what is copied is not read again."""
    source, target = names
    options = {**connected(box, proxy.url), "requests_per_second": 300}
    call = "SELECT os_connect('other', '{\"endpoint\":\"%s\"}'); SELECT os_reindex('%s', '%s', '%s');" % (proxy.url, source, target, json.dumps(options))
    process = box.start(call)
    until(lambda: plain.exists(target) and box.rows("SELECT * FROM os_jobs WHERE documents_created > 2400"), 60)
    process.kill()
    process.finish()
    seen = len([e for e in proxy.log if "_search" in e["path"]])
    result = box.run("os_reindex", source, target, {**options, "requests_per_second": None})["response"]
    assert result["resumed"] and result["total"] == 3000 and seen
    assert last(box)["documents_read"] < 3000, "everything was read again"
    same(plain, source, target)


def test_an_unreachable_source(box, plain, names):
    source, target = names
    options = connected(box, "http://127.0.0.1:%d" % closed_port())
    plain.create(target)
    bulk(plain, target, [("1", None, '{"n":1}')])
    fails(box, source, target, options, "the cluster of the source", "127.0.0.1")
    assert plain.count(target) == 1


def test_what_cannot_be(box, plain, names):
    source, target = names
    options = connected(box, plain.url)
    fails(box, source, target, {**options, "script": "ctx._source.x = 1"}, "a script runs on a cluster", "pipeline")
    fails(box, source, source, options, "the same index")
    fails(box, source, target, {**options, "source_connection": "nobody"}, "nobody")
    assert not plain.exists(target)


# ---- collections that take no ids ----------------------------------------------------------------------------------------
def test_a_collection_without_ids(box, without_ids, plain, names):
    source, target = names
    serverless(box, without_ids.url)
    result = box.run("os_reindex", source, target, {"create": True})["response"]
    assert result["target_documents"] == 3000
    assert sorted(document for _, _, document in everything(plain, target)) == sorted(document for _, _, document in everything(plain, source))
    assert [a["verdict"] for a in box.audit(last(box)["job"]) if a["check_name"] == "ids"] == ["unknown"]


def test_a_lost_answer_without_ids(box, without_ids, plain, names):
    """The request is sent again, and nothing but the count tells that its documents are there twice: once both can be seen."""
    source, target = names
    documents = r"POST /%s/_bulk(?!\?require_alias)" % target  # not the question whether ids are taken
    with Proxy(without_ids.url, seed=20261121) as between:
        serverless(box, between.url)
        lost = between.rule("cut_after", on=documents, times=1)
        between.rule("delay", on=documents, times=1, seconds=2)
        with refusal("3000 were copied: a bulk request whose answer was lost has put its documents there twice.*do it again"):
            box.run("os_reindex", source, target, {"create": True})
        assert lost["fired"] == 1 and not plain.exists(target)
        assert box.run("os_reindex", source, target, {"create": True})["response"]["target_documents"] == 3000
