"""What builds on a copy in a collection of OpenSearch Serverless: the next version of an index, and a refresh without downtime."""
import json
import sqlite3
import threading

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.cluster import unique
from harness.crash import kill_at
from harness.refusal import refusal
from proxy import Proxy
from test_aws_opensearch import serverless
from test_reindex import until
from test_reindex_through import collection, without_ids  # noqa: F401 - fixtures
from test_reindex_versions import FIELDS, FILTER, documents

OLD, NEW = datasets.products(300), datasets.products(450, start=2000)


class Versions:
    def __init__(self, box, plain, url, count=2000):
        self.box, self.plain, self.base, self.documents = serverless(box, url), plain, unique("aossver"), documents(count)
        self.old, self.next, self.alias = self.base + "_v1", self.base + "_v2", self.base + "_current"
        plain.create(self.old, FIELDS, aliases={self.old + "_other": {"filter": FILTER}})
        plain.bulk_put(self.old, self.documents)
        self.trigger = {"opensearch_endpoint": url, "index_pattern": "^(.+)_v(\\d+)$", "index_replacement": "\\1_v{{next_version}}",
                        "alias_name": "{{index_base}}_current", "indices": [self.old]}

    def run(self, **options):
        return self.box.run("os_reindex_versions", self.trigger, {"allow_unverified": True, **options})

    def refused(self, *words, **options):
        with refusal() as caught:
            self.run(**options)
        for word in words:
            assert word in str(caught.value), str(caught.value)
        assert self.plain.exists(self.old) and not self.plain.exists(self.next)

    def check_done(self):
        assert not self.plain.exists(self.old) and self.plain.documents(self.next) == self.documents
        aliases = self.plain.get("/%s/_alias" % self.next)[self.next]["aliases"]
        assert aliases == {self.alias: {"is_write_index": True}, self.old + "_other": {"filter": FILTER}}
        assert self.plain.get("/%s/_mapping" % self.next)[self.next]["mappings"]["properties"] == FIELDS


@pytest.fixture
def versions(box, plain, collection):
    made = Versions(box, plain, collection.url)
    yield made
    plain.call("DELETE", "/%s*" % made.base)


# ---- versions --------------------------------------------------------------------------------------------------------------
def test_the_next_version(versions, collection):
    result = versions.run()["response"]["indices"][0]
    versions.check_done()
    assert (result["state"], result["documents"], result["copied"]) == ("replaced", 2000, 2000)
    assert not [d for d in collection.decisions() if "_reindex" in d["target"] and "point_in_time" not in d["target"]]
    rows = versions.box.rows("SELECT * FROM os_audit WHERE job = (SELECT max(job) FROM os_jobs)")
    assert "unknown" in {r["verdict"] for r in rows if r["check_name"] == "writers"} and "fail" not in {r["verdict"] for r in rows}


def test_what_is_in_the_next_version_wins(versions, plain):
    """A document that a writer puts there through the alias while the rest is copied is not overwritten."""
    with Proxy(versions.trigger["opensearch_endpoint"], seed=3) as between:
        versions.box.env["OPENSEARCH_ENDPOINT"] = versions.trigger["opensearch_endpoint"] = between.url
        reading = between.rule("delay", on=r"POST /%s/_search/point_in_time" % versions.old, seconds=1.5)
        writer = threading.Thread(target=lambda: until(lambda: reading["fired"]) and plain.put(versions.alias, "7", {"k": "new", "n": -7}))
        writer.start()
        versions.run()
        writer.join()
    versions.documents["7"] = {"k": "new", "n": -7}
    versions.check_done()


def test_writers_cannot_be_seen(versions):
    versions.refused("does not tell whether somebody writes", "allow_unverified", allow_unverified=False)
    versions.refused("no write block", method="live")


def test_refused_without_ids(box, plain, without_ids):
    made = Versions(box, plain, without_ids.url, count=10)
    try:
        made.refused("gives its documents ids of its own", "os_reindex")
    finally:
        plain.call("DELETE", "/%s*" % made.base)


@pytest.mark.parametrize("moment", [r"PUT /%s(\?|$)", r"POST /%s/_bulk", r"POST /_search\?", r"DELETE /%s(\?|$)"], ids=["created", "copied", "read", "deleted"])
def test_killed_then_again(versions, moment):
    with Proxy(versions.trigger["opensearch_endpoint"], seed=5) as between:
        env = {"OPENSEARCH_ENDPOINT": between.url}
        versions.box.shell.env.update(env)
        versions.trigger["opensearch_endpoint"] = between.url
        name = versions.old if "DELETE" in moment else versions.next
        call = "SELECT os_reindex_versions('%s', '{\"allow_unverified\":true}');" % json.dumps(versions.trigger)
        pattern = moment % name if "%s" in moment else moment
        kill_at(versions.box, between, call, pattern + ("(?!\\?require_alias)" if "_bulk" in moment else ""))
        out = versions.box.sql(call).out
    assert '"continued":1' in out
    versions.check_done()


# ---- a refresh ---------------------------------------------------------------------------------------------------------------
@pytest.fixture
def names(plain, index, box, collection):
    serverless(box, collection.url)
    alias, primary, secondary = index + "_live", index + "_a", index + "_b"
    plain.create(primary, datasets.PRODUCTS, aliases={alias: {}})
    plain.bulk_put(primary, datasets.by_id(OLD))
    datasets.write(box / "new.ndjson", NEW)
    return alias, primary, secondary


def test_a_refresh(box, plain, names):
    result = box.run("os_refresh_data", *names, "new.ndjson", {"delay": 0, "create": True, "allow_unverified": True})
    assert result["status"] == "success" and "450 documents loaded anew" in result["message"]
    assert list(plain.get("/_alias/" + names[0])) == [names[1]]
    assert_exactly_once(plain, names[1], NEW)
    assert plain.documents(names[2]) == datasets.by_id(OLD)


def test_a_refresh_wants_to_be_told(box, plain, names):
    with pytest.raises(sqlite3.Error, match="does not tell whether others write.*allow_unverified"):
        box.run("os_refresh_data", *names, "new.ndjson", {"delay": 0, "create": True})
    assert not plain.exists(names[2]) and plain.documents(names[1]) == datasets.by_id(OLD)
