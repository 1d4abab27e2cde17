"""A cluster with TLS and users: certificates, passwords, and a user who may write one index and nothing else."""
import json

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.cluster import unique
from harness.refusal import refusal

DOCS = datasets.products(300)
WRITE_ONLY = ["indices:data/write/bulk", "indices:data/write/bulk*", "indices:data/write/index"]


@pytest.fixture
def secure(bare_box, security):
    """A box as admin; `as_user(name, permissions)` makes it somebody else's."""
    def as_user(name, permissions, cluster=()):
        password = security.user(name, permissions, cluster)
        bare_box.close()
        bare_box.env.clear()
        bare_box.env.update(security.environment(name, password))
        bare_box.shell.env = bare_box.env
        return bare_box
    bare_box.env.update(security.environment())
    bare_box.shell.env = bare_box.env
    bare_box.as_user = as_user
    return bare_box


def test_admin_loads_over_tls(secure, security):
    index = unique()
    security.admin.create(index, datasets.PRODUCTS)
    assert "2.19" in secure.one("SELECT os_ping()")
    assert secure.load(datasets.write(secure / "a.csv", DOCS), index)["status"] == "success"
    assert_exactly_once(security.admin, index, DOCS)


def test_unknown_ca(secure, certificates):
    result = secure.fails("SELECT os_ping();", "certificate", "CA_BUNDLE", env={"CA_BUNDLE": certificates.ca})
    assert "Osn-Adm1n" not in result.err
    result = secure.fails("SELECT os_ping();", "certificate", "CA_BUNDLE", env={"CA_BUNDLE": None})
    out = secure.sql("SELECT os_ping() IS NOT NULL;", env={"CA_BUNDLE": None, "VERIFY_SSL": "false"})
    assert out.lines == ["1"] and "VERIFY_SSL" in out.err


def test_wrong_password_and_no_password(secure):
    result = secure.fails("SELECT os_ping();", "admin", "OPENSEARCH_PASSWORD", env={"OPENSEARCH_PASSWORD": "wrong-guess-1"})
    assert "wrong-guess-1" not in result.err
    secure.fails("SELECT os_ping();", "OPENSEARCH_USERNAME", env={"OPENSEARCH_USERNAME": None, "OPENSEARCH_PASSWORD": None})
    secure.file("a.ndjson", '{"a":1}\n')
    secure.fails("SELECT os_bulk_load('a.ndjson', 'x');", "OPENSEARCH_PASSWORD", env={"OPENSEARCH_PASSWORD": "wrong-guess-1"})


def test_http_to_the_tls_port(secure, security):
    secure.fails("SELECT os_ping();", "https", env={"OPENSEARCH_ENDPOINT": security.url.replace("https", "http"), "MAX_RETRIES": "0"})


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_user_who_may_only_write_one_index_can_load_it(secure, security, mode):
    index = unique("only")
    security.admin.create(index, datasets.PRODUCTS)
    box = secure.as_user("w" + unique(), {index: WRITE_ONLY}, ["indices:data/write/bulk"])
    ids = mode == "upsert"
    result = box.load(datasets.write(box / "a.csv", DOCS, ids=ids), index, mode=mode, types={"title": "string"})
    assert result["status"] == "success"
    assert_exactly_once(security.admin, index, datasets.by_id(DOCS) if ids else DOCS)
    unknown = [a for a in box.audit() if a["verdict"] == "unknown"]
    assert unknown and any("indices:" in (a["detail"] or "") for a in unknown), "the missing right is not named"
    assert "unverified" in json.dumps(result) or box.job()["count_after"] is None


def test_that_user_may_not_do_what_deletes(secure, security):
    index = unique("only")
    security.admin.create(index, datasets.PRODUCTS)
    security.admin.bulk_put(index, datasets.by_id(DOCS[:5]))
    box = secure.as_user("w" + unique(), {index: WRITE_ONLY}, ["indices:data/write/bulk"])
    box.load_fails(datasets.write(box / "a.csv", DOCS), index, "indices:", mode="fresh")
    with refusal("indices:"):
        box.run("os_cleanup", index)
    with refusal("indices:"):
        box.run("os_delete_index", index, index)
    assert security.admin.count(index) == 5


def test_no_rights_on_the_index_stops_and_refuses_no_record(secure, security):
    index = unique("foreign")
    security.admin.create(index, datasets.PRODUCTS)
    box = secure.as_user("n" + unique(), {"something_else_*": WRITE_ONLY}, ["indices:data/write/bulk"])
    box.load_fails(datasets.write(box / "a.csv", DOCS), index, "indices:data/write", mode="append")
    assert box.dlq() == [] and box.job()["status"] == "failed" and security.admin.count(index) == 0


def test_permissions_table(secure, security):
    index = unique("only")
    security.admin.create(index, datasets.PRODUCTS)
    rows = {r["right"]: r["verdict"] for r in secure.rows("SELECT * FROM os_permissions(?)", index)}
    assert "pass" in rows.values() and "fail" not in rows.values(), rows
    box = secure.as_user("p" + unique(), {index: WRITE_ONLY}, ["indices:data/write/bulk"])
    rows = box.rows("SELECT * FROM os_permissions(?)", index)
    verdicts = {r["verdict"] for r in rows}
    told = "\n".join("%(right)s: %(verdict)s: %(detail)s" % r for r in rows)
    assert "fail" in verdicts and any(r["verdict"] == "pass" and "write" in r["right"] for r in rows), told
    assert security.admin.count(index) == 0, "asking left a document"


def test_rights_taken_away_midway(secure, security):
    """The job stops with the reason; given back, resume completes it."""
    index, name = unique("mid"), "m" + unique()
    security.admin.create(index, datasets.PRODUCTS)
    box = secure.as_user(name, {index: ["*"]}, ["*"])
    docs = datasets.products(3000)
    datasets.write(box / "m.ndjson", docs)
    box.one("SELECT os_config('MAX_RATE', '1000/s')")
    running = box.start("SELECT os_bulk_load('m.ndjson', '%s', '{\"batch_size\":100,\"max_workers\":1}');" % index, env={"MAX_RATE": "1000/s"})
    import time
    end = time.time() + 20
    while security.admin.count(index) < 300 and time.time() < end:
        time.sleep(0.1)
    security.user(name, {index: ["indices:data/read*"]}, [])
    result = running.finish(60)
    assert result.code == 1 and "indices:data/write" in result.err, result
    assert box.dlq() == []
    security.user(name, {index: ["*"]}, ["*"])
    box.load("m.ndjson", index, mode="resume")
    assert_exactly_once(security.admin, index, docs)
