"""Refused records and a queue of SQS: ElasticMQ behind a proxy that verifies signatures as AWS does; faults from the
faults proxy in front of that. What goes into the queue by other ways than the extension's goes to ElasticMQ itself."""
import http.client
import json
import os
import signal
import time
import urllib.parse
import uuid

import pytest

from harness.aws import LONG_KEY
from harness.refusal import refusal
from harness.servers import Listener, closed_port
from harness.sqs import Queue
from proxy import Proxy

MAPPING = {"mappings": {"properties": {"quantity": {"type": "integer"}}}}
MEMBERS = ["error_message", "file_key", "source", "message_part", "total_parts", "total_records", "timestamp", "failed_records"]
FOUR = "id,quantity\na,1\nb,two\nc,3\nd,four\n"


@pytest.fixture(scope="module")
def sqs(aws_servers):
    """(ElasticMQ, the proxy in front of it)"""
    server = aws_servers.start("sqs", "sqs")
    proxy = aws_servers.proxy("sqs-proxy", server.url, "sqs", "--keep-host")
    yield server, proxy
    aws_servers.stop("sqs-proxy")
    aws_servers.stop("sqs")


@pytest.fixture
def queue(sqs):
    return Queue(sqs[0].url, "q-" + uuid.uuid4().hex[:12], {})


@pytest.fixture
def fifo(sqs):
    return Queue(sqs[0].url, "q-%s.fifo" % uuid.uuid4().hex[:12], {"FifoQueue": "true"})


def settings(sqs, queue, **more):
    return {**LONG_KEY, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_SQS": sqs[1].url, "SQS_DLQ_ARN": queue.arn, "LOG_LEVEL": "OFF", **more}


@pytest.fixture
def sender(box, sqs, queue):
    """A box whose loads send to the queue."""
    box.env.update(settings(sqs, queue, DLQ="enabled"))
    return box


class Elsewhere:
    """Another ledger, as on another machine."""

    def __init__(self, box, name="elsewhere.db"):
        self.db = box.connect(name)

    def rows(self, sql, *arguments):
        return [dict(row) for row in self.db.execute(sql, arguments)]

    def receive(self):
        """ElasticMQ answers with all it has, so there is nothing to wait for."""
        return self.run("os_dlq_receive", None, {"wait": 0})

    def run(self, function, *arguments):
        values = [json.dumps(a) if isinstance(a, dict) else a for a in arguments]
        return json.loads(self.db.execute("SELECT %s(%s)" % (function, ",".join("?" * len(values))), values).fetchone()[0])


def load(box, index, content=FOUR, name="in.csv", **options):
    """Records of JSON get one that is taken behind them: a load of which nothing is in the index is an error."""
    if name.endswith(".ndjson"):
        content += '{"_id":"good","quantity":1}\n'
    path = box.file(name, content)
    return box.load(str(path), index, create=MAPPING, max_failed=None, **options)


def test_another_service_at_the_address_of_the_queue(box, s3_server):
    env = {**LONG_KEY, **s3_server.exports, "AWS_ENDPOINT_URL_SQS": s3_server.url, "SQS_DLQ_ARN": "arn:aws:sqs:us-east-1:123456789012:q"}
    box.fails("SELECT os_dlq_receive();", "was answered with 405", "is %s the address of this service?" % s3_server.url, "AWS_ENDPOINT_URL_SQS", env=env)


# ---- sending ------------------------------------------------------------------------------------------------------
def test_a_load_sends_what_it_had_to_refuse(sender, queue, index):
    result = load(sender, index)
    assert result["status"] == "partial" and "sent to the queue" in result["message"]
    assert result["response"]["queue"] == {"records": 2, "messages": 1, "truncated": 0}
    (body,) = queue.take()
    message = json.loads(body)
    assert list(message) == MEMBERS
    assert message["file_key"] == str(sender / "in.csv") and message["source"].startswith("sqlite-opensearch job 1 on ")
    assert (message["message_part"], message["total_parts"], message["total_records"]) == (1, 1, 2)
    assert message["error_message"].startswith("mapper_parsing_exception: failed to parse field [quantity]")
    row = sender.rows("SELECT * FROM dlq_failures WHERE line = 3")[0]
    record = message["failed_records"][0]
    for member in ("id", "index_name", "line", "byte_offset", "doc_id", "op", "status", "error_type", "error_reason", "attempts",
                   "failed_at", "document", "raw"):
        assert record[member] == row[member], member
    assert row["sqs_sent_at"] and json.loads(record["context"])["format"] == "csv"
    audit = {(row["check_name"], row["verdict"]) for row in sender.audit()}
    assert ("queue", "pass") in audit and ("queue", "did") in audit
    assert sender.run("os_dlq_send")["response"]["records"] == 0


def test_nothing_is_sent_without_dlq(box, sqs, queue, index):
    box.env.update(settings(sqs, queue))
    assert "queue" not in load(box, index)["response"]
    assert queue.take() == []
    assert box.run("os_dlq_send", 1, {"dry_run": True})["response"]["waiting"] == 2
    assert queue.take() == []
    assert box.run("os_dlq_send")["message"].startswith("Sent 2 failed records to queue")
    assert len(queue.take()) == 1


def test_a_load_that_stops_sends_what_it_has(sender, queue, index):
    sender.load_fails(sender.file("in.csv", "id,quantity\na,one\nb,two\n"), index, "none is in", create=MAPPING, max_failed=None)
    assert json.loads(queue.take()[0])["total_records"] == 2


def test_only_what_waits_is_sent(sender, queue, index):
    sender.env["DLQ"] = "disabled"
    load(sender, index, "id,quantity\na,one\nb,two\nc,three\nd,4\n")
    sender.db.execute("DELETE FROM dlq_failures WHERE line = 2")
    sender.db.execute("UPDATE dlq_failures SET resolved_at = '2026-01-01T00:00:00Z' WHERE line = 3")
    assert sender.run("os_dlq_send", 1)["response"]["records"] == 1
    assert [record["line"] for record in json.loads(queue.take()[0])["failed_records"]] == [4]
    sender.db.execute("UPDATE dlq_failures SET sqs_sent_at = NULL")
    assert sender.run("os_dlq_send")["response"]["records"] == 1


def test_refused_anew_is_sent_anew(sender, queue, index):
    load(sender, index)
    sender.load(str(sender / "in.csv"), index, mode="append", allow_again=True, max_failed=None)
    assert [json.loads(body)["source"].split()[2] for body in queue.take()] == ["1", "2"]


# ---- size ---------------------------------------------------------------------------------------------------------
def test_split_by_measured_size(sender, queue, index):
    """Characters that grow when they are escaped; every message within the limit, every record in one of them."""
    filler = '\\"\u0001€😀\uffff' * 400
    lines = [json.dumps({"_id": str(i), "quantity": "bad", "filler": filler[: 17 * i % 1200]}, ensure_ascii=False) for i in range(400)]
    response = load(sender, index, "\n".join(lines) + "\n", "many.ndjson", sqs_max_bytes=20000)["response"]["queue"]
    bodies = queue.take()
    assert response["records"] == 400 and response["messages"] == len(bodies) > 20
    assert all(len(body.encode()) <= 20000 for body in bodies)
    sets = {}
    for message in map(json.loads, bodies):
        sets.setdefault(message["timestamp"], []).append(message)
    for parts in sets.values():
        assert sorted(part["message_part"] for part in parts) == list(range(1, parts[0]["total_parts"] + 1))
        assert len(parts) <= 10 and sum(len(part["failed_records"]) for part in parts) == parts[0]["total_records"]
    got = {record["line"]: record["raw"] for parts in sets.values() for part in parts for record in part["failed_records"]}
    assert got == {row["line"]: row["raw"] for row in sender.dlq()} and len(got) == 400


def test_the_limit_is_230000_bytes(sender, queue, index):
    lines = [json.dumps({"_id": str(i), "quantity": "bad", "filler": "x" * 30000}) for i in range(20)]
    load(sender, index, "\n".join(lines) + "\n", "many.ndjson")
    sizes = [len(body.encode()) for body in queue.take()]
    assert len(sizes) > 4 and max(sizes) <= 230000 and sorted(sizes)[-2] > 160000


def test_a_record_that_fits_into_no_message(sender, queue, index):
    load(sender, index, json.dumps({"_id": "1", "quantity": "bad", "filler": "é" * 300000}, ensure_ascii=False) + "\n", "large.ndjson")
    (body,) = queue.take(remove=False)
    assert 229000 < len(body.encode()) <= 230000
    record = json.loads(body)["failed_records"][0]
    (row,) = sender.dlq()
    assert "row %d of dlq_failures" % row["id"] in record["truncated"]
    assert row["document"].startswith(record["document"]) and row["raw"].startswith(record["raw"]) and "context" not in record
    assert len(row["raw"]) > 300000
    there = Elsewhere(sender)
    assert there.receive()["response"]["truncated"] == 1
    (kept,) = there.rows("SELECT * FROM dlq_failures")
    assert kept["document"] is None and kept["raw"] is None and "row %d of dlq_failures" % row["id"] in kept["error_reason"]
    with refusal() as caught:
        there.run("os_retry_failures")
    assert "refused again" in str(caught.value)


# ---- receiving ----------------------------------------------------------------------------------------------------
def test_from_load_to_repair_on_another_machine(sender, queue, index, plain):
    load(sender, index, FOUR + "e,5,more\n")
    there = Elsewhere(sender)
    seen = there.run("os_dlq_receive", None, {"dry_run": True})
    assert seen["response"]["records"] == 3 and there.rows("SELECT * FROM dlq_failures") == []
    result = there.run("os_dlq_receive")
    assert result["status"] == "success" and result["response"]["added"] == 3
    assert queue.size() == (0, 0)
    rows = there.rows("SELECT * FROM dlq_failures ORDER BY line")
    for here, row in zip(sender.rows("SELECT * FROM dlq_failures ORDER BY line"), rows):
        assert {k: v for k, v in here.items() if k not in ("id", "job", "sqs_sent_at")} == \
               {k: v for k, v in row.items() if k not in ("id", "job", "sqs_sent_at")}
    assert {row["job"] for row in rows} == {result["job"]} and all(row["sqs_sent_at"] for row in rows)
    there.db.execute("UPDATE dlq_failures SET document = json_set(document, '$.quantity', 7) WHERE document IS NOT NULL")
    there.db.execute("UPDATE dlq_failures SET raw = replace(raw, ',more', '') WHERE document IS NULL")
    assert there.run("os_retry_failures", result["job"])["response"]["resolved"] == 3
    plain.call("POST", "/%s/_refresh" % index)
    assert plain.get("/%s/_count" % index)["count"] == 5


def test_received_twice_is_there_once(sender, queue, index):
    load(sender, index)
    there = Elsewhere(sender)
    assert there.receive()["response"]["added"] == 2
    there.db.execute("UPDATE dlq_failures SET document = '{\"quantity\":9}' WHERE line = 3")
    there.db.execute("UPDATE dlq_failures SET resolved_at = '2099-01-01T00:00:00Z' WHERE line = 5")
    before = there.rows("SELECT * FROM dlq_failures")
    sender.db.execute("UPDATE dlq_failures SET sqs_sent_at = NULL")  # as after a crash between sending and noting
    assert sender.run("os_dlq_send")["response"]["records"] == 2
    result = there.receive()["response"]
    assert (result["added"], result["already"]) == (0, 2) and there.rows("SELECT * FROM dlq_failures") == before
    # on the machine that sent them
    sender.db.execute("UPDATE dlq_failures SET sqs_sent_at = NULL")
    sender.run("os_dlq_send")
    assert sender.run("os_dlq_receive", None, {"wait": 0})["response"]["already"] == 2 and len(sender.dlq()) == 2


def test_files_of_one_name_from_two_machines(sender, queue, index):
    load(sender, index)
    there = Elsewhere(sender)
    there.receive()
    sender.file("in.csv", "id,quantity\na,1\nz,zwei\nc,3\n")
    other = Elsewhere(sender, "third.db")
    other.run("os_bulk_load", str(sender / "in.csv"), index, {"mode": "append", "max_failed": None})
    assert there.receive()["response"]["added"] == 1
    rows = there.rows("SELECT file, raw FROM dlq_failures ORDER BY id")
    assert [row["raw"] for row in rows] == ["b,two", "d,four", "z,zwei"]
    assert rows[2]["file"].startswith("sqlite-opensearch job 1 on ") and rows[2]["file"].endswith(": " + rows[0]["file"])


def test_a_set_without_all_its_parts_stays(sender, queue, index):
    lines = [json.dumps({"_id": str(i), "quantity": "bad", "filler": "x" * 5000}) for i in range(8)]
    load(sender, index, "\n".join(lines) + "\n", "in.ndjson", sqs_max_bytes=20000)
    bodies = queue.take()
    assert len(bodies) >= 3
    for body in bodies[1:]:
        queue.send(body)
    there = Elsewhere(sender)
    result = there.receive()
    assert result["status"] == "partial" and result["response"]["added"] == 0
    (missing,) = result["response"]["incomplete"]
    assert (missing["parts"], missing["total_parts"]) == (len(bodies) - 1, len(bodies)) and missing["file_key"].endswith("in.ndjson")
    assert there.rows("SELECT * FROM dlq_failures") == []
    assert queue.size() == (len(bodies) - 1, 0)  # shown to others again
    assert "left on the queue" in there.rows("SELECT detail FROM os_audit WHERE verdict = 'skip'")[0]["detail"]
    queue.send(bodies[0])
    queue.send(bodies[1])  # SQS may bring one twice
    assert there.receive()["response"]["added"] == 8
    there.receive()
    assert len(there.rows("SELECT * FROM dlq_failures")) == 8


@pytest.mark.parametrize("body", ["hello", "{\"Records\":[{\"eventName\":\"ObjectCreated:Put\"}]}", "[1]", "spoiled", "short"])
def test_other_messages_are_left_alone(sender, queue, index, body):
    load(sender, index)
    if body in ("spoiled", "short"):
        message = json.loads(queue.take()[0])
        message["failed_records"][1].pop("index_name")
        if body == "short":
            message["failed_records"].pop()
        body = json.dumps(message)
    queue.send(body)
    there = Elsewhere(sender)
    result = there.receive()
    assert result["status"] == "partial" and len(result["response"]["foreign"]) == 1
    assert len(there.rows("SELECT * FROM dlq_failures")) == result["response"]["added"] in (0, 2)
    assert queue.take() == [body]


def test_bytes_and_characters_that_queues_refuse(sender, queue, index):
    """The refused ones: control characters, U+FFFE, U+FFFF; bytes that are no UTF-8 travel too."""
    rows = [b"id,quantity,note", b"a,1,x", b"b,two,\x01\x1f\x7f \xef\xbf\xbe\xef\xbf\xbf \xf0\x9f\x98\x80", b"c,three,\xff\xfe\xed\xa0\x80", b"d,four,tab\tand \"quote"]
    load(sender, index, b"\r\n".join(rows) + b"\r\n")
    there = Elsewhere(sender)
    there.receive()
    assert there.rows("SELECT line, raw, document FROM dlq_failures ORDER BY line") == sender.rows("SELECT line, raw, document FROM dlq_failures ORDER BY line")
    assert any(isinstance(row["raw"], bytes) for row in there.rows("SELECT raw FROM dlq_failures"))


def test_fifo(sender, fifo, index):
    sender.env["SQS_DLQ_ARN"] = fifo.arn
    lines = [json.dumps({"_id": str(i), "quantity": "bad", "filler": "x" * 5000}) for i in range(60)]
    response = load(sender, index, "\n".join(lines) + "\n", "ein Größeres.ndjson", sqs_max_bytes=20000)["response"]["queue"]
    assert response["records"] == 60 and response["messages"] > 20 and "unsent_because" not in response
    there = Elsewhere(sender)
    assert there.receive()["response"]["added"] == 60
    assert fifo.size() == (0, 0)


def test_max_messages(sender, queue, index):
    for i in range(30):
        queue.send("foreign %d" % i)
    result = Elsewhere(sender).run("os_dlq_receive", queue.arn, {"max_messages": 15, "wait": 0})
    assert 15 <= result["response"]["messages"] < 30 and queue.size() == (30, 0)


# ---- bad input ----------------------------------------------------------------------------------------------------
def test_a_missing_queue_stops_a_load_before_its_first_byte(sender, queue, index, plain):
    sender.env["SQS_DLQ_ARN"] = queue.arn + "x"
    text = sender.load_fails(sender.file("in.csv", FOUR), index, "there is no queue", queue.name + "x", "us-east-1", create=MAPPING)
    assert "DLQ is enabled" in text and sender.job()["documents_read"] == 0
    assert plain.get("/_cat/indices/%s*?format=json" % index) == []


def test_no_queue_named(sender, index):
    sender.env["SQS_DLQ_ARN"] = ""
    sender.load_fails(sender.file("in.csv", FOUR), index, "no queue", "SQS-DLQ-ARN", create=MAPPING)


@pytest.mark.parametrize("arn", ["failed", "arn:aws:sns:us-east-1:000000000000:failed", "arn:aws:sqs:us-east-1:000000000000:", "arn:aws:sqs::0:q",
                                 "arn:aws:sqs:us-east-1:0:q:more", "arn:aws:sqs:us-east-1:0:q\"}", "https://sqs.us-east-1.amazonaws.com/0/q"])
def test_what_is_no_queue(sender, arn):
    for function in ("os_dlq_receive", "os_dlq_send"):
        with refusal() as caught:
            sender.run(function, *([arn] if function == "os_dlq_receive" else [None, {"queue": arn}]))
        assert "is not the ARN of a queue" in str(caught.value) and "arn:aws:sqs:eu-west-1" in str(caught.value)


def test_not_allowed_does_not_fail_a_load(sender, queue, index):
    """Asking is refused, so the guard is unknown; sending is refused, so the rows wait."""
    sender.env.update(AWS_ACCESS_KEY_ID="AKIDNOBODY", LOG_LEVEL="WARNING")
    result = load(sender, index)
    assert "os_dlq_send(1)" in result["message"] and "sqs:SendMessage on " + queue.arn in result["response"]["queue"]["unsent_because"]
    assert [row["sqs_sent_at"] for row in sender.dlq()] == [None, None]
    audit = [(row["verdict"], row["detail"]) for row in sender.audit() if row["check_name"] == "queue"]
    assert [verdict for verdict, _ in audit] == ["unknown", "unknown"] and "sqs:GetQueueAttributes on " + queue.arn in audit[0][1]
    with refusal() as caught:
        sender.run("os_dlq_send", 1)
    assert "sqs:SendMessage" in str(caught.value) and queue.arn in str(caught.value)
    assert LONG_KEY["AWS_SECRET_ACCESS_KEY"] not in result["response"]["queue"]["unsent_because"] + str(caught.value)


def test_the_wrong_region(sender, sqs, queue):
    with refusal() as caught:
        sender.run("os_dlq_receive", queue.arn.replace("us-east-1", "eu-west-1"))
    text = str(caught.value)
    assert "sqs:ReceiveMessage" in text and "another region" in text and "the region in the ARN" in text


def test_sent_later(sender, sqs, queue, index):
    sender.env.update(AWS_ENDPOINT_URL_SQS="http://127.0.0.1:%d" % closed_port(), MAX_RETRIES="0", DLQ="disabled")
    load(sender, index)
    with refusal() as caught:
        sender.run("os_dlq_send")
    assert "sqs:" in str(caught.value)
    sender.close()
    sender.env.update(AWS_ENDPOINT_URL_SQS=sqs[1].url)
    assert sender.run("os_dlq_send", 1)["response"]["records"] == 2
    assert all(row["sqs_sent_at"] for row in sender.dlq()) and len(queue.take()) == 1


def test_a_job_that_is_not_known(sender):
    with refusal() as caught:
        sender.run("os_dlq_send", 4711)
    assert "there is no job 4711" in str(caught.value)


# ---- faults -------------------------------------------------------------------------------------------------------
@pytest.fixture
def faulty(sender, sqs):
    with Proxy(sqs[1].url, seed=1) as running:
        sender.env["AWS_ENDPOINT_URL_SQS"] = running.url
        yield running


BUSY = json.dumps({"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow down"})


@pytest.mark.parametrize("rule", [
    {"fault": "status", "code": 503, "body": "", "times": 2},
    {"fault": "status", "code": 400, "body": BUSY, "times": 2},
    {"fault": "cut_before", "times": 2}, {"fault": "cut_after", "times": 1}, {"fault": "cut_answer", "times": 1},
], ids=lambda rule: rule["fault"] + str(rule.get("code", "")))
def test_faults_that_pass(sender, faulty, queue, index, rule):
    """Where an answer was lost the message may be there twice; whoever receives has its records once."""
    faulty.rule(on="any", skip=2, **rule)
    assert load(sender, index)["response"]["queue"]["records"] == 2
    assert [entry for entry in faulty.log if entry.get("fault") not in (None, "pass")]
    there = Elsewhere(sender)
    result = there.receive()["response"]
    assert result["added"] == 2 and len(there.rows("SELECT * FROM dlq_failures")) == 2
    assert queue.size() == (0, 0)


class NoRemovals(Listener):
    """Passes requests on as they are, but for those that delete messages: a policy that lacks sqs:DeleteMessage."""

    def __init__(self, upstream):
        self.upstream, self.refused, self.receipts = urllib.parse.urlsplit(upstream), 0, []
        super().__init__(self.judge)

    def judge(self, handler):
        if ".DeleteMessage" in handler.headers["X-Amz-Target"]:
            self.refused += 1
            return 403, "application/x-amz-json-1.0", json.dumps({"__type": "com.amazon.coral.service#AccessDeniedException", "message": "no"}).encode()
        connection = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=30)
        connection.request("POST", handler.path, self.requests[-1][3], dict(handler.headers))
        answer = connection.getresponse()
        body = answer.read()
        self.receipts += [message["ReceiptHandle"] for message in json.loads(body or b"{}").get("Messages", [])]
        return answer.status, answer.getheader("content-type"), body


def test_who_may_not_delete_has_the_records_all_the_same(sender, sqs, queue, index):
    """The error says that the messages are still there; received again they bring nothing new."""
    load(sender, index)
    with NoRemovals(sqs[1].url) as server:
        sender.env["AWS_ENDPOINT_URL_SQS"] = server.url
        there = Elsewhere(sender)
        with refusal() as caught:
            there.receive()
        assert server.refused == 1
    assert "are in dlq_failures, but their messages are still on the queue" in str(caught.value)
    assert "sqs:DeleteMessage on " + queue.arn in str(caught.value)
    kept = there.rows("SELECT * FROM dlq_failures WHERE resolved_at IS NULL")
    assert len(kept) == 2 and sum(queue.size()) == 1
    for receipt in server.receipts:  # as when the time is over for which they are hidden
        queue.act("ChangeMessageVisibility", QueueUrl=queue.queue_url, ReceiptHandle=receipt, VisibilityTimeout=0)
    sender.env["AWS_ENDPOINT_URL_SQS"] = sqs[1].url
    again = Elsewhere(sender).receive()["response"]
    assert (again["added"], again["already"]) == (0, 2) and sum(queue.size()) == 0


def test_throttled_for_ever_fails_no_load(sender, faulty, queue, index):
    faulty.rule(on="any", skip=3, fault="status", code=400, body=BUSY)
    sender.env["MAX_RETRIES"] = "1"
    response = load(sender, index)["response"]["queue"]
    assert response["records"] == 0 and "RequestThrottled" in response["unsent_because"]
    faulty.clear()
    assert sender.run("os_dlq_send", 1)["response"]["records"] == 2 and len(queue.take()) == 1


@pytest.mark.parametrize("fault", ["unavailable", "nobody there"])
def test_an_outage_before_the_first_byte(sender, sqs, faulty, queue, index, fault):
    """Whether the queue is there is not known then; its records wait in the ledger."""
    sender.env.update(MAX_RETRIES="1", LOG_LEVEL="WARNING", LOG_FILE="log")
    faulty.rule(on="any", fault="status", code=503, body="{}")
    if fault == "nobody there":
        sender.env["AWS_ENDPOINT_URL_SQS"] = "http://127.0.0.1:%d" % closed_port()
    result = load(sender, index)
    assert result["status"] == "partial" and result["response"]["queue"]["records"] == 0
    assert sender.rows("SELECT verdict FROM os_audit WHERE step = 'guard' AND check_name = 'queue'") == [{"verdict": "unknown"}]
    assert "whether the queue for refused records is there is not known" in (sender / "log").read_text()
    faulty.clear()
    sender.close()
    sender.env["AWS_ENDPOINT_URL_SQS"] = sqs[1].url
    assert sender.run("os_dlq_send", 1)["response"]["records"] == 2 and len(queue.take()) == 1


def test_entries_of_a_batch_that_fail(sender, sqs, queue, index):
    """One entry fails for the service's reasons twice, another for ever because of its sender."""
    import http.server
    import threading
    tries = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            action, answer = self.headers["X-Amz-Target"].split(".")[1], None
            if action == "SendMessageBatch":
                ids = [entry["Id"] for entry in json.loads(body)["Entries"]]
                tries.append(ids)
                if len(tries) < 3:
                    answer = {"Successful": [{"Id": i} for i in ids[1:]], "Failed": [{"Id": ids[0], "Code": "InternalError", "SenderFault": False}]}
                elif spoiled:
                    answer = {"Failed": [{"Id": i, "Code": "InvalidMessageContents", "Message": "no", "SenderFault": True} for i in ids]}
                else:
                    answer = {"Successful": [{"Id": i} for i in ids]}
            data = json.dumps(answer or {"QueueUrl": "http://127.0.0.1/0/q", "Attributes": {}}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sender.env["AWS_ENDPOINT_URL_SQS"] = "http://127.0.0.1:%d" % server.server_address[1]
    try:
        spoiled = False
        lines = [json.dumps({"_id": str(i), "quantity": "bad", "filler": "x" * 5000}) for i in range(6)]
        assert load(sender, index, "\n".join(lines) + "\n", "in.ndjson", sqs_max_bytes=20000)["response"]["queue"]["records"] == 6
        assert tries[0] == [str(i) for i in range(len(tries[0]))] and tries[1:] == [["0"], ["0"]]
        tries.clear()
        spoiled = True
        sender.db.execute("UPDATE dlq_failures SET sqs_sent_at = NULL")
        with refusal() as caught:
            sender.run("os_dlq_send", None, {"sqs_max_bytes": 20000})
        assert "InvalidMessageContents" in str(caught.value) and len(tries) == 3
        assert len(sender.rows("SELECT 1 FROM dlq_failures WHERE sqs_sent_at IS NULL")) == 6
    finally:
        server.shutdown()
        server.server_close()


def test_killed_while_it_sends(sender, faulty, queue, index):
    """Killed when the queue has the messages and the ledger does not know: they are sent again, and received once."""
    sender.env["DLQ"] = "disabled"
    load(sender, index)
    sender.close()
    faulty.rule(on="any", skip=2, fault="delay_answer", seconds=30)
    process = sender.start("SELECT os_dlq_send();", env={"AWS_ENDPOINT_URL_SQS": faulty.url})
    end = time.time() + 20
    while queue.size()[0] == 0:
        assert time.time() < end, "nothing was sent"
        time.sleep(0.05)
    process.kill()
    faulty.clear()
    assert [row["sqs_sent_at"] for row in sender.dlq()] == [None, None]
    assert sender.run("os_dlq_send")["response"]["records"] == 2
    assert queue.size()[0] == 2
    there = Elsewhere(sender)
    result = there.receive()["response"]
    assert (result["sets"], result["added"], result["already"]) == (2, 2, 2)


def test_many_are_sent_while_the_load_goes_on(sender, queue, index):
    """12,000 refused records: the first messages are there before the last batch is."""
    lines = ["id,quantity"] + ["%d,%s" % (i, "bad" if i % 2 else i) for i in range(24000)]
    response = load(sender, index, "\n".join(lines) + "\n", batch_size=1000)["response"]["queue"]
    assert response["records"] == 12000 and "unsent_because" not in response
    steps = [row["detail"] for row in sender.audit() if row["check_name"] == "queue" and row["verdict"] == "did"]
    assert len(steps) == 3 and steps[-1].startswith("12000 refused records sent")
    there = Elsewhere(sender)
    assert there.receive()["response"]["added"] == 12000 and queue.size() == (0, 0)


def test_ctrl_c_while_it_waits_for_messages(sender, queue):
    process = sender.start("SELECT os_dlq_receive(NULL, '{\"wait\":20}');")
    time.sleep(1.5)
    began = time.time()
    process.interrupt()
    result = process.finish(20)
    assert result.code != 0 and time.time() - began < 3 and "interrupt" in result.err.lower()
    assert sender.rows("SELECT status FROM os_jobs")[-1]["status"] == "interrupted"
