"""A client of S3 in the standard library alone, with signatures of its own: what the tests put where the extension reads.
Keys are encoded once, byte by byte (Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header").

And the fixtures that give a test a server, this client with a box that reads there, and a bucket. OS_TEST_S3=minio has the
same tests read from MinIO."""
import datetime
import hashlib
import hmac
import http.client
import re
import ssl
import urllib.parse
import xml.etree.ElementTree

import pytest

import datasets

from .cluster import unique
from .signed import SERVICE


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class S3:
    def __init__(self, url, access, secret, region="us-east-1", token=None):
        self.url, self.access, self.secret, self.region, self.token = url, access, secret, region, token
        self.host = urllib.parse.urlsplit(url).netloc
        if url.startswith("https:"):  # whose certificate is not what is tested with this client
            self.connection = http.client.HTTPSConnection(self.host, timeout=60, context=ssl._create_unverified_context())
        else:
            self.connection = http.client.HTTPConnection(self.host, timeout=60)

    @classmethod
    def of(cls, exports):
        return cls(exports["AWS_ENDPOINT_URL_S3"], exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"], exports["AWS_REGION"])

    def call(self, method, path, query="", body=b"", headers=None, service="s3"):
        """(status, headers, body); path and query are encoded already."""
        now = datetime.datetime.now(datetime.timezone.utc)
        date, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        digest = hashlib.sha256(body).hexdigest()
        sent = {"host": self.host, "x-amz-date": date, "x-amz-content-sha256": digest, **{k.lower(): v for k, v in (headers or {}).items()}}
        if self.token:
            sent["x-amz-security-token"] = self.token
        names = sorted(sent)
        canonical = "\n".join([method, path, "&".join(sorted(query.split("&"))), *["%s:%s" % (n, sent[n]) for n in names], "", ";".join(names), digest])
        scope = "%s/%s/%s/aws4_request" % (day, self.region, service)
        text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = _hmac(_hmac(_hmac(_hmac(("AWS4" + self.secret).encode(), day), self.region), service), "aws4_request")
        sent["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
            self.access, scope, ";".join(names), hmac.new(key, text.encode(), hashlib.sha256).hexdigest())
        for attempt in range(2):
            try:
                self.connection.request(method, path + ("?" + query if query else ""), body, sent)
                answer = self.connection.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            except (ConnectionError, http.client.HTTPException):
                self.connection.close()
                if attempt:
                    raise

    def _done(self, answer):
        assert answer[0] < 300, answer
        return answer

    def _path(self, bucket, key):
        return "/%s/%s" % (bucket, urllib.parse.quote(key.encode(), safe="/-_.~"))

    def bucket(self, name):
        self._done(self.call("PUT", "/" + name))
        return name

    def policy(self, bucket, text):
        self._done(self.call("PUT", "/" + bucket, "policy=", text.encode()))

    def put(self, bucket, key, body, **headers):
        body = body.encode() if isinstance(body, str) else body
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        return self._done(self.call("PUT", self._path(bucket, key), body=body, headers=headers))

    def etag(self, bucket, key):
        return {k.lower(): v for k, v in self._done(self.call("HEAD", self._path(bucket, key)))[1].items()}["etag"].strip('"')

    def delete(self, bucket, key):
        self._done(self.call("DELETE", self._path(bucket, key)))

    def empty(self, bucket, prefix=""):
        """Delete every object; lists of more than 1,000 take a few rounds."""
        while True:
            query = "list-type=2&prefix=" + urllib.parse.quote(prefix.encode(), safe="-_.~")
            tree = xml.etree.ElementTree.fromstring(self._done(self.call("GET", "/" + bucket, query))[2])
            keys = [e.text for e in tree.iter() if re.sub(r"\{.*\}", "", e.tag) == "Key"]
            if not keys:
                return
            for key in sorted(keys, reverse=True):
                self.delete(bucket, key)

    def session(self, seconds=900):
        """A client with temporary keys (AssumeRole, as MinIO has it)."""
        body = "Action=AssumeRole&Version=2011-06-15&DurationSeconds=%d" % seconds
        answer = self._done(self.call("POST", "/", body=body.encode(), service="sts", headers={"content-type": "application/x-www-form-urlencoded"}))[2].decode()
        field = {name: re.search("<%s>(.*?)</%s>" % (name, name), answer).group(1) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
        return S3(self.url, field["AccessKeyId"], field["SecretAccessKey"], self.region, field["SessionToken"])


# ---- for tests ------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def s3_server(aws_servers):
    yield aws_servers.start("s3", aws_servers.environment.get("OS_TEST_S3", "s3"))
    aws_servers.stop("s3")


@pytest.fixture
def s3(box, s3_server):
    """A client, and the box with its settings. Its keys are others than those of the server that OS_TEST_SIGNED puts before the
    node, and a box has one pair."""
    if SERVICE:
        pytest.skip("the cluster is signed for with other keys than S3")
    at(box, s3_server.exports)
    return S3.of(s3_server.exports)


@pytest.fixture
def bucket(s3):
    name = s3.bucket(bucket_name())
    yield name
    s3.empty(name)


def at(box, settings):
    box.env.update(settings)
    box.shell.env.update(settings)
    return box


def bucket_name():
    return unique().replace("_", "-").lower()


def put(s3, bucket, key, docs, ids=False):
    """Documents, in the format and compression that the key ends in."""
    name = key.rsplit("/", 1)[-1]
    s3.put(bucket, key, datasets.compress(datasets.text_for(name, docs, ids).encode(), name))
