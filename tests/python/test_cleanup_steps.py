"""os_cleanup: what it shows before, which way it takes, and each of its requests made to fail.

The table of requests is not written down here: a run without faults tells which there are, and each of them then fails in
several ways. Whatever happens, the index ends as asked for, or as it was: the same UUID or a clone, the same documents,
mapping, settings and aliases, and nothing left beside it."""
import sqlite3
import threading
import time

import pytest

import datasets
from harness.cluster import unique
from harness.refusal import refusal
from proxy import Proxy

DOCS = datasets.by_id(datasets.products(60))
# what a clone has and its source had not, or names differently
OF_ONE_INDEX = ("uuid", "creation_date", "version", "provided_name", "resize", "blocks", "routing", "routing_partition_size")


def state_of(cluster, index):
    if not cluster.exists(index):
        return None
    got = cluster.get("/" + index)[index]
    return {"settings": {k: v for k, v in got["settings"]["index"].items() if k not in OF_ONE_INDEX}, "mappings": got["mappings"],
            "aliases": got["aliases"], "documents": cluster.documents(index)}


def made(cluster, index):
    cluster.create(index, datasets.PRODUCTS, settings={"refresh_interval": "7s"}, mappings={"_meta": {"by": "test"}})
    cluster.bulk_put(index, DOCS)
    return state_of(cluster, index)


class Trial:
    """One os_cleanup through a proxy whose n-th request fails."""

    def __init__(self, box, cluster, options, fault=None, n=0, **how):
        self.index = unique()
        self.before = made(cluster, self.index)
        with Proxy(cluster.url, seed=1) as proxy:
            box.one("SELECT os_config('OPENSEARCH_ENDPOINT', ?)", proxy.url)
            if fault:
                proxy.rule(fault, on=r"[A-Z]+ /.*", skip=n, times=1, **how)
            try:
                box.run("os_cleanup", self.index, options)
                self.error = None
            except sqlite3.Error as error:
                self.error = str(error)
            calls = proxy.calls()
        self.requests = len(calls)
        self.failed = next(("%s %s" % (e["method"], e["path"].replace(self.index, "…")) for e in calls if e["fault"] != "pass"), None)
        self.after = state_of(cluster, self.index)
        self.around = [i["index"] for i in cluster.get("/_cat/indices/%s*?format=json&h=index" % self.index)]
        self.blocked = self.after and cluster.setting(self.index, "blocks.write") == "true"
        cluster.call("DELETE", "/%s*" % self.index)

    def emptied(self):
        return self.after == {**self.before, "documents": {}}

    def as_it_was(self):
        return self.after == self.before


FAULTS = [("cut_after", {}), ("status", {"code": 500}), ("status", {"code": 403}), ("status_after", {"code": 502})]


@pytest.mark.slow
@pytest.mark.limit(400)
@pytest.mark.parametrize("fault, how", FAULTS, ids=lambda v: str(v))
@pytest.mark.parametrize("threshold", [10, 0], ids=["recreate", "delete"])
def test_each_request_fails(box, plain, threshold, fault, how):
    box.one("SELECT os_config('MAX_RETRIES', 2)")
    options = {"recreate_threshold": threshold}
    good = Trial(box, plain, options)
    assert good.error is None and good.emptied() and good.requests >= 15
    seen = set()
    for n in range(good.requests):
        trial = Trial(box, plain, options, fault, n, **how)
        if trial.failed is None:
            continue  # this time fewer looks at the task were needed
        seen.add(trial.failed.split("?")[0].split("%3A")[0])
        where = "request %d, %s: %s" % (n, trial.failed, trial.error)
        assert trial.around == [trial.index] and not trial.blocked, where
        if trial.error is None:
            assert trial.emptied(), where
        elif trial.failed.startswith("GET /_tasks/") and how.get("code") == 403:
            assert "missing right" in trial.error or "403" in trial.error  # it deletes, and may not be watched
        else:
            assert trial.as_it_was(), where
    assert len(seen) >= 8


@pytest.mark.parametrize("server", ["v3", "es7"])
@pytest.mark.parametrize("threshold", [10, 0], ids=["recreate", "delete"])
def test_the_structure_stays_on_other_servers(request, bare_box, server, threshold):
    cluster = request.getfixturevalue(server)
    bare_box.env["OPENSEARCH_ENDPOINT"] = cluster.url
    trial = Trial(bare_box, cluster, {"recreate_threshold": threshold})
    assert trial.error is None and trial.emptied() and trial.around == [trial.index]


def test_an_index_that_comes_out_otherwise_is_put_back(box, plain, index):
    """A template that was made since adds an alias to the index made anew: searches would find it empty."""
    before = made(plain, index)
    plain.call("PUT", "/_index_template/" + index, {"index_patterns": [index + "*"], "template": {"aliases": {index + "-live": {}}}})
    try:
        with refusal("the aliases of %s are not what they were.*template" % index):
            box.run("os_cleanup", index, {"recreate_threshold": 10})
        assert state_of(plain, index) == before
        assert [i["index"] for i in plain.get("/_cat/indices/%s*?format=json&h=index" % index)] == [index]
        audit = box.audit(box.one("SELECT max(job) FROM os_jobs"))
        assert [a["verdict"] for a in audit if a["check_name"] == "restore"] == ["did"]
    finally:
        plain.call("DELETE", "/_index_template/" + index)


def test_documents_of_a_writer_are_not_taken_away(box, plain, index):
    """Somebody writes into the index just made: that is said, and what he wrote stays."""
    made(plain, index)
    with Proxy(plain.url, seed=1) as proxy:
        box.one("SELECT os_config('OPENSEARCH_ENDPOINT', ?)", proxy.url)
        rule = proxy.rule("delay_answer", on=r"PUT /%s(\?|$)" % index, seconds=1.5)
        failed = []

        def clean():
            try:
                box.run("os_cleanup", index, {"recreate_threshold": 10})
            except sqlite3.Error as error:
                failed.append(str(error))
        thread = threading.Thread(target=clean)
        thread.start()
        while not rule["fired"]:
            time.sleep(0.02)
        for _ in range(200):
            if plain.exists(index) and plain.count(index) == 0:
                break
            time.sleep(0.02)
        plain.put(index, "new", {"title": "written meanwhile"})
        thread.join()
    assert failed and "somebody writes to it" in failed[0]
    assert plain.documents(index) == {"new": {"title": "written meanwhile"}}
    assert [i["index"] for i in plain.get("/_cat/indices/%s*?format=json&h=index" % index)] == [index]


def test_preview(box, plain, index):
    before = made(plain, index)
    uuid = plain.uuid(index)
    for threshold, way in ((10, "recreate"), (61, "delete"), (0, "delete"), (60, "recreate")):
        result = box.run("os_cleanup", index, {"dry_run": True, "recreate_threshold": threshold})
        shown = result["response"]
        assert (shown["documents_before"], shown["way"], shown["deleted"], shown["recreated"], shown["deleted_before"]) == (60, way, 0, False, 0)
        assert len(shown["samples"]) == 5 and all(DOCS[s["_id"]] == s["_source"] for s in shown["samples"])
        assert ("by making it anew" in result["message"]) == (way == "recreate")
        checks = {c["check"]: c for c in result["checks"]}
        assert checks["way"]["detail"].startswith(way) and checks["structure"]["verdict"] == "pass" and "0 aliases" in checks["structure"]["detail"]
    assert state_of(plain, index) == before and plain.uuid(index) == uuid


@pytest.mark.parametrize("documents, deleted, threshold, way, expunge", [
    (60, 0, 0, "delete", "did"), (60, 0, 60, "recreate", None), (60, 0, 61, "delete", "did"),
    (20, 40, 0, "delete", "did"),        # never made anew when that is switched off
    (20, 40, 50, "recreate", None),      # mostly deleted documents, and together they reach the threshold
    (20, 40, 100000, "delete", "did"),   # they do not
    (0, 60, 100000, "expunge", "did"), (0, 60, 50, "recreate", None), (0, 0, 1, "nothing", None)])
def test_the_way_that_is_chosen(box, plain, index, documents, deleted, threshold, way, expunge):
    plain.create(index, datasets.PRODUCTS)
    keys = list(DOCS)[:documents + deleted]
    if keys:
        plain.bulk_put(index, {k: DOCS[k] for k in keys})
    if deleted:
        plain.call("POST", "/%s/_delete_by_query?refresh=true" % index, {"query": {"ids": {"values": keys[:deleted]}}})
    uuid = plain.uuid(index)
    result = box.run("os_cleanup", index, {"recreate_threshold": threshold})["response"]
    assert (result["way"], result["recreated"], result["deleted"]) == (way, way == "recreate", documents)
    assert plain.count(index) == 0 and (plain.uuid(index) != uuid) == (way == "recreate")
    assert [a["verdict"] for a in box.audit(box.one("SELECT max(job) FROM os_jobs")) if a["check_name"] == "expunge"] == ([expunge] if expunge else [])


MOMENTS = {"trial created": r"PUT /%s-os-trial-\d+", "trial deleted": r"DELETE /%s-os-trial-\d+", "writes blocked": r"PUT /%s/_block/write",
           "cloned": r"PUT /%s/_clone/", "deleted": r"DELETE /%s(\?|$)", "created": r"PUT /%s(\?|$)", "counted": r"GET /%s/_count"}


@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupted(through, proxy, plain, index, moment):
    """Ctrl-C while the answer of a request is under way: what was there is put back before the command ends."""
    before = made(plain, index)
    rule = proxy.rule("delay_answer", on=MOMENTS[moment] % index, seconds=3, times=1, skip=1 if moment == "counted" else 0)
    running = through.start("SELECT os_cleanup('%s', '{\"recreate_threshold\":10}');" % index)
    for _ in range(1000):
        if rule["fired"] and not proxy.busy:
            break
        proxy.wait(0.01)
    running.interrupt()
    out = running.finish(60)
    assert out.code != 0 and "interrupted" in out.err, out
    assert state_of(plain, index) == before and plain.setting(index, "blocks.write") != "true"
    assert [i["index"] for i in plain.get("/_cat/indices/%s*?format=json&h=index" % index)] == [index]
    through.run("os_cleanup", index, {"recreate_threshold": 10})
    assert plain.count(index) == 0
