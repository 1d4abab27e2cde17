"""Every record once, whatever the network does: faults from the proxy, answers that are lost, answers that lie, processes
that are killed. After each run the whole index is read back and compared."""
import json
import os
import time

import pytest

import datasets
from faults import action_of, parse_bulk
from harness.checker import assert_exactly_once
from harness.refusal import refusal
from wire import made_answer

DOCS = datasets.products(3000)
FAST = {"batch_size": 100, "max_workers": 4}


@pytest.fixture
def ready(through, plain, index):
    """A box behind the proxy, an index, and a file without ids."""
    plain.create(index, datasets.PRODUCTS)
    through.source = datasets.write(through / "p.ndjson", DOCS)
    return through


# ---- faults ----------------------------------------------------------------------------------------------------------
FAULTS = {
    "cut before": [dict(fault="cut_before", share=0.2)],
    "cut inside the request": [dict(fault="cut_request", share=0.2)],
    "answer lost": [dict(fault="cut_after", share=0.2)],
    "answer cut": [dict(fault="cut_answer", share=0.2)],
    "429": [dict(fault="status", code=429, share=0.2)],
    "429 with Retry-After": [dict(fault="status", code=429, headers={"Retry-After": "1"}, times=2)],
    "503": [dict(fault="status", code=503, share=0.2)],
    "502 page": [dict(fault="status", code=502, html=True, share=0.2)],
    "504 after the work": [dict(fault="status_after", code=504, share=0.2)],
    "slow": [dict(fault="delay", seconds=0.2, share=0.2)],
    "duplicated, first answer": [dict(fault="duplicate", share=0.3)],
    "duplicated, second answer": [dict(fault="duplicate", answer="second", share=0.3)],
    "items 429": [dict(fault="items", status=429, percent=15, share=0.5)],
    "items 503": [dict(fault="items", status=503, percent=15, share=0.5)],
    "items 429 although indexed": [dict(fault="items", status=429, percent=15, sent=True, share=0.5)],
    "answer too short": [dict(fault="lie", kind="short", share=0.15)],
    "answer too long": [dict(fault="lie", kind="long", share=0.15)],
    "answer empty": [dict(fault="lie", kind="empty", share=0.15)],
    "answer is HTML": [dict(fault="lie", kind="html", share=0.15)],
    "answer truncated": [dict(fault="lie", kind="truncated", share=0.15)],
    "all together": [dict(fault="cut_after", share=0.05), dict(fault="status", code=429, share=0.1), dict(fault="items", status=503, percent=10, share=0.2),
                     dict(fault="duplicate", answer="second", share=0.1), dict(fault="cut_request", share=0.05), dict(fault="delay", seconds=0.3, share=0.1)],
}


@pytest.mark.parametrize("ids", [False, True], ids=["computed ids", "own ids"])
@pytest.mark.parametrize("name", FAULTS)
def test_fault(ready, proxy, plain, index, name, ids):
    for rule in FAULTS[name]:
        proxy.rule(**rule)
    source = datasets.write(ready / "ids.ndjson", DOCS, ids=True) if ids else ready.source
    ready.one("SELECT os_config('MAX_RETRIES', 30)")
    result = ready.load(source, index, **FAST)
    assert result["status"] == "success", result
    assert_exactly_once(plain, index, datasets.by_id(DOCS) if ids else DOCS)
    assert proxy.fired() > 0, "no fault was injected"
    job = ready.job()
    assert job["documents_read"] == 3000 == sum(job["documents_" + k] for k in ("created", "updated", "noop", "already", "failed", "skipped"))
    assert ready.dlq() == []
    if "slow" not in name and "duplicated" not in name:
        assert job["retries"] > 0
    if name in ("answer lost", "504 after the work") and not ids:
        assert job["documents_already"] > 0


def test_items_refused_for_good_become_dead_letters(ready, proxy, plain, index):
    proxy.rule("items", status=400, percent=2)
    result = ready.load(ready.source, index, **FAST)
    assert result["status"] == "partial"
    rows = ready.dlq()
    assert len(rows) == ready.job()["documents_failed"] > 10
    assert_exactly_once(plain, index, DOCS, rows)


def test_connection_refused_for_a_while(ready, proxy, plain, index):
    running = ready.start("SELECT os_bulk_load('p.ndjson', '%s', '{\"batch_size\":50,\"max_workers\":2}');" % index, env={"MAX_RETRIES": "20"})
    proxy.rule("delay", seconds=0.05)
    proxy.wait_for(5)
    proxy.refuse(2)
    result = running.finish(90)
    assert result.code == 0, result
    assert_exactly_once(plain, index, DOCS)


def test_giving_up_keeps_what_was_acknowledged_and_resume_goes_on(ready, proxy, plain, index):
    """The cluster goes away for good: an error that says how to go on, no dead letters, and resume completes it."""
    proxy.rule("status", code=503, skip=10)
    ready.one("SELECT os_config('MAX_RETRIES', 2)")
    text = ready.load_fails(ready.source, index, "503", "resume", **FAST)
    job = ready.job()
    assert job["status"] in ("failed", "interrupted"), text
    assert ready.dlq() == [], "a fault that is not the record's makes no dead letters"
    have = plain.count(index)
    assert 0 < have < 3000
    proxy.clear()
    result = ready.load(ready.source, index, mode="resume", **FAST)
    assert result["status"] == "success"
    assert_exactly_once(plain, index, DOCS)
    later = ready.job()
    assert later["documents_created"] + have >= 3000 and later["documents_read"] < 3000, "nothing was skipped"


@pytest.mark.parametrize("fault", [dict(fault="status", code=401), dict(fault="status", code=403), dict(fault="items", status=403, percent=100)])
def test_lost_rights_stop_the_job_and_refuse_no_record(ready, proxy, plain, index, fault):
    proxy.rule(skip=3, **fault)
    told = "_bulk" if fault.get("code") == 401 else "403"  # with 401 goes what the login lacks
    ready.load_fails(ready.source, index, told, **FAST)
    assert ready.dlq() == [] and ready.job()["status"] == "failed"
    proxy.clear()
    ready.load(ready.source, index, mode="resume", **FAST)
    assert_exactly_once(plain, index, DOCS)


def test_a_request_answered_400_is_bisected_to_the_guilty_record(ready, proxy, plain, index):
    """Some servers refuse the whole request for one record."""
    docs = [{"n": i, "guilty": i == 77} for i in range(200)]
    f = ready.file("g.ndjson", "".join(json.dumps(d) + "\n" for d in docs))
    real = proxy.forward

    def forward(request):
        if b'"guilty": true' in request.plain_body() or b'"guilty":true' in request.plain_body():
            return made_answer(400, b'{"error":{"type":"illegal_argument_exception","reason":"I do not like it"},"status":400}')
        return real(request)
    proxy.forward = forward
    result = ready.load(f, index, batch_size=100, max_workers=1)
    assert result["status"] == "partial"
    rows = ready.dlq()
    assert [json.loads(r["document"])["n"] for r in rows] == [77] and rows[0]["status"] == 400 and "do not like" in rows[0]["error_reason"]
    assert_exactly_once(plain, index, docs, rows)


def test_gigantic_answer_is_refused_not_swallowed(ready, proxy, plain, index):
    proxy.rule("lie", kind="gigantic", times=1)
    ready.one("SELECT os_config('MAX_RETRIES', 3)")
    ready.load(ready.source, index, **FAST)
    assert_exactly_once(plain, index, DOCS)


@pytest.mark.parametrize("kind", ["array", "no_items", "html"])
def test_a_server_that_always_lies_is_never_believed(ready, proxy, plain, index, kind):
    proxy.rule("lie", kind=kind)
    ready.one("SELECT os_config('MAX_RETRIES', 1)")
    ready.load_fails(ready.source, index, **FAST)
    assert ready.job()["status"] == "failed" and ready.job()["documents_created"] == 0
    proxy.clear()
    ready.load(ready.source, index, mode="resume", **FAST)
    assert_exactly_once(plain, index, DOCS)


def test_time_out_is_unknown_not_failed(ready, proxy, plain, index):
    """The server did the work, but later than we waited."""
    proxy.rule("delay_answer", seconds=4, times=2)
    ready.one("SELECT os_config('REQUEST_TIMEOUT', 1)")
    ready.one("SELECT os_config('MAX_RETRIES', 10)")
    ready.load(ready.source, index, **FAST)
    assert_exactly_once(plain, index, DOCS)
    assert ready.job()["documents_already"] > 0


def test_last_record_wins_although_earlier_ones_are_retried(ready, proxy, plain, index):
    lines = "".join('{"_id":"k%d","v":%d}\n' % (i % 10, i) for i in range(2000))
    f = ready.file("w.ndjson", lines)
    proxy.rule("items", status=429, percent=30, share=0.7)
    proxy.rule("delay", seconds=0.1, share=0.3)
    ready.one("SELECT os_config('MAX_RETRIES', 30)")
    ready.load(f, index, batch_size=25, max_workers=8)
    assert plain.documents(index) == {"k%d" % d: {"v": 1990 + d} for d in range(10)}


def test_window_shrinks_on_429_and_grows_back(ready, proxy, plain, index):
    """While everything is refused there are few requests a second; afterwards the load ends quickly."""
    proxy.rule("status", code=429, times=30)
    ready.one("SELECT os_config('MAX_RETRIES', 30)")
    started = time.monotonic()
    ready.load(ready.source, index, batch_size=50, max_workers=8)
    assert time.monotonic() - started < 60
    assert_exactly_once(plain, index, DOCS)
    refused = [e["at"] for e in proxy.calls("bulk") if e["fault"] == "status"]
    assert refused[-1] - refused[0] > 0.3, "hammered: %s" % refused


# ---- an answer lost, an edit by somebody, the load again ----------------------------------------------------------------
def test_a_later_edit_stands(ready, proxy, plain, index):
    proxy.rule("cut_after", times=1)
    proxy.rule("status", code=503)
    ready.one("SELECT os_config('MAX_RETRIES', 1)")
    ready.load_fails(ready.source, index, batch_size=100, max_workers=1)
    rows = plain.read_all(index)
    assert len(rows) == 100, "the lost answer's batch was indexed"
    key, source, _ = rows[5]
    plain.put(index, key, {**source, "price": 777.0, "note": "edited by somebody"})
    proxy.clear()
    result = ready.load(ready.source, index, mode="resume", **FAST)
    assert result["status"] == "success"
    assert ready.job()["documents_already"] >= 100
    expected = [d if d["sku"] != source["sku"] else {**source, "price": 777.0, "note": "edited by somebody"} for d in DOCS]
    assert_exactly_once(plain, index, expected)
    assert ready.dlq() == []


def test_resume_inside_a_gzip_goes_on_from_the_acknowledged_byte(ready, proxy, plain, index):
    f = datasets.write(ready / "z.csv.gz", DOCS)
    proxy.rule("status", code=503, skip=15)
    ready.one("SELECT os_config('MAX_RETRIES', 0)")
    ready.load_fails(f, index, batch_size=100, max_workers=2)
    state = ready.rows("SELECT * FROM os_job_files ORDER BY job DESC LIMIT 1")[0]
    assert state["byte_offset"] > 0 and state["documents"] > 0
    proxy.clear()
    before = len(proxy.calls("bulk"))
    ready.load(f, index, mode="resume", batch_size=100)
    assert len(proxy.calls("bulk")) - before <= 20
    assert_exactly_once(plain, index, DOCS)


# ---- kill -9 ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("after", [0, 1, 4, 12, 25])
@pytest.mark.parametrize("name", ["k.ndjson", "k.csv.gz"])
def test_killed_and_resumed(ready, proxy, plain, index, name, after):
    source = datasets.write(ready / name, DOCS)
    proxy.rule("delay_answer", seconds=0.08)
    script = "SELECT os_bulk_load('%s', '%s', '{\"batch_size\":100,\"max_workers\":3}');" % (name, index)
    running = ready.start(script)
    if after:
        proxy.wait_for(after)
    else:
        time.sleep(0.15)
    result = running.kill()
    assert result.code == -9, result
    proxy.clear()
    jobs = ready.rows("SELECT status FROM os_jobs WHERE kind='bulk_load'")
    assert [j["status"] for j in jobs] in ([], ["interrupted"])
    done = ready.load(source, index, mode="resume", **FAST)
    assert done["status"] == "success"
    assert_exactly_once(plain, index, DOCS)
    assert ready.dlq() == []


def test_killed_again_and_again(ready, proxy, plain, index):
    """Five lives over a folder with every form, with refused records among them."""
    expected = []
    for n, name in enumerate(("a.csv", "b.ndjson.gz", "c.json", "d.tsv.zst")):
        part = datasets.products(700, start=n * 700)
        datasets.write(ready / "f" / name, part)
        expected += part
    ready.file("f/e.ndjson", "".join(json.dumps({"sku": "bad%d" % i, "stock": "many"} if i % 10 == 0 else {"sku": "ok%d" % i, "stock": i}) + "\n" for i in range(300)))
    expected += [{"sku": "bad%d" % i, "stock": "many"} if i % 10 == 0 else {"sku": "ok%d" % i, "stock": i} for i in range(300)]
    proxy.rule("delay_answer", seconds=0.05)
    proxy.rule("cut_after", share=0.05)
    for life in range(5):
        seen = len(proxy.calls("bulk"))
        running = ready.start("SELECT os_bulk_load('f', '%s', '{\"mode\":\"%s\",\"batch_size\":60,\"max_workers\":3}');" % (index, "resume" if life else "append"))
        proxy.wait_for(seen + 5 + 2 * life)
        running.kill()
    proxy.clear()
    result = ready.load("f", index, mode="resume", **FAST)
    assert result["status"] in ("partial", "success")
    rows = ready.dlq()
    assert len(rows) == 30 and len({(r["file"], r["byte_offset"]) for r in rows}) == 30
    assert_exactly_once(plain, index, expected, rows)


def test_two_processes_load_the_same_file(ready, proxy, plain, index):
    """The ids are the same in both, so whoever is first, each record is there once — or the second is refused clearly."""
    proxy.rule("delay", seconds=0.02)
    both = [ready.start("SELECT os_bulk_load('p.ndjson', '%s', '{\"mode\":\"append\",\"batch_size\":100}');" % index) for _ in range(2)]
    results = [r.finish(90) for r in both]
    assert any(r.code == 0 for r in results), results
    for r in results:
        assert r.code in (0, 1) and (r.code == 0 or "p.ndjson" in r.err), r
    if os.environ.get("OS_TEST_VERBOSE"):
        print(results)
    have = plain.count(index)
    assert have == 3000, "%d documents" % have
    assert_exactly_once(plain, index, DOCS)


def test_a_lost_ledger_doubles_and_refuses_nothing(ready, plain, index):
    """A pod that starts anew without its disk, or a colleague's machine: the same content has the same ids, so what is
    there counts as already there. It is neither doubled nor dead-lettered."""
    ready.load(ready.source, index, **FAST)
    somewhere = ready.connect("another.db", env={"OS_LEDGER": ready / "another-ledger.db"})
    answer = json.loads(somewhere.execute("SELECT os_bulk_load(?, ?, '{\"mode\":\"append\"}')", (str(ready.source), index)).fetchone()[0])
    assert answer["status"] == "success" and "3000" in json.dumps(answer)
    assert somewhere.execute("SELECT count(*) FROM dlq_failures").fetchone()[0] == 0
    assert_exactly_once(plain, index, DOCS)


def test_several_processes_load_different_files_with_one_ledger(ready, plain, index):
    for n in range(4):
        datasets.write(ready / ("p%d.csv" % n), DOCS[n * 700:n * 700 + 700])
    both = [ready.start("SELECT os_bulk_load('p%d.csv', '%s', '{\"mode\":\"append\",\"batch_size\":50}');" % (n, index)) for n in range(4)]
    for running in both:
        result = running.finish(90)
        assert result.code == 0, result
    assert_exactly_once(plain, index, DOCS[:2800])
    assert [j["status"] for j in ready.rows("SELECT status FROM os_jobs WHERE kind = 'bulk_load'")] == ["success"] * 4


def test_exactly_once_off_is_at_least_once_and_says_so(ready, proxy, plain, index):
    """With server-made ids a lost answer cannot be told from lost work: nothing may be missing, and the result is not silent."""
    proxy.rule("cut_after", times=2)
    result = ready.load(ready.source, index, exactly_once=False, **FAST)
    assert plain.count(index) >= 3000
    if plain.count(index) > 3000:
        assert "twice" in json.dumps(result).lower() or "duplicate" in json.dumps(result).lower() or "uncertain" in json.dumps(result).lower()


def test_counts_are_checked_against_the_index(ready, proxy, plain, index):
    """A server that says created and loses the documents is found out by validate 'counts'."""
    proxy.keep_bodies = True
    real = proxy.forward
    lost = []

    def forward(request):
        if "/_bulk" in request.first and not lost:
            items = parse_bulk(request.plain_body())
            lost.extend(items)
            out = [{action_of(a)[0]: {"status": 201, "result": "created"}} for a, _ in items]
            return made_answer(200, json.dumps({"took": 1, "errors": False, "items": out}).encode())
        return real(request)
    proxy.forward = forward
    with refusal() as caught:
        ready.load(ready.source, index, **FAST)
    assert "2900" in str(caught.value) or "100" in str(caught.value)
    assert any(a["verdict"] == "fail" and "count" in (a["check_name"] or "") for a in ready.audit())


def test_somebody_else_writes_meanwhile(ready, proxy, plain, index):
    """A difference that others explain is unknown, no error."""
    proxy.rule("delay", seconds=0.1)
    running = ready.start("SELECT os_bulk_load('p.ndjson', '%s', '{\"batch_size\":200,\"max_workers\":1}');" % index)
    proxy.wait_for(3)
    plain.bulk_put(index, {"foreign%d" % i: {"sku": "f%d" % i} for i in range(25)})
    result = running.finish(60)
    assert result.code == 0 and result.json()["status"] == "success", result
    assert plain.count(index) == 3025
    assert any(a["verdict"] == "unknown" and "count" in (a["check_name"] or "") for a in ready.audit())
