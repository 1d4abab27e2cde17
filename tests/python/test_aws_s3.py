"""Loads from S3: what a URL names, odd keys, many keys, compression, resume, rights, other regions, public buckets. The
servers verify every signature: versitygw; MinIO for session tokens; moto, with its checks on, for keys that a file system
cannot hold."""
import json
import os
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import datasets
from harness.aws import LONG_KEY, SCRIPT
from harness.checker import assert_exactly_once
from harness.paths import EXTENSION, ROOT
from harness.refusal import refusal
from harness.s3 import S3, at, bucket_name, put
from harness.servers import closed_port
from proxy import Proxy

DOCS = datasets.products(300)


def files_of(box):
    return [row["file"] for row in box.rows("SELECT file FROM os_job_files WHERE job = (SELECT max(job) FROM os_jobs) ORDER BY file")]


# ---- what a URL names -------------------------------------------------------------------------------------------------------
@pytest.fixture
def folder(s3, bucket):
    for n, key in enumerate(("p/a.csv", "p/b.ndjson", "p/sub/c.json", "p/sub/deep/d.csv.gz", "p/e.ndjson.zst")):
        put(s3, bucket, key, DOCS[n * 60:(n + 1) * 60])
    for key in ("p/readme.txt", "p/.hidden.csv", "p/.dir/x.csv", "p/data.csv.bak", "pp.csv"):
        s3.put(bucket, key, "a\n1\n")
    s3.put(bucket, "p/mark/", b"")
    s3.put(bucket, "p/zero.csv", b"")
    return "s3://%s/" % bucket


def test_a_prefix_is_walked_as_a_folder(box, plain, index, folder):
    plain.create(index, datasets.PRODUCTS)
    result = box.load(folder + "p/", index)
    assert_exactly_once(plain, index, DOCS)
    assert result["status"] == "success" and result["response"]["files"] == 6
    assert files_of(box) == [folder + "p/" + k for k in ("a.csv", "b.ndjson", "e.ndjson.zst", "sub/c.json", "sub/deep/d.csv.gz", "zero.csv")]
    rows = box.rows("SELECT * FROM os_job_files WHERE file LIKE '%/a.csv'")
    assert rows[0]["name"] == "p/a.csv" and rows[0]["fingerprint"].startswith("etag:") and rows[0]["mtime"].startswith("20")


@pytest.mark.parametrize("path, docs", [
    ("p/a.csv", DOCS[:60]), ("p", DOCS), ("p/sub", DOCS[120:240]), ("p/*.csv", DOCS[:60]), ("p/[ab].*", DOCS[:120]), ("p/*/*.json", DOCS[120:180])])
def test_keys_patterns_and_prefixes(box, plain, index, folder, path, docs):
    plain.create(index, datasets.PRODUCTS)
    box.load(folder + path, index)
    assert_exactly_once(plain, index, docs)


def test_local_files_and_objects_together_each_once(box, plain, index, folder):
    plain.create(index, datasets.PRODUCTS)
    more = datasets.products(20, start=1000)
    datasets.write(box / "local/x.csv", more)
    box.load(json.dumps([folder + "p/", str(box / "local"), folder + "p/a.csv", folder + "p/sub/"]), index)
    assert_exactly_once(plain, index, DOCS + more)
    assert box.figures()["files"] == 7


@pytest.mark.parametrize("name", ["p/zero.csv", "p/zero.ndjson", "p/zero.csv.gz"])
def test_an_empty_object_by_itself(box, plain, index, folder, s3, bucket, name):
    """It has no first byte to be asked for."""
    s3.put(bucket, name, b"")
    plain.create(index, datasets.PRODUCTS)
    result = box.load(folder + name, index)
    assert result["status"] == "success" and result["response"]["files"] == 1 and result["response"]["documents_read"] == 0
    assert plain.count(index) == 0 and files_of(box) == [folder + name]
    assert box.load(folder + name, index, mode="resume")["response"]["files_skipped"] == 1


@pytest.mark.parametrize("path, words", [
    ("p/none.csv", ["there is no object", "p/none.csv", "'p/a.csv'"]), ("p/none/", ["there is no object", "'p/"]), ("q/r/s/", ["'p/'"]),
    ("p/*.tsv", ["nothing matches", "objects begin with 'p/'", "the first is 'p/.dir/x.csv'"]), ("p/.dir/", ["holds no file to load", "1 object"]), ("none*", ["nothing matches"])])
def test_nothing_there(box, index, plain, folder, path, words):
    plain.create(index, datasets.PRODUCTS)
    if path == "p/.dir/":
        path = "p/mark/"
    box.load_fails(folder + path, index, *words)
    assert plain.count(index) == 0


def test_an_arn_where_a_url_was_meant(box, index, plain):
    plain.create(index, datasets.PRODUCTS)
    box.load_fails("arn:aws:s3:::bucket/p/", index, "'arn:aws:s3:::bucket/p/' is an ARN", "write s3://bucket/p/")


def test_a_name_that_no_bucket_can_have(box, index, plain, s3):
    plain.create(index, datasets.PRODUCTS)
    box.load_fails("s3://My_Bucket/p/", index, "400 (InvalidBucketName)", "3 to 63 lower-case letters")


def test_a_bucket_where_a_prefix_was_meant(box, plain, index, folder):
    plain.create(index, datasets.PRODUCTS)
    box.load_fails(folder[:-1], index, "is a bucket", folder)
    box.load_fails("s3://nosuchbucket-xyz/a/", index, "there is no bucket 'nosuchbucket-xyz'", "AWS_ENDPOINT_URL_S3")
    box.load_fails("s3://nosuchbucket-xyz/a.csv", index, "there is no bucket 'nosuchbucket-xyz'")
    box.load(folder + "p/", index)
    assert plain.count(index) == 300


# ---- keys ---------------------------------------------------------------------------------------------------------------------
ODD = ["with space.ndjson", "plus+sign.ndjson", "percent%41.ndjson", "uni-ä-日本-😀.ndjson", "quote'\"&<>.ndjson", "at@eq=semi;comma,.ndjson",
       "paren()*!~.ndjson", "hash#q?.ndjson", "back\\slash.ndjson", "dot.dot..ndjson", "[br]{ac}|^`.ndjson", "new\nline.ndjson", "%2F.ndjson"]


def test_odd_keys(box, plain, index, s3, bucket):
    for n, name in enumerate(ODD):
        s3.put(bucket, "odd/" + name, '{"n":%d}\n' % n)
    plain.create(index, {})
    box.load("s3://%s/odd/" % bucket, index, source_field="source")
    assert_exactly_once(plain, index, [{"n": n, "source": name} for n, name in enumerate(ODD)])
    for n, name in enumerate(ODD):  # by themselves, as they are
        assert json.loads(box.rows("SELECT document FROM os_preview(?)", "s3://%s/odd/%s" % (bucket, name))[0]["document"]) == {"n": n}


@pytest.fixture(scope="module")
def moto(aws_servers):
    yield aws_servers.start("moto", "moto", "--auth")
    aws_servers.stop("moto")


def test_keys_that_no_file_system_has(box, plain, index, moto):
    exports = {**moto.exports, "AWS_ENDPOINT_URL_S3": moto.url}
    client = S3.of({"AWS_REGION": "us-east-1", **exports})
    at(box, exports)
    bucket = client.bucket(bucket_name())
    keys = ["p.ndjson", "p.ndjson/q.ndjson", "a//b.ndjson", "/lead.ndjson", "x/./y.ndjson", "x/../z.ndjson", "a//", "tab\t.ndjson"]
    for n, key in enumerate(keys):
        client.put(bucket, key, '{"n":%d}\n' % n if not key.endswith("/") else "")
    plain.create(index, {})
    box.load("s3://%s/" % bucket, index)
    taken = [n for n, key in enumerate(keys) if key.endswith("n") and "/." not in key]
    assert_exactly_once(plain, index, [{"n": n} for n in taken])
    for n, key in enumerate(keys):
        if key.endswith("n"):
            assert json.loads(box.rows("SELECT document FROM os_preview(?)", "s3://%s/%s" % (bucket, key))[0]["document"]) == {"n": n}


@pytest.mark.slow
@pytest.mark.limit(300)
def test_many_keys(box, plain, index, s3, bucket):
    """More than are looked at beforehand: the rest is told by its names, and what these hide is found when it is read."""
    count = 2350

    def fill(part):
        client = S3(s3.url, s3.access, s3.secret, s3.region)
        for n in range(part, count, 4):
            client.put(bucket, "many/%05d.ndjson" % n, '{"n":%d}\n' % n)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, range(4)))
    s3.put(bucket, "many/zz1.ndjson", datasets.compress(b'{"n":-1}\n', "x.gz"))
    s3.put(bucket, "many/zz2.csv.gz", datasets.compress(b"n\n-2\n", "x.gz"))
    s3.put(bucket, "many/zz3.csv", b"")
    plain.create(index, {"n": {"type": "long"}})
    result = box.load("s3://%s/many/" % bucket, index, unknown_fields="refuse")
    assert_exactly_once(plain, index, [{"n": n} for n in range(-2, count)])
    assert any(row["step"] == "fields" and row["verdict"] == "unknown" and "first 2000 files" in row["detail"] for row in box.audit())
    assert "the first 2000 were looked at" in result["response"]["mode_reason"]
    assert any("2000 of them looked at" in (row["detail"] or "") for row in box.audit())
    assert box.load("s3://%s/many/" % bucket, index, mode="resume")["response"]["files_skipped"] == 2353
    s3.put(bucket, "many/zz4.csv.gz", b"n\n1\n")  # an error page, mostly
    box.load_fails("s3://%s/many/" % bucket, index, "zz4.csv.gz is not compressed", mode="resume")


# ---- content ------------------------------------------------------------------------------------------------------------------
def test_compression_is_seen_from_the_content(box, plain, index, s3, bucket):
    plain.create(index, datasets.PRODUCTS)
    s3.put(bucket, "c/plain-name.csv", datasets.compress(datasets.csv_text(DOCS[:100]).encode(), "x.gz"), Content_Encoding="gzip")
    put(s3, bucket, "c/b.ndjson.zst", DOCS[100:])
    box.load("s3://%s/c/" % bucket, index)
    assert_exactly_once(plain, index, DOCS)
    s3.put(bucket, "page.csv.gz", "<html>no</html>")
    box.load_fails("s3://%s/page.csv.gz" % bucket, index, "is not compressed", mode="append")


BIG = datasets.products(60000)


@pytest.mark.parametrize("name", ["big.ndjson", "big.csv.gz"])
@pytest.mark.limit(300)
@pytest.mark.table
def test_large_objects(box, plain, index, s3, bucket, name):
    """Several ranges of each, with records across their borders."""
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, name, BIG)
    box.load("s3://%s/%s" % (bucket, name), index, validate="ids")
    assert plain.count(index) == len(BIG)
    assert_exactly_once(plain, index, BIG)


def test_refused_records_keep_their_bytes(box, plain, index, s3, bucket):
    plain.create(index, {"n": {"type": "integer"}})
    s3.put(bucket, "r.csv", 'n,t\n1,a\nx,"b ""c"""\n3,d\n4,"open\n')
    result = box.load("s3://%s/r.csv" % bucket, index)
    assert result["status"] == "partial"
    rows = box.dlq()
    assert [row["line"] for row in rows] == [3, 5] and rows[0]["file"] == "s3://%s/r.csv" % bucket
    assert rows[0]["raw"].rstrip("\n") == 'x,"b ""c"""'
    box.db.execute("UPDATE dlq_failures SET document = json_set(document, '$.n', 2) WHERE line = 3")
    assert box.run("os_retry_failures")["response"]["resolved"] == 1


# ---- again ----------------------------------------------------------------------------------------------------------------------
def test_plan_preview_and_resume(box, plain, index, s3, bucket):
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, "d/a.csv", DOCS[:100])
    put(s3, bucket, "d/b.csv", DOCS[100:200])
    path = "s3://%s/d/" % bucket
    plan = box.rows("SELECT * FROM os_load_plan(?, ?)", path, index)
    assert [(r["file"], r["action"], r["format"]) for r in plan] == [(path + "a.csv", "load", "csv"), (path + "b.csv", "load", "csv")]
    assert plan[0]["fingerprint"] == "etag:" + s3.etag(bucket, "d/a.csv") and plan[0]["mtime"].startswith("20")
    assert len(box.rows("SELECT * FROM os_preview(?)", path)) == 40
    box.load(path, index)
    box.load_fails(path, index, "already", mode="append")
    put(s3, bucket, "d/c.csv", DOCS[200:])
    again = box.load(path, index, mode="resume")
    assert again["response"]["files"] == 1 and again["response"]["files_skipped"] == 2
    assert_exactly_once(plain, index, DOCS)
    put(s3, bucket, "d/b.csv", DOCS[150:200])  # replaced
    box.load_fails(path, index, "b.csv changed since job", mode="resume")
    box.load(path, index, mode="resume", on_changed="replace")
    assert_exactly_once(plain, index, DOCS[:100] + DOCS[150:])


@pytest.mark.parametrize("name", ["big.ndjson", "big.csv.gz"])
@pytest.mark.limit(300)
@pytest.mark.table
def test_resume_inside_an_object(box, plain, index, s3, s3_server, bucket, name):
    plain.create(index, datasets.PRODUCTS)
    put(s3, bucket, name, BIG)
    path = "s3://%s/%s" % (bucket, name)
    run = box.start("SELECT os_bulk_load('%s', '%s', '{\"max_rate\":\"15000/s\", \"batch_size\":2000, \"max_workers\":1}');" % (path, index))
    wait_for_documents(box, 35000)
    run.interrupt()
    run.finish()
    row = box.rows("SELECT * FROM os_job_files")[0]
    assert 0 < row["byte_offset"] and row["status"] != "success", row
    with Proxy(s3_server.url, seed=1) as proxy:
        at(box, {"AWS_ENDPOINT_URL_S3": proxy.url})
        box.close()
        result = box.load(path, index, mode="resume")
        starts = sorted(int(call["headers"]["range"].split("=")[1].split("-")[0]) for call in proxy.calls() if call["method"] == "GET" and "range" in call["headers"])
    assert result["response"]["documents_read"] < len(BIG)
    assert_exactly_once(plain, index, BIG)
    if name.endswith(".ndjson"):
        assert row["byte_offset"] in starts, "the range begins where the load stopped: %s" % starts


def wait_for_documents(box, count):
    end = time.time() + 150
    while time.time() < end:
        rows = box.rows("SELECT documents_read FROM os_jobs")
        if rows and rows[0]["documents_read"] >= count:
            return
        time.sleep(0.1)
    raise AssertionError("the load did not get that far")


# ---- who may, and where ---------------------------------------------------------------------------------------------------------
def test_a_bucket_in_another_region(box, plain, index, aws_servers):
    server = aws_servers.start("s3-eu", "s3", "--region", "eu-central-1")
    try:
        client = S3.of(server.exports)
        put(client, client.bucket("faraway"), "a.csv", DOCS)
        at(box, {**server.exports, "AWS_REGION": "us-west-2"})
        plain.create(index, datasets.PRODUCTS)
        box.load("s3://faraway/", index)
        assert_exactly_once(plain, index, DOCS)
    finally:
        aws_servers.stop("s3-eu")


@pytest.mark.parametrize("path", ["p/", "p/a.csv"])
def test_a_bucket_that_is_said_to_be_elsewhere(box, plain, index, aws_servers, path):
    """301 with the region in a header alone: asked for there, signed for there (the server takes nothing else), and remembered."""
    server = aws_servers.start("s3-moved", "s3", "--region", "eu-central-1")
    moved = {"body": "<Error><Code>PermanentRedirect</Code><Message>address it there</Message></Error>", "content_type": "application/xml"}
    try:
        client = S3.of(server.exports)
        put(client, client.bucket("moved"), "p/a.csv", DOCS)
        plain.create(index, datasets.PRODUCTS)
        with Proxy(server.url, seed=3) as proxy:
            proxy.rule("status", on="GET /moved", code=301, times=1, headers={"x-amz-bucket-region": "eu-central-1"}, **moved)
            at(box, {**server.exports, "AWS_REGION": "us-west-2", "AWS_ENDPOINT_URL_S3": proxy.url})
            box.load("s3://moved/" + path, index)
            statuses = [call["status"] for call in proxy.calls()]
    finally:
        aws_servers.stop("s3-moved")
    assert_exactly_once(plain, index, DOCS)
    assert statuses[0] == 301 and len(statuses) > 2 and all(status < 300 for status in statuses[1:]), statuses


def test_public_buckets_need_no_keys(box, plain, index, s3_server, bucket, s3):
    put(s3, bucket, "open/a.csv", DOCS)
    put(s3, bucket, "shut.csv", DOCS)
    everyone = {"Effect": "Allow", "Principal": "*"}
    s3.policy(bucket, json.dumps({"Version": "2012-10-17", "Statement": [
        {**everyone, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::%s/open/*" % bucket}, {**everyone, "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::" + bucket}]}))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        box.env.pop(name, None)
    at(box, {"AWS_EC2_METADATA_DISABLED": "true"})
    plain.create(index, datasets.PRODUCTS)
    text = box.load_fails("s3://%s/open/" % bucket, index, "s3_anonymous")
    assert "SECRET" not in text or "AWS_SECRET_ACCESS_KEY" in text
    box.load_fails("s3://%s/shut.csv" % bucket, index, "s3:GetObject", "s3://%s/shut.csv" % bucket, "403", s3_anonymous=True)
    box.load("s3://%s/open/" % bucket, index, s3_anonymous=True)
    assert_exactly_once(plain, index, DOCS)


def test_a_prefix_without_its_slash_where_only_what_is_below_may_be_read(box, plain, index, bucket, s3):
    """As with examples/aws/s3-read-policy.json: the prefix itself is refused as an object."""
    put(s3, bucket, "exports/a.csv", DOCS[:100])
    put(s3, bucket, "exports/sub/b.ndjson", DOCS[100:])
    put(s3, bucket, "shut/c.csv", DOCS)
    s3.put(bucket, "exports/notes/d.txt", "nothing to load")
    policy = json.loads((ROOT / "examples/aws/s3-read-policy.json").read_text().replace("my-data", bucket))
    for statement in policy["Statement"]:
        statement["Principal"] = "*"
        statement.pop("Condition", None)  # which versitygw does not know
    s3.policy(bucket, json.dumps(policy))
    plain.create(index, datasets.PRODUCTS)
    folder = "s3://%s/" % bucket
    box.load(folder + "exports", index, s3_anonymous=True)
    assert_exactly_once(plain, index, DOCS)
    box.load_fails(folder + "exports/notes", index, "holds no file to load", s3_anonymous=True, mode="append")
    for path in ("nothing", "shut.csv"):
        box.load_fails(folder + path, index, "s3:GetObject", folder + path, "403", s3_anonymous=True, mode="append")


@pytest.mark.parametrize("keys, words", [
    ({"AWS_SECRET_ACCESS_KEY": "wrongsecretxyz"}, ["SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"]),
    ({"AWS_ACCESS_KEY_ID": "NOBODY"}, ["InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"])])
@pytest.mark.parametrize("path", ["a.csv", "p/"])
def test_wrong_keys(box, plain, index, s3, bucket, keys, words, path):
    put(s3, bucket, "a.csv", DOCS)
    plain.create(index, datasets.PRODUCTS)
    at(box, keys)
    text = box.load_fails("s3://%s/%s" % (bucket, path), index, *words)
    assert "wrongsecretxyz" not in text and s3.secret not in text
    assert not any("wrongsecretxyz" in str(list(row.values())) for row in box.rows("SELECT * FROM os_jobs"))


def test_session_tokens(box, plain, index, aws_servers):
    if subprocess.run([SCRIPT, "prepared", "minio"]).returncode:
        pytest.skip("minio is not installed: scripts/aws-server prepare minio")
    server = aws_servers.start("minio", "minio")
    try:
        client = S3.of(server.exports)
        put(client, client.bucket("tokens"), "a/b.csv", DOCS)
        session = client.session()
        keys = {"AWS_ACCESS_KEY_ID": session.access, "AWS_SECRET_ACCESS_KEY": session.secret, "AWS_SESSION_TOKEN": session.token}
        at(box, {**server.exports, **keys})
        plain.create(index, datasets.PRODUCTS)
        box.load("s3://tokens/a/", index)
        assert_exactly_once(plain, index, DOCS)
        box.close()
        at(box, {"AWS_SESSION_TOKEN": "x" + session.token[1:]})
        box.load_fails("s3://tokens/a/", index, "s3:ListBucket", "s3://tokens/a/", mode="append")
    finally:
        aws_servers.stop("minio")


def test_local_loads_need_no_keys(box, plain, index):
    at(box, {"AWS_ACCESS_KEY_ID": "half-set"})
    plain.create(index, datasets.PRODUCTS)
    box.load(datasets.write(box / "a.csv", DOCS), index)
    assert plain.count(index) == 300
    with refusal() as caught:
        box.load("s3://bucket/x/", index, mode="append")
    assert "AWS_SECRET_ACCESS_KEY" in str(caught.value)


# ---- AWS's own addresses ----------------------------------------------------------------------------------------------------------
class Tunnel:
    """A proxy for CONNECT that leads every host to one port here, and remembers which were asked for."""

    def __init__(self, port):
        self.target, self.hosts = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        self.hosts.append(head.split(b" ")[1].decode())
        server = socket.create_connection(("127.0.0.1", self.target))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
        self._copy(client, server)

    @staticmethod
    def _copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


def test_the_bucket_stands_in_the_host_name(box, plain, index, aws_servers, certificates):
    """As on AWS: https, the bucket's own host; one with dots in the path, because no certificate would fit."""
    domain = "s3.eu-west-1.amazonaws.com"
    pair = certificates.server("s3", "DNS:%s,DNS:*.%s,IP:127.0.0.1" % (domain, domain))
    server = aws_servers.start("s3-host", "s3", "--region", "eu-west-1", "--domain", domain, "--tls", *pair)
    tunnel = Tunnel(server.port)
    try:
        client = S3.of(server.exports)
        put(client, client.bucket("hosted"), "p/odd +%41.csv", DOCS[:100])
        put(client, client.bucket("with.dots"), "p/b.csv", DOCS[100:])
        at(box, {**{k: v for k, v in server.exports.items() if "ENDPOINT" not in k}, "HTTPS_PROXY": tunnel.url, "CA_BUNDLE": certificates.ca})
        plain.create(index, datasets.PRODUCTS)
        box.sql("""SELECT os_bulk_load('["s3://hosted/p/", "s3://hosted/p/odd +%%41.csv", "s3://with.dots/p/"]', '%s');""" % index)
        assert_exactly_once(plain, index, DOCS)
        assert set(tunnel.hosts) == {"hosted.%s:443" % domain, domain + ":443"}
    finally:
        tunnel.close()
        aws_servers.stop("s3-host")


def test_fips_and_dual_stack_addresses(box, plain, index, s3_server):
    """Nobody answers there in TLS; which host is asked for is what counts."""
    tunnel = Tunnel(s3_server.port)
    try:
        at(box, {**LONG_KEY, "AWS_REGION": "us-gov-west-1", "AWS_USE_FIPS_ENDPOINT": "true", "HTTPS_PROXY": tunnel.url, "MAX_RETRIES": "0"})
        plain.create(index, {})
        load = "SELECT os_bulk_load('s3://hosted/a.csv', '%s');" % index
        box.fails(load, "hosted.s3-fips.us-gov-west-1.amazonaws.com", "AWS_REGION")
        box.fails(load, "hosted.s3-fips.dualstack.us-gov-west-1.amazonaws.com", env={"AWS_USE_DUALSTACK_ENDPOINT": "true"})
        box.fails(load, "S3 has no FIPS endpoints", "cn-north-1", env={"AWS_REGION": "cn-north-1"})
        box.fails(load, "AWS_USE_FIPS_ENDPOINT: 'perhaps' is neither true nor false", env={"AWS_USE_FIPS_ENDPOINT": "perhaps"})
        assert tunnel.hosts == ["hosted.s3-fips.%sus-gov-west-1.amazonaws.com:443" % word for word in ("", "dualstack.")]
    finally:
        tunnel.close()


def test_a_service_out_of_reach_is_no_cluster(box, plain, index):
    at(box, {**LONG_KEY, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:%d" % closed_port(), "MAX_RETRIES": "0"})
    plain.create(index, {})
    text = box.load_fails("s3://bucket/a.csv", index, "cannot reach", "may this machine reach it", "AWS_ENDPOINT_URL_S3")
    assert "cluster" not in text


# ---- the example ------------------------------------------------------------------------------------------------------------------
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="curl hangs where a sanitizer's library is preloaded")
def test_the_walk_through(box, plain, index, aws_servers, s3_server):
    environment = {**aws_servers.environment, "OPENSEARCH_ENDPOINT": plain.url, "OS_EXTENSION": str(EXTENSION)}
    done = subprocess.run([str(ROOT / "examples/aws/s3.sh"), index], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("s3://my-data/exports/2026-01.csv|") and lines[3].startswith("Loaded 9 documents from 3 files")
    assert "3 skipped" in lines[4] and lines[5] == "9" and "is deleted" in lines[6]
