"""What may be loaded and how it is read: every form, plain and compressed, sources of every kind, the options that
say how a file is to be understood and what is passed to _bulk."""
import gzip
import json

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.refusal import refusal

DOCS = datasets.products(700)
NAMES = ["p.csv", "p.tsv", "p.json", "p.ndjson", "p.jsonl"]


def total(box):
    """documents that ended somewhere, by the job's own account"""
    job = box.job()
    return sum(job["documents_" + k] for k in ("created", "updated", "noop", "already", "failed", "skipped"))


# ---- forms -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("name", NAMES)
def test_form(box, plain, index, name, suffix):
    """With ids and without, the content is the same, value by value."""
    plain.create(index, datasets.PRODUCTS)
    result = box.load(datasets.write(box / ("ids/" + name + suffix), DOCS, ids=True), index)
    assert result["status"] == "success" and "upsert" in json.dumps(result)
    assert_exactly_once(plain, index, datasets.by_id(DOCS))
    assert box.figures() == {"files": 1, "files_done": 1, "read": 700, "created": 700}
    other = index + "_b"
    plain.create(other, datasets.PRODUCTS)
    result = box.load(datasets.write(box / ("plain/" + name + suffix), DOCS), other)
    assert result["status"] == "success" and "fresh" in json.dumps(result)
    assert_exactly_once(plain, other, DOCS)
    assert total(box) == 700


@pytest.mark.parametrize("name", ["p.csv", "p.tsv"])
def test_types_from_content_when_no_mapping_says_them(box, plain, index, name):
    result = box.load(datasets.write(box / name, DOCS), index, create=True)
    assert result["status"] == "success"
    assert_exactly_once(plain, index, DOCS)
    properties = next(iter(plain.get("/%s/_mapping" % index).values()))["mappings"]["properties"]
    kinds = {k: v["type"] for k, v in properties.items()}
    assert kinds["stock"] == "long" and kinds["price"] in ("float", "double") and kinds["active"] == "boolean" and kinds["sku"] == "text"


def test_a_column_has_one_type(box, plain, index):
    """Cells are not judged one by one: 007 and 20-digit numbers stay what they are."""
    big = "12345678901234567890"
    text = "code,number,mixed\n" + "".join("%03d,%d,%d\n" % (i, i, i) for i in range(50)) + "007,%s,x\n" % big
    box.load(box.file("c.csv", text), index, create={"mappings": {"dynamic": False}})
    raw = plain.call("POST", "/%s/_search" % index, {"size": 100})["hits"]["hits"]
    assert len(raw) == 51
    last = [h["_source"] for h in raw if h["_source"]["code"] == "007"]
    assert {s["code"] for s in [h["_source"] for h in raw]} >= {"000", "049", "007"}
    assert all(str(s["number"]) in (big, "7") for s in last)
    assert {type(h["_source"]["mixed"]) for h in raw} == {str}


def test_members(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    f = box.file("m.json", datasets.members_text(DOCS, indent=1))
    box.load(f, index, id_field="@key", mode="upsert")
    assert_exactly_once(plain, index, datasets.by_id(DOCS))


def test_members_without_key_as_id(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    box.load(box.file("m.json.gz", gzip.compress(datasets.members_text(DOCS).encode())), index)
    assert_exactly_once(plain, index, DOCS)


def test_one_document(box, plain, index):
    plain.create(index)
    doc = {"a": 1, "deep": {"x": [{"z": 1}, {"y": None}], "n": [1, 2]}, "text": "é"}
    box.load(box.file("one.json", json.dumps(doc, indent=2)), index)
    assert_exactly_once(plain, index, [doc])


@pytest.mark.parametrize("root, expected", [("members", [{"a": 1}, {"a": 2}]), ("document", [{"x": {"a": 1}, "y": {"a": 2}}]), (None, [{"a": 1}, {"a": 2}])])
def test_json_root(box, plain, index, root, expected):
    plain.create(index)
    f = box.file("r.json", '{"x":{"a":1},"y":{"a":2}}')
    box.load(f, index, **({"json_root": root} if root else {}))
    assert_exactly_once(plain, index, expected)


def test_records_asked_for_but_not_there(box, plain, index):
    plain.create(index)
    box.load_fails(box.file("r.json", '{"x":{"a":1},"y":{"a":2}}'), index, "r.json", json_root="records")


def test_ndjson_in_a_json_file_and_a_wrong_name(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    box.load(box.file("lines.json", datasets.ndjson_text(DOCS[:50])), index, mode="append")
    box.load(box.file("data.txt", datasets.csv_text(DOCS[50:100])), index, mode="append", format="csv")
    assert_exactly_once(plain, index, DOCS[:100])


def test_numbers_and_strings_pass_byte_for_byte(box, plain, index):
    """Numbers past 2^53, exponents, trailing zeros and escapes reach the server as they stand in the file."""
    plain.create(index, mappings={"dynamic": False})
    raw = '{"n":12345678901234567890,"m":9007199254740993,"z":0.10,"e":1E+2,"s":"\\u00e9\\/\\ud83d\\ude00","w":"a\\tb"}'
    box.load(box.file("n.ndjson", raw + "\n"), index)
    stored = plain.get("/%s/_search" % index)
    text = plain.opener.open(plain.url + "/%s/_search" % index).read().decode()
    assert '"n":12345678901234567890' in text and '"m":9007199254740993' in text and '"z":0.10' in text and '"e":1E+2' in text
    assert stored["hits"]["hits"][0]["_source"]["s"] == "é/😀"


# ---- sources -----------------------------------------------------------------------------------------------------------
def folder(box, index, docs=DOCS):
    parts = [docs[i::5] for i in range(5)]
    for name, part in zip(("d/a.csv", "d/b.json.gz", "d/sub/c.ndjson", "d/sub/deeper/d.jsonl.zst", "d/e.tsv.gz"), parts):
        datasets.write(box / name, part)
    box.file("d/readme.txt", "not data")
    box.file("d/.hidden", "not data")
    return box / "d"


def test_folder_with_subfolders(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    result = box.load(folder(box, index), index)
    assert result["status"] == "success"
    assert_exactly_once(plain, index, DOCS)
    files = box.rows("SELECT * FROM os_job_files WHERE job = ?", box.job()["job"])
    assert len(files) == 5 and {f["status"] for f in files} == {"success"} and sum(f["documents"] for f in files) == 700
    assert {f["format"].split(".")[0] for f in files} == {"csv", "json", "ndjson", "tsv"}


def test_glob_and_array_of_paths(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    for n in range(4):
        datasets.write(box / ("g/part-%d.ndjson" % n), DOCS[n * 100:n * 100 + 100])
    datasets.write(box / "g/other.ndjson", DOCS[600:])
    box.load(str(box / "g/part-[0-2].ndjson"), index, mode="append")
    assert_exactly_once(plain, index, DOCS[:300])
    box.load(json.dumps([str(box / "g/part-3.ndjson"), str(box / "g/oth*.ndjson")]), index, mode="append")
    assert_exactly_once(plain, index, DOCS[:400] + DOCS[600:])


def test_a_file_named_twice_is_loaded_once(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(box / "g/a.ndjson", DOCS[:100])
    (box / "g/link.ndjson").symlink_to(f)
    box.load(json.dumps([str(f), str(box / "g"), str(box / "g/*.ndjson"), str(box / "g/../g/a.ndjson")]), index)
    assert_exactly_once(plain, index, DOCS[:100])
    assert box.job()["files"] == 1


def test_relative_path_and_default_index(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    datasets.write(box / "a.ndjson", DOCS[:10])
    box.sql("SELECT os_bulk_load('a.ndjson');", env={"OPENSEARCH_INDEX": index})
    assert_exactly_once(plain, index, DOCS[:10])
    box.fails("SELECT os_bulk_load('a.ndjson');", "OPENSEARCH_INDEX")


@pytest.mark.parametrize("name", ["x.csv", "x.ndjson", "x.json", "x.ndjson.gz", "x.csv.zst"])
def test_standard_input(box, plain, index, name):
    plain.create(index, datasets.PRODUCTS)
    data = datasets.compress(datasets.text_for(name, DOCS).encode(), name)
    result = box.sql("SELECT os_bulk_load('-', '%s');" % index, stdin=data)
    assert result.json()["status"] == "success"
    assert_exactly_once(plain, index, DOCS)


def test_a_large_number_of_small_files(box, plain, index):
    plain.create(index)
    for n in range(1500):
        box.file("many/%02d/f%04d.ndjson" % (n % 20, n), '{"n":%d}\n' % n)
    box.load(box / "many", index)
    assert_exactly_once(plain, index, [{"n": n} for n in range(1500)])
    assert box.job()["requests"] < 200, "a request for each file"


# ---- ids -----------------------------------------------------------------------------------------------------------------
def test_ids_that_are_numbers(box, plain, index):
    plain.create(index)
    box.load(box.file("n.ndjson", '{"_id":7,"a":1}\n{"_id":12345678901234567890,"a":2}\n{"_id":"007","a":3}\n'), index)
    box.load(box.file("n.csv", "_id,a\n98765432109876543210,4\n010,5\n"), index)
    assert_exactly_once(plain, index, {"7": {"a": 1}, "12345678901234567890": {"a": 2}, "007": {"a": 3},
                                       "98765432109876543210": {"a": 4}, "010": {"a": 5}})


def test_ids_with_odd_characters(box, plain, index):
    plain.create(index)
    ids = ["a b", "ä/ö?#&", 'quote"back\\slash', "tab\t", "日本", "😀", "_x", "é" * 256]
    f = box.file("i.ndjson", "".join(json.dumps({"_id": i, "n": n}) + "\n" for n, i in enumerate(ids)))
    box.load(f, index)
    assert_exactly_once(plain, index, {i: {"n": n} for n, i in enumerate(ids)})


def test_id_field_leaves_the_document(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(box / "p.csv", DOCS[:50])
    box.load(f, index, id_field="sku")
    assert_exactly_once(plain, index, {d["sku"]: {k: v for k, v in d.items() if k != "sku"} for d in DOCS[:50]})


def test_no_id_field(box, plain, index):
    plain.create(index, mappings={"dynamic": False})
    f = box.file("p.ndjson", '{"key":"x","a":1}\n{"key":"x","a":1}\n')
    box.load(f, index, id_field=None)
    assert_exactly_once(plain, index, [{"key": "x", "a": 1}] * 2)


def test_computed_ids_are_short_and_sortable(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    box.load(datasets.write(box / "p.ndjson", DOCS), index)
    docs = {key: source["sku"] for key, source, _ in plain.read_all(index)}
    assert [docs[key] for key in sorted(docs)] == [d["sku"] for d in DOCS], "ids do not sort as the records stand"
    assert len({key[:16] for key in docs}) == 1 and max(map(len, docs)) <= 40


def test_server_made_ids(box, plain, index, proxy):
    plain.create(index, datasets.PRODUCTS)
    box.load(datasets.write(box / "p.ndjson", DOCS), index, exactly_once=False)
    assert_exactly_once(plain, index, DOCS)
    assert len({key[:16] for key, _, _ in plain.read_all(index)}) > 1


# ---- CSV dialect ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text, options, expected", [
    ("a;b\n1,5;x\n", {"delimiter": ";"}, [{"a": "1,5", "b": "x"}]),
    ("a,b\n'x,y',2\n", {"quote": "'"}, [{"a": "x,y", "b": 2}]),
    ("1,x\n2,y\n", {"header": False, "columns": ["n", "s"]}, [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}]),
    ("a,b\n-,NULL\n1,x\n", {"null_values": ["-", "NULL"]}, [{"a": None, "b": None}, {"a": 1, "b": "x"}]),
    ("a,b\n  x  , y \n", {"trim": True}, [{"a": "x", "b": "y"}]),
    ("a,b\n  x  , y \n", {}, [{"a": "  x  ", "b": " y "}]),
    ("a.b,a.c,d\n1,2,3\n", {}, [{"a": {"b": 1, "c": 2}, "d": 3}]),
    ("a.b,d\n1,3\n", {"nested_columns": False}, [{"a.b": 1, "d": 3}]),
    ("n,b,j,s\n1,true,\"{\"\"x\"\":[1]}\",5\n", {"types": {"n": "string", "j": "json", "s": "string"}}, [{"n": "1", "b": True, "j": {"x": [1]}, "s": "5"}]),
    ("a,b\r\n1,x\r\n2,\"y\r\nz\"\r\n", {}, [{"a": 1, "b": "x"}, {"a": 2, "b": "y\r\nz"}]),
    ("a,b\r1,x\r2,y\r", {}, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
    ("\ufeff\"a\",b\n1,x\n", {}, [{"a": 1, "b": "x"}]),
    ("a,b\n1,x\n\n2,y", {}, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
    ("a,b\n1,\"he said \"\"hi\"\"\"\n", {}, [{"a": 1, "b": 'he said "hi"'}]),
    ("a,b\n1,\"\"\n2,\n", {}, [{"a": 1, "b": ""}, {"a": 2, "b": None}]),
])
def test_csv_dialect(box, plain, index, text, options, expected):
    plain.create(index, mappings={"dynamic": False})
    box.load(box.file("c.csv", text), index, **options)
    assert_exactly_once(plain, index, expected)


def test_mapping_decides_types(box, plain, index):
    plain.create(index, {"zip": {"type": "keyword"}, "n": {"type": "integer"}, "f": {"type": "double"}, "b": {"type": "boolean"}, "o.x": {"type": "long"}, "g": {"type": "geo_point"}})
    box.load(box.file("c.csv", 'zip,n,f,b,o.x,g\n01234,5,1.5,false,7,"48.1,11.5"\n'), index)
    assert_exactly_once(plain, index, [{"zip": "01234", "n": 5, "f": 1.5, "b": False, "o": {"x": 7}, "g": "48.1,11.5"}])


def test_source_field(box, plain, index):
    plain.create(index)
    box.file("s/one.csv", "a\n1\n")
    box.file("s/t/two.ndjson", '{"a":2}\n')
    box.load(box / "s", index, source_field="source")
    assert_exactly_once(plain, index, [{"a": 1, "source": "one.csv"}, {"a": 2, "source": "two.ndjson"}])


@pytest.mark.parametrize("how, ok", [("allow", True), ("report", True), ("refuse", False)])
def test_unknown_fields(box, plain, index, how, ok):
    plain.create(index, {"a": {"type": "long"}})
    f = box.file("u.csv", "a,surprise\n1,x\n")
    if ok:
        result = box.load(f, index, unknown_fields=how)
        assert plain.count(index) == 1
        if how == "report":
            assert "surprise" in json.dumps(result) + json.dumps(box.audit())
    else:
        box.load_fails(f, index, "surprise", unknown_fields=how)
        assert plain.count(index) == 0


def many_tables(box, unknown):
    """1,200 files of one row, more than whose columns are kept; those whose numbers are in `unknown` have a column too many."""
    for n in range(1200):
        box.file("m/%04d.csv" % n, "a,surprise\n1,x\n" if n in unknown else "a\n1\n")
    return box / "m"


def fields_checks(box):
    return [(r["check_name"], r["verdict"]) for r in box.rows("SELECT check_name, verdict FROM os_audit WHERE step = 'fields' ORDER BY rowid")]


@pytest.mark.parametrize("unknown", [{1150}, set(range(1200))], ids=["in one", "in all"])
def test_unknown_fields_of_very_many_files(box, plain, index, unknown):
    plain.create(index, {"a": {"type": "long"}})
    folder = many_tables(box, unknown)
    error = box.load_fails(folder, index, "surprise", unknown_fields="refuse")
    assert "does not know %d column" % len(unknown) in error
    assert plain.count(index) == 0
    box.load(folder, index, unknown_fields="report")
    assert plain.count(index) == 1200
    rows = box.rows("SELECT detail FROM os_audit WHERE job = (SELECT max(job) FROM os_jobs) AND check_name LIKE 'unknown_field%' ORDER BY rowid")
    assert "%04d.csv: the mapping" % min(unknown) in rows[0]["detail"]
    assert len(rows) == min(len(unknown), 21) and (len(rows) == 1 or "1180 more" in rows[-1]["detail"])


def test_columns_of_very_many_files_that_fit(box, plain, index):
    plain.create(index, {"a": {"type": "long"}})
    folder = many_tables(box, set())
    planned = box.rows("SELECT columns, types FROM os_load_plan(?, ?)", str(folder), index)
    assert planned == [{"columns": '["a"]', "types": '{"a":"number"}'}] * 1200
    box.load(folder, index, unknown_fields="refuse")
    assert plain.count(index) == 1200
    assert fields_checks(box) == [("fields", "pass")]


# ---- passed on to _bulk -------------------------------------------------------------------------------------------------------
def test_op_update_is_partial(box, plain, index):
    plain.create(index)
    plain.bulk_put(index, {"1": {"a": 1, "b": 1}})
    box.load(box.file("u.ndjson", '{"_id":"1","b":2}\n{"_id":"2","b":3}\n'), index, op="update", mode="upsert")
    assert_exactly_once(plain, index, {"1": {"a": 1, "b": 2}, "2": {"b": 3}})
    assert box.figures() == {"files": 1, "files_done": 1, "read": 2, "created": 1, "updated": 1}


def test_op_create_refuses_what_is_there(box, plain, index):
    plain.create(index)
    plain.bulk_put(index, {"1": {"a": "old"}})
    result = box.load(box.file("c.ndjson", '{"_id":"1","a":"new"}\n{"_id":"2","a":"new"}\n'), index, op="create", mode="upsert")
    assert result["status"] == "partial"
    assert plain.documents(index) == {"1": {"a": "old"}, "2": {"a": "new"}}
    assert [(r["doc_id"], r["status"]) for r in box.dlq()] == [("1", 409)]


def test_version_field(box, plain, index):
    plain.create(index)
    first = box.file("v1.ndjson", '{"_id":"1","v":5,"a":"five"}\n')
    second = box.file("v2.ndjson", '{"_id":"1","v":4,"a":"four"}\n{"_id":"2","v":1,"a":"one"}\n')
    box.load(first, index, version_field="v", version_type="external")
    result = box.load(second, index, version_field="v", version_type="external", mode="upsert")
    assert plain.doc(index, "1")["a"] == "five" and plain.doc(index, "2")["a"] == "one"
    assert result["status"] == "success" and box.job()["documents_skipped"] == 1, "an older version is left out, and counted"


def test_routing_and_pipeline_and_refresh(box, plain, index):
    plain.create(index, settings={"number_of_shards": 4})
    pipeline = index + "_pipeline"
    plain.call("PUT", "/_ingest/pipeline/" + pipeline, {"processors": [{"set": {"field": "stamped", "value": True}}]})
    try:
        f = box.file("r.ndjson", "".join('{"_id":"%d","k":"r%d"}\n' % (i, i % 3) for i in range(60)))
        box.load(f, index, routing_field="k", pipeline=pipeline, refresh="wait_for")
        hits = plain.call("POST", "/%s/_search" % index, {"size": 100})["hits"]["hits"]
        assert len(hits) == 60 and all(h["_routing"] == h["_source"]["k"] and h["_source"]["stamped"] for h in hits)
    finally:
        plain.call("DELETE", "/_ingest/pipeline/" + pipeline)


def test_create_option(box, plain, index):
    f = datasets.write(box / "p.ndjson", DOCS[:20])
    body = {"settings": {"number_of_replicas": 0, "number_of_shards": 2}, "mappings": {"properties": {"sku": {"type": "keyword"}}}}
    box.load(f, index, create=body)
    assert plain.setting(index, "number_of_shards") == "2" and plain.count(index) == 20
    box.load(f, index, create={"settings": {"number_of_shards": 3}}, mode="append", allow_again=True)
    assert plain.setting(index, "number_of_shards") == "2" and plain.count(index) == 40


def test_batches_keep_both_caps(through, proxy, plain, index):
    proxy.keep_bodies = True
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(through / "p.ndjson", DOCS)
    through.load(f, index, batch_size=50)
    sizes = [e["body"].count(b"\n") // 2 for e in proxy.calls("bulk")]
    assert max(sizes) == 50 and len(sizes) == 14
    before = len(proxy.calls("bulk"))
    through.load(f, index, mode="append", allow_again=True, batch_bytes="16KiB")
    bodies = [e["body"] for e in proxy.calls("bulk")[before:]]
    assert len(bodies) > 5 and max(map(len, bodies)) <= 16384
    assert plain.count(index) == 1400


@pytest.mark.parametrize("setting, compressed", [("true", True), ("false", False), ("auto", False)])
def test_http_compress(through, proxy, plain, index, setting, compressed):
    proxy.keep_bodies = True
    plain.create(index, datasets.PRODUCTS)
    datasets.write(through / "p.ndjson", DOCS)
    through.sql("SELECT os_bulk_load('p.ndjson', '%s');" % index, env={"HTTP_COMPRESS": setting})
    assert {e["headers"].get("content-encoding") == "gzip" for e in proxy.calls("bulk")} == {compressed}
    assert_exactly_once(plain, index, DOCS)


def test_larger_than_a_batch_is_sent_alone(through, proxy, plain, index):
    proxy.keep_bodies = True
    plain.create(index, mappings={"dynamic": False})
    docs = [{"n": 1}, {"n": 2, "t": "x" * 200_000}, {"n": 3}]
    f = through.file("big.ndjson", "".join(json.dumps(d) + "\n" for d in docs))
    through.load(f, index, batch_bytes="64KiB")
    assert_exactly_once(plain, index, docs)
    big = [e["body"] for e in proxy.calls("bulk") if len(e["body"]) > 200_000]
    assert len(big) == 1 and big[0].count(b"\n") == 2


@pytest.mark.slow
@pytest.mark.limit(240)
@pytest.mark.parametrize("name", ["big.csv", "big.ndjson.gz", "big.json"])
def test_a_larger_file_with_many_workers(box, plain, index, name):
    docs = datasets.products(40_000)
    plain.create(index, datasets.PRODUCTS, settings={"number_of_shards": 3})
    f = datasets.write(box / name, docs)
    result = box.load(f, index, max_workers=8, batch_bytes="256KiB")
    assert result["status"] == "success"
    assert_exactly_once(plain, index, docs)
    job = box.job()
    assert job["documents_read"] == 40_000 and job["requests"] >= 20 and job["bytes_read"] > 0 and job["bytes_sent"] > 0
    assert job["count_before"] == 0 and job["count_after"] == 40_000
    with refusal():
        box.load(f, index, mode="append")


# ---- memory ----------------------------------------------------------------------------------------------------------
def test_what_is_kept_of_a_compressed_file_counts_for_the_batch(box, plain, index):
    """A refused record cannot be read again from it, so its bytes are kept: together with the documents they stay
    within batch_bytes, or a compressed file would take twice the memory."""
    plain.create(index, datasets.PRODUCTS)
    docs = datasets.products(4000)
    raw = len(datasets.csv_text(docs, ids=True))
    requests = {}
    for name in ("p.csv", "p.csv.gz"):
        datasets.write(box / name, docs, ids=True)
        box.load(name, index, mode="upsert", allow_again=True, batch_bytes="64KiB", batch_size=100000)
        requests[name] = box.job()["requests"], box.job()["bytes_sent"]
    assert requests["p.csv"][0] <= 1.3 * requests["p.csv"][1] / 65536 + 1, requests
    assert requests["p.csv.gz"][0] >= (requests["p.csv.gz"][1] + raw) / 65536, requests


def test_the_last_requests_share_what_is_left(box, plain, index):
    """Six megabytes in one request would leave three of four workers idle."""
    plain.create(index, datasets.PRODUCTS)
    docs = datasets.products(24000)
    size = datasets.write(box / "p.ndjson", docs, ids=True).stat().st_size
    box.load("p.ndjson", index, mode="upsert", batch_size=100000)
    requests = box.job()["requests"]
    assert size > 4 << 20 and 6 <= requests <= size / (400 << 10), (size, requests)
    assert_exactly_once(plain, index, datasets.by_id(docs))
