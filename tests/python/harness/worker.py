"""What tests of the trigger worker share: the servers, a bucket and a queue, events as AWS writes them."""
import json
import time
import urllib.parse
import uuid

import pytest

from .s3 import S3
from .shell import call
from .sqs import Queue


def plain_event(bucket, key, etag, name="ObjectCreated:Put"):
    """As S3 itself tells of it; the key is encoded as HTML forms are."""
    return json.dumps({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventTime": "2026-11-21T00:00:00.000Z", "eventName": name,
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "triggers", "bucket": {"name": bucket, "arn": "arn:aws:s3:::" + bucket},
               "object": {"key": urllib.parse.quote_plus(key, safe="/"), "size": 300, "eTag": etag, "sequencer": "0A1B2C3D4E5F678901"}}}]})


def bridge_event(bucket, key, etag, kind="Object Created"):
    """As EventBridge tells of it; the key is as it is."""
    return json.dumps({"version": "0", "id": str(uuid.uuid4()), "detail-type": kind, "source": "aws.s3", "account": "000000000000",
                       "time": "2026-11-21T00:00:00Z", "region": "us-east-1", "resources": ["arn:aws:s3:::" + bucket],
                       "detail": {"version": "0", "bucket": {"name": bucket}, "object": {"key": key, "size": 300, "etag": etag, "sequencer": "0A1B"},
                                  "request-id": "r", "requester": "1", "reason": "PutObject"}}, ensure_ascii=False)


def wrapped(body):
    """As SNS passes it on."""
    return json.dumps({"Type": "Notification", "MessageId": str(uuid.uuid4()), "TopicArn": "arn:aws:sns:us-east-1:000000000000:t", "Message": body})


class Servers:
    """s3: the object store. queue_url: ElasticMQ itself. proxy: what verifies signatures in front of it."""

    def __init__(self, s3, sqs, proxy):
        self.s3, self.sqs, self.proxy = s3, sqs, proxy
        self.exports = {**s3.exports, "AWS_ENDPOINT_URL_SQS": proxy.url, "AWS_REGION": "us-east-1"}


class World:
    """A box with a bucket, a queue, and an index that a trigger can re-index."""

    def __init__(self, box, plain, index, servers):
        self.box, self.plain, self.index, self.env = box, plain, index, {**servers.exports, "LOG_LEVEL": "OFF"}
        self.s3 = S3.of(servers.exports)
        self.bucket = self.s3.bucket("w" + uuid.uuid4().hex[:16])
        self.queue = Queue(servers.sqs.url, "w-" + uuid.uuid4().hex[:12], {})
        self.at(box.env["OPENSEARCH_ENDPOINT"])
        self.endpoint = box.env["OPENSEARCH_ENDPOINT"]
        plain.create(index + "_v1", {"n": {"type": "integer"}}, aliases={index + "_current": {}})
        plain.bulk_put(index + "_v1", {"a": {"n": 1}, "b": {"n": 2}})

    def at(self, endpoint, **more):
        """Reach the cluster there from now on; triggers name this address."""
        self.endpoint = endpoint
        self.box.env.update(self.env, OPENSEARCH_ENDPOINT=endpoint, **more)
        self.box.shell.env.update(self.box.env)
        return endpoint

    def put(self, key, version=1, **members):
        """Put a trigger there; gives its ETag."""
        trigger = {"opensearch_endpoint": self.endpoint, "index_pattern": "^(.+)_v(\\d+)$", "index_replacement": "\\1_v{{next_version}}",
                   "alias_name": "{{index_base}}_current", "indices": ["%s_v%d" % (self.index, version)], **members}
        self.s3.put(self.bucket, key, json.dumps(trigger))
        return self.s3.etag(self.bucket, key)

    def tell(self, key, etag):
        self.queue.send(plain_event(self.bucket, key, etag))

    def options(self, poll_interval=0.1, wait_seconds=5, **more):
        return {"wait_seconds": wait_seconds, "reindex": {"poll_interval": poll_interval}, **more}

    def run(self, **options):
        return self.box.run("os_trigger_run", self.queue.arn, self.options(**options))

    def start(self, **options):
        """In a process of its own, on the same ledger."""
        return self.box.start(call("os_trigger_run", self.queue.arn, self.options(**options)))

    def wait_for(self, sql, seconds=20):
        until = time.monotonic() + seconds
        while not self.box.rows(sql):
            assert time.monotonic() < until, "never came true: " + sql
            time.sleep(0.05)

    def assert_done(self, version, documents=2):
        assert self.plain.count("%s_v%d" % (self.index, version)) == documents
        assert list(self.plain.get("/_alias/%s_current" % self.index)) == ["%s_v%d" % (self.index, version)]


@pytest.fixture(scope="module")
def trigger_servers(aws_servers, tmp_path_factory):
    """One pair of keys for both services."""
    s3 = aws_servers.start("worker-s3", "s3")
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    keys.write_text(json.dumps([{"access_key": s3.exports["AWS_ACCESS_KEY_ID"], "secret_key": s3.exports["AWS_SECRET_ACCESS_KEY"], "token": None}]))
    sqs = aws_servers.start("worker-sqs", "sqs")
    proxy = aws_servers.start("worker-proxy", "sigv4-proxy", "--keys", keys, "--upstream", sqs.url, "--", "--service", "sqs", "--keep-host")
    yield Servers(s3, sqs, proxy)
    for what in ("worker-proxy", "worker-sqs", "worker-s3"):
        aws_servers.stop(what)


@pytest.fixture
def world(box, plain, index, trigger_servers):
    made = World(box, plain, index, trigger_servers)
    yield made
    made.s3.empty(made.bucket)
