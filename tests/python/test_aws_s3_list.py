"""Very many keys: the list goes on while what it found is loaded. What a page held back, a fault of a later page, a kill or an
interruption does; where the list is whole before the first record after all."""
import json
import time

import pytest

from harness.checker import assert_exactly_once
from harness.paged_bucket import PagedBucket
from harness.s3 import at
from proxy import Proxy

COUNT = 4500  # five pages; 2,000 are looked at beforehand
ANYBODY = {"s3_anonymous": True}


def key(n, prefix="p/"):
    return "%s%06d.ndjson" % (prefix, n)


def objects(numbers=range(COUNT), prefix="p/", **more):
    return {key(n, prefix): json.dumps({"n": n, **more}).encode() + b"\n" for n in numbers}


def docs(numbers=range(COUNT)):
    return [{"n": n} for n in numbers]


@pytest.fixture
def bucket(box):
    with PagedBucket(objects()) as server:
        at(box, server.settings())
        yield server


def script(index, **options):
    return "SELECT os_bulk_load('s3://keys/p/', '%s', '%s');" % (index, json.dumps({**ANYBODY, **options}))


def wait_for_documents(plain, index, running):
    for _ in range(400):
        if plain.count(index):
            return
        assert running.process.poll() is None, running.finish()
        time.sleep(0.1)
    raise AssertionError("nothing is in the index while the list goes on")


def wait_for_pages(box, running):
    """All that the pages before the one that is held back name is known to the load."""
    for _ in range(200):
        if box.rows("SELECT files FROM os_jobs")[0]["files"] == 4000:
            return
        assert running.process.poll() is None, running.finish()
        time.sleep(0.1)
    raise AssertionError(box.rows("SELECT files FROM os_jobs"))


def sources(box):
    return [row["detail"] for row in box.audit() if row["check_name"] == "sources"]


def test_the_first_records_do_not_wait_for_the_last_key(box, plain, index, bucket):
    plain.create(index, {})
    last = bucket.hold(5)
    running = box.start(script(index))
    wait_for_documents(plain, index, running)
    wait_for_pages(box, running)
    assert box.rows("SELECT status FROM os_jobs")[0]["status"] == "running"
    last.set()
    result = running.finish(60).json()
    assert result["response"]["files"] == COUNT and result["response"]["verified"], result
    assert "the first 2000 were looked at" in result["response"]["mode_reason"]
    assert_exactly_once(plain, index, docs())
    assert box.rows("SELECT count(*) AS n FROM os_job_files WHERE status = 'success'")[0]["n"] == COUNT
    first, whole = sources(box)
    assert "2,000 files" in first and "the list goes on" in first and "4,500 files" in whole and "2000 of them looked at" in whole
    assert [number for _, number in bucket.pages] == [1, 1, 2, 3, 4, 5], "a page is asked for once, but the first, which tells that there are more"


def test_one_page_is_asked_for_once(box, plain, index, bucket):
    plain.create(index, {})
    with PagedBucket(objects(range(1000))) as small:
        at(box, small.settings())
        box.load("s3://keys/p/", index, **ANYBODY)
        assert small.pages == [("p/", 1)]
    assert_exactly_once(plain, index, docs(range(1000)))


@pytest.mark.parametrize("page", [2, 5])
def test_a_list_that_breaks_off(box, plain, index, bucket, page):
    """What was found before is loaded or can be; the load is an error that names what was forbidden, and resume does the rest."""
    plain.create(index, {})
    bucket.faults[page] = (403, "AccessDenied", "not any more")
    error = box.load_fails("s3://keys/p/", index, "s3:ListBucket", "s3://keys/p/", **ANYBODY)
    assert ("resume" in str(error)) == (page == 5), error
    assert box.job()["status"] == "failed" and plain.count(index) <= 4000
    if page == 2:
        assert plain.count(index) == 0  # it was to be looked at beforehand
    bucket.faults.clear()
    result = box.load("s3://keys/p/", index, **ANYBODY, **({"mode": "resume"} if page == 5 else {}))
    assert_exactly_once(plain, index, docs())
    assert result["response"]["verified"] and sum(result["response"][k] for k in ("files", "files_skipped")) >= COUNT


@pytest.mark.parametrize("again", [503, 500])
def test_a_page_that_is_late(box, plain, index, s3_proxy, again):
    plain.create(index, {})
    s3_proxy.rule("status", on="GET .*continuation-token=3000", code=again, times=3, body="<Error><Code>SlowDown</Code></Error>", content_type="application/xml")
    s3_proxy.rule("cut_answer", on="GET .*continuation-token=4000", times=2)
    box.load("s3://keys/p/", index, **ANYBODY)
    assert_exactly_once(plain, index, docs())
    assert all(rule["fired"] for rule in s3_proxy.rules)


@pytest.fixture
def s3_proxy(box, bucket):
    with Proxy(bucket.url, seed=20261122) as proxy:
        at(box, {"AWS_ENDPOINT_URL_S3": proxy.url})
        yield proxy


@pytest.mark.parametrize("how", ["kill", "interrupt", "cancel"])
def test_ended_while_the_list_goes_on(box, plain, index, bucket, how):
    plain.create(index, {})
    last = bucket.hold(5)
    running = box.start(script(index))
    wait_for_documents(plain, index, running)
    wait_for_pages(box, running)
    began = time.time()
    if how == "cancel":
        box.one("SELECT os_cancel(max(job)) FROM os_jobs")
        ended = running.finish(20)
    else:
        ended = running.kill() if how == "kill" else (running.interrupt(), running.finish(20))[1]
    assert ended.code != 0 and time.time() - began < 3
    assert box.rows("SELECT count(*) AS n FROM os_job_files")[0]["n"] == 4000
    # "did not finish" when a request was acknowledged, "holds documents already" when none was
    box.load_fails("s3://keys/p/", index, "resume", **ANYBODY)
    assert box.job()["status"] == "failed"
    last.set()
    box.load("s3://keys/p/", index, mode="resume", **ANYBODY)
    assert_exactly_once(plain, index, docs())


@pytest.mark.parametrize("mode", ["append", "resume", "upsert"])
def test_earlier_loads_are_known_before_the_first_record(box, plain, index, bucket, mode):
    """A file that must not be loaded again may stand in the last page."""
    plain.create(index, {})
    bucket.put({key(n): b'{"_id":"%d","n":%d}\n' % (n, n) for n in range(COUNT)})
    box.load("s3://keys/" + key(COUNT - 1), index, mode="append", **ANYBODY)
    bucket.pages.clear()
    last = bucket.hold(5)
    if mode == "append":
        last.set()
        box.load_fails("s3://keys/p/", index, key(COUNT - 1), "is in %s already" % index, mode=mode, **ANYBODY)
        assert plain.count(index) == 1
        return
    running = box.start(script(index, mode=mode))
    time.sleep(4)
    assert plain.count(index) == 1
    last.set()
    running.finish(60)
    assert_exactly_once(plain, index, docs())


def test_fresh_forgets_earlier_loads_and_does_not_wait(box, plain, index, bucket):
    plain.create(index, {})
    box.load("s3://keys/" + key(COUNT - 1), index, **ANYBODY)
    last = bucket.hold(5)
    running = box.start(script(index, mode="fresh"))
    wait_for_documents(plain, index, running)
    last.set()
    running.finish(60)
    assert_exactly_once(plain, index, docs())


def test_the_same_content_under_several_keys(box, plain, index, bucket):
    """In another page of the same load it is not content that was loaded before."""
    plain.create(index, {})
    bucket.put({key(n): b'{"n":7}\n' for n in range(0, COUNT, 500)})
    result = box.load("s3://keys/p/", index, mode="append", **ANYBODY)
    assert result["response"]["created"] == COUNT
    assert_exactly_once(plain, index, [{"n": 7 if n % 500 == 0 else n} for n in range(COUNT)])


def test_one_id_in_several_pages(box, plain, index, bucket):
    """The last key decides, as when the list is whole."""
    plain.create(index, {})
    bucket.put({key(n): b'{"_id":"%d","n":%d}\n' % (n % 300, n) for n in range(COUNT)})
    box.load("s3://keys/p/", index, batch_size=50, max_workers=4, **ANYBODY)
    assert_exactly_once(plain, index, {str(n % 300): {"n": n} for n in range(COUNT - 300, COUNT)})


def test_refused_and_odd_objects_in_a_later_page(box, plain, index, bucket):
    plain.create(index, {"n": {"type": "integer"}})
    bucket.put({key(4100): b'{"n":"x"}\n', key(4200): b"", key(4300): b'{"n":1}\n{"n":'})
    assert box.load("s3://keys/p/", index, **ANYBODY)["status"] == "partial"
    assert sorted((row["file"], row["line"]) for row in box.dlq()) == [("s3://keys/" + key(4100), 1), ("s3://keys/" + key(4300), 2)]
    assert plain.count(index) == COUNT - 2


def test_several_prefixes(box, plain, index, bucket):
    plain.create(index, {})
    bucket.put({**objects(range(10000, 11500), "q/"), **objects(range(20000, 20010), "r/")})
    paths = json.dumps(["s3://keys/p/", "s3://keys/q/", "s3://keys/r/"])
    box.load_fails(json.dumps(["s3://keys/p/", "s3://keys/typo/"]), index, "there is no object at s3://keys/typo/", **ANYBODY)
    assert plain.count(index) == 0
    last = bucket.hold(5)
    running = box.start("SELECT os_bulk_load('%s', '%s', '%s');" % (paths, index, json.dumps(ANYBODY)))
    wait_for_documents(plain, index, running)
    last.set()
    running.finish(60)
    assert_exactly_once(plain, index, docs([*range(COUNT), *range(10000, 11500), *range(20000, 20010)]))
    order = [row["file"] for row in box.rows("SELECT file FROM os_job_files ORDER BY id")]
    assert order == ["s3://keys/" + k for k in bucket.keys]


@pytest.mark.parametrize("paths", [["s3://keys/p/", "s3://keys/p/0044*"], ["s3://keys/p/00*", "s3://keys/p/"], ["s3://keys/p/", "s3://keys/p/000001.ndjson"]])
def test_what_is_named_twice_comes_once(box, plain, index, bucket, paths):
    plain.create(index, {})
    box.load(json.dumps(paths), index, **ANYBODY)
    assert box.figures()["files"] == COUNT
    assert_exactly_once(plain, index, docs())


def test_local_files_come_before_what_is_listed_later(box, plain, index, bucket):
    plain.create(index, {})
    box.file("x.ndjson", '{"n":-1}\n')
    box.load(json.dumps(["s3://keys/p/", str(box / "x.ndjson")]), index, mode="fresh", **ANYBODY)
    assert_exactly_once(plain, index, docs(range(-1, COUNT)))
    box.load(json.dumps([str(box / "x.ndjson"), "s3://keys/p/"]), index, mode="fresh", **ANYBODY)
    assert_exactly_once(plain, index, docs(range(-1, COUNT)))


def test_plans_and_dry_runs_are_about_all(box, plain, index, bucket):
    plain.create(index, {})
    assert box.rows("SELECT count(*) AS n FROM os_load_plan('s3://keys/p/', ?, ?)", index, json.dumps(ANYBODY))[0]["n"] == COUNT
    assert box.load("s3://keys/p/", index, dry_run=True, **ANYBODY)["response"]["documents_read"] == COUNT
