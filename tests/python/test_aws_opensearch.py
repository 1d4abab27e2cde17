"""OpenSearch behind IAM and OpenSearch Serverless: in front of the node stands a server that recomputes each signature, and for
Serverless lets through what the service has (tests/servers). OS_TEST_SIGNED=es runs all other tests in this way."""
import json
import subprocess
from urllib.parse import quote

import pytest

import datasets
from harness.aws import LONG_KEY, SESSION_KEY
from harness.checker import assert_exactly_once
from harness.paths import EXTENSION, ROOT
from harness.refusal import refusal
from proxy import Proxy

DOCS = [{"_id": "d%d" % i, "name": "é + %% ' \"%d" % i, "n": i} for i in range(3000)]
BY_ID = {doc["_id"]: {k: v for k, v in doc.items() if k != "_id"} for doc in DOCS}
PLAIN = [{k: v for k, v in doc.items() if k != "_id"} for doc in DOCS]


@pytest.fixture(scope="module")
def es(plain, aws_servers):
    yield aws_servers.proxy("iam-es", plain.url, "es")
    aws_servers.stop("iam-es")


@pytest.fixture(scope="module", params=["search"])
def aoss(plain, aws_servers, request):
    yield aws_servers.proxy("aoss", plain.url, "aoss", "--collection", request.param)
    aws_servers.stop("aoss")


@pytest.fixture(scope="module", params=["timeseries", "vectorsearch"])
def no_ids(plain, aws_servers, request):
    yield aws_servers.proxy("no-ids", plain.url, "aoss", "--collection", request.param)
    aws_servers.stop("no-ids")


def signed(box, url, keys=LONG_KEY, **more):
    settings = {"OPENSEARCH_ENDPOINT": url, "OPENSEARCH_AUTH": "iam", "AWS_REGION": "us-east-1", **keys, **more}
    box.env.update(settings)
    box.shell.env.update(settings)
    return box


def serverless(box, url):
    return signed(box, url, OPENSEARCH_AUTH="auto", OPENSEARCH_SERVERLESS="true")


@pytest.fixture
def files(box):
    datasets.write(box / "ids.ndjson", DOCS)
    datasets.write(box / "plain.ndjson", PLAIN)
    return box


# ---- IAM ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("keys", [LONG_KEY, SESSION_KEY], ids=["long-term", "session"])
def test_everything_is_signed(files, es, plain, index, keys):
    es.control("/__sigv4/reset")
    box = signed(files, es.url, keys)
    assert box.run("os_ping")["response"]["auth"] == "iam"
    box.load("ids.ndjson", index, create=True)
    assert_exactly_once(plain, index, BY_ID)
    box.run("os_cleanup", index)
    assert plain.count(index) == 0
    stats = es.control("/__sigv4/stats", "GET")
    assert stats["accepted"] > 10 and not stats["rejected"], stats


@pytest.mark.parametrize("name", ["a b", "é", "p+q", "100%", "x&y=z", "semi;colon", "a'b\"c", "~.-_"])
def test_names_of_every_kind(box, es, plain, index, name):
    """Ids go into paths, and so into the signature."""
    signed(box, es.url)
    box.run("os_create_index", index, {})
    path = "/%s/_doc/%s" % (index, quote(name, safe=""))
    assert box.one("SELECT os_request('PUT', ?, ?)", path + "?refresh=true", '{"n":1}')
    assert json.loads(box.one("SELECT os_request('GET', ?)", path))["_id"] == name
    found = json.loads(box.one("SELECT os_request('GET', ?)", "/%s/_search?q=n:1&filter_path=hits.hits._id" % index))
    assert found == {"hits": {"hits": [{"_id": name}]}}


@pytest.mark.parametrize("ahead", [4000, -4000])
@pytest.mark.parametrize("kind", ["es", "aoss"])
def test_a_wrong_clock_is_corrected_once(files, es, aoss, plain, index, kind, ahead):
    """A collection does not say what is wrong; the date of its answer does."""
    server = {"es": es, "aoss": aoss}[kind]
    box = signed(files, server.url) if kind == "es" else serverless(files, server.url)
    server.control("/__sigv4/reset")
    try:
        server.control("/__sigv4/skew?seconds=%d" % ahead)
        box.load("ids.ndjson", index, create=True)
        assert server.control("/__sigv4/stats", "GET")["rejected"] == 1
        assert_exactly_once(plain, index, BY_ID)
        assert box.run("os_ping")
        assert server.control("/__sigv4/stats", "GET")["rejected"] == 1
    finally:
        server.control("/__sigv4/reset")


def test_repeated_requests_are_signed_anew(files, es, plain, index):
    """Answers are lost and requests refused as busy; none that is sent again may carry its first signature for long."""
    with Proxy(es.url, seed=7) as proxy:
        box = signed(files, proxy.url)
        proxy.rule("status", on=r"POST /\S*_bulk", status=429, times=2)
        proxy.rule("cut_after", on=r"POST /\S*_bulk", skip=1, times=2)
        box.load("plain.ndjson", index, create=True, batch_size=200)
        assert box.job()["retries"] >= 3
        proxy.clear()
        slow = proxy.rule("delay_answer", on=r"POST /\S*_bulk", seconds=3, times=1)
        seen = len(es.decisions())
        box.load("plain.ndjson", index, mode="fresh", timeout=1.5)
    assert slow["fired"] == 1 and plain.count(index) == len(PLAIN)
    sent = [d["date"] for d in es.decisions()[seen:] if d["ok"] and "/_bulk" in d["target"]]
    assert len(sent) == 2 and sent[0] < sent[1], sent


@pytest.mark.parametrize("settings, words", [
    ({"AWS_SECRET_ACCESS_KEY": "another"}, ["does not match the signature", "AWS_SECRET_ACCESS_KEY does not belong", "the keys come from"]),
    ({"AWS_ACCESS_KEY_ID": "AKIDNOBODY"}, ["is invalid", "does not know the access key"]),
    ({"AWS_REGION": "eu-west-1"}, ["valid region", "set AWS_REGION"]),
    ({"OPENSEARCH_SERVERLESS": "true"}, ["403", "data access policy", "aoss:DescribeIndex", "the keys come from the environment"]),
    ({"AWS_SECRET_ACCESS_KEY": ""}, ["AWS_SECRET_ACCESS_KEY", "logging in to"]),
    ({"AWS_REGION": ""}, ["region of AWS is not known", "AWS_REGION"]),
])
def test_what_is_wrong_is_said(box, es, settings, words):
    signed(box, es.url, **settings)
    out = box.fails("SELECT os_ping();", *words)
    assert LONG_KEY["AWS_SECRET_ACCESS_KEY"] not in out.err + out.out


def test_a_named_cluster(box, es):
    box.env.update(LONG_KEY)
    box.run("os_connect", "aws", {"endpoint": es.url, "auth": "iam", "aws_region": "us-east-1"})
    assert box.run("os_ping", "aws")["response"]["auth"] == "iam"
    assert box.one("SELECT auth FROM os_connections WHERE name = 'aws'") == "iam"
    box.run("os_connect", "elsewhere", {"endpoint": es.url, "auth": "iam", "aws_region": "eu-west-1"})
    with refusal("valid region"):
        box.run("os_ping", "elsewhere")


def test_no_secret_in_the_log(files, es, index):
    box = signed(files, es.url, SESSION_KEY, LOG_LEVEL="DEBUG", LOG_FILE="log")
    box.load("ids.ndjson", index, create=True)
    text = (files / "log").read_text() + box.db.execute("SELECT group_concat(quote(detail)) FROM os_audit").fetchone()[0]
    assert "_bulk" in text
    assert SESSION_KEY["AWS_SECRET_ACCESS_KEY"] not in text and SESSION_KEY["AWS_SESSION_TOKEN"] not in text


def test_the_walk_through(plain, index, aws_servers, es):
    environment = {**aws_servers.environment, "OPENSEARCH_ENDPOINT": plain.url, "OS_EXTENSION": str(EXTENSION)}
    done = subprocess.run([str(ROOT / "examples/aws/signed.sh"), index], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "signature we calculated does not match" in lines[1] and lines[2] == "with the right one: iam"
    assert lines[3].startswith("Loaded 9 documents from 3 files") and lines[4] == "9" and "is deleted" in lines[5]


# ---- Serverless -------------------------------------------------------------------------------------------------------------
def test_a_collection_is_recognised(box, aoss):
    serverless(box, aoss.url)
    ping = box.run("os_ping")["response"]
    assert ping["serverless"] and ping["distribution"] == "serverless" and ping["auth"] == "iam"


@pytest.mark.parametrize("name, mode", [("ids", "upsert"), ("plain", "append"), ("plain", "fresh")])
def test_loads_into_a_collection(files, aoss, plain, index, name, mode):
    """Nothing refreshes a collection: counting waits until what was sent can be found."""
    box = serverless(files, aoss.url)
    box.run("os_create_index", index, {})
    done = box.load(name + ".ndjson", index, mode=mode)["response"]
    assert done["verified"] and done["count_after"] == len(DOCS)
    again = box.load(name + ".ndjson", index, mode="upsert" if name == "ids" else "fresh")["response"]
    assert again["verified"] and again["count_after"] == len(DOCS)
    assert not [d for d in aoss.decisions() if "_refresh" in d["target"] and index in d["target"]]
    assert plain.count(index) == len(DOCS)


def test_answers_lost_on_the_way_to_a_collection(files, aoss, plain, index):
    with Proxy(aoss.url, seed=3) as proxy:
        box = serverless(files, proxy.url)
        proxy.rule("cut_after", on=r"POST /\S*_bulk", skip=2, times=3)
        assert box.load("plain.ndjson", index, create=True, batch_size=300)["response"]["verified"]
    assert plain.count(index) == len(PLAIN)


def test_keys_that_nobody_knows_stop_a_load_before_it_begins(files, es, plain, index):
    """Not a right that a guard could do without: nobody knows who asks."""
    plain.create(index)
    box = signed(files, es.url, {"AWS_ACCESS_KEY_ID": "AKIDNOBODY", "AWS_SECRET_ACCESS_KEY": "x" * 40})
    box.load_fails("ids.ndjson", index, "GET /: 403", "token included in the request is invalid", "AWS_ACCESS_KEY_ID", "from the environment")
    assert "bulk" not in json.dumps(box.audit())


def test_bulk_requests_that_are_refused_say_what_others_say(files, es, plain, index):
    """In the middle of a load, too, the advice is that of AWS, and names where the keys come from."""
    plain.create(index, datasets.PRODUCTS)
    message = "User: arn:aws:iam::1:user/u is not authorized to perform: es:ESHttpPost because no policy allows it"
    with Proxy(es.url) as proxy:
        box = signed(files, proxy.url)
        proxy.rule("status", code=403, skip=1, body=json.dumps({"Message": message}))
        box.load_fails("ids.ndjson", index, "POST /%s/_bulk: 403" % index, "missing right: es:ESHttpPost", "access policy",
                       "from the environment", "resume", batch_size=100, max_workers=1)
        proxy.clear()
        box.load("ids.ndjson", index, mode="resume")
    assert_exactly_once(plain, index, BY_ID)


def test_a_collection_is_emptied(files, aoss, plain, index):
    box = serverless(files, aoss.url)
    box.load("ids.ndjson", index, create=True)
    plain.call("PUT", "/%s/_doc/routed?routing=r7" % index, {"n": 1})
    plain.call("POST", "/%s/_refresh" % index)
    result = box.run("os_cleanup", index)
    assert result["response"]["way"] == "delete" and result["response"]["deleted"] == len(DOCS) + 1
    assert plain.count(index) == 0
    assert [a["check_name"] for a in box.audit(result["job"]) if a["verdict"] == "did"] == ["delete"]


def test_a_collection_that_lost_what_it_acknowledged(files, aoss, plain, index):
    """Nobody can tell who did it, so that it is no error; but whoever reads no more than the log has to hear of it."""
    plain.create(index, datasets.PRODUCTS)
    items = [{"index": {"_index": index, "_id": str(i), "_version": 1, "result": "created", "status": 201}} for i in range(len(DOCS))]
    with Proxy(aoss.url) as proxy:
        box = serverless(files, proxy.url)
        proxy.rule("status", on=r"POST /\S*_bulk\?filter_path", code=200, body=json.dumps({"took": 1, "errors": False, "items": items}))
        ran = box.sql("SELECT os_bulk_load('ids.ndjson', '%s', '{\"mode\":\"upsert\"}');" % index, env={"OPENSEARCH_SERVERLESS_DELAY": "1"})
    assert "WARNING" in ran.err and "the count moved by 0 where this load created %d" % len(DOCS) in ran.err, ran
    assert '"verified":false' in ran.out


def test_fresh_with_versions_in_a_collection(box, aoss, plain, index):
    """What was deleted is remembered with its version, and nothing can be made anew: all records would be skipped."""
    box = serverless(box, aoss.url)
    source = box.file("v.ndjson", "".join('{"_id":"%d","v":7}\n' % i for i in range(20)))
    assert box.load(source, index, mode="fresh", version_field="v", create=True)["response"]["created"] == 20
    box.load_fails(source, index, "version_field", "collection", "create", "upsert", mode="fresh", version_field="v")
    assert plain.count(index) == 20 and box.audit()[-1]["verdict"] == "fail"
    box.run("os_delete_index", index, index)
    assert box.load(source, index, mode="fresh", version_field="v", create=True)["response"]["created"] == 20


def test_a_collection_that_still_shows_what_was_deleted(files, aoss, plain, index):
    """Longer than the setting says: nobody need have written."""
    plain.create(index, settings={"refresh_interval": "-1"})
    plain.bulk_put(index, {"a": {"n": 1}, "b": {"n": 2}})
    plain.call("POST", "/%s/_refresh" % index)
    with refusal("2 documents after it was emptied.*OPENSEARCH_SERVERLESS_DELAY"):
        box = serverless(files, aoss.url)
        box.env["OPENSEARCH_SERVERLESS_DELAY"] = "1"
        box.run("os_cleanup", index)
    plain.call("POST", "/%s/_refresh" % index)
    assert plain.count(index) == 0


def test_an_alias_moves_in_a_collection(files, aoss, plain, index):
    box = serverless(files, aoss.url)
    for name in ("-a", "-b"):
        box.load("ids.ndjson", index + name, create=True)
    plain.call("POST", "/_aliases", {"actions": [{"add": {"index": index + "-a", "alias": index}}]})
    box.run("os_switch_alias", index, index + "-a", index + "-b")
    assert list(plain.get("/_alias/" + index)) == [index + "-b"]


def test_nothing_is_asked_for_that_a_collection_has_not(files, aoss, plain, index):
    box = serverless(files, aoss.url)
    aoss.control("/__sigv4/reset")
    a, b = index + "-a", index + "-b"
    box.load("ids.ndjson", a, create=True, force_merge=True)
    box.load("ids.ndjson", a, mode="upsert")
    box.load("plain.ndjson", a, mode="fresh")
    box.run("os_reindex", a, b, {"create": True})
    box.run("os_reindex", a, b)
    box.run("os_cleanup", a)
    plain.call("POST", "/_aliases", {"actions": [{"add": {"index": a, "alias": index}}]})
    box.run("os_switch_alias", index, a, b, {"allow_unverified": True})
    stats = aoss.control("/__sigv4/stats", "GET")
    assert stats["accepted"] > 30 and stats["lacking"] == []


@pytest.mark.parametrize("statement, words", [
    ("os_force_merge('a')", "Serverless"),
])
def test_what_a_collection_has_not(box, aoss, statement, words):
    serverless(box, aoss.url)
    box.fails("SELECT %s;" % statement, words)


def test_a_collection_without_ids(files, no_ids, plain, index):
    """Time series and vectors: exactly-once is off, and the result says so; ids of the files' own are refused before anything is
    sent."""
    box = serverless(files, no_ids.url)
    done = box.load("plain.ndjson", index, create=True)["response"]
    assert "exactly_once is off" in done["mode_reason"] and done["verified"]
    assert plain.count(index) == len(PLAIN)
    box.load_fails("ids.ndjson", index, "takes no ids", "ids.ndjson", mode="upsert")
    assert plain.count(index) == len(PLAIN)


def test_doubles_in_a_collection_without_ids_are_counted(files, no_ids, plain, index):
    with Proxy(no_ids.url, seed=3) as proxy:
        box = serverless(files, proxy.url)
        # the first two bulk requests: the question whether ids are taken, and a batch of 300
        proxy.rule("cut_after", on=r"POST /\S*_bulk", skip=1, times=1)
        again = proxy.rule("delay", on=r"POST /\S*_bulk", skip=2, times=1, seconds=2)  # the first can be seen before it
        done = box.load("plain.ndjson", index, create=True, batch_size=300)["response"]
    plain.call("POST", "/%s/_refresh" % index)
    assert again["fired"] == 1
    twice = plain.count(index) - len(PLAIN)
    assert twice == 300 and not done["verified"] and "as many as 300 records may be there twice" in done["unverified"]
