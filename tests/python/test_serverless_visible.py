"""What was written into a collection of OpenSearch Serverless is found only after a while, and nothing refreshes it. The indices here
refresh every 4 s, and 8 are waited."""
import json

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.crash import kill_at
from harness.refusal import refusal
from proxy import Proxy
from test_aws_opensearch import PLAIN, aoss, serverless  # noqa: F401 - fixtures
from test_reindex_through import bulk, without_ids  # noqa: F401

pytestmark = pytest.mark.table
SLOW = {"refresh_interval": "4s"}


def before(box, url):
    """A box before a collection, with small requests."""
    for env in (box.env, box.shell.env):
        env.update(OPENSEARCH_SERVERLESS_DELAY="8", BATCH_BYTES="4KiB")
    return serverless(box, url)


def waited(box):
    """The jobs that did."""
    return [row["job"] for row in box.rows("SELECT DISTINCT job FROM os_audit WHERE check_name = 'visible' AND verdict = 'did'")]


@pytest.fixture
def collection(box, aoss):  # noqa: F811
    return before(box, aoss.url)


# ---- loads ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("then", [{"mode": "resume", "on_changed": "replace"}, {"mode": "fresh"}, "os_cleanup"], ids=["replace", "fresh", "os_cleanup"])
def test_behind_a_load_that_failed(collection, plain, index, then):
    """It has not waited until what it sent can be found: who replaces or deletes that next must."""
    box = collection
    plain.create(index, {}, settings=SLOW)
    whole = datasets.compress(datasets.ndjson_text(PLAIN).encode(), "c.gz")
    file = box.file("c.ndjson.gz", whole[:len(whole) * 2 // 3])
    box.load_fails(file, index, "c.ndjson.gz", mode="append")
    assert box.job()["documents_read"] > 100
    file.write_bytes(whole)
    if then == "os_cleanup":
        assert box.run("os_cleanup", index)["response"]["documents_before"] > 100
        assert plain.count(index) == 0
    else:
        assert box.load(file, index, **then)["response"]["verified"]
        assert_exactly_once(plain, index, PLAIN)
    assert waited(collection) == [2]


def test_others_who_write_are_not_waited_for(box, aoss, plain, index):  # noqa: F811
    """More documents than a load has created never become fewer by waiting."""
    serverless(box, aoss.url)
    plain.create(index, {}, settings={"refresh_interval": "1s"})
    with Proxy(aoss.url, seed=5) as proxy:
        box.env["OPENSEARCH_ENDPOINT"] = box.shell.env["OPENSEARCH_ENDPOINT"] = proxy.url
        datasets.write(box / "plain.ndjson", PLAIN)
        held = proxy.rule("delay_answer", on=r"POST /[^/?]*/_bulk(?!\?require_alias)", seconds=3, times=1)
        running = box.start("SELECT os_bulk_load('plain.ndjson', '%s', '{\"mode\":\"append\"}');" % index)
        while not held["fired"]:
            proxy.wait(0.05)
        plain.bulk_put(index, {"x%d" % n: {"other": n} for n in range(20)})
        result = running.finish(30).json()["response"]
    assert not result["verified"] and "others wrote" in result["unverified"], result
    assert plain.count(index) == len(PLAIN) + 20


def test_behind_a_fresh_load_that_was_killed(collection, aoss, plain, index):  # noqa: F811
    """Having emptied the index it had counted none; that says nothing about what it sent then."""
    box = collection
    plain.create(index, {}, settings=SLOW)
    plain.bulk_put(index, {"old": {"n": 1}})
    datasets.write(box / "plain.ndjson", PLAIN)
    with Proxy(aoss.url, seed=5) as between:
        kill_at(box, between, "SELECT os_bulk_load('plain.ndjson', '%s', '{\"mode\":\"fresh\"}');" % index, r"POST /%s/_bulk(?!\?require_alias)" % index, skip=1,
                env={"OPENSEARCH_ENDPOINT": between.url})
    assert box.rows("SELECT count_after FROM os_jobs") == [{"count_after": None}]
    box.run("os_cleanup", index)
    assert plain.count(index) == 0 and waited(collection) == [2]


def test_behind_records_that_were_sent_again(collection, plain, index):
    box = collection
    plain.create(index, {"n": {"type": "long"}}, settings=SLOW)
    box.file("some.ndjson", '{"n":1}\n{"n":"x"}\n')
    assert box.load("some.ndjson", index, mode="append")["status"] == "partial"
    box.one("UPDATE dlq_failures SET document = '{\"n\":2}'")
    assert box.run("os_retry_failures")["response"]["resolved"] == 1
    assert box.run("os_cleanup", index)["response"]["deleted"] == 2
    assert plain.count(index) == 0 and len(waited(collection)) == 1


def test_behind_a_load_that_counted(collection, plain, index):
    """Nobody waits for what was seen."""
    datasets.write(collection / "plain.ndjson", PLAIN)
    plain.create(index, {}, settings=SLOW)
    assert collection.load("plain.ndjson", index, mode="append")["response"]["verified"]
    collection.run("os_cleanup", index)
    assert plain.count(index) == 0 and not waited(collection)


# ---- copies ---------------------------------------------------------------------------------------------------------------
def test_a_source_that_is_not_all_there_yet(collection, plain, index):
    box = collection
    datasets.write(box / "plain.ndjson", PLAIN)
    plain.create(index, {}, settings=SLOW)
    box.load("plain.ndjson", index, mode="append", validate="none")
    assert box.run("os_reindex", index, index + "-b", {"create": True})["response"]["created"] == len(PLAIN)
    assert plain.count(index + "-b") == len(PLAIN) and len(waited(collection)) == 1


def test_a_copy_that_is_undone(collection, plain, index):
    """Its last document is refused; what went before cannot be found yet."""
    source, target = index + "-a", index + "-b"
    plain.create(source, mappings={"dynamic": False})
    bulk(plain, source, [("d%04d" % i, None, '{"n":%d}' % i) for i in range(1000)] + [("z", None, '{"n":"x"}')])
    plain.create(target, {"n": {"type": "long"}}, settings=SLOW)
    plain.bulk_put(target, {"old": {"n": 1}})
    with refusal("refuses document 'z'", "is empty now"):
        collection.run("os_reindex", source, target)
    assert plain.count(target) == 0
    job = collection.rows("SELECT documents_created, documents_failed FROM os_jobs")[0]
    assert job["documents_created"] > 100 and job["documents_failed"] == 1


@pytest.mark.parametrize("then", ["again", "undo"])
def test_a_copy_that_was_killed(box, without_ids, plain, index, then):  # noqa: F811
    """Where the service gives ids it cannot be gone on with: all it wrote has to go, or is there twice."""
    before(box, without_ids.url)
    source, target = index + "-a", index + "-b"
    plain.create(source, {})
    bulk(plain, source, [("d%04d" % i, None, '{"n":%d}' % i) for i in range(1000)])
    plain.create(target, {"n": {"type": "long"}}, settings=SLOW)
    call = "SELECT os_reindex('%s', '%s');" % (source, target)
    with Proxy(without_ids.url, seed=5) as between:
        box.env["OPENSEARCH_ENDPOINT"] = box.shell.env["OPENSEARCH_ENDPOINT"] = between.url
        kill_at(box, between, call, r"POST /%s/_bulk(?!\?require_alias)" % target, skip=3)
        result = box.run("os_reindex", source, target, {"mode": "undo" if then == "undo" else "auto"})
    assert result["status"] == "success" and waited(box) == [2]
    assert plain.count(target) == (0 if then == "undo" else 1000)
    if then == "again":
        assert sorted(json.dumps(d) for d in plain.documents(target).values()) == sorted('{"n": %d}' % i for i in range(1000))
