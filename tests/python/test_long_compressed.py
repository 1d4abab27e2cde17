"""Compressed files that are long enough to be inflated by a thread of their own (pipeline/read_ahead.c), by what arrives: records
that lie across the pieces, very long ones, broken ones, a file that ends early, a load that goes on inside one."""
import json
import random

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.refusal import refusal

MAPPINGS = {"dynamic": False}
LONG = 9_000  # record with 1.5 MB, behind the first 4 MiB, which are looked at before the load
BROKEN = 10_000
KINDS = ["l.ndjson.gz", "l.ndjson.zst"]


def records():
    """Texts that cannot be compressed to much less than half: some 8 MB of them, 4 MB on the disk."""
    source = random.Random(7)
    return [{"n": n, "t": "%x" % source.getrandbits(6_000_000 if n == LONG else 8 * source.randint(100, 400))} for n in range(12_000)]


@pytest.fixture(scope="module")
def docs():
    return records()


def text_of(docs):
    lines = [json.dumps(doc) + "\n" for doc in docs]
    lines[BROKEN] = '{"n":10000,"t":"not closed}\n'
    return "".join(lines).encode()


@pytest.mark.limit(120)
@pytest.mark.parametrize("name", KINDS)
def test_every_record_once_and_the_broken_one_named(box, plain, index, docs, name):
    plain.create(index, mappings=MAPPINGS)
    assert box.load(box.file(name, datasets.compress(text_of(docs), name)), index)["status"] == "partial"
    assert_exactly_once(plain, index, docs[:BROKEN] + docs[BROKEN + 1:])
    assert [(row["line"], row["raw"].strip()) for row in box.dlq()] == [(BROKEN + 1, '{"n":10000,"t":"not closed}')]


@pytest.mark.limit(120)
@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_ends_early(box, plain, index, docs, name):
    """What is whole arrives, and the error says that it was not all."""
    plain.create(index, mappings=MAPPINGS)
    whole = datasets.compress(text_of(docs), name)
    path = box.file(name, whole[:-500_000])
    with refusal() as caught:
        box.load(path, index)
    assert "early" in str(caught.value)
    arrived = {doc["n"] for doc in plain.documents(index).values()}
    assert BROKEN < len(arrived) < 12_000 - 1
    assert arrived == set(range(len(arrived) + 1)) - {BROKEN}


@pytest.mark.limit(120)
@pytest.mark.parametrize("name", KINDS)
def test_a_load_that_goes_on_inside_one(through, proxy, plain, index, docs, name):
    plain.create(index, mappings=MAPPINGS)
    path = through.file(name, datasets.compress(text_of(docs), name))
    proxy.rule("status", code=503, skip=10)
    through.one("SELECT os_config('MAX_RETRIES', 0)")
    through.load_fails(path, index, batch_size=1000, max_workers=2)
    proxy.clear()
    state = through.rows("SELECT * FROM os_job_files ORDER BY job DESC LIMIT 1")[0]
    assert state["byte_offset"] > 4 << 20
    through.load(path, index, mode="resume", batch_size=1000)
    assert_exactly_once(plain, index, docs[:BROKEN] + docs[BROKEN + 1:])
