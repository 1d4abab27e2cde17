"""Options of a load that the other modules do not look at: how they reach the server, and what they change."""
import json
import time
import urllib.parse

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.refusal import refusal

DOCS = datasets.products(300)
FORBIDDEN = json.dumps({"error": {"type": "security_exception", "reason": "no permissions for [%s] and User [name=u]",
                                  "root_cause": []}, "status": 403})


def actions(proxy):
    """The action lines of all bulk requests, and the parameters of the first."""
    lines = [json.loads(line) for e in proxy.calls("bulk") for line in e["body"].split(b"\n")[::2] if line]
    return lines, urllib.parse.parse_qs(urllib.parse.urlsplit(proxy.calls("bulk")[0]["path"]).query)


def merges(proxy):
    return [e["path"] for e in proxy.calls("write") if "_forcemerge" in e["path"]]


# ---- passed to _bulk --------------------------------------------------------------------------------------------------
def test_retry_on_conflict_is_passed_on(through, proxy, plain, index):
    proxy.keep_bodies = True
    plain.create(index)
    f = through.file("u.ndjson", '{"_id":"1","a":1}\n{"_id":"2","a":2}\n')
    through.load(f, index, op="update", mode="upsert", retry_on_conflict=3)
    lines, _ = actions(proxy)
    assert [line["update"]["retry_on_conflict"] for line in lines] == [3, 3]
    assert plain.documents(index) == {"1": {"a": 1}, "2": {"a": 2}}


def test_require_alias(through, proxy, plain, index):
    proxy.keep_bodies = True
    plain.create(index + "-000001", aliases={index + "_w": {"is_write_index": True}})
    f = through.file("a.ndjson", '{"a":1}\n')
    through.load(f, index + "_w", mode="append", require_alias=True, allow_live=True)
    _, parameters = actions(proxy)
    assert parameters["require_alias"] == ["true"] and plain.count(index + "-000001") == 1
    through.load_fails(f, index + "-000001", "alias", mode="append", require_alias=True, allow_live=True, allow_again=True)
    assert plain.count(index + "-000001") == 1 and through.dlq() == [], "a fault of the target is not the record's"


@pytest.mark.parametrize("refresh", [True, "wait_for", False])
def test_refresh_is_passed_on(through, proxy, plain, index, refresh):
    proxy.keep_bodies = True
    plain.create(index)
    through.load(through.file("a.ndjson", '{"a":1}\n'), index, refresh=refresh)
    _, parameters = actions(proxy)
    assert parameters["refresh"] == [refresh if isinstance(refresh, str) else json.dumps(refresh)]


def test_routing_and_version_from_csv(box, plain, index):
    plain.create(index, settings={"number_of_shards": 4})
    first = box.file("one.csv", "_id,_routing,_version,a\n1,r1,7,x\n2,r2,7,y\n")
    options = {"routing_field": "_routing", "version_field": "_version", "mode": "upsert"}
    box.load(first, index, **options)
    hits = plain.call("POST", "/%s/_search?version=true" % index, {"sort": ["_id"]})["hits"]["hits"] if plain.count(index) else []
    assert [(h["_id"], h["_routing"], h["_version"], h["_source"]) for h in hits] == [("1", "r1", 7, {"a": "x"}), ("2", "r2", 7, {"a": "y"})]
    again = box.file("two.csv", "_id,_routing,_version,a\n1,r1,7,same\n2,r2,8,newer\n")
    box.load(again, index, **options)
    assert box.figures()["skipped"] == 1 and box.figures()["updated"] == 1
    box.load(again, index, **options, version_type="external_gte")
    hits = plain.call("POST", "/%s/_search" % index, {"sort": ["_id"]})["hits"]["hits"] if plain.count(index) else []
    assert [h["_source"]["a"] for h in hits] == ["same", "newer"]


def test_a_version_that_is_none_is_refused_with_its_line(box, plain, index):
    """Also one that is too large, or has zeros in front, for which the server would refuse the whole request."""
    plain.create(index)
    versions = ["1", "soon", "99999999999999999999", "9223372036854775807", "007", "-1", "1.5", "9223372036854775808"]
    f = box.file("v.csv", "_id,_version,a\n" + "".join("i%d,%s,x\n" % (n, v) for n, v in enumerate(versions)))
    box.load(f, index, version_field="_version", max_failed=None)
    assert [(r["line"], r["error_type"]) for r in box.dlq()] == [(n, "version_invalid") for n in (3, 4, 6, 7, 8, 9)]
    assert sorted(plain.documents(index)) == ["i0", "i3"]
    box.db.execute("UPDATE dlq_failures SET raw = replace(replace(raw, '99999999999999999999', '5'), '007', '7')")
    assert box.run("os_retry_failures")["response"]["resolved"] == 2 and sorted(plain.documents(index)) == ["i0", "i2", "i3", "i4"]


# ---- dialect ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text, options, expected", [
    ('a,b\n"x",5" pipe\n', {"quote": None}, [{"a": '"x"', "b": '5" pipe'}]),
    ("a\n1\n2\n", {}, [{"a": 1}, {"a": 2}]),
    ('a\n"x,y"\n"line\nbreak"\n', {}, [{"a": "x,y"}, {"a": "line\nbreak"}]),
    ("x,y\n1,2\n", {"columns": ["n", "m"], "header": True}, [{"n": 1, "m": 2}]),
    ("1,2\n", {"columns": ["n", "m"]}, [{"n": 1, "m": 2}]),
    ("a,b,c\nNULL,\"NULL\",\n", {"null_values": ["NULL"]}, [{"a": None, "b": "NULL", "c": ""}]),
    ("a,b\n1,\n", {"null_values": []}, [{"a": 1, "b": ""}]),
    ("d,e\n2026-01-02,2026-01-02T03:04:05Z\n", {"types": {"d": "date", "e": "date"}}, [{"d": "2026-01-02", "e": "2026-01-02T03:04:05Z"}]),
    ("b,c\ntrue,false\nTRUE,False\n", {"types": {"b": "boolean", "c": "boolean"}}, None),
    ('j,k\n"{""a"":[1,null]}",[]\n7,"""t"""\n', {"types": {"j": "json", "k": "json"}}, [{"j": {"a": [1, None]}, "k": []}, {"j": 7, "k": "t"}]),
    ("n\n007\n12345678901234567890\n", {"types": {"n": "string"}}, [{"n": "007"}, {"n": "12345678901234567890"}]),
    ("a.b,a.c.d\n1,2\n", {"nested_columns": False}, [{"a.b": 1, "a.c.d": 2}]),
    ("a|b\n1|x\n", {"delimiter": "|", "format": "csv"}, [{"a": 1, "b": "x"}]),
    ("a\tb\n1\tx, y\n", {"delimiter": "\t"}, [{"a": 1, "b": "x, y"}]),
])
def test_more_of_the_csv_dialect(box, plain, index, text, options, expected):
    plain.create(index, mappings={"dynamic": False})
    box.load(box.file("c.csv", text), index, **options)
    rows = [{k: v for k, v in doc.items()} for _, doc, _ in plain.read_all(index)]
    if expected is None:
        assert {str(row["b"]).lower() for row in rows} == {"true"} and {str(row["c"]).lower() for row in rows} == {"false"}
    else:
        assert_exactly_once(plain, index, expected)


def test_header_false_without_columns(box, plain, index):
    """There are no names then: an error that says what to give, or names that are told. Never the first row lost."""
    plain.create(index)
    f = box.file("h.csv", "1,x\n2,y\n")
    box.load_fails(f, index, "columns", header=False)
    assert plain.count(index) == 0


def test_a_cell_that_does_not_fit_its_type_goes_as_text(box, plain, index):
    plain.create(index, {"n": {"type": "keyword"}, "j": {"type": "keyword"}})
    box.load(box.file("c.csv", "n,j\n1,\"{broken\"\nx,2\n"), index, types={"n": "number", "j": "json"})
    assert_exactly_once(plain, index, [{"n": 1, "j": "{broken"}, {"n": "x", "j": 2}])


def test_sample_rows(box, plain, index):
    """The first rows decide once for the column; a later cell that does not fit goes as text."""
    plain.create(index, mappings={"dynamic": False})
    text = "n\n" + "1\n" * 5 + "x\n"
    box.load(box.file("few.csv", text), index, sample_rows=5)
    assert sorted(str(d["n"]) for _, d, _ in plain.read_all(index)) == ["1"] * 5 + ["x"]
    assert sum(isinstance(d["n"], int) for _, d, _ in plain.read_all(index)) == 5
    box.load(box / "few.csv", index, mode="fresh")
    assert all(isinstance(d["n"], str) for _, d, _ in plain.read_all(index))


# ---- sources and settings -----------------------------------------------------------------------------------------------
def test_an_array_mixes_files_folders_and_globs(box, plain, index):
    plain.create(index)
    box.file("one.csv", "n\n1\n")
    box.file("folder/two.ndjson", '{"n":2}\n')
    box.file("folder/deep/three.json", '[{"n":3}]')
    box.file("folder/ignored.txt", "no")
    box.file("many/x4.csv", "n\n4\n")
    box.file("many/x5.csv", "n\n5\n")
    box.file("many/other.csv", "n\n6\n")
    result = box.load(json.dumps(["one.csv", "folder", "many/x*.csv", "folder/two.ndjson"]), index)
    assert_exactly_once(plain, index, [{"n": n} for n in range(1, 6)])
    assert result["response"]["files"] == 5
    box.load_fails(json.dumps(["one.csv", "nowhere"]), index, "nowhere", mode="append", allow_again=True)
    for broken in ('["one.csv"', "[]", '["one.csv", 5]'):
        box.load_fails(broken, index)
    assert plain.count(index) == 5


def test_load_mode_setting_and_the_option_above_it(box, plain, index):
    plain.create(index)
    f = box.file("a.ndjson", '{"a":1}\n')
    db = box.connect(env={"LOAD_MODE": "append"})
    mode = "SELECT json_extract(os_bulk_load(?, ?, ?), '$.response.mode')"
    assert db.execute(mode, (str(f), index, "{}")).fetchone()[0] == "append"
    with refusal("allow_again"):
        db.execute(mode, (str(f), index, "{}"))
    assert db.execute(mode, (str(f), index, '{"mode":"fresh"}')).fetchone()[0] == "fresh"
    assert plain.count(index) == 1


def test_sizes_of_batches_from_settings(through, proxy, plain, index):
    proxy.keep_bodies = True
    plain.create(index, datasets.PRODUCTS)
    datasets.write(through / "p.ndjson", DOCS)
    through.sql("SELECT os_bulk_load('p.ndjson', '%s');" % index, env={"BATCH_SIZE": "40", "MAX_WORKERS": "1"})
    assert max(e["body"].count(b"\n") // 2 for e in proxy.calls("bulk")) == 40
    proxy.log.clear()
    through.sql("SELECT os_bulk_load('p.ndjson', '%s', '{\"mode\":\"fresh\"}');" % index, env={"BATCH_BYTES": "8KiB"})
    assert max(len(e["body"]) for e in proxy.calls("bulk")) <= 8192
    assert plain.count(index) == 300


def test_rates(box, plain, index):
    """Bytes a second as an option; an option is above MAX_RATE; null takes the limit away."""
    plain.create(index, mappings={"dynamic": False})
    f = box.file("r.ndjson", "".join('{"n":%d,"t":"%s"}\n' % (i, "x" * 900) for i in range(200)))
    db = box.connect(env={"MAX_RATE": "20/s"})

    def seconds(**options):
        options = {"mode": "fresh", "batch_size": 10, "force_merge": False, **options}
        started = time.monotonic()
        db.execute("SELECT os_bulk_load(?, ?, ?)", (str(f), index, json.dumps(options))).fetchall()
        assert plain.count(index) == 200
        return time.monotonic() - started
    slow = seconds(max_rate="100KiB/s")  # 190 kB
    assert 1.2 < slow < 8, slow
    assert seconds(max_rate="100000/s") < 8 and seconds(max_rate=None) < 8, "MAX_RATE, 10 s, held although the option is above it"


# ---- finishing ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how, mode, merged", [
    (True, "append", True), (False, "fresh", False), ("auto", "append", False), ("auto", "fresh", True)])
def test_force_merge(through, proxy, plain, index, how, mode, merged):
    plain.create(index, datasets.PRODUCTS)
    plain.bulk_put(index, {"old%d" % i: {"stock": i} for i in range(5)})
    f = datasets.write(through / "a.csv", DOCS)
    assert through.load(f, index, mode=mode, force_merge=how)["status"] == "success"
    paths = [p for p in merges(proxy) if p.startswith("/%s/" % index)]
    assert bool(paths) == merged and all("only_expunge_deletes=true" in p for p in paths), paths


def test_a_force_merge_that_fails_never_fails_the_load(through, proxy, plain, index):
    plain.create(index, datasets.PRODUCTS)
    proxy.rule("status", on="POST /.*_forcemerge", code=403, body=FORBIDDEN % "indices:admin/forcemerge")
    result = through.load(datasets.write(through / "a.csv", DOCS), index, force_merge=True)
    assert result["status"] == "success" and plain.count(index) == 300
    assert [a["verdict"] for a in through.audit() if a["check_name"] == "force_merge"] == ["unknown"]


def test_validate_none_counts_nothing_afterwards(through, proxy, plain, index):
    plain.create(index, datasets.PRODUCTS)
    result = through.load(datasets.write(through / "a.csv", DOCS), index, validate="none")
    assert result["response"]["verified"] is False and result["response"]["unverified"]
    paths = [e["path"] for e in proxy.calls()]
    last = max(i for i, path in enumerate(paths) if "_bulk" in path)
    assert not [p for p in paths[last + 1:] if "_count" in p], paths
    assert plain.count(index) == 300


def test_counts_that_do_not_fit_are_an_error_that_validate_none_leaves_out(through, proxy, plain, index):
    """The proxy answers that items were indexed which it never sent: nobody else wrote, and 5 % are not there."""
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(through / "a.ndjson", DOCS, ids=True)
    proxy.rule("status", on="bulk", code=200, body=json.dumps({"took": 1, "errors": False, "items": [
        {"index": {"_index": index, "_id": d["sku"].lower(), "_version": 1, "result": "created", "status": 201, "_shards": {"failed": 0}}} for d in DOCS]}))
    through.load_fails(f, index, "300", index, mode="upsert")
    assert through.job()["status"] == "failed"
    assert [a["verdict"] for a in through.audit() if a["check_name"] == "count"][-1] == "fail"
    result = through.load(f, index, mode="upsert", validate="none")
    assert result["response"]["verified"] is False


# ---- rights that are missing ------------------------------------------------------------------------------------------------
def test_fresh_stops_where_it_may_not_look_unless_told(through, proxy, plain, index):
    plain.create(index, datasets.PRODUCTS)
    plain.bulk_put(index, {"old": {"stock": 1}})
    f = datasets.write(through / "a.csv", DOCS)
    proxy.rule("status", on="(GET|HEAD|POST) /%s/_count" % index, code=403, body=FORBIDDEN % "indices:data/read/search")
    text = through.load_fails(f, index, "allow_unverified", mode="fresh")
    assert plain.count(index) == 1, text
    assert any(a["verdict"] == "unknown" for a in through.audit())
    result = through.load(f, index, mode="append")
    assert result["status"] == "success" and result["response"]["verified"] is False and plain.count(index) == 301
    result = through.load(f, index, mode="fresh", allow_unverified=True)
    assert result["status"] == "success" and result["response"]["verified"] is False and "search" in result["response"]["unverified"]
    assert_exactly_once(plain, index, DOCS)
    with refusal("indices:data/read/search"):
        through.run("os_cleanup", index)
    result = through.run("os_cleanup", index, {"allow_unverified": True})
    assert result["response"]["deleted"] == 300 and plain.count(index) == 0


# ---- a file that was loaded in part, and changed ---------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["error", "replace", "append"])
def test_a_changed_file_of_a_killed_process(through, proxy, plain, index, how):
    plain.create(index, datasets.PRODUCTS)
    f = datasets.write(through / "d/a.csv", DOCS)
    proxy.rule("delay", seconds=0.1)
    running = through.start("SELECT os_bulk_load('d', '%s', '{\"batch_size\":20,\"max_workers\":2}');" % index)
    proxy.wait_for(6)
    running.kill()
    proxy.clear()
    time.sleep(0.3)  # what was in flight arrives
    there = plain.count(index)
    assert 0 < there < 300
    other = datasets.products(80, seed=99, start=9000)
    datasets.write(f, other)
    if how == "error":
        text = through.load_fails("d", index, "a.csv", "changed", mode="resume")
        assert plain.count(index) == there, text
        return
    through.load("d", index, mode="resume", on_changed=how)
    if how == "replace":
        assert_exactly_once(plain, index, other)
    else:
        assert plain.count(index) == there + 80
        have = [doc["sku"] for _, doc, _ in plain.read_all(index)]
        assert len(set(have)) == there + 80
