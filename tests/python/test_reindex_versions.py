"""os_reindex_versions: every index becomes its next version, all or nothing is lost, and what was broken off is gone on with."""
import json
import signal
import threading
import time

import pytest

from harness.cluster import HttpError, unique
from harness.crash import kill_at
from harness.paths import ROOT
from harness.refusal import refusal

FIELDS = {"k": {"type": "keyword"}, "n": {"type": "integer"}}
FILTER = {"term": {"k": "a"}}


def documents(count, start=0):
    return {str(i): {"k": "ab"[i % 2], "n": i} for i in range(start, start + count)}


class Versions:
    """Two indices x_v1 and y_v3, and a trigger for them."""

    def __init__(self, box, cluster, url=None, count=50):
        self.box, self.cluster, self.count = box, cluster, count
        base = unique("ver")
        self.base, self.names = base, [base + "x_v1", base + "y_v3"]
        self.next = [base + "x_v2", base + "y_v4"]
        self.alias = [base + "x_current", base + "y_current"]
        for name in self.names:
            cluster.create(name, FIELDS, settings={"refresh_interval": "7s", "index.mapping.total_fields.limit": 77}, aliases={name + "_other": {"filter": FILTER}})
            cluster.bulk_put(name, documents(count))
        self.uuids = [cluster.uuid(name) for name in self.names]
        self.trigger = {"opensearch_endpoint": url or box.env["OPENSEARCH_ENDPOINT"], "index_pattern": "^(.+)_v(\\d+)$",
                        "index_replacement": "\\1_v{{next_version}}", "alias_name": "{{index_base}}_current", "indices": self.names}

    def run(self, trigger=None, **options):
        return self.box.run("os_reindex_versions", trigger or self.trigger, {"poll_interval": 0.2, **options})

    def sql(self, **options):
        return "SELECT os_reindex_versions('%s', '%s');" % (json.dumps(self.trigger), json.dumps({"poll_interval": 0.2, **options}))

    def aliases(self, index):
        answer = self.cluster.get("/%s/_alias" % index, allowed=(404,))
        return answer[index]["aliases"] if index in answer else None

    def indices(self):
        return sorted(i["index"] for i in self.cluster.get("/_cat/indices/%s*?format=json&h=index" % self.base))

    def refused(self, *words, **how):
        """It fails with these words, and the cluster is as it was."""
        before = [(i, self.cluster.uuid(i), self.aliases(i)) for i in self.indices()]
        with refusal() as caught:
            self.run(**how)
        for word in words:
            assert word in str(caught.value), "%r is not in %r" % (word, str(caught.value))
        assert [(i, self.cluster.uuid(i), self.aliases(i)) for i in self.indices()] == before
        return str(caught.value)

    def check_done(self, which=(0, 1), documents_each=None):
        for i in which:
            assert not self.cluster.exists(self.names[i])
            assert self.aliases(self.next[i]) == {self.alias[i]: {"is_write_index": True}, self.names[i] + "_other": {"filter": FILTER}}
            assert self.cluster.documents(self.next[i]) == (documents_each or documents(self.count))
            assert self.cluster.setting(self.next[i], "refresh_interval") == "7s"
            assert self.cluster.setting(self.next[i], "mapping.total_fields.limit") == "77"
            mappings = self.cluster.get("/%s/_mapping" % self.next[i])[self.next[i]]["mappings"]
            assert mappings["properties"] == FIELDS and mappings["_meta"]["os_reindex_versions"]["from"] == self.names[i]

    def audit(self, job=None):
        job = job or self.box.one("SELECT max(job) FROM os_jobs")
        return self.box.rows("SELECT * FROM os_audit WHERE job = ? ORDER BY id", job)


@pytest.fixture
def versions(box, plain):
    made = Versions(box, plain)
    yield made
    plain.call("DELETE", "/%s*" % made.base)


@pytest.fixture
def behind_proxy(through, plain, proxy):
    made = Versions(through, plain, url=proxy.url)
    yield made
    plain.call("DELETE", "/%s*" % made.base)


# ---- the course ---------------------------------------------------------------------------------------------------------------
def test_each_index_becomes_its_next_version(versions):
    result = versions.run()
    versions.check_done()
    assert result["message"] == "Re-indexed 2 indices." and result["response"]["done"] == 2 and result["response"]["continued"] is None
    assert [(r["index"], r["next"], r["alias"], r["state"], r["documents"], r["copied"]) for r in result["response"]["indices"]] == \
        [(versions.names[i], versions.next[i], versions.alias[i], "replaced", 50, 50) for i in (0, 1)]
    did = [(r["step"], r["check_name"]) for r in versions.audit() if r["verdict"] == "did" and r["step"] != "copy"]
    assert did == [("create", "index"), ("alias", "alias"), ("swap", "aliases"), ("delete", "index")] * 2
    assert "fail" not in {r["verdict"] for r in versions.audit()}


def test_dry_run(versions):
    before = versions.indices()
    result = versions.run(dry_run=True)
    assert versions.indices() == before and result["message"] == "2 indices would be re-indexed."
    assert [r["state"] for r in result["response"]["indices"]] == ["planned"] * 2 and result["checks"]
    assert versions.run()["response"]["continued"] is None, "a rehearsal is nothing to go on from"
    versions.check_done()


def test_keep_old(versions):
    result = versions.run(keep_old=True)
    assert [r["state"] for r in result["response"]["indices"]] == ["kept"] * 2
    for i in (0, 1):
        assert versions.aliases(versions.names[i]) == {} and versions.cluster.uuid(versions.names[i]) == versions.uuids[i]
        assert set(versions.aliases(versions.next[i])) == {versions.alias[i], versions.names[i] + "_other"}
    versions.refused("exists already", "job %d has done this trigger" % result["job"])


def test_trigger_from_a_file(versions):
    path = versions.box.file("trigger.json", json.dumps(versions.trigger, indent=2))
    versions.box.run("os_reindex_versions", str(path), {"poll_interval": 0.2})
    versions.check_done()


def test_versions_after_versions(versions):
    """v2 becomes v3: the mark of the first operation does not hinder the second, whose alias exists already."""
    versions.run()
    versions.trigger["indices"] = versions.next
    versions.run()
    assert versions.indices() == [versions.base + "x_v3", versions.base + "y_v5"]
    assert versions.aliases(versions.base + "x_v3") == {versions.alias[0]: {"is_write_index": True}, versions.names[0] + "_other": {"filter": FILTER}}


def test_the_alias_keeps_what_it_had(versions):
    full = {"filter": FILTER, "index_routing": "r", "search_routing": "r"}
    versions.cluster.call("POST", "/_aliases", {"actions": [{"add": {"index": versions.names[0], "alias": versions.alias[0], **full}}]})
    versions.run()
    assert versions.aliases(versions.next[0])[versions.alias[0]] == {**full, "is_write_index": True}


def test_pipelines_do_not_run_again(versions):
    pipeline = versions.base + "p"
    versions.cluster.call("PUT", "/_ingest/pipeline/" + pipeline, {"processors": [{"set": {"field": "k", "value": "changed"}}]})
    versions.cluster.call("PUT", "/%s/_settings" % versions.names[0], {"index.default_pipeline": pipeline})
    versions.run()
    versions.check_done()
    assert versions.cluster.setting(versions.next[0], "default_pipeline") == pipeline


def test_routing_is_kept(versions):
    for route in "ab":
        versions.cluster.call("PUT", "/%s/_doc/1000?routing=%s&refresh=true" % (versions.names[0], route), {"k": route})
    versions.run()
    hit = versions.cluster.call("POST", "/%s/_search" % versions.next[0], {"query": {"ids": {"values": ["1000"]}}})["hits"]["hits"]
    assert {h["_routing"] for h in hit} <= {"a", "b"} and hit


# ---- guards: nothing is touched, not even the first index ---------------------------------------------------------------------
def test_unknown_index(versions):
    versions.trigger["indices"] = [versions.names[0], versions.base + "z_v1"]
    versions.refused("there is no index '%sz_v1'" % versions.base)


@pytest.mark.parametrize("what", ["plain", "alias"])
def test_next_version_exists(versions, what):
    if what == "plain":
        versions.cluster.create(versions.next[1], FIELDS)
    else:
        versions.cluster.call("POST", "/_aliases", {"actions": [{"add": {"index": versions.names[0], "alias": versions.next[1]}}]})
    versions.refused("'%s', exists already" % versions.next[1])


def test_an_index_that_is_an_alias(versions):
    alias = versions.base + "a_v1"
    versions.cluster.call("POST", "/_aliases", {"actions": [{"add": {"index": versions.names[0], "alias": alias}}]})
    versions.trigger["indices"] = [versions.names[0], alias]
    versions.refused("is an alias, not an index")


def test_the_alias_is_an_index(versions):
    versions.cluster.create(versions.alias[1])
    versions.refused("is an index")


def test_the_alias_is_on_another_index(versions):
    versions.cluster.call("POST", "/_aliases", {"actions": [{"add": {"index": versions.names[0], "alias": versions.alias[1]}}]})
    versions.refused("alias '%s' is on '%s'" % (versions.alias[1], versions.names[0]))


@pytest.mark.parametrize("block", ["read", "read_only", "read_only_allow_delete"])
def test_blocked(versions, block):
    versions.cluster.call("PUT", "/%s/_settings" % versions.names[1], {"index.blocks." + block: True})
    versions.refused("index.blocks." + block)
    versions.cluster.call("PUT", "/%s/_settings" % versions.names[1], {"index.blocks." + block: None})


def test_closed(versions):
    versions.cluster.call("POST", "/%s/_close" % versions.names[1])
    versions.refused("is closed")


def test_without_source(versions):
    name = versions.base + "s_v1"
    versions.cluster.create(name, mappings={"_source": {"enabled": False}})
    versions.trigger["indices"] = [versions.names[0], name]
    versions.refused("does not keep _source")


def test_red(versions):
    name = versions.base + "r_v1"
    versions.cluster.create(name, settings={"index.routing.allocation.require._name": "nobody"}, wait_for_active_shards=0)
    versions.cluster.settle(name, ("red",))
    versions.trigger["indices"] = [versions.names[0], name]
    versions.refused("is red")


@pytest.mark.parametrize("change, words", [
    ({"opensearch_endpoint": "https://example.invalid:9200"}, ["https://example.invalid:9200", "no connection"]),
    ({"opensearch_endpoint": "http://u:secret77@localhost"}, ["user or password"]), ({"index_pattern": "("}, ["no regular expression"]),
    ({"indices": []}, ["1 to 1000"]), ({"indices": ["nothing"]}, ["does not match"]), ({"method": "x"}, ["unknown key 'method'"]),
    ({"alias_name": "{{base}}"}, ["{{base}}"])])
def test_bad_triggers(versions, change, words):
    text = versions.refused(*words, trigger={**versions.trigger, **change})
    assert "secret77" not in text
    assert "secret77" not in json.dumps(versions.box.rows("SELECT * FROM os_jobs"))


@pytest.mark.parametrize("given, words", [("{", ["line 1"]), ("[]", ["not a JSON object"]), ("nothing.json", ["no trigger file"]), ("", ["trigger"]),
                                          ("s3://b/k.json", ["bucket's name has 3 to 63"]), (".", ["no trigger file"])])
def test_what_is_no_trigger(versions, given, words):
    versions.refused(*words, trigger=given) if given else versions.box.fails("SELECT os_reindex_versions('');", *words)


def test_unknown_method(versions):
    versions.refused("method", "server", method="sideways")


def test_endpoint_of_a_named_connection(versions):
    versions.box.one("SELECT os_config('OPENSEARCH_ENDPOINT', 'http://127.0.0.1:1')")
    with refusal("no connection"):
        versions.run()
    versions.box.one("SELECT os_connect('second', json_object('endpoint', ?))", versions.cluster.url + "/")
    with refusal("not the endpoint of connection 'main'"):
        versions.run(connection="main")
    versions.run()
    versions.check_done()


# ---- writers --------------------------------------------------------------------------------------------------------------------
def test_writers_through_the_alias_win(behind_proxy, proxy):
    """Written while it is copied: it goes to the new index, and the copy does not come over it."""
    v = behind_proxy
    rule = proxy.rule("delay", on=r"POST /_reindex", seconds=1.5, times=1)

    def write():
        while not rule["fired"]:
            proxy.wait(0.01)
        v.cluster.put(v.alias[0], "1", {"k": "new", "n": -1})
        v.cluster.put(v.alias[0], "more", {"k": "new", "n": -2})
    thread = threading.Thread(target=write)
    thread.start()
    v.run()
    thread.join()
    found = v.cluster.documents(v.next[0])
    assert found["1"] == {"k": "new", "n": -1} and found["more"]["n"] == -2 and len(found) == v.count + 1
    assert any(r["check_name"] == "documents" and "others write through alias" in r["detail"] for r in v.audit())


@pytest.mark.limit(240)
def test_searches_and_writers_all_the_way(behind_proxy, proxy):
    """Four writers add documents through the alias from the moment it is on both, two searchers look all the time: no search
    fails or sees fewer documents than there were, and every document that was acknowledged is there in the end."""
    v = behind_proxy
    v.trigger["indices"] = v.names[:1]
    v.cluster.call("POST", "/_aliases", {"actions": [{"add": {"index": v.names[0], "alias": v.alias[0]}}]})
    stop, go, faults, acknowledged, seen = threading.Event(), threading.Event(), [], {}, []

    def work(target):
        try:
            while not stop.is_set():
                target()
        except Exception as fault:
            faults.append(fault)

    def search():
        answer = v.cluster.call("POST", "/%s/_search?allow_partial_search_results=false" % v.alias[0], {"size": 0, "track_total_hits": True})
        assert answer["_shards"]["failed"] == 0
        seen.append(answer["hits"]["total"]["value"])

    def writer(number):
        def write():
            go.wait(60)
            key = "w%d-%d" % (number, len(acknowledged))
            v.cluster.call("PUT", "/%s/_doc/%s?require_alias=true" % (v.alias[0], key), {"k": "a", "n": number})
            acknowledged[key] = {"k": "a", "n": number}
            time.sleep(0.02)
        return write
    threads = [threading.Thread(target=work, args=(t,)) for t in (search, search, *(writer(i) for i in range(4)))]
    for thread in threads:
        thread.start()
    rule = proxy.rule("delay", on=r"POST /_reindex", seconds=1, times=1)
    starter = threading.Thread(target=lambda: (wait_for(rule, proxy), go.set()))
    starter.start()
    try:
        v.run()
        time.sleep(0.3)
    finally:
        stop.set()
        go.set()
        for thread in [*threads, starter]:
            thread.join()
    assert not faults, faults[:3]
    assert len(acknowledged) > 20 and min(seen) >= v.count
    assert v.cluster.documents(v.next[0]) == {**documents(v.count), **acknowledged}


def wait_for(rule, proxy):
    while not rule["fired"]:
        proxy.wait(0.01)


def test_writers_by_the_old_name_stop_it(behind_proxy, proxy):
    """The old index is not deleted while it has what the new one lacks; allow_writes accepts that."""
    v = behind_proxy
    rule = proxy.rule("delay_answer", on=r"POST /_reindex", seconds=1.5, times=1)

    def write():
        while not rule["fired"]:
            proxy.wait(0.01)
        time.sleep(0.5)
        v.cluster.put(v.names[0], "late", {"k": "a", "n": 1})
    thread = threading.Thread(target=write)
    thread.start()
    with refusal("took 1 operations.*live.*allow_writes"):
        v.run()
    thread.join()
    assert v.cluster.exists(v.names[0]) and v.cluster.count(v.names[0]) == v.count + 1
    assert set(v.aliases(v.names[0])) == {v.alias[0], v.names[0] + "_other"}
    with refusal("took 1 operations"):
        v.run()
    result = v.run(allow_writes=True)
    assert result["response"]["done"] == 2
    v.check_done()


def test_written_to_after_the_swap(behind_proxy, proxy):
    v = behind_proxy
    rule = proxy.rule("delay_answer", on=r"POST /_aliases", seconds=1, skip=1, times=1)

    def write():
        while not rule["fired"]:
            proxy.wait(0.01)
        time.sleep(0.3)
        v.cluster.put(v.names[0], "late", {"k": "a", "n": 1})
    thread = threading.Thread(target=write)
    thread.start()
    with refusal("step delete.*took 1 operations.*still exists"):
        v.run()
    thread.join()
    assert v.cluster.doc(v.names[0], "late") and v.aliases(v.names[0]) == {}


@pytest.mark.parametrize("which, skip, words", [(0, 1, "has 49 documents, but 50 were read"), (1, 0, "has 50 documents, '.*' has 49, and nobody else wrote")])
def test_a_count_that_does_not_fit(behind_proxy, proxy, which, skip, words):
    """Nothing explains it: the aliases stay, and a later call counts again."""
    v = behind_proxy
    index = (v.names[0], v.next[0])[which]
    proxy.rule("status", on=r"GET /%s/_count" % index, skip=skip, code=200, times=1,
               body='{"count":49,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0}}')
    with refusal("step verify.*" + words):
        v.run()
    assert set(v.aliases(v.names[0])) == {v.alias[0], v.names[0] + "_other"}
    assert [r["verdict"] for r in v.audit() if r["check_name"] == "documents"] == ["fail"]
    v.run()
    v.check_done()


def test_acknowledged_and_not_done(behind_proxy, proxy):
    """Read back it is not so, three times: nothing goes on from there."""
    v = behind_proxy
    proxy.rule("status", on=r"POST /_aliases", skip=1, code=200, body='{"acknowledged":true}')
    with refusal("step swap.*acknowledged, but it is not so"):
        v.run()
    assert set(v.aliases(v.names[0])) == {v.alias[0], v.names[0] + "_other"} and v.cluster.count(v.names[0]) == v.count
    proxy.clear()
    v.run()
    v.check_done()


def test_mapping_conflict_is_told(behind_proxy, proxy):
    """Documents that the new index refuses: the copy stops, they are listed, and nothing is taken away."""
    v = behind_proxy
    rule = proxy.rule("delay_answer", on=r"PUT /%s(\?|$)" % v.next[0], seconds=1.5, times=1)

    def narrow():
        while not rule["fired"]:
            proxy.wait(0.01)
        time.sleep(0.4)
        v.cluster.call("PUT", "/%s/_mapping" % v.next[0], {"properties": {"free": {"type": "integer"}}})
    v.trigger["indices"] = v.names[:1]
    v.cluster.delete(v.names[0])
    v.cluster.create(v.names[0], {**FIELDS}, mappings={"dynamic": False}, aliases={v.names[0] + "_other": {}})
    v.cluster.put(v.names[0], "odd", {"free": "text"})
    thread = threading.Thread(target=narrow)
    thread.start()
    with refusal("step copy.*mapper_parsing"):
        v.run()
    thread.join()
    assert v.cluster.doc(v.names[0], "odd") and set(v.aliases(v.names[0])) == {v.alias[0], v.names[0] + "_other"}
    assert any("odd" in (r["detail"] or "") and r["verdict"] in ("fail", "unknown") for r in v.audit()), v.audit()


# ---- broken off, and gone on with ----------------------------------------------------------------------------------------------------
# the request at which the process dies, when the cluster has done it and not answered; how often such a one comes before
MOMENTS = {"guards": (r"GET /{next1}/_alias", 0), "create": (r"PUT /{next0}(\?|$)", 0), "look at it": (r"GET /{next0}/_mapping", 0),
           "alias": (r"POST /_aliases", 0), "alias read": (r"GET /{alias0}/_alias/", 1), "baseline": (r"GET /{old0}/_stats", 0),
           "copy": (r"POST /_reindex", 0), "copying": (r"GET /_tasks/", 0), "count": (r"GET /{next0}/_count", 0), "swap": (r"POST /_aliases", 1),
           "swap read": (r"GET /{next0}/_alias(\?|$)", 2), "delete": (r"DELETE /{old0}(\?|$)", 0), "second create": (r"PUT /{next1}(\?|$)", 0),
           "second swap": (r"POST /_aliases", 3), "second delete": (r"DELETE /{old1}(\?|$)", 0)}


def pattern(v, moment):
    on, skip = MOMENTS[moment]
    return on.format(next0=v.next[0], next1=v.next[1], old0=v.names[0], old1=v.names[1], alias0=v.alias[0]), skip


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(behind_proxy, proxy, moment):
    """kill -9; then the same trigger completes it, in another process, with the same outcome."""
    v = behind_proxy
    on, skip = pattern(v, moment)
    kill_at(v.box, proxy, v.sql(), on, skip=skip)
    result = v.run()
    assert result["response"]["continued"] == 1 and result["response"]["done"] == 2
    v.check_done()
    assert v.indices() == v.next


@pytest.mark.parametrize("moment", ["create", "alias", "copy", "swap", "delete", "second create"])
@pytest.mark.parametrize("fault", ["cut_after", "cut_before"])
def test_answer_lost(behind_proxy, proxy, moment, fault):
    """Either it is settled at once, or the same trigger goes on."""
    v = behind_proxy
    on, skip = pattern(v, moment)
    proxy.rule(fault, on=on, skip=skip, times=1)
    try:
        v.run()
    except Exception as error:
        assert "goes on from here" in str(error), error
        assert v.run()["response"]["continued"] == 1
    v.check_done()
    assert v.indices() == v.next


def test_interrupted_and_cancelled(behind_proxy, proxy):
    """Ctrl-C, then os_cancel from another process: each stops it while it copies; the third call completes it."""
    v = behind_proxy
    for how in ("SIGINT", "cancel"):
        running = v.box.start(v.sql(requests_per_second=20, poll_interval=0.1))
        end = time.time() + 30
        while time.time() < end:
            tasks = v.cluster.get("/_tasks?actions=*reindex&detailed")["nodes"]
            if any(v.base in t.get("description", "") for n in tasks.values() for t in n["tasks"].values()):
                break
            time.sleep(0.05)
        else:
            break  # the copy was through before anybody could stop it
        if how == "SIGINT":
            running.process.send_signal(signal.SIGINT)
        else:
            v.box.one("SELECT os_cancel(max(job)) FROM os_jobs")
        result = running.finish(60)
        assert result.code == 1, result
        tasks = v.cluster.get("/_tasks?actions=*reindex&detailed")["nodes"]
        assert not any(v.base in t.get("description", "") for n in tasks.values() for t in n["tasks"].values()), "the task goes on"
    v.run()
    v.check_done()


def test_without_the_ledger_of_then(behind_proxy, proxy):
    """Who does not know the operation does not go on with it: the index may be anybody's."""
    v = behind_proxy
    proxy.rule("status", on=r"POST /_reindex", code=400, body='{"error":{"type":"x","reason":"no"}}')
    with refusal("goes on from here"):
        v.run()
    proxy.clear()
    other = v.box.connect("other.db")
    with refusal("exists already and was not made for this trigger"):
        other.execute(v.sql().rstrip(";")).fetchone()
    assert v.run(dry_run=True)["response"]["continued"] == 1
    assert v.run()["response"]["continued"] == 1
    v.check_done()


def test_only_one_at_a_time(behind_proxy, proxy):
    v = behind_proxy
    rule = proxy.rule("delay", on=r"POST /_reindex", seconds=3, times=1)
    running = v.box.start(v.sql())
    while not rule["fired"]:
        proxy.wait(0.01)
    with refusal("does this trigger right now"):
        v.run()
    assert running.finish(60).code == 0
    v.check_done()


def test_the_new_index_deleted_midway(behind_proxy, proxy):
    v = behind_proxy
    rule = proxy.rule("delay", on=r"POST /_reindex", seconds=1.5, times=1)

    def delete():
        while not rule["fired"]:
            proxy.wait(0.01)
        v.cluster.delete(v.next[0])
    thread = threading.Thread(target=delete)
    thread.start()
    with refusal("was deleted while it was filled, and what is called so now is another index"):
        v.run()
    thread.join()
    assert v.cluster.count(v.names[0]) == v.count and v.names[0] + "_other" in v.aliases(v.names[0])
    v.refused("exists already and was not made for this trigger")
    v.cluster.delete(v.next[0])
    v.run()
    v.check_done()


def test_begun_anew_with_the_other_method(behind_proxy, proxy):
    """Broken off under server: live is refused, until the new index is deleted; then the old one takes the writes again."""
    v = behind_proxy
    v.cluster.call("POST", "/_aliases", {"actions": [{"add": {"index": v.names[0], "alias": v.alias[0], "filter": FILTER}}]})
    proxy.rule("status", on=r"POST /_reindex", code=400, body='{"error":{"type":"x","reason":"no"}}')
    with refusal("step copy"):
        v.run()
    proxy.clear()
    v.refused("begun with method 'server'", "delete '%s' first" % v.next[0], method="live")
    v.cluster.delete(v.next[0])
    with pytest.raises(HttpError, match="no write index"):
        v.cluster.put(v.alias[0], "x", {"k": "a"})
    v.run(method="live")
    assert v.aliases(v.next[0])[v.alias[0]] == {"filter": FILTER, "is_write_index": True}
    assert v.cluster.documents(v.next[0]) == documents(v.count) and v.indices() == v.next
    assert any(r["check_name"] == "alias" and "as it was on" in r["detail"] for r in v.audit())


def test_the_old_index_replaced_after_it_broke_off(behind_proxy, proxy):
    v = behind_proxy
    proxy.rule("status", on=r"POST /_reindex", code=400, body='{"error":{"type":"x","reason":"no"}}')
    with refusal("step copy.*goes on from here"):
        v.run()
    proxy.clear()
    v.cluster.delete(v.names[0])
    v.cluster.create(v.names[0], FIELDS)
    v.refused("is another one than when this was begun")


def test_an_alias_given_at_the_last_moment(behind_proxy, proxy):
    """The old index is not deleted while any alias serves it."""
    v = behind_proxy
    rule = proxy.rule("delay_answer", on=r"POST /_aliases", skip=1, seconds=1, times=1)

    def give():
        while not rule["fired"]:
            proxy.wait(0.01)
        time.sleep(0.3)
        v.cluster.call("POST", "/_aliases", {"actions": [{"add": {"index": v.names[0], "alias": v.base + "late"}}]})
    thread = threading.Thread(target=give)
    thread.start()
    with refusal("step delete.*alias '%slate' serves it" % v.base):
        v.run()
    thread.join()
    v.refused("late")
    v.cluster.call("POST", "/_aliases", {"actions": [{"remove": {"index": v.names[0], "alias": v.base + "late"}}]})
    v.run()
    v.check_done()


def test_timeout_is_for_the_whole(behind_proxy, proxy):
    v = behind_proxy
    proxy.rule("delay", on=r"POST /_reindex", seconds=3)
    began = time.monotonic()
    with refusal("'timeout'.*ran out"):
        v.run(timeout=1.5)
    assert time.monotonic() - began < 8
    proxy.clear()
    v.run()
    v.check_done()


@pytest.mark.parametrize("path", sorted((ROOT / "examples/triggers").glob("*.json")), ids=lambda p: p.name)
def test_the_examples(box, plain, path):
    """What stands in examples/triggers, at this cluster: each index becomes another one."""
    trigger = json.loads(path.read_text())
    trigger["opensearch_endpoint"] = plain.url
    for name in trigger["indices"]:
        plain.create(name)
    try:
        rows = box.run("os_reindex_versions", trigger, {"poll_interval": 0.1})["response"]["indices"]
        assert [r["index"] for r in rows] == trigger["indices"] and not set(trigger["indices"]) & {r["next"] for r in rows}
        assert all(plain.exists(r["next"]) and list(plain.get("/_alias/" + r["alias"])) == [r["next"]] for r in rows)
    finally:
        for name in [*trigger["indices"], *(r["next"] for r in rows)]:
            plain.delete(name)


def test_many_indices(box, plain):
    """A trigger of fifty: each is done, in order."""
    base = unique("many")
    names = ["%s%02d_v1" % (base, i) for i in range(50)]
    for name in names:
        plain.create(name, FIELDS)
    trigger = {"opensearch_endpoint": plain.url, "index_pattern": "^(.+)_v(\\d+)$", "index_replacement": "\\1_v{{next_version}}",
               "alias_name": "{{index_base}}_current", "indices": names}
    try:
        result = box.run("os_reindex_versions", trigger, {"poll_interval": 0.1})
        assert [r["index"] for r in result["response"]["indices"]] == names and result["response"]["done"] == 50
        found = sorted(i["index"] for i in plain.get("/_cat/indices/%s*?format=json&h=index" % base))
        assert found == [name[:-1] + "2" for name in names]
    finally:
        plain.call("DELETE", "/%s*" % base)
