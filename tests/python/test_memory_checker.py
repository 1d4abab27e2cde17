"""A session of everything under valgrind: nothing read that was never written, nothing outside its block, no leak."""
import os
import shutil

import pytest

import datasets
from harness.paths import EXTENSION, SQLITE3
from harness.shell import Running, clean_environment

WORDS = ["valgrind", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite",
         "--errors-for-leak-kinds=definite", "--num-callers=20", "--quiet"]

SCRIPT = """
SELECT os_bulk_load('["p.csv","q.ndjson.gz"]', '{i}', '{{"mode":"upsert","batch_size":50}}') IS NOT NULL;
SELECT os_bulk_load('p.json.zst', '{i}', '{{"mode":"upsert","allow_again":true}}') IS NOT NULL;
SELECT os_bulk_load('bad.csv', '{i}', '{{"mode":"append"}}') IS NOT NULL;
SELECT os_bulk_load('cut.json', '{i}', '{{"mode":"append"}}') IS NOT NULL;
UPDATE dlq_failures SET document = '{{"name":"mended"}}' WHERE document IS NOT NULL;
SELECT os_retry_failures() IS NOT NULL;
SELECT count(*) FROM os_load_plan('p.csv', '{i}');
SELECT count(*) FROM os_preview('p.csv');
SELECT count(*) FROM os_permissions('{i}');
SELECT count(*) FROM os_jobs; SELECT count(*) FROM os_audit; SELECT count(*) FROM os_job_files;
SELECT os_cleanup('{i}') IS NOT NULL;
SELECT 'the end';
"""


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
@pytest.mark.skipif("san" in os.environ.get("OS_TEST_SANITIZER", ""), reason="a sanitizer watches already")
def test_session_under_valgrind(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    docs = datasets.products(300)
    datasets.write(box / "p.csv", docs, ids=True)
    datasets.write(box / "q.ndjson.gz", docs, ids=True)
    datasets.write(box / "p.json.zst", docs, ids=True)
    box.file("bad.csv", 'name,price\n"quoted, ""twice""",1\nx,not a number\ny,2,3\n"open')
    box.file("cut.json", '[{"name":"a"},{"name":"b \\u00e4')
    running = Running([*WORDS, SQLITE3, "-batch", "-cmd", ".load %s" % EXTENSION, "app.db"], SCRIPT.format(i=index),
                      str(box.path), clean_environment(box.path, box.env))
    result = running.finish(240)
    assert "the end" in result.out and result.code != 99, result
    assert not [line for line in result.err.splitlines() if line.startswith("==")], result
