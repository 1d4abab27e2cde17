"""Triggers from a queue of events of S3: os_trigger_run. The object store and the proxy in front of the queue verify
signatures as AWS does; the cluster is a real one. The loop around it: test_aws_worker_script.py."""
import json
import threading
import time

import pytest

from harness.refusal import refusal
from harness.servers import closed_port
from harness.sqs import Queue
from harness.worker import bridge_event, plain_event, wrapped
from proxy import Proxy

ODD_KEY = "triggers/a b+c ü%41.json"


# ---- what is a trigger ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("form", [plain_event, bridge_event, lambda *a: wrapped(plain_event(*a)), lambda *a: wrapped(bridge_event(*a))],
                         ids=["s3", "eventbridge", "sns of s3", "sns of eventbridge"])
def test_an_object_that_was_created(world, form):
    etag = world.put(ODD_KEY)
    world.queue.send(form(world.bucket, ODD_KEY, etag))
    result = world.run()
    assert result["status"] == "success" and result["response"]["removed"] is True, result
    (trigger,) = result["response"]["triggers"]
    assert trigger["object"] == "s3://%s/%s" % (world.bucket, ODD_KEY) and trigger["state"] == "run"
    world.assert_done(2)
    assert world.queue.size() == (0, 0)
    jobs = world.box.rows("SELECT job, parent, kind, status FROM os_jobs WHERE job IN (?, ?)", result["job"], trigger["job"])
    assert {(j["kind"], j["parent"], j["status"]) for j in jobs} == {("trigger_run", None, "success"), ("reindex_versions", result["job"], "success")}


def test_a_queue_that_keeps_the_order(world):
    """EventBridge can send to a FIFO queue. Its next message stays back until this one is done."""
    world.queue = Queue(world.queue.url, "w-%s.fifo" % world.index.replace("_", "-"), {"FifoQueue": "true", "ContentBasedDeduplication": "true"})
    for version in (1, 2):
        key = "%d.json" % version
        body = bridge_event(world.bucket, key, world.put(key, version))
        world.queue.act("SendMessage", QueueUrl=world.queue.queue_url, MessageBody=body, MessageGroupId="triggers")
    for version in (2, 3):
        result = world.run()
        assert result["status"] == "success" and result["response"]["run"] == 1, result
        world.assert_done(version)
    assert world.queue.size() == (0, 0)


def test_nothing_came(world):
    began = time.monotonic()
    result = world.run(wait_seconds=1)
    assert result["job"] is None and result["response"] == {"queue": world.queue.arn, "messages": 0} and "No message" in result["message"]
    assert 0.9 < time.monotonic() - began < 5
    assert world.box.rows("SELECT * FROM os_jobs") == []


def test_other_messages_of_s3(world):
    """The test that S3 sends when a notification is set up, objects that were removed, and folders."""
    world.queue.send(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-21T00:00:00Z", "Bucket": world.bucket}))
    assert "Removed S3's test message" in world.run()["message"]
    world.queue.send(plain_event(world.bucket, "t.json", "e", name="ObjectRemoved:Delete"))
    world.queue.send(bridge_event(world.bucket, "t.json", "e", kind="Object Deleted"))
    world.queue.send(plain_event(world.bucket, "folder/", "e"))
    for _ in range(3):
        result = world.run()
        assert result["status"] == "success" and result["response"]["ignored"] == 1 and result["response"]["triggers"] == []
    assert world.queue.size() == (0, 0)


@pytest.mark.parametrize("body", ["hello", "[1]", "{}", '{"Records":[]}', '{"Records":[{"eventName":"ObjectCreated:Put"}]}', '{"Type":"Notification","Message":"hello"}'])
def test_what_cannot_be_read_stays(world, body):
    world.queue.send(body)
    result = world.run(retry_after=0)
    assert result["status"] == "partial" and "was left on queue" in result["message"] and result["response"]["why"]
    assert world.queue.take() == [body]
    with refusal("only a part was done.*was left on queue"):
        world.queue.send(body)
        world.run(on_partial="error")


# ---- once ---------------------------------------------------------------------------------------------------------
def test_a_message_that_comes_twice(world):
    etag = world.put("t.json")
    for form in (plain_event, plain_event, bridge_event):
        world.queue.send(form(world.bucket, "t.json", etag))
    first, *others = [world.run() for _ in range(3)]
    assert first["response"]["run"] == 1
    for other in others:
        assert other["status"] == "success" and (other["response"]["run"], other["response"]["already"]) == (0, 1)
        assert other["response"]["triggers"][0]["job"] == first["job"] and "had been run before" in other["message"]
    world.assert_done(2)
    assert world.box.one("SELECT count(*) FROM os_jobs WHERE kind = 'reindex_versions'") == 1 and world.queue.size() == (0, 0)


def test_twice_in_one_message(world):
    etag = world.put("t.json")
    one = json.loads(plain_event(world.bucket, "t.json", etag))["Records"][0]
    world.queue.send(json.dumps({"Records": [one, one]}))
    result = world.run()["response"]
    assert (result["run"], result["already"], result["removed"]) == (1, 1, True)


def test_done_and_gone(world):
    etag = world.put("t.json")
    world.tell("t.json", etag)
    world.run()
    world.s3.delete(world.bucket, "t.json")
    world.tell("t.json", etag)
    assert world.run()["response"]["already"] == 1


def test_an_object_with_new_content_is_a_new_trigger(world):
    first = world.put("t.json")
    world.tell("t.json", first)
    assert world.run()["response"]["run"] == 1
    second = world.put("t.json", version=2)
    assert second != first
    world.tell("t.json", second)
    assert world.run()["response"]["run"] == 1
    world.assert_done(3)


def test_an_object_replaced_before_its_event_was_read(world):
    """What is there is run; the event of what is there then finds it done."""
    world.tell("t.json", "0" * 32)
    etag = world.put("t.json")
    world.tell("t.json", etag)
    assert world.run()["response"]["run"] == 1 and world.run()["response"]["already"] == 1
    world.assert_done(2)


def test_two_workers_on_one_ledger(world, plain):
    """Both have a message of the same object; the second says who runs it and leaves it."""
    with Proxy(plain.url, seed=1) as slow:
        slow.rule(on="POST /_aliases", fault="delay", seconds=4)
        world.at(slow.url)
        etag = world.put("t.json")
        world.tell("t.json", etag)
        world.tell("t.json", etag)
        running = world.start()
        world.wait_for("SELECT 1 FROM os_jobs WHERE kind = 'reindex_versions' AND status = 'running'")
        second = world.run(retry_after=0)
        assert second["status"] == "partial" and second["response"]["triggers"][0]["state"] == "busy"
        assert "runs it right now" in second["message"]
        assert running.finish(60).json()["response"]["run"] == 1
        assert world.run()["response"]["already"] == 1


# ---- what goes wrong ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("content, words", [
    (None, "there is no trigger 's3://"), ("{nonsense", "line 1"), ("{}", "the trigger lacks 'opensearch_endpoint'"),
    ("elsewhere", "the trigger is for http://elsewhere:9200, to which there is no connection"),
])
def test_what_is_no_trigger_stays(world, content, words):
    if content == "elsewhere":
        world.put("t.json", opensearch_endpoint="http://elsewhere:9200")
    elif content:
        world.s3.put(world.bucket, "t.json", content)
    world.tell("t.json", "0" * 32)
    result = world.run(retry_after=0)
    assert result["status"] == "partial" and words in result["message"] and "1 of 1 triggers" in result["message"]
    assert result["response"]["triggers"][0]["state"] == "failed" and world.queue.size() == (1, 0)
    audit = world.box.rows("SELECT verdict, detail FROM os_audit WHERE job = ? AND step = 'trigger'", result["job"])
    assert audit[0]["verdict"] == "fail" and words in audit[0]["detail"]


def test_the_others_of_a_message_are_run(world):
    etag = world.put("good.json")
    records = [json.loads(plain_event(world.bucket, key, etag))["Records"][0] for key in ("gone.json", "good.json")]
    world.queue.send(json.dumps({"Records": records}))
    result = world.run(retry_after=0)
    assert result["status"] == "partial" and (result["response"]["run"], result["response"]["left"]) == (1, 1)
    world.assert_done(2)
    assert world.run(retry_after=0)["response"]["already"] == 1


def test_a_failing_trigger_ends_on_the_dead_letter_queue(world):
    """A document lost its index: the re-indexing fails each time, and the queue counts."""
    dead = Queue(world.queue.url, world.queue.name + "-dead", {})
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 2})
    world.queue.act("SetQueueAttributes", QueueUrl=world.queue.queue_url, Attributes={"RedrivePolicy": policy})
    world.put("t.json", indices=["%s_v9" % world.index])
    world.tell("t.json", "0" * 32)
    for _ in range(2):
        result = world.run(retry_after=0)
        assert result["status"] == "partial" and "there is no index '%s_v9'" % world.index in result["message"]
    assert world.run(wait_seconds=1)["response"]["messages"] == 0
    assert len(dead.take()) == 1 and world.queue.size() == (0, 0)


def test_what_is_left_comes_after_a_pause(world):
    world.tell("gone.json", "0" * 32)
    result = world.run(retry_after=3)
    assert "comes again in 3 seconds" in result["message"] and world.queue.size() == (0, 1)
    began = time.monotonic()
    assert world.run(wait_seconds=10)["response"]["messages"] == 1 and 1.5 < time.monotonic() - began < 8


def test_a_failure_that_was_mended_is_run(world, plain):
    """Half done, then stopped by something; the next delivery goes on with the same indices."""
    with Proxy(plain.url, seed=1) as broken:
        broken.rule(on="POST /_aliases", fault="status", code=400, body="{}")
        world.at(broken.url)
        world.tell("t.json", world.put("t.json"))
        failed = world.run(retry_after=0)
        assert failed["status"] == "partial" and "step alias" in failed["message"]
        broken.clear()
        assert world.run()["response"]["run"] == 1
    world.assert_done(2)
    assert [j["status"] for j in world.box.rows("SELECT status FROM os_jobs WHERE kind = 'reindex_versions' ORDER BY job")] == ["failed", "success"]


@pytest.mark.parametrize("skip", range(2, 29, 3))
def test_killed_while_an_answer_is_awaited(world, plain, skip):
    """The request was carried out, nobody read the answer; the next delivery goes on and nothing is doubled or lost."""
    with Proxy(plain.url, seed=1) as slow:
        slow.rule(on="any", fault="delay_answer", seconds=30, skip=skip, times=1)
        world.at(slow.url)
        world.tell("t.json", world.put("t.json"))
        running = world.start(visibility=5)
        until = time.monotonic() + 60
        while not any(entry.get("fault") == "delay_answer" for entry in slow.log) and running.process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.5)
        killed = running.process.poll() is None
        running.kill()
        slow.clear()
        if killed:
            assert world.run(wait_seconds=20)["response"]["run"] == 1
    world.assert_done(2)
    assert world.queue.size() == (0, 0)


# ---- the message is held ----------------------------------------------------------------------------------------
def test_a_message_is_hidden_as_long_as_its_trigger_runs(world, plain):
    with Proxy(plain.url, seed=1) as slow:
        slow.rule(on="POST /_aliases", fault="delay", seconds=13, times=1)
        world.at(slow.url)
        world.tell("t.json", world.put("t.json"))
        seen = []
        watcher = threading.Thread(target=lambda: [seen.append(world.queue.size()) or time.sleep(0.3) for _ in range(36)])
        watcher.start()
        result = world.run(visibility=5)
        watcher.join()
    assert result["response"]["run"] == 1 and result["response"]["lapsed"] is False
    assert set(seen[3:]) == {(0, 1)}, seen
    assert world.queue.size() == (0, 0)


def test_a_message_that_cannot_be_held(world, trigger_servers, plain):
    """The trigger is run all the same, and the answer says that the message may come again."""
    with Proxy(plain.url, seed=1) as slow, Proxy(trigger_servers.proxy.url, seed=1) as deaf:
        slow.rule(on="POST /_aliases", fault="delay", seconds=7, times=1)
        deaf.rule(on="any", skip=2, times=4, fault="status", code=500, body="")
        world.at(slow.url, AWS_ENDPOINT_URL_SQS=deaf.url)
        world.tell("t.json", world.put("t.json"))
        result = world.run(visibility=5)
    assert result["status"] == "success" and result["response"]["run"] == 1 and result["response"]["lapsed"] is True
    assert "may come again" in result["message"]
    (row,) = world.box.rows("SELECT detail FROM os_audit WHERE job = ? AND check_name = 'hold'", result["job"])
    assert "sqs:ChangeMessageVisibility on %s was answered with 500" % world.queue.arn in row["detail"]


# ---- AWS ----------------------------------------------------------------------------------------------------------
def test_no_such_queue(world):
    with refusal("there is no queue .*nowhere in region us-east-1 of account 000000000000.*look at the region, the account and the name"):
        world.box.run("os_trigger_run", world.queue.arn + "nowhere", {"wait_seconds": 0})


def test_not_allowed(world):
    world.box.env["AWS_ACCESS_KEY_ID"] = "AKIDNOBODY"
    with refusal("sqs:ReceiveMessage on %s was answered with 403" % world.queue.arn) as caught:
        world.run()
    assert world.box.env["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


def test_aws_does_not_answer(world):
    world.box.env.update(AWS_ENDPOINT_URL_SQS="http://127.0.0.1:%d" % closed_port(), MAX_RETRIES="1")
    with refusal("sqs:.*connect"):
        world.run()
    assert world.box.rows("SELECT * FROM os_jobs") == []


def test_not_allowed_to_remove(world, trigger_servers):
    """What was done is told, and known when the message comes again."""
    world.tell("t.json", world.put("t.json"))
    with Proxy(trigger_servers.proxy.url, seed=1) as narrow:
        narrow.rule(on="any", skip=2, fault="status", code=403, body=json.dumps({"__type": "AccessDenied", "message": "no"}))
        world.at(world.endpoint, AWS_ENDPOINT_URL_SQS=narrow.url)
        result = world.run(visibility=5)
        assert result["status"] == "partial" and (result["response"]["run"], result["response"]["removed"]) == (1, False)
        assert "it could not be removed: sqs:DeleteMessage on %s was answered with 403" % world.queue.arn in result["message"]
        narrow.clear()
        assert world.run(wait_seconds=10)["response"]["already"] == 1
    assert world.queue.size() == (0, 0)


def test_cancelled(world, plain):
    """Cancelling the job cancels the re-indexing in it; the message comes again, and what was begun is gone on with."""
    with Proxy(plain.url, seed=1) as slow:
        slow.rule(on="POST /_aliases", fault="delay_answer", seconds=4, times=1)
        world.at(slow.url)
        world.tell("t.json", world.put("t.json"))
        running = world.start(visibility=5)
        world.wait_for("SELECT 1 FROM os_jobs WHERE kind = 'reindex_versions' AND status = 'running'")
        world.box.run("os_cancel", world.box.one("SELECT job FROM os_jobs WHERE kind = 'trigger_run'"))
        result = running.finish(60)
        assert result.code != 0 and "cancelled by os_cancel" in result.err and "stays on queue" in result.err, result
        assert {row["status"] for row in world.box.rows("SELECT status FROM os_jobs WHERE kind <> 'cancel'")} == {"cancelled"}
        assert world.run(wait_seconds=10)["response"]["run"] == 1
    world.assert_done(2)


@pytest.mark.parametrize("options, words", [
    ({"visibility": 4}, "visibility"), ({"wait_seconds": 21}, "wait_seconds"), ({"reindex": {"metod": "live"}}, "option 'reindex'.*metod"),
    ({"reindex": {"timeout": 5}}, "option 'reindex'.*timeout"), ({"reindex": 1}, "reindex"), ({"dry_run": True}, "dry_run"),
])
def test_wrong_options(world, options, words):
    with refusal(words):
        world.box.run("os_trigger_run", world.queue.arn, options)


def test_options_of_the_reindexing(world, plain):
    world.tell("t.json", world.put("t.json"))
    result = world.box.run("os_trigger_run", world.queue.arn, {"wait_seconds": 1, "reindex": {"method": "live", "keep_old": True}})
    assert result["response"]["run"] == 1
    assert plain.count(world.index + "_v1") == plain.count(world.index + "_v2") == 2


def test_a_limit_of_time(world, plain):
    """The message is not removed, and what was begun is gone on with."""
    with Proxy(plain.url, seed=1) as slow:
        slow.rule(on="POST /_aliases", fault="delay_answer", seconds=6, times=1)
        world.at(slow.url)
        world.tell("t.json", world.put("t.json"))
        with refusal(r"option 'timeout' \(2\S* s\) ran out.*message .* stays on queue"):
            world.run(timeout=2, visibility=5)
        assert world.run(wait_seconds=10)["response"]["run"] == 1
    world.assert_done(2)
