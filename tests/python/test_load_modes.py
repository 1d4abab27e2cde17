"""auto, fresh, append, upsert, resume: what each keeps, deletes and refuses. Only an explicit fresh deletes."""
import json
import os
import re
import sqlite3

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.refusal import refusal

DOCS = datasets.products(300)


def ids(docs):
    return datasets.by_id(docs)


# ---- auto ------------------------------------------------------------------------------------------------------------
def test_auto_with_ids_is_upsert_and_keeps(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    plain.bulk_put(index, {"mine": {"sku": "mine"}, **ids([{**DOCS[0], "price": -1}])})
    result = box.load(datasets.write(box / "p.csv", DOCS, ids=True), index)
    assert_exactly_once(plain, index, {**ids(DOCS), "mine": {"sku": "mine"}})
    assert "upsert" in json.dumps(result) and any("upsert" in (a["detail"] or "") for a in box.audit())
    assert box.figures() == {"files": 1, "files_done": 1, "read": 300, "created": 299, "updated": 1}


def test_auto_without_ids_and_an_empty_index_is_fresh(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    uuid = plain.uuid(index)
    assert "fresh" in json.dumps(box.load(datasets.write(box / "p.csv", DOCS), index))
    assert_exactly_once(plain, index, DOCS)
    assert plain.uuid(index) == uuid


def test_auto_without_ids_and_documents_there_is_an_error(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    plain.bulk_put(index, ids(DOCS[:7]))
    text = box.load_fails(datasets.write(box / "p.csv", DOCS), index, index, "7", "fresh", "append")
    assert plain.count(index) == 7, text
    assert box.job()["status"] == "failed" and box.job()["error"]


def test_auto_with_mixed_sources_is_an_error(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    datasets.write(box / "m/with.csv", DOCS[:10], ids=True)
    datasets.write(box / "m/without.csv", DOCS[10:20])
    box.load_fails(box / "m", index, "without.csv", "upsert", "append")
    assert plain.count(index) == 0


def test_auto_after_an_unfinished_load_asks(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    f = box.file("cut.json", datasets.array_text(DOCS)[:-200])
    box.load_fails(f, index, "cut.json")
    text = box.load_fails(f, index, "resume")
    assert str(box.rows("SELECT min(job) AS j FROM os_jobs WHERE kind='bulk_load'")[0]["j"]) in text


# ---- fresh -----------------------------------------------------------------------------------------------------------
def test_fresh_empties_and_forgets(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    first, second = datasets.write(box / "a.csv", DOCS[:100]), datasets.write(box / "b.csv", DOCS[100:])
    box.load(first, index)
    uuid = plain.uuid(index)
    result = box.load(second, index, mode="fresh")
    assert result["status"] == "success"
    assert_exactly_once(plain, index, DOCS[100:])
    assert plain.uuid(index) == uuid, "below the threshold the index itself stays"
    box.load(first, index, mode="append")  # forgotten, so not "again"
    assert_exactly_once(plain, index, DOCS)


def test_fresh_twice_gives_the_same(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(box / "a.csv", DOCS)
    for _ in range(2):
        box.load(f, index, mode="fresh")
        assert_exactly_once(plain, index, DOCS)


def test_fresh_recreates_from_the_threshold_on(box, plain, index):
    settings = {"number_of_shards": 2, "refresh_interval": "7s", "analysis": {"analyzer": {"mine": {"type": "standard"}}}}
    plain.create(index, {**datasets.PRODUCTS, "title": {"type": "text", "analyzer": "mine"}}, settings=settings)
    plain.bulk_put(index, ids(DOCS[:60]))
    before = next(iter(plain.get("/%s/_mapping" % index).values()))
    uuid = plain.uuid(index)
    box.one("SELECT os_config('INDEX_RECREATE_THRESHOLD', 50)")
    box.load(datasets.write(box / "a.csv", DOCS[60:]), index, mode="fresh")
    assert_exactly_once(plain, index, DOCS[60:])
    assert plain.uuid(index) != uuid
    assert next(iter(plain.get("/%s/_mapping" % index).values())) == before
    assert plain.setting(index, "number_of_shards") == "2" and plain.setting(index, "refresh_interval") == "7s"
    assert plain.setting(index, "blocks.write") in (None, "false")
    left = [name for name in plain.get("/_cat/indices/%s*?format=json" % index)]
    assert [i["index"] for i in left] == [index], "a temporary index or a clone was left"


def test_cleanup(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    plain.bulk_put(index, ids(DOCS))
    result = box.run("os_cleanup", index)
    assert result["status"] == "success" and "300" in json.dumps(result)
    assert plain.count(index) == 0 and plain.exists(index)
    assert any(a["verdict"] == "did" for a in box.audit(result["job"]))


@pytest.mark.parametrize("threshold", [1, 1000000])
def test_cleanup_refuses_an_index_behind_an_alias(box, plain, index, threshold):
    plain.create(index, aliases={index + "_live": {}})
    plain.bulk_put(index, ids(DOCS[:5]))
    box.one("SELECT os_config('INDEX_RECREATE_THRESHOLD', ?)", threshold)
    for name in (index, index + "_live"):
        with refusal("alias"):
            box.run("os_cleanup", name)
    assert plain.count(index) == 5


def test_fresh_with_a_bad_source_deletes_nothing(box, plain, index):
    """Guards come before the first change."""
    plain.create(index, datasets.PRODUCTS)
    plain.bulk_put(index, ids(DOCS[:5]))
    box.load_fails(box / "missing.csv", index, "missing.csv", mode="fresh")
    box.load_fails(box.file("h.csv", "a,a\n1,2\n"), index, "h.csv", mode="fresh")
    assert plain.count(index) == 5


# ---- append ----------------------------------------------------------------------------------------------------------
def test_append_refuses_the_same_content_unless_told(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(box / "a.csv", DOCS)
    box.load(f, index, mode="append")
    copy = box.file("renamed.csv", f.read_bytes())
    for again in (f, copy):
        text = box.load_fails(again, index, again.name, "allow_again", mode="append")
        assert plain.count(index) == 300, text
    box.load(f, index, mode="append", allow_again=True)
    assert_exactly_once(plain, index, DOCS + DOCS)
    box.load(f, index, mode="append", allow_again=True)
    assert plain.count(index) == 900


def test_append_to_an_index_made_anew_is_not_again(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(box / "a.csv", DOCS)
    box.load(f, index, mode="append")
    plain.delete(index)
    plain.create(index, datasets.PRODUCTS)
    box.load(f, index, mode="append")
    assert_exactly_once(plain, index, DOCS)


def test_append_inserts_only(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    plain.bulk_put(index, ids([{**DOCS[0], "price": -1}]))
    result = box.load(datasets.write(box / "a.csv", DOCS[:10], ids=True), index, mode="append")
    assert result["status"] == "partial" and plain.doc(index, datasets.id_of(DOCS[0]))["price"] == -1
    assert plain.count(index) == 10 and [r["status"] for r in box.dlq()] == [409]


# ---- upsert ------------------------------------------------------------------------------------------------------------
def test_upsert_refuses_records_without_an_id(box, plain, index):
    plain.create(index)
    f = box.file("u.ndjson", '{"_id":"1","a":1}\n{"a":2}\n{"_id":null,"a":3}\n{"_id":"4","a":4}\n')
    result = box.load(f, index, mode="upsert")
    assert result["status"] == "partial"
    assert plain.documents(index) == {"1": {"a": 1}, "4": {"a": 4}}
    assert [(r["line"], json.loads(r["raw"])["a"]) for r in box.dlq()] == [(2, 2), (3, 3)]


def test_upsert_again_changes_nothing(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(box / "a.csv", DOCS, ids=True)
    for _ in range(2):
        assert box.load(f, index, mode="upsert")["status"] == "success"
    assert_exactly_once(plain, index, ids(DOCS))
    assert box.figures()["updated"] == 300


# ---- resume ------------------------------------------------------------------------------------------------------------
def test_resume_skips_what_is_finished(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    datasets.write(box / "d/a.csv", DOCS[:100])
    box.load(box / "d", index)
    datasets.write(box / "d/b.csv", DOCS[100:])
    result = box.load(box / "d", index, mode="resume")
    assert result["status"] == "success"
    assert_exactly_once(plain, index, DOCS)
    assert box.job()["documents_created"] == 200
    states = {os.path.basename(f["file"]): f["status"] for f in box.rows("SELECT * FROM os_job_files WHERE job = ?", box.job()["job"])}
    assert states == {"a.csv": "skipped", "b.csv": "success"}


def test_resume_with_nothing_to_do(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(box / "a.csv", DOCS)
    box.load(f, index)
    assert box.load(f, index, mode="resume")["status"] == "success"
    assert_exactly_once(plain, index, DOCS)
    assert box.job()["documents_created"] == 0


@pytest.mark.parametrize("name", ["c.json", "c.ndjson.gz"])
def test_resume_after_a_file_was_cut_short_and_mended(box, plain, index, name):
    """A damaged file, repaired in place, is another content: on_changed says what to do."""
    plain.create(index, datasets.PRODUCTS)
    whole = datasets.compress(datasets.text_for(name, DOCS).encode(), name)
    f = box.file(name, whole[:len(whole) * 2 // 3])
    box.load_fails(f, index, name)
    f.write_bytes(whole)
    try:
        box.load(f, index, mode="resume", on_changed="replace")
    except sqlite3.Error as error:
        pytest.fail("resume of a mended file: %s" % error)
    assert_exactly_once(plain, index, DOCS)


@pytest.mark.parametrize("how, expected", [("error", 300), ("replace", 50), ("append", 350)])
def test_on_changed(box, plain, index, how, expected):
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(box / "d/a.csv", DOCS)
    box.load(f, index)
    other = datasets.products(50, seed=99, start=9000)
    datasets.write(f, other)
    if how == "error":
        box.load_fails(f, index, "a.csv", "on_changed", mode="resume")
        box.load_fails(f, index, "a.csv", "on_changed", mode="resume", on_changed="error")
    else:
        box.load(f, index, mode="resume", on_changed=how)
    assert plain.count(index) == expected
    if how == "replace":
        assert_exactly_once(plain, index, other)
    if how == "append":
        assert_exactly_once(plain, index, DOCS + other)


# ---- looking first -------------------------------------------------------------------------------------------------------
def test_dry_run_reads_and_checks_but_sends_nothing(through, proxy, plain, index):
    plain.create(index, {"a": {"type": "integer"}, "b": {"type": "keyword"}})
    f = through.file("d.csv", "a,b\n1,x\nnot a number,y\n3\n4,z\n")
    result = through.load(f, index, dry_run=True)
    assert plain.count(index) == 0
    assert not proxy.calls("bulk") and not [e for e in proxy.calls("write") if "_refresh" not in e["path"]]
    text = json.dumps(result)
    checks = result.get("checks") or result["response"]["checks"]
    assert checks and all({"check", "verdict", "detail"} <= set(c) for c in checks)
    assert "4" in text, "the number of records is not told: %s" % text
    found = json.dumps(checks) + text
    assert "not a number" in found or "line 3" in found or '"a"' in found, "the wrong type was not found: %s" % text
    assert not through.dlq(), "a rehearsal leaves no dead letters"
    box_result = through.load(f, index, mode="append")  # and does not count as loaded
    assert box_result["status"] == "partial" and plain.count(index) == 2


def test_dry_run_of_fresh_deletes_nothing(through, proxy, plain, index):
    plain.create(index, datasets.PRODUCTS)
    plain.bulk_put(index, ids(DOCS[:5]))
    through.load(datasets.write(through / "a.csv", DOCS), index, mode="fresh", dry_run=True)
    assert plain.count(index) == 5 and not proxy.calls("bulk")


def test_load_plan(through, proxy, plain, index):
    plain.create(index, datasets.PRODUCTS)
    datasets.write(through / "d/a.csv", DOCS[:100])
    through.load(through / "d", index)
    datasets.write(through / "d/b.ndjson.gz", DOCS[100:])
    before = len(proxy.calls("bulk"))
    rows = through.rows("SELECT * FROM os_load_plan(?, ?, ?)", str(through / "d"), index, '{"mode":"resume"}')
    assert len(proxy.calls("bulk")) == before
    rows = {os.path.basename(r["file"]): r for r in rows}
    assert set(rows) == {"a.csv", "b.ndjson.gz"}
    assert rows["a.csv"]["size"] == (through / "d/a.csv").stat().st_size and rows["a.csv"]["fingerprint"]
    text = {name: " ".join(str(v) for v in row.values()) for name, row in rows.items()}
    assert "skip" in text["a.csv"] and "skip" not in text["b.ndjson.gz"]


def test_preview(box, plain, index):
    f = datasets.write(box / "p.csv", DOCS[:40])
    rows = box.rows("SELECT * FROM os_preview(?)", str(f))
    assert 1 <= len(rows) <= 40
    text = json.dumps(rows, ensure_ascii=False)
    assert DOCS[0]["sku"] in text
    with_document = [r for r in rows if r.get("document")]
    assert with_document and json.loads(with_document[0]["document"])["stock"] == DOCS[0]["stock"]
    limited = box.rows("SELECT * FROM os_preview(?) LIMIT 3", str(f))
    assert len(limited) == 3
    with refusal("nowhere.csv"):
        box.rows("SELECT * FROM os_preview(?)", str(box / "nowhere.csv"))


# ---- other rules of a load ------------------------------------------------------------------------------------------------
def test_force_merge_after_fresh(through, proxy, plain, index):
    plain.create(index, datasets.PRODUCTS)
    plain.bulk_put(index, ids(DOCS))
    through.load(datasets.write(through / "a.csv", DOCS), index, mode="fresh")
    assert [e for e in proxy.calls("write") if "_forcemerge" in e["path"] and "only_expunge_deletes" in e["path"]]


@pytest.mark.parametrize("answer", [None, dict(fault="hang", seconds=20)])
def test_what_has_arrived_is_made_searchable_beside_the_last_requests(through, proxy, plain, index, answer):
    """Whatever comes of it: the refresh before the count is the one that matters."""
    plain.create(index, {"n": {"type": "integer"}})
    f = through.file("a.ndjson", "".join('{"n":%d}\n' % i for i in range(50_000)))
    if answer:
        proxy.rule(on="POST /%s/_refresh" % index, skip=1, times=1, **answer)  # the first belongs to the count before
    proxy.rule("delay", seconds=0.4)
    assert through.load(f, index, batch_size=5000, max_workers=2)["status"] == "success"
    assert plain.count(index) == 50_000
    order = "".join("R" if "/_refresh" in e["path"] else "b" for e in proxy.calls() if e["class"] == "bulk" or "/_refresh" in e["path"])
    assert re.fullmatch("Rb{4,9}Rb{1,6}R", order) and order.count("b") == 10, order
    assert not answer or proxy.fired() == 11


def test_validate_ids(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    result = box.load(datasets.write(box / "a.csv", DOCS), index, validate="ids")
    assert result["status"] == "success"
    assert any(a["verdict"] == "pass" and "id" in (a["check_name"] or "") for a in box.audit())


def test_load_inside_a_transaction(box, plain, index):
    """Nothing begins or ends the caller's transaction, and the ledger is not rolled back with it."""
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(box / "a.csv", DOCS)
    db = box.db
    db.execute("CREATE TABLE mine(x)")
    db.execute("BEGIN")
    db.execute("INSERT INTO mine VALUES(1)")
    box.load(f, index)
    assert db.in_transaction
    db.execute("ROLLBACK")
    assert box.one("SELECT count(*) FROM mine") == 0
    assert plain.count(index) == 300 and box.job()["status"] == "success"
    db.execute("CREATE TABLE kept AS SELECT os_bulk_load(?, ?, '{\"mode\":\"fresh\"}') AS r", (str(f), index))
    assert json.loads(box.one("SELECT r FROM kept"))["status"] == "success"
    assert plain.count(index) == 300


def test_on_partial_error(box, plain, index):
    plain.create(index, {"a": {"type": "integer"}})
    f = box.file("p.ndjson", '{"a":1}\n{"a":"x"}\n')
    box.load_fails(f, index, "1", "dlq_failures", on_partial="error")
    assert plain.count(index) == 1 and len(box.dlq()) == 1


def test_everything_refused_is_an_error(box, plain, index):
    plain.create(index, {"a": {"type": "integer"}})
    box.load_fails(box.file("p.ndjson", '{"a":"x"}\n{"a":"y"}\n'), index, "dlq_failures")
    assert len(box.dlq()) == 2 and box.job()["status"] == "failed"


@pytest.mark.parametrize("limit, stops", [(20, True), ("5%", False), (None, False), (5000, False)])
def test_max_failed(box, plain, index, limit, stops):
    """60 bad ones of 3,000: a count stops at once, a share is judged from 10,000 records on."""
    plain.create(index, {"a": {"type": "integer"}})
    f = box.file("p.ndjson", "".join('{"a":%s}\n' % ('"bad"' if i % 50 == 0 else i) for i in range(3000)))
    if stops:
        box.load_fails(f, index, "max_failed", max_failed=limit, batch_size=100, max_workers=1)
        assert plain.count(index) < 2940 and box.job()["status"] == "failed"
        assert len(box.dlq()) >= 20
    else:
        result = box.load(f, index, max_failed=limit, batch_size=100)
        assert result["status"] == "partial" and plain.count(index) == 2940 and len(box.dlq()) == 60


def test_max_failed_share_from_ten_thousand_on(box, plain, index):
    plain.create(index, {"a": {"type": "integer"}})
    f = box.file("p.ndjson", "".join('{"a":%s}\n' % ('"bad"' if i % 3 == 0 else i) for i in range(30_000)))
    box.load_fails(f, index, "max_failed", batch_size=1000, max_workers=1)
    assert 6000 < plain.count(index) < 19_000


def test_max_rate(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(box / "a.csv", DOCS)
    box.one("SELECT os_config('MAX_RATE', '100/s')")
    box.load(f, index, batch_size=20)
    assert 1.5 < box.job()["seconds"] < 8
    assert_exactly_once(plain, index, DOCS)
