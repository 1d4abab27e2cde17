"""Loads from S3 when something breaks: bodies cut short, throttling, faults of the server, objects replaced or deleted midway,
tokens of a list that are not known any more, silence. The proxy stands between the extension and versitygw, which still
verifies each signature."""
import os
import re
import threading
import time
import urllib.parse

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.credentials import config, from_now, printed, program
from harness.s3 import at, put
from proxy import Proxy

pytestmark = pytest.mark.table

DOCS = datasets.products(300)
BIG = datasets.products(60000)  # three ranges and a bit
SLOW_DOWN = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


def fault(code, text="injected"):
    return "<Error><Code>%s</Code><Message>%s</Message></Error>" % (code, text)


@pytest.fixture
def broken(box, s3, s3_server):
    """The proxy in front of S3; the box goes through it."""
    with Proxy(s3_server.url, seed=20261121) as proxy:
        at(box, {"AWS_ENDPOINT_URL_S3": proxy.url})
        yield proxy


def xml(code, body, **more):
    return {"fault": "status", "code": code, "body": body, "content_type": "application/xml", **more}


# ---- what passes --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rule", [
    {"fault": "cut_answer", "times": 8}, {"fault": "cut_before", "times": 6}, {"fault": "cut_head", "times": 6}, {"fault": "cut_after", "times": 6},
    {"fault": "lie", "kind": "truncated", "times": 6}, {"fault": "chunked", "cut": True, "times": 6}, {"fault": "drip", "seconds": 0.5},
    xml(503, SLOW_DOWN, times=8), xml(500, fault("InternalError"), times=8), xml(429, fault("TooManyRequestsException"), times=4), {"fault": "status", "code": 502, "html": True, "times": 6}],
    ids=lambda rule: "%s-%s" % (rule["fault"], rule.get("kind", rule.get("code", ""))))
@pytest.mark.limit(200)
def test_reading_survives(box, plain, index, s3, bucket, broken, rule):
    plain.create(index, datasets.PRODUCTS)
    name = "big.csv.gz" if rule.get("kind") or rule.get("code") == 503 else "big.ndjson"
    put(s3, bucket, name, BIG)
    broken.rule(on="GET /%s/big" % bucket, share=0.6, **rule)
    box.load("s3://%s/%s" % (bucket, name), index)
    assert plain.count(index) == len(BIG) and sum(r["fired"] for r in broken.rules)
    assert_exactly_once(plain, index, BIG)


def test_what_arrived_is_not_asked_for_again(box, plain, index, s3, bucket, broken):
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "big.ndjson", BIG)
    size = len(datasets.ndjson_text(BIG).encode())
    broken.rule("lie", kind="truncated", on="GET /%s/big" % bucket, skip=1, times=4)
    box.load("s3://%s/big.ndjson" % bucket, index)
    spans = [c["headers"]["range"].split("=")[1].split("-") for c in broken.calls() if "range" in c.get("headers", {})]
    whole = sum(int(b) - int(a) + 1 for a, b in spans)
    # the head is read by the plan, too; two thirds of each range that was cut came before the cut
    assert whole < size + (4 << 20) + 4 * (4 << 20) // 3 + (1 << 16), (whole, size, spans)
    assert whole > size + (4 << 20)
    assert_exactly_once(plain, index, BIG)


@pytest.mark.parametrize("rule", [xml(503, SLOW_DOWN, times=3), xml(500, fault("InternalError"), times=3), {"fault": "cut_answer", "times": 2}, {"fault": "cut_before", "times": 2}],
                         ids=lambda rule: "%s-%s" % (rule["fault"], rule.get("code", "")))
def test_listing_survives(box, plain, index, s3, bucket, broken, rule):
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "p/a.csv", DOCS)
    broken.rule(on=r"GET /%s\?list" % bucket, **rule)
    box.load("s3://%s/p/" % bucket, index)
    assert_exactly_once(plain, index, DOCS)


def test_a_list_goes_on_behind_the_last_key(box, plain, index, s3, bucket, broken):
    for n in range(1005):
        s3.put(bucket, "p/%04d.ndjson" % n, '{"n":%d}\n' % n)
    plain.create(index, {})
    broken.rule(on=r"GET .*continuation-token", times=1, **xml(400, fault("InvalidArgument", "The continuation token provided is incorrect")))
    box.load("s3://%s/p/" % bucket, index)
    assert plain.count(index) == 1005
    assert any("start-after=p%2F0999.ndjson" in call["path"] for call in broken.calls())


@pytest.mark.parametrize("path", ["p/", "p/a.csv"])
def test_keys_that_s3_calls_expired(box, plain, index, s3, bucket, broken, path):
    """Others are fetched from where they came, and the request goes again."""
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "p/a.csv", DOCS)
    keys = {name: box.env[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    program(box, "echo >>runs\n[ $(wc -l <runs) = 1 ] && echo '%s' || echo '%s'\n" % (
        printed(keys, SessionToken="old", Expiration=from_now(3600)), printed(keys, Expiration=from_now(3600))))
    config(box, "[default]\ncredential_process = %s\n" % (box / "keys.sh"))
    at(box, {name: None for name in keys})
    broken.rule(on="GET /", times=1, **xml(400, fault("ExpiredToken", "The provided token has expired.")))
    box.load("s3://%s/%s" % (bucket, path), index)
    assert_exactly_once(plain, index, DOCS)
    assert len((box / "runs").read_text().splitlines()) == 2
    assert broken.rules[0]["fired"] == 1


# ---- what does not --------------------------------------------------------------------------------------------------------------
def test_throttled_for_good(box, plain, index, s3, bucket, broken):
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "a.csv", DOCS)
    at(box, {"MAX_RETRIES": "2"})
    broken.rule(on="GET /%s/a" % bucket, **xml(503, SLOW_DOWN))
    text = box.load_fails("s3://%s/a.csv" % bucket, index, "s3://%s/a.csv" % bucket, "SlowDown", "503")
    assert len([c for c in broken.calls() if c["method"] == "GET"]) == 3, text
    assert plain.count(index) == 0


@pytest.mark.parametrize("on, code, words", [
    (r"\?list", "AccessDenied", ["s3:ListBucket", "403"]), ("/a.csv", "AccessDenied", ["s3:GetObject", "/a.csv", "403"]),
    ("/a.csv", "InvalidObjectState", ["archived", "restore"]), (r"\?list", "RequestTimeTooSkewed", ["s3:ListBucket", "clock"]),
    ("/a.csv", "RequestTimeTooSkewed", ["s3:GetObject", "clock"])])
def test_denied(box, plain, index, s3, bucket, broken, on, code, words):
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "p/a.csv", DOCS)
    broken.rule(on="GET .*" + on, **xml(403, fault(code)))
    text = box.load_fails("s3://%s/p/" % bucket, index, *words)
    assert ("must allow" in text) == (code == "AccessDenied"), text
    assert plain.count(index) == 0 and box.job()["status"] == "failed"


@pytest.mark.parametrize("answer, words", [
    (xml(400, fault("TokenRefreshRequired", "The provided token must be refreshed.")), ["keys have expired", "log in again"]),
    (xml(404, fault("NoSuchKey")), ["was deleted before it was read"])], ids=["token", "deleted"])
def test_an_answer_of_s3_is_no_fault_of_the_file(box, plain, index, s3, bucket, broken, answer, words):
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "big.ndjson", BIG)
    path = "s3://%s/big.ndjson" % bucket
    broken.rule(on="GET /%s/big" % bucket, skip=3, **answer)
    text = box.load_fails(path, index, path, *words)
    assert "mend the file" not in text, text
    broken.clear()
    box.load(path, index, mode="resume")
    assert_exactly_once(plain, index, BIG)


@pytest.mark.parametrize("path, words", [("p", None), ("p/*.csv", None), ("p/*.json", ["nothing matches"]), ("q/*.csv", ["nothing matches"])])
def test_a_key_that_is_refused_may_be_a_prefix_or_a_pattern(box, plain, index, s3, bucket, broken, path, words):
    """Who may list under a condition alone is answered with 403 for any key that is not there."""
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "p/a.csv", DOCS)
    broken.rule(on="GET /%s/%s( |$)" % (bucket, re.escape(urllib.parse.quote(path))), **xml(403, fault("AccessDenied")))
    if words:
        box.load_fails("s3://%s/%s" % (bucket, path), index, *words)
    else:
        box.load("s3://%s/%s" % (bucket, path), index)
        assert_exactly_once(plain, index, DOCS)
    assert sum(rule["fired"] for rule in broken.rules) == 1


def test_a_refused_key_that_looks_like_a_pattern(box, plain, index, s3, bucket, broken):
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "p/a[1].csv", DOCS[:9])
    put(s3, bucket, "p/a1.csv", DOCS)
    broken.rule(on="GET .*a%5B", **xml(403, fault("AccessDenied")))
    box.load_fails("s3://%s/p/a[1].csv" % bucket, index, "s3:GetObject", "a[1].csv", "403")
    assert plain.count(index) == 0


def test_a_key_and_its_list_that_are_refused(box, plain, index, s3, bucket, broken):
    plain.create(index, datasets.PRODUCTS)
    broken.rule(on="GET /%s" % bucket, **xml(403, fault("AccessDenied")))
    text = box.load_fails("s3://%s/p" % bucket, index, "s3:GetObject on s3://%s/p" % bucket, "403")
    assert "ListBucket" not in text


def meanwhile(broken, bucket, requests, do):
    """Run `do` when so many ranges of the large object have been asked for; later ones wait until it is done."""
    lock, done = threading.Lock(), threading.Event()

    def once():
        with lock:
            if not done.is_set():
                do()
                done.set()
    broken.rule("call", on="GET /%s/big" % bucket, skip=requests, do=once)
    return done


@pytest.mark.parametrize("name", ["big.ndjson", "big.csv.gz"])
def test_replaced_midway(box, plain, index, s3, bucket, broken, name):
    """Never a mixture: what came of the old content counts, nothing of the new one does, and resume replaces it."""
    plain.create(index, datasets.PRODUCTS)
    new = [{**doc, "maker": "new"} for doc in BIG[:50000]]
    put(s3, bucket, name, BIG)
    done = meanwhile(broken, bucket, 2, lambda: put(s3, bucket, name, new))
    path = "s3://%s/%s" % (bucket, name)
    box.load_fails(path, index, "was replaced while it was read", name)
    assert done.is_set()
    plain.call("POST", "/%s/_refresh" % index)
    assert plain.call("POST", "/%s/_count" % index, {"query": {"term": {"maker": "new"}}})["count"] == 0
    broken.clear()
    box.load_fails(path, index, "changed since", mode="resume")
    box.load(path, index, mode="resume", on_changed="replace")
    assert_exactly_once(plain, index, new)


def test_deleted_midway(box, plain, index, s3, bucket, broken):
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "big.ndjson", BIG)
    meanwhile(broken, bucket, 2, lambda: s3.delete(bucket, "big.ndjson"))
    box.load_fails("s3://%s/big.ndjson" % bucket, index, "was deleted before it was read to its end")


def test_one_lost_object_does_not_keep_the_others(box, plain, index, s3, bucket, broken):
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "p/a.ndjson", DOCS[:100])
    put(s3, bucket, "p/big.ndjson", BIG)
    put(s3, bucket, "p/z.ndjson", DOCS[200:])
    broken.rule(on="GET .*/big", skip=1, **xml(404, fault("NoSuchKey")))
    box.load_fails("s3://%s/p/" % bucket, index, "p/big.ndjson was deleted")
    assert plain.count(index) == 200


@pytest.mark.parametrize("on", [r"GET .*\?list", "GET .*/big", "second GET .*/big"])
def test_an_interruption_ends_any_wait(box, plain, index, s3, bucket, broken, on):
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "p/big.ndjson", BIG[:20000])
    path = "s3://%s/p/%s" % (bucket, "" if "list" in on else "big.ndjson")
    broken.rule("hang", on=on.replace("second ", ""), seconds=30, skip=int("second" in on))
    db = box.db
    timer = threading.Timer(1.5, db.interrupt)
    timer.start()
    began = time.time()
    box.load_fails(path, index, "interrupted")
    assert time.time() - began < 3.5


def test_requester_pays_in_each_request(box, plain, index, s3, bucket, broken):
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "p/a.csv", DOCS)
    box.load("s3://%s/p/" % bucket, index, request_payer=True)
    box.load("s3://%s/p/a.csv" % bucket, index, request_payer=True, mode="append", allow_again=True)
    calls = broken.calls()
    assert len(calls) == 4
    assert all(call["headers"]["x-amz-request-payer"] == "requester" for call in calls)
    assert all("x-amz-content-sha256" in call["headers"] for call in calls)


def test_small_objects_are_asked_for_once(box, plain, index, s3, bucket, broken):
    for n in range(40):
        s3.put(bucket, "p/%02d.ndjson" % n, '{"n":%d}\n' % n)
    plain.create(index, {})
    box.load("s3://%s/p/" % bucket, index)
    assert plain.count(index) == 40
    assert len([c for c in broken.calls() if "range" in c["headers"]]) == 40
    etag = broken.calls()[-1]["headers"]["if-match"]
    assert etag.startswith('"') and etag.endswith('"')


def test_small_objects_are_asked_for_together(box, plain, index, s3, bucket, broken):
    """Each costs a round trip: none of the first 128 waits for the answer to another."""
    for n in range(140):
        s3.put(bucket, "p/%03d.ndjson" % n, '{"n":%d}\n' % n)
    plain.create(index, {})
    broken.rule("delay", on="GET /%s/p/" % bucket, seconds=4)
    box.load("s3://%s/p/" % bucket, index)
    assert plain.count(index) == 140
    asked = [call["at"] for call in broken.calls() if "range" in call["headers"]]
    assert len(asked) == 140 and sum(at < asked[0] + 4 for at in asked) == 128, asked


def test_ranges_of_a_large_object_are_asked_for_together(box, plain, index, s3, bucket, broken):
    """The plan looks at the object's head; of the reader's three ranges none waits for the answer to another."""
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "big.ndjson", BIG)
    broken.rule("delay", on="GET /%s/big" % bucket, skip=2, seconds=3)
    box.load("s3://%s/big.ndjson" % bucket, index)
    assert plain.count(index) == len(BIG)
    asked = [call["at"] for call in broken.calls() if "range" in call["headers"]]
    reader = asked[2:]
    assert len(reader) == 4 and reader[2] - reader[0] < 3 <= reader[3] - reader[0], asked


class Files:
    """Which files this process opens while it does something, also those that have no name any more."""

    def __init__(self):
        self.before, self.seen, self.done = self.open(), set(), threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    @staticmethod
    def open():
        names = set()
        for entry in os.scandir("/proc/self/fd"):
            try:
                names.add(os.readlink(entry.path))
            except OSError:
                pass  # closed meanwhile
        return {name for name in names if name.startswith("/") and not name.startswith(("/dev/", "/proc/")) and not os.path.isdir(name)}

    def look(self):
        while not self.done.wait(0.005):
            self.seen |= self.open() - self.before

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.done.set()
        self.thread.join()


def test_nothing_is_put_on_disk(box, plain, index, s3, bucket):
    """Nowhere may temporary files be made, none is opened, and afterwards there is the database with its ledger alone."""
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "p/big.csv.gz", BIG)
    put(s3, bucket, "p/big.ndjson", BIG[:30000])
    put(s3, bucket, "p/small.ndjson", DOCS)
    box.env.update({name: str(box / "nowhere") for name in ("TMPDIR", "SQLITE_TMPDIR", "TEMP", "TMP")})
    box.rows("SELECT * FROM os_jobs")
    with Files() as files:
        box.load("s3://%s/p/" % bucket, index)
    assert {name.rsplit("/", 1)[-1].partition("-ledger")[0] for name in files.seen} == {"app.db"}, files.seen
    there = {path.relative_to(box.path): path.stat().st_size for path in box.path.rglob("*") if path.is_file()}
    assert all(str(path).startswith("app.db") for path in there) and sum(there.values()) < 2000000, there
