"""The same path again: files that somebody corrected, shortened, touched, packed, renamed or put together, and what the next
load makes of them. Each time the exact set of documents, or a refusal that says what to do."""
import gzip
import json
import os

import pytest

import datasets
from harness.checker import assert_exactly_once

DOCS = datasets.products(600)
NEXT = datasets.products(400, start=5000)


@pytest.fixture
def loaded(box, plain, index):
    """p.ndjson, without ids, is in the index."""
    plain.create(index, datasets.PRODUCTS)
    datasets.write(box / "p.ndjson", DOCS)
    assert box.load("p.ndjson", index, mode="append")["response"]["created"] == 600
    return box


def corrected(docs):
    return docs[:100] + [{**docs[100], "stock": 777777}] + docs[101:]


CHANGES = {
    "a row corrected": corrected(DOCS),
    "shortened": DOCS[:350],
    "lengthened": DOCS + NEXT[:50],
    "the next day's": NEXT,
}


def test_documents_with_a_routing_are_replaced(box, plain, index):
    """A document is deleted where its routing put it."""
    plain.create(index, settings={"number_of_shards": 3})
    docs = [{"n": i, "tenant": "t%d" % (i % 7)} for i in range(200)]
    datasets.write(box / "p.ndjson", docs)
    box.load("p.ndjson", index, mode="append", routing_field="tenant")
    datasets.write(box / "p.ndjson", docs[:50])
    box.load("p.ndjson", index, mode="resume", on_changed="replace", routing_field="tenant")
    assert_exactly_once(plain, index, docs[:50])


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("how", ["error", "replace", "append"])
def test_a_changed_file(loaded, plain, index, name, how):
    datasets.write(loaded / "p.ndjson", CHANGES[name])
    if how == "error":
        loaded.load_fails("p.ndjson", index, "p.ndjson", "changed", "on_changed", mode="resume")
        assert_exactly_once(plain, index, DOCS)
        return
    result = loaded.load("p.ndjson", index, mode="resume", on_changed=how)
    assert result["status"] == "success"
    assert_exactly_once(plain, index, CHANGES[name] if how == "replace" else DOCS + CHANGES[name])
    again = loaded.load("p.ndjson", index, mode="resume")["response"]
    assert (again["documents_read"], again["files_skipped"]) == (0, 1)


def test_corrected_then_shortened_then_as_it_was(loaded, plain, index):
    """Each version replaces the one before, also the first one when it comes back."""
    for docs in (corrected(DOCS), DOCS[:200], DOCS):
        datasets.write(loaded / "p.ndjson", docs)
        assert loaded.load("p.ndjson", index, mode="resume", on_changed="replace")["status"] == "success"
        assert_exactly_once(plain, index, docs)


def test_touched_is_not_changed(loaded, plain, index):
    os.utime(loaded / "p.ndjson", (1, 1))
    answer = loaded.load("p.ndjson", index, mode="resume")["response"]
    assert (answer["files_skipped"], answer["documents_read"]) == (1, 0)
    loaded.load_fails("p.ndjson", index, "already", mode="append")
    assert_exactly_once(plain, index, DOCS)


def test_written_again_with_the_same_content(loaded, plain, index):
    (loaded / "p.ndjson").unlink()
    datasets.write(loaded / "p.ndjson", DOCS)
    assert loaded.load("p.ndjson", index, mode="resume")["response"]["files_skipped"] == 1
    assert_exactly_once(plain, index, DOCS)


def test_renamed_is_recognised(loaded, plain, index):
    os.rename(loaded / "p.ndjson", loaded / "renamed.ndjson")
    assert loaded.load("renamed.ndjson", index, mode="resume")["response"]["documents_read"] == 0
    loaded.load_fails("renamed.ndjson", index, "renamed.ndjson", "already", mode="append")
    assert_exactly_once(plain, index, DOCS)


@pytest.mark.parametrize("mode", ["resume", "append"])
def test_packed_is_another_file(loaded, plain, index, mode):
    """Packed bytes are other content under another name, and no promise says otherwise: the documents are there twice, or the
    load is refused. Whichever it is, the plan says so beforehand and the figures afterwards."""
    (loaded / "p.ndjson.gz").write_bytes(gzip.compress((loaded / "p.ndjson").read_bytes()))
    (loaded / "p.ndjson").unlink()
    plan = loaded.one("SELECT action FROM os_load_plan('p.ndjson.gz', ?, ?)", index, json.dumps({"mode": mode}))
    assert plan == "load"
    assert loaded.load("p.ndjson.gz", index, mode=mode)["response"]["created"] == 600
    assert_exactly_once(plain, index, DOCS + DOCS)


def test_packed_with_ids_changes_nothing(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    datasets.write(box / "i.ndjson", DOCS, ids=True)
    box.load("i.ndjson", index, mode="upsert")
    datasets.write(box / "i.ndjson.gz", DOCS, ids=True)
    (box / "i.ndjson").unlink()
    assert box.load("i.ndjson.gz", index, mode="upsert")["status"] == "success"
    assert_exactly_once(plain, index, datasets.by_id(DOCS))


def test_two_files_put_together(box, plain, index):
    """The whole is another file than its parts; beside them it is loaded, and says so, and fresh makes it the only one."""
    plain.create(index, datasets.PRODUCTS)
    datasets.write(box / "d" / "a.ndjson", DOCS)
    datasets.write(box / "d" / "b.ndjson", NEXT)
    box.load("d", index, mode="append")
    (box / "d" / "ab.ndjson").write_bytes((box / "d" / "a.ndjson").read_bytes() + (box / "d" / "b.ndjson").read_bytes())
    (box / "d" / "a.ndjson").unlink()
    (box / "d" / "b.ndjson").unlink()
    answer = box.load("d", index, mode="resume")["response"]
    assert (answer["created"], answer["files"]) == (1000, 1)
    assert_exactly_once(plain, index, DOCS + NEXT + DOCS + NEXT)
    box.load("d", index, mode="fresh")
    assert_exactly_once(plain, index, DOCS + NEXT)


@pytest.mark.parametrize("what", ["appended to", "cut short"])
def test_a_file_that_changes_while_its_load_is_broken_off(through, proxy, plain, index, what):
    """Half of it is in; then it is another file. Without on_changed the load is refused, with replace only the new one is there."""
    plain.create(index, datasets.PRODUCTS)
    datasets.write(through / "p.csv", DOCS)
    proxy.rule("status", code=503, skip=3)
    through.one("SELECT os_config('MAX_RETRIES', 0)")
    through.load_fails("p.csv", index, "503", mode="append", batch_size=50, max_workers=1)
    proxy.clear()
    docs = DOCS + NEXT if what == "appended to" else DOCS[:90]
    datasets.write(through / "p.csv", docs)
    through.load_fails("p.csv", index, "p.csv", "changed", mode="resume")
    assert through.load("p.csv", index, mode="resume", on_changed="replace")["status"] == "success"
    assert_exactly_once(plain, index, docs)


@pytest.mark.limit(240)
def test_fifty_versions_of_a_thousand_ids(through, proxy, plain, index):
    """Over three files, by eight workers, while the cluster turns a fifth of all items away: the last version stands."""
    plain.create(index)
    proxy.rule("items", status=429, percent=20)
    lines = [json.dumps({"_id": "key-%d" % key, "version": version, "n": key * 7 + version}) + "\n"
             for version in range(50) for key in (range(1000) if version % 2 else range(999, -1, -1))]
    third = len(lines) // 3
    for name, part in zip("abc", (lines[:third], lines[third:2 * third], lines[2 * third:])):
        through.file("v/%s.ndjson" % name, "".join(part))
    through.one("SELECT os_config('MAX_RETRIES', 40)")
    result = through.load("v", index, mode="upsert", batch_size=2500, max_workers=8)
    assert result["status"] == "success" and result["response"]["documents_read"] == 50000
    assert plain.documents(index) == {"key-%d" % key: {"version": 49, "n": key * 7 + 49} for key in range(1000)}
    assert through.dlq() == []
