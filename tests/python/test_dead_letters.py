"""dlq_failures: every refused record with its place, its bytes and the reason; repair, send again, dismiss."""
import json

import pytest

from harness.checker import assert_exactly_once
from harness.refusal import refusal

LINES = ['{"_id":"1","n":1}', '{"_id":"2","n":"two"}', '{"_id":"3","n":3}', '{"_id":"4","n":', '{"_id":"5","n":"five"}']


@pytest.fixture
def refused(box, plain, index):
    """An index with three refused records of five: two by the server, one by the parser."""
    plain.create(index, {"n": {"type": "integer"}})
    box.source = box.file("r.ndjson", "\n".join(LINES) + "\n")
    result = box.load(box.source, index, mode="upsert", max_failed=None)
    assert result["status"] == "partial" and result["job"]
    return box


def test_what_a_row_tells(refused, index):
    rows = refused.dlq()
    assert [r["line"] for r in rows] == [2, 4, 5]
    assert [r["byte_offset"] for r in rows] == [sum(len(x) + 1 for x in LINES[:i]) for i in (1, 3, 4)]
    assert [r["raw"].rstrip("\n") for r in rows] == [LINES[1], LINES[3], LINES[4]]
    server, parser = rows[0], rows[1]
    assert json.loads(server["document"]) == {"n": "two"} and server["doc_id"] == "2" and server["status"] == 400
    assert server["error_type"] == "mapper_parsing_exception" and "[n]" in server["error_reason"] and server["op"] == "index"
    assert parser["document"] is None and parser["status"] in (0, None) and parser["error_type"] == "invalid_json" and "line" in parser["error_reason"]
    for row in rows:
        assert row["index_name"] == index and row["file"].endswith("r.ndjson") and row["job"] == refused.job()["job"]
        assert row["attempts"] >= 1 and row["failed_at"].endswith("Z") and row["resolved_at"] is None and not row["superseded"]


def test_repair_and_retry(refused, plain, index):
    db = refused.db
    changed = db.execute("UPDATE dlq_failures SET document = json_set(document, '$.n', 22) WHERE doc_id = '2'").rowcount
    assert changed == 1
    db.execute("UPDATE dlq_failures SET raw = '{\"_id\":\"4\",\"n\":44}' WHERE line = 4")
    result = refused.run("os_retry_failures")
    assert result["status"] == "partial" and result["job"] > refused.job()["job"]
    assert plain.documents(index) == {"1": {"n": 1}, "2": {"n": 22}, "3": {"n": 3}, "4": {"n": 44}}
    left = refused.dlq()
    assert [r["doc_id"] for r in left] == ["5"] and left[0]["attempts"] >= 2
    done = refused.rows("SELECT * FROM dlq_failures WHERE resolved_at IS NOT NULL")
    assert {r["doc_id"] or "4" for r in done} == {"2", "4"} and {r["resolved_by"] for r in done} == {result["job"]}
    db.execute("UPDATE dlq_failures SET document = '{\"n\":55}' WHERE doc_id = '5'")
    assert refused.run("os_retry_failures")["status"] == "success"
    assert refused.dlq() == [] and plain.doc(index, "5") == {"n": 55}


def test_retry_of_one_job_only(refused, plain, index):
    first = refused.job()["job"]
    other = refused.file("other.ndjson", '{"_id":"9","n":"nine"}\n{"_id":"10","n":10}\n')
    refused.load(other, index, mode="upsert")
    refused.db.execute("UPDATE dlq_failures SET document = '{\"n\":0}' WHERE doc_id IN ('2', '9')")
    refused.run("os_retry_failures", first)
    assert plain.doc(index, "2") == {"n": 0} and plain.doc(index, "9") is None
    with refusal("4711"):
        refused.run("os_retry_failures", 4711)


def test_retry_without_repair_is_refused_again(refused, plain, index):
    with refusal():  # nothing was indexed while something was refused
        refused.run("os_retry_failures")
    assert len(refused.dlq()) == 3 and plain.count(index) == 2


def test_retry_never_overwrites_something_newer(refused, plain, index):
    """The same id was loaded again in the meantime: the old record is superseded, not sent."""
    later = refused.file("later.ndjson", '{"_id":"2","n":2000}\n')
    refused.load(later, index, mode="upsert")
    refused.db.execute("UPDATE dlq_failures SET document = '{\"n\":22}' WHERE doc_id = '2'")
    refused.db.execute("DELETE FROM dlq_failures WHERE doc_id IS NOT '2'")
    refused.run("os_retry_failures")
    assert plain.doc(index, "2") == {"n": 2000}
    row = refused.rows("SELECT * FROM dlq_failures WHERE doc_id = '2'")[0]
    assert row["superseded"] == 1


def test_a_later_record_of_the_same_load_supersedes(box, plain, index):
    plain.create(index, {"n": {"type": "integer"}})
    f = box.file("s.ndjson", '{"_id":"a","n":"bad"}\n{"_id":"a","n":2}\n')
    box.load(f, index, mode="upsert")
    box.db.execute("UPDATE dlq_failures SET document = '{\"n\":1}'")
    box.run("os_retry_failures")
    assert plain.doc(index, "a") == {"n": 2}


def test_retry_of_computed_ids_fills_the_gap_once(box, plain, index):
    plain.create(index, {"n": {"type": "integer"}})
    docs = [{"n": "bad"} if i % 4 == 0 else {"n": i} for i in range(40)]
    f = box.file("c.ndjson", "".join(json.dumps(d) + "\n" for d in docs))
    box.load(f, index, max_failed=None)
    box.db.execute("UPDATE dlq_failures SET document = '{\"n\":-1}'")
    box.run("os_retry_failures")
    expected = [{"n": -1} if i % 4 == 0 else {"n": i} for i in range(40)]
    assert_exactly_once(plain, index, expected)
    box.load(f, index, mode="resume")
    assert_exactly_once(plain, index, expected)


def test_raw_csv_is_parsed_again_in_the_files_dialect(box, plain, index):
    plain.create(index, {"n": {"type": "integer"}, "t": {"type": "keyword"}})
    f = box.file("c.csv", "_id;n;t\n1;1;\"a;b\"\n2;2\n3;3;c\n")
    box.load(f, index, delimiter=";", mode="upsert")
    row = box.dlq()[0]
    assert row["line"] == 3 and row["raw"].rstrip("\n") == "2;2"
    box.db.execute("UPDATE dlq_failures SET raw = '2;2;\"x;y\"'")
    assert box.run("os_retry_failures")["status"] == "success"
    assert_exactly_once(plain, index, {"1": {"n": 1, "t": "a;b"}, "2": {"n": 2, "t": "x;y"}, "3": {"n": 3, "t": "c"}})


def test_delete_dismisses(refused):
    assert refused.db.execute("DELETE FROM dlq_failures WHERE doc_id = '2'").rowcount == 1
    assert [r["line"] for r in refused.dlq()] == [4, 5]
    refused.close()
    assert [r["line"] for r in refused.dlq()] == [4, 5]


def test_only_document_and_raw_can_be_changed(refused):
    db = refused.db
    for sql in ("UPDATE dlq_failures SET status = 200", "UPDATE dlq_failures SET file = 'x'", "INSERT INTO dlq_failures(document) VALUES('{}')",
                "UPDATE dlq_failures SET document = '{broken'", "UPDATE dlq_failures SET document = '[1]'"):
        with refusal():
            db.execute(sql)
    assert json.loads(refused.dlq()[0]["document"]) == {"n": "two"}


def test_edits_commit_row_by_row(refused):
    db = refused.db
    db.execute("BEGIN")
    db.execute("DELETE FROM dlq_failures WHERE doc_id = '2'")
    db.execute("ROLLBACK")
    assert "2" not in [r["doc_id"] for r in refused.dlq()]


def test_one_row_a_record_however_often_it_is_loaded(refused, index):
    refused.load(refused.source, index, mode="upsert", max_failed=None)
    refused.load(refused.source, index, mode="upsert", max_failed=None)
    rows = refused.dlq()
    assert len(rows) == 3 and all(r["attempts"] >= 3 for r in rows if r["document"])
    assert {r["job"] for r in rows} == {refused.job()["job"]}


def test_binary_raw_is_a_blob(box, plain, index):
    plain.create(index)
    box.load(box.file("b.ndjson", b'{"a":1}\n{"a":"\xff"}\n'), index)
    row = box.dlq()[0]
    assert bytes(row["raw"]).rstrip(b"\n") == b'{"a":"\xff"}' and box.one("SELECT typeof(raw) FROM dlq_failures") == "blob"


def test_seen_from_another_process_and_joinable(refused):
    out = refused.sql("SELECT count(*), group_concat(line) FROM (SELECT line FROM dlq_failures ORDER BY line); SELECT j.status FROM os_jobs j JOIN dlq_failures d ON d.job = j.job GROUP BY 1;").lines
    assert out == ["3|2,4,5", "partial"]


def test_dead_letters_are_there_before_the_batch_counts(through, proxy, plain, index):
    """Killed right after refusals were acknowledged: they are in the ledger, and resume does not double them."""
    plain.create(index, {"n": {"type": "integer"}})
    docs = [{"n": "bad"} if i % 5 == 0 else {"n": i} for i in range(1000)]
    through.file("k.ndjson", "".join(json.dumps(d) + "\n" for d in docs))
    proxy.rule("delay", seconds=0.05)
    running = through.start("SELECT os_bulk_load('k.ndjson', '%s', '{\"batch_size\":20,\"max_workers\":2,\"max_failed\":null}');" % index)
    proxy.wait_for(12)
    running.kill()
    state = through.rows("SELECT * FROM os_job_files")[0]
    covered = [json.loads(r["raw"]) for r in through.dlq("byte_offset < %d" % state["byte_offset"])]
    text = (through / "k.ndjson").read_text()[:state["byte_offset"]]
    assert len(covered) == text.count('"bad"'), "acknowledged, but the refusals are not all there"
    proxy.clear()
    through.load("k.ndjson", index, mode="resume", max_failed=None)
    assert_exactly_once(plain, index, docs, through.dlq())
    assert len(through.dlq()) == 200
