"""Guards before the first byte: what must not be loaded is refused with a reason, and nothing was changed."""
import json

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.refusal import refusal

DOCS = datasets.products(50)


def no_change(proxy):
    return [e for e in proxy.calls() if e["class"] == "bulk" or e["method"] in ("PUT", "DELETE")]


@pytest.fixture
def source(through):
    return datasets.write(through / "a.csv", DOCS)


def test_missing_index(through, proxy, plain, index, source):
    text = through.load_fails(source, index, index, "create")
    assert not plain.exists(index) and not no_change(proxy), text
    assert [a for a in through.audit() if a["verdict"] == "fail"]


def test_alias_is_refused_and_so_is_the_index_behind_it(through, proxy, plain, index, source):
    plain.create(index, datasets.PRODUCTS, aliases={index + "_live": {}})
    for mode in ("auto", "fresh", "append"):
        text = through.load_fails(source, index, index + "_live", mode=mode)
        assert "allow_live" in text
        through.load_fails(source, index + "_live", index + "_live", mode=mode)
    assert plain.count(index) == 0 and not [e for e in no_change(proxy) if index in e["path"] and e["class"] == "bulk"]
    result = through.load(source, index, mode="append", allow_live=True)
    assert result["status"] == "success"
    assert_exactly_once(plain, index, DOCS)


def test_rollover_write_alias_is_written_through(through, plain, index, source):
    plain.create(index + "-000001", datasets.PRODUCTS, aliases={index + "_roll": {"is_write_index": False}})
    plain.create(index + "-000002", datasets.PRODUCTS, aliases={index + "_roll": {"is_write_index": True}})
    result = through.load(source, index + "_roll", mode="append")
    assert result["status"] == "success" and plain.count(index + "-000002") == 50 and plain.count(index + "-000001") == 0
    assert index + "-000002" in json.dumps(result)
    through.load_fails(source, index + "_roll", "fresh", mode="fresh")


def test_data_stream_is_written_through_with_create(through, proxy, plain, index):
    proxy.keep_bodies = True
    plain.call("PUT", "/_index_template/" + index, {"index_patterns": [index + "*"], "data_stream": {}, "template": {"settings": {"number_of_replicas": 0}}})
    try:
        plain.call("PUT", "/_data_stream/" + index)
        f = through.file("d.ndjson", "".join('{"@timestamp":"2026-01-01T00:00:%02dZ","n":%d}\n' % (i, i) for i in range(30)))
        result = through.load(f, index, mode="append")
        assert result["status"] == "success" and plain.count(index) == 30
        assert b'{"create"' in proxy.calls("bulk")[0]["body"].replace(b" ", b"")[:10]
        through.load_fails(f, index, "fresh", mode="fresh")
        assert plain.count(index) == 30
    finally:
        plain.call("DELETE", "/_data_stream/" + index, allowed=(404,))
        plain.call("DELETE", "/_index_template/" + index, allowed=(404,))


def test_red_index_is_refused(through, proxy, plain, index, source):
    plain.create(index, datasets.PRODUCTS, settings={"index.routing.allocation.require._name": "nobody"}, wait_for_active_shards=0)
    assert plain.settle(index, ("red",)) == "red"
    text = through.load_fails(source, index, index, "red")
    assert not proxy.calls("bulk"), text


def test_yellow_index_passes_with_a_note(through, plain, index, source):
    plain.create(index, datasets.PRODUCTS, settings={"number_of_replicas": 1})
    plain.settle(index, ("yellow",))
    through.load(source, index)
    assert_exactly_once(plain, index, DOCS)
    assert any("yellow" in (a["detail"] or "") for a in through.audit())


def test_closed_index(through, plain, index, source):
    plain.create(index, datasets.PRODUCTS)
    plain.call("POST", "/%s/_close" % index)
    through.load_fails(source, index, index, "clos")
    assert through.dlq() == []


def test_write_block_stops_the_job_and_refuses_no_record(through, plain, index, source):
    plain.create(index, datasets.PRODUCTS)
    plain.call("PUT", "/%s/_settings" % index, {"index.blocks.write": True})
    through.one("SELECT os_config('MAX_RETRIES', 1)")
    through.load_fails(source, index, "block")
    assert through.dlq() == [] and through.job()["status"] == "failed"
    plain.call("PUT", "/%s/_settings" % index, {"index.blocks.write": None})
    through.load(source, index, mode="resume")
    assert_exactly_once(plain, index, DOCS)


def test_flood_stage_block(through, plain, index, source):
    plain.create(index, datasets.PRODUCTS)
    plain.call("PUT", "/%s/_settings" % index, {"index.blocks.read_only_allow_delete": True})
    through.one("SELECT os_config('MAX_RETRIES', 1)")
    through.load_fails(source, index, "read-only", "disk")
    assert through.dlq() == []


def test_missing_pipeline(through, plain, index, source):
    plain.create(index, datasets.PRODUCTS)
    through.load_fails(source, index, "no_such_pipeline", pipeline="no_such_pipeline")
    assert through.dlq() == [] and plain.count(index) == 0


def test_index_that_vanishes_midway(through, proxy, plain, index):
    """It is not made again behind our back by the server's own auto-create, and nothing is dead-lettered."""
    plain.create(index, datasets.PRODUCTS)
    docs = datasets.products(1000)
    datasets.write(through / "v.ndjson", docs)
    proxy.rule("delay", seconds=0.15)
    running = through.start("SELECT os_bulk_load('v.ndjson', '%s', '{\"batch_size\":50,\"max_workers\":1}');" % index, env={"MAX_RETRIES": "1"})
    proxy.wait_for(4)
    plain.delete(index)
    result = running.finish(60)
    assert result.code == 1 and index in result.err, result
    assert through.dlq() == []


@pytest.mark.parametrize("name", ["Upper", "has space", "a/b", "*", "x,y", "-dash", "", "..", "a#b", "x" * 300])
def test_names_that_cannot_be_an_index(through, proxy, source, name):
    with refusal():
        through.load(source, name)
    assert not proxy.calls("bulk")


def test_wrong_mode_combinations(through, plain, index, source):
    plain.create(index, datasets.PRODUCTS)
    through.load_fails(source, index, "version_type", version_type="sideways")
    through.load_fails(source, index, "format", format="xml")
    through.load_fails(source, index, "json_root", json_root="trunk")
    assert plain.count(index) == 0


def test_permissions_table_when_there_is_no_security(box, plain, index):
    plain.create(index)
    rows = box.rows("SELECT * FROM os_permissions(?)", index)
    assert rows and {r["verdict"] for r in rows} <= {"pass", "fail", "unknown"}
    assert any(r["verdict"] == "pass" and "write" in r["right"] for r in rows)
