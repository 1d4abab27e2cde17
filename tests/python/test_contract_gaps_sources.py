"""Sources, rehearsals and plans: promises that the other modules do not look at."""
import json
import os
import time

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.refusal import refusal

DOCS = datasets.products(200)


def plan(box, path, index, **options):
    rows = box.rows("SELECT * FROM os_load_plan(?, ?, ?)", str(path), index, json.dumps(options))
    return {os.path.basename(r["file"]): r for r in rows}


# ---- names ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["with blank.csv", "quo'te\".csv", "Tür 日本.csv", "a[1].csv", "star*.csv", "what?.csv", "-", "%s%n.csv", "UPPER.CSV"])
def test_odd_file_names(box, plain, index, name):
    """A file that exists is that file, whatever its name means to a glob."""
    plain.create(index)
    box.file(name if name != "-" else "./-", "n\n1\n")
    path = str(box / name) if name != "-" else "./-"
    box.load(path, index, format="csv")
    assert plain.count(index) == 1
    recorded = box.one("SELECT file FROM os_job_files")
    assert os.path.basename(recorded) == name and not box.dlq()


def test_hidden_files_and_upper_case_endings_in_a_folder(box, plain, index):
    plain.create(index)
    for n, name in enumerate(("a.csv", "B.CSV", "c.Json.gz", "d.jsonl", "e.tsv.zst", "f.csv.bak", "g")):
        text = {"a": "n\n1\n", "B": "n\n2\n", "c": '[{"n":3}]', "d": '{"n":4}\n', "e": "n\n5\n"}.get(name[0], "n\n99\n")
        box.file("d/" + name, datasets.compress(text.encode(), name.lower()))
    result = box.load(box / "d", index)
    assert_exactly_once(plain, index, [{"n": n} for n in range(1, 6)])
    assert result["response"]["files"] == 5


def test_the_same_content_under_two_names_is_loaded_twice_and_moving_the_folder_doubles_nothing(box, plain, index):
    """The computed id is made of the name relative to the source and the content."""
    plain.create(index)
    box.file("one/a.csv", "n\n1\n2\n")
    box.file("one/b.csv", "n\n1\n2\n")
    box.load(box / "one", index)
    assert plain.count(index) == 4
    ids = {key for key, _, _ in plain.read_all(index)}
    os.rename(box / "one", box / "two")
    plain.call("POST", "/%s/_delete_by_query?refresh=true" % index, {"query": {"match_all": {}}})
    box.load(box / "two", index, mode="fresh")
    assert {key for key, _, _ in plain.read_all(index)} == ids


def test_for_one_id_the_last_file_wins_by_name_or_as_listed(box, plain, index):
    plain.create(index)
    for name, value in (("z.ndjson", "last"), ("a.ndjson", "first"), ("m.csv", None)):
        box.file("d/" + name, "_id,v\n1,middle\n" if value is None else '{"_id":"1","v":"%s"}\n' % value)
    box.load(box / "d", index, max_workers=4)
    assert plain.documents(index) == {"1": {"v": "last"}}
    box.load(json.dumps([str(box / "d/z.ndjson"), str(box / "d/a.ndjson"), str(box / "d/m.csv")]), index, mode="upsert")
    assert plain.documents(index) == {"1": {"v": "middle"}}, "a list is loaded in its order"


# ---- rehearsals ------------------------------------------------------------------------------------------------------------
def test_a_rehearsal_makes_no_index_and_tunes_none(through, proxy, plain, index):
    f = through.file("a.csv", "n,d\n1,2026-01-01\nx,soon\n")
    body = {"mappings": {"properties": {"n": {"type": "integer"}, "d": {"type": "date"}}}}
    result = through.load(f, index, create=body, dry_run=True)
    assert not plain.exists(index)
    text = json.dumps(result)
    assert "x" in text and "2" in text and result["checks"]
    plain.create(index, body["mappings"]["properties"])
    plain.call("PUT", "/%s/_settings" % index, {"index": {"refresh_interval": "9s"}})
    before = len(proxy.calls("write"))
    through.load(f, index, tune_index=True, dry_run=True, refresh=True)
    assert plain.setting(index, "refresh_interval") == "9s" and plain.count(index) == 0
    assert not [e for e in proxy.calls("write")[before:] if e["method"] in ("PUT", "DELETE") or "_bulk" in e["path"]]


def test_a_rehearsal_fails_where_the_load_would(box, plain, index):
    f = box.file("a.csv", "a,a\n1,2\n")
    box.load_fails(f, index, index, dry_run=True)
    plain.create(index)
    box.load_fails(f, index, "a", dry_run=True)
    box.load_fails(box / "missing.csv", index, "missing.csv", dry_run=True)
    good = box.file("b.csv", "a\n1\n")
    plain.put(index, "x", {"a": 1})
    box.load_fails(good, index, "append", dry_run=True)
    assert plain.count(index) == 1


def test_a_rehearsal_is_no_unfinished_load(box, plain, index):
    plain.create(index)
    f = box.file("a.csv", "a\n1\n")
    box.load(f, index, dry_run=True)
    assert box.load(f, index)["response"]["created"] == 1
    assert box.load(f, index, mode="resume", dry_run=True)["response"]["files_skipped"] == 1


# ---- plans and previews -------------------------------------------------------------------------------------------------------
def test_a_plan_tells_where_a_killed_load_goes_on(through, proxy, plain, index):
    plain.create(index, datasets.PRODUCTS)
    datasets.write(through / "d/a.ndjson", DOCS)
    datasets.write(through / "d/b.csv", datasets.products(20, start=900))
    proxy.rule("delay", seconds=0.1)
    running = through.start("SELECT os_bulk_load('d', '%s', '{\"batch_size\":20,\"max_workers\":1}');" % index)
    proxy.wait_for(5)
    running.kill()
    proxy.clear()
    row = plan(through, "d", index, mode="resume")["a.ndjson"]
    assert row["action"] == "continue" and 0 < row["start_offset"] < row["size"] and row["why"]
    text = (through / "d/a.ndjson").read_bytes()
    assert text[row["start_offset"] - 1:row["start_offset"]] == b"\n", "it would begin inside of a record"
    (through / "d/a.ndjson").write_bytes(text[:-10] + b'         }')
    rows = {how: plan(through, "d", index, mode="resume", on_changed=how)["a.ndjson"]["action"] for how in ("error", "replace", "append")}
    assert rows == {"error": "refuse", "replace": "replace", "append": "load"}
    (through / "d/a.ndjson").write_bytes(text)
    time.sleep(0.2)
    through.load("d", index, mode="resume")
    assert_exactly_once(plain, index, DOCS + datasets.products(20, start=900))


def test_a_plan_refuses_what_the_load_would_refuse(box, plain, index):
    plain.create(index)
    f = box.file("a.csv", "a\n1\n")
    box.load(f, index, mode="append")
    row = plan(box, f, index, mode="append")["a.csv"]
    assert row["action"] == "refuse" and "allow_again" in row["why"]
    assert box.load_fails(f, index, mode="append").endswith(row["why"])
    assert plan(box, f, index, mode="append", allow_again=True)["a.csv"]["action"] == "load"
    with refusal("modee"):
        plan(box, f, index, modee="append")
    assert box.one("SELECT count(*) FROM os_jobs") == 2, "a plan is no job"


def test_preview_reads_the_dialect_and_the_mapping(bare_box):
    bare_box.file("p.csv", "x;y;zip\n1;'a;b';007\n2;n/a;008\nbad;c;009\n")
    db = bare_box.connect()
    options = json.dumps({"delimiter": ";", "quote": "'", "null_values": ["n/a"], "types": {"x": "number", "zip": "string"}, "id_field": "x"})
    rows = db.execute("SELECT doc_id, document, problem FROM os_preview('p.csv', ?)", (options,)).fetchall()
    assert [json.loads(r["document"]) for r in rows] == [{"y": "a;b", "zip": "007"}, {"y": None, "zip": "008"}, {"y": "c", "zip": "009"}] \
        or [json.loads(r["document"]) for r in rows] == [{"y": "a;b", "zip": "007"}, {"zip": "008"}, {"y": "c", "zip": "009"}]
    assert [str(r["doc_id"]) for r in rows] == ["1", "2", "bad"]
    with refusal("delimiter"):
        db.execute("SELECT * FROM os_preview('p.csv', '{\"delimiter\":\";;\"}')").fetchall()


def test_preview_takes_types_from_the_index(box, plain, index):
    plain.create(index, {"n": {"type": "keyword"}, "m": {"type": "integer"}})
    box.file("p.csv", "n,m\n1,1\n2,x\n")
    rows = box.rows("SELECT document, problem FROM os_preview('p.csv', '{}', ?)", index)
    assert [json.loads(r["document"]) for r in rows] == [{"n": "1", "m": 1}, {"n": "2", "m": "x"}]
    assert rows[0]["problem"] is None and "m" in rows[1]["problem"]


# ---- modes and options together ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("op", ["update", "create"])
def test_versions_of_ones_own_go_with_index_only(box, plain, index, op):
    """OpenSearch would refuse every record for it; the records are not to blame."""
    plain.create(index)
    f = box.file("a.ndjson", '{"_id":"1","v":1,"a":1}\n')
    box.load_fails(f, index, "version_field", op, op=op, version_field="v")
    assert box.dlq() == []
    box.load(f, index, version_field="v", mode="append")
    assert plain.doc(index, "1") == {"v": 1, "a": 1}


def test_upsert_with_retry_on_conflict_without_update(box, plain, index):
    """OpenSearch takes retry_on_conflict for updates only: the option must not turn every record into a refusal."""
    plain.create(index)
    f = box.file("a.ndjson", '{"_id":"1","a":1}\n')
    try:
        box.load(f, index, retry_on_conflict=3)
        assert plain.doc(index, "1") == {"a": 1}
    except Exception as error:  # refusing the combination clearly is right, too
        assert "retry_on_conflict" in str(error)
    assert box.dlq() == []


def test_an_empty_folder_and_one_without_data_files_are_errors_an_empty_file_is_none(box, plain, index):
    plain.create(index)
    os.mkdir(box / "empty")
    box.load_fails(box / "empty", index, "empty")
    box.file("notes/readme.txt", "x")
    box.load_fails(box / "notes", index, "notes")
    assert box.load(box.file("e.csv", ""), index)["response"]["documents_read"] == 0


def test_members_of_several_files_with_the_key_as_id(box, plain, index):
    plain.create(index)
    box.file("d/a.json", '{"k1":{"n":1},"k2":{"n":2}}')
    box.file("d/b.json", '{"k2":{"n":20},"k3":{"n":3}}')
    box.load(box / "d", index, id_field="@key")
    assert plain.documents(index) == {"k1": {"n": 1}, "k2": {"n": 20}, "k3": {"n": 3}}
    assert "upsert" in box.job()["response"]
