"""Triggers of os_reindex_versions that lie in S3."""
import json

import pytest

from harness.refusal import refusal


@pytest.fixture
def trigger(box, plain, index):
    plain.create(index + "_v1", {"n": {"type": "integer"}}, aliases={index + "_current": {}})
    plain.bulk_put(index + "_v1", {"a": {"n": 1}, "b": {"n": 2}})
    return {"opensearch_endpoint": box.env["OPENSEARCH_ENDPOINT"], "index_pattern": "^(.+)_v(\\d+)$", "index_replacement": "\\1_v{{next_version}}",
            "alias_name": "{{index_base}}_current", "indices": [index + "_v1"]}


def test_a_trigger_in_s3(box, plain, index, s3, bucket, trigger):
    s3.put(bucket, "triggers/products 2026+ü.json", json.dumps(trigger))
    done = box.run("os_reindex_versions", "s3://%s/triggers/products 2026+ü.json" % bucket, {"poll_interval": 0.1})
    assert done["status"] == "success" and done["response"]["done"] == 1
    assert plain.count(index + "_v2") == 2 and list(plain.get("/_alias/%s_current" % index)) == [index + "_v2"]


@pytest.mark.parametrize("key, content, words", [
    ("t.json", b"{nonsense", "t.json.*line 1"),
    ("t.json", b"", "t.json"),
    ("t.json", b" " * ((1 << 20) + 1), "has 1048577 bytes; at most 1048576"),
    ("other.json", b"{}", "there is no trigger 's3://.*/t.json'; look at bucket and key, letter by letter"),
])
def test_bad_triggers(box, s3, bucket, key, content, words):
    s3.put(bucket, key, content)
    with refusal(words):
        box.run("os_reindex_versions", "s3://%s/t.json" % bucket)


def test_a_bucket_is_no_trigger(box, bucket):
    with refusal("names a bucket, where the trigger is one object"):
        box.run("os_reindex_versions", "s3://%s/" % bucket)


def test_no_bucket(box, bucket):
    with refusal("no-such-bucket-here"):
        box.run("os_reindex_versions", "s3://no-such-bucket-here/t.json")
