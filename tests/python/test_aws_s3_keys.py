"""Loads from S3 whose keys end, or whose clock is wrong: a server that verifies signatures stands before a bucket that does
not, and the keys come from a server that gives them to containers."""
import threading

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.credentials import container, issued
from harness.paged_bucket import PagedBucket
from harness.s3 import at

pytestmark = pytest.mark.table
DOCS = datasets.products(3000)
BIG = datasets.products(100000, start=3000)  # six ranges, the first one small; three are under way at once
THIRD = "bytes=%d-" % ((256 << 10) + (4 << 20))  # behind what is looked at before; the sixth is asked for when it is read


class Watched(PagedBucket):
    """Does something once, when an object is asked for that a load comes to late."""

    def __init__(self):
        self.do, self.lock = None, threading.Lock()
        parts = {"p/%02d.ndjson" % n: datasets.ndjson_text(DOCS[n * 300:(n + 1) * 300]).encode() for n in range(10)}
        super().__init__({**parts, "p/big.ndjson": datasets.ndjson_text(BIG).encode()})

    def object(self, key, span):
        with self.lock:
            do = self.do if key == "p/big.ndjson" and span.startswith(THIRD) else None
            if do:
                self.do = None
                do()
        return super().object(key, span)


@pytest.fixture
def watched():
    with Watched() as server:
        yield server


@pytest.fixture
def verifying(box, watched, creds, aws_servers):
    """Stands before the bucket; the box goes through it, with keys of a container."""
    server = aws_servers.proxy("s3-keys", watched.url, "s3")
    at(box, {"AWS_ENDPOINT_URL_S3": server.url, "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", **container(creds)})
    yield server
    aws_servers.stop("s3-keys")


def rejected(verifying):
    return [entry for entry in verifying.decisions() if not entry["ok"]]


def load(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    result = box.load("s3://keys/p/", index)
    assert result["status"] == "success", result
    assert plain.count(index) == len(DOCS) + len(BIG)
    assert_exactly_once(plain, index, DOCS + BIG)


def test_keys_that_end_midway(box, plain, index, watched, verifying, creds):
    """One request with them is refused; it is signed again with others, which are used from then on."""
    before = issued(creds, "/ecs/creds")

    def expire():
        verifying.control("/__sigv4/expire?key=%s&n=1" % verifying.decisions()[-1]["key"])
    watched.do = expire
    load(box, plain, index)
    (refusal,) = rejected(verifying)
    assert refusal["kind"] == "ExpiredTokenException" and "/p/" in refusal["target"]
    assert issued(creds, "/ecs/creds") - before == 2
    decisions = verifying.decisions()
    assert decisions[-1]["ok"] and decisions[-1]["key"] != decisions[0]["key"]


def test_keys_that_are_taken_back_midway(box, plain, index, watched, verifying, creds):
    """For good: what was under way with them is refused once each, and nothing is asked for with them again."""
    before = issued(creds, "/ecs/creds")
    watched.do = lambda: verifying.control("/__sigv4/expire?key=%s&n=100000" % verifying.decisions()[-1]["key"])
    load(box, plain, index)
    refusals = rejected(verifying)
    assert 1 <= len(refusals) <= 3, refusals  # ranges under way at once
    assert issued(creds, "/ecs/creds") - before == 2


@pytest.mark.parametrize("ahead", [1200, -1200])
def test_a_wrong_clock_is_mended_once(box, plain, index, verifying, ahead):
    verifying.control("/__sigv4/skew?seconds=%d" % ahead)
    load(box, plain, index)
    (refusal,) = rejected(verifying)
    assert "Signature" in refusal["reason"]


def test_a_clock_that_goes_wrong_midway(box, plain, index, watched, verifying):
    watched.do = lambda: verifying.control("/__sigv4/skew?seconds=1200")
    load(box, plain, index)
    assert 1 <= len(rejected(verifying)) <= 3
