"""tests/sql/*.sql through the real sqlite3 shell, their whole output compared with *.out.

A script runs with -bail off in an empty folder, so that errors are part of what is compared. `@INDEX@` becomes a name of
the test's own, `@DATA@` the folder with the golden data. Normalised in the output: job numbers, times, durations, rates,
the index name, folders and ports. OS_TEST_UPDATE=1 writes the .out files anew: read the difference before you commit it.
"""
import os
import re

import pytest

import datasets
from harness.paths import TESTS
from harness.cluster import unique

SCRIPTS = sorted((TESTS / "sql").glob("*.sql"))

FILTERS = [
    (r'"job":\d+', '"job":N'), (r"\bjob[ =]\d+", "job N"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME"),
    (r'"(seconds|rate|took|milliseconds|documents_per_second|mb_per_second|bytes_per_second)":-?[\d.eE+]+', r'"\1":0'),
    (r"\b\d+(\.\d+)? (s|ms|seconds)\b", "T s"), (r"127\.0\.0\.1:\d+", "HOST"),
    (r"near line \d+", "near line L"),
]


def normalise(text, index, folder):
    text = text.replace(str(folder), "DATA").replace(index, "INDEX")
    for expression, by in FILTERS:
        text = re.sub(expression, by, text)
    return text


def golden_data(box):
    docs = datasets.products(12)
    datasets.write(box / "people.csv", docs)
    datasets.write(box / "with_ids.ndjson", docs, ids=True)
    datasets.write(box / "folder/one.json", docs[:4])
    datasets.write(box / "folder/two.tsv.gz", docs[4:])
    box.file("refused.ndjson", '{"_id":"1","stock":1}\n{"_id":"2","stock":"many"}\n{"_id":"3","stock":\n{"_id":"4","stock":4}\n')
    box.file("short.csv", "sku,stock\nA,1\nB\nC,3\n")
    box.file("empty.csv", "")


def test_there_are_scripts():
    assert len(SCRIPTS) >= 5


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_golden(box, plain, script):
    index = unique("gold")
    golden_data(box)
    plain.create(index, datasets.PRODUCTS)
    try:
        text = script.read_text().replace("@INDEX@", index).replace("@DATA@", str(box.path))
        result = box.sql(text, bail=False, check=False, env={"LOG_LEVEL": "OFF"})
        got = normalise(result.out + ("--- errors\n" + result.err if result.err else ""), index, box.path)
    finally:
        plain.call("DELETE", "/%s*" % index, allowed=(404,))
    expected = script.with_suffix(".out")
    if os.environ.get("OS_TEST_UPDATE"):
        expected.write_text(got)
    assert got == expected.read_text()
