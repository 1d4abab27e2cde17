"""scripts/reindex-worker: the loop around os_trigger_run, as systemd, Kubernetes and cron run it."""
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from harness.paths import EXTENSION, ROOT
from harness.servers import closed_port
from harness.shell import Running, clean_environment
from harness.sqs import Queue
from proxy import Proxy

SCRIPT = str(ROOT / "scripts" / "reindex-worker")
LINE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ s3://%s/%s %s"


class Worker:
    """The script in an empty folder, with a ledger of its own."""

    def __init__(self, world):
        self.world, self.box = world, world.box
        self.ledger = self.box / "worker.db"

    def start(self, *args, queue=None, **options):
        argv = [SCRIPT, "--extension", str(EXTENSION), "--ledger", str(self.ledger), "--options", json.dumps(self.world.options(**options)), *args,
                queue or self.world.queue.arn]
        return Running(argv, b"", str(self.box.path), clean_environment(self.box.path, self.box.env))

    def once(self, **how):
        return self.start("--once", **{"wait_seconds": 1, "retry_after": 0, **how}).finish(90)

    def jobs(self):
        self.box.env["OS_LEDGER"] = str(self.ledger)
        return self.box.rows("SELECT kind, status FROM os_jobs ORDER BY job")

    def wait_for_job(self, kind):
        until = time.monotonic() + 30
        while not self.ledger.exists() or {"kind": kind, "status": "running"} not in self.jobs():
            assert time.monotonic() < until, "no %s runs" % kind
            time.sleep(0.05)


@pytest.fixture
def worker(world):
    return Worker(world)


def group(pid):
    """The processes of the script's group that live, as (pid, name); what died may be still there for who never asks."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:  # it ended meanwhile
            continue
        state, _, leader = rest.split()[:3]
        if int(leader) == pid and state != "Z":
            yield int(entry.name), name


def gone(pid):
    return not list(group(pid))


# ---- what it does ---------------------------------------------------------------------------------------------------
def test_until_the_queue_is_empty(worker, world):
    etag = world.put("a b.json")
    for _ in range(2):
        world.tell("a b.json", etag)
    world.queue.send(json.dumps({"Event": "s3:TestEvent", "Bucket": world.bucket}))
    result = worker.once()
    assert result.code == 0 and result.err == "", result
    lines = sorted(result.lines, key=lambda line: ("Removed" in line, "passed" in line))
    assert len(lines) == 3 and re.fullmatch(LINE % (world.bucket, "a b.json", r"run by job \d+"), lines[0])
    assert re.fullmatch(LINE % (world.bucket, "a b.json", r"passed over: job \d+ has run it"), lines[1])
    assert lines[2].endswith("Removed S3's test message from queue %s." % world.queue.name)
    world.assert_done(2)
    assert world.queue.size() == (0, 0) and worker.once().out == ""


def test_what_fails_ends_on_the_dead_letter_queue(worker, world):
    dead = Queue(world.queue.url, world.queue.name + "-dead", {})
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3})
    world.queue.act("SetQueueAttributes", QueueUrl=world.queue.queue_url, Attributes={"RedrivePolicy": policy})
    world.tell("gone.json", "0" * 32)
    world.tell("good.json", world.put("good.json"))
    result = worker.once()
    assert result.code == 1 and re.search(LINE % (world.bucket, "good.json", r"run by job \d+"), result.out), result
    failures = re.findall(LINE % (world.bucket, "gone.json", "not done: there is no trigger 's3://"), result.err)
    assert len(failures) == 3 and "gone.json" not in result.out, result
    assert len(dead.take()) == 1 and world.queue.size() == (0, 0)


def test_odd_names_stay_on_their_line(worker, world):
    key = "a\nb'\"c\x1b[31m.json"
    world.tell(key, "0" * 32)
    result = worker.start(retry_after=3600, wait_seconds=1, *["--once"]).finish(60)
    line = [line for line in result.err.splitlines() if "not done" in line]
    assert len(line) == 1 and "a\\nb'\\\"c\\u001b[31m.json not done" in line[0] and "\x1b" not in result.err, result


def test_waits_for_what_comes(worker, world):
    running = worker.start(wait_seconds=20)
    time.sleep(2)
    world.tell("t.json", world.put("t.json"))
    until = time.monotonic() + 30
    while "run by job" not in running.out:
        assert time.monotonic() < until and running.process.poll() is None, running.err
        time.sleep(0.1)
    began = time.monotonic()
    running.process.terminate()
    result = running.finish(20)
    assert result.code == 0 and time.monotonic() - began < 5, result
    assert world.queue.size() == (0, 0)


# ---- stopped ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle(worker, world, plain, number):
    """The message is left, and whoever takes it goes on where this one stopped."""
    with Proxy(plain.url, seed=1) as slow:
        slow.rule(on="POST /_aliases", fault="delay_answer", seconds=30, times=1)
        world.at(slow.url)
        world.tell("t.json", world.put("t.json"))
        running = worker.start(visibility=6)
        worker.wait_for_job("reindex_versions")
        time.sleep(1)
        began = time.monotonic()
        if number == signal.SIGKILL:
            os.killpg(running.process.pid, number)  # the shell, too
        else:
            running.process.send_signal(number)
        result = running.finish(30)
        assert time.monotonic() - began < 5 and result.code == (-9 if number == signal.SIGKILL else 0), result
        assert gone(running.process.pid)
        assert [job["status"] for job in worker.jobs()] == ["interrupted", "interrupted"]
        assert world.queue.size()[0] + world.queue.size()[1] == 1
        result = worker.start("--once", wait_seconds=10).finish(90)
        assert result.code == 0 and "run by job" in result.out, result
    world.assert_done(2)
    assert world.queue.size() == (0, 0)


def test_its_shell_dies(worker, world):
    running = worker.start(wait_seconds=20)
    time.sleep(2)
    shell, = [process for process, name in group(running.process.pid) if name == "sqlite3"]
    os.kill(shell, signal.SIGKILL)
    result = running.finish(20)
    assert result.code == 1 and "ended by itself" in result.err, result


# ---- AWS and wrong arguments --------------------------------------------------------------------------------------------
def test_aws_does_not_answer(worker, world):
    """It tries again later and later; with --once it says so and ends."""
    world.box.env.update(AWS_ENDPOINT_URL_SQS="http://127.0.0.1:%d" % closed_port(), MAX_RETRIES="0")
    result = worker.once()
    assert result.code == 1 and "os_trigger_run: sqs:" in result.err and "next try" not in result.err, result
    running = worker.start()
    until = time.monotonic() + 30
    while "the next try is in 4 s" not in running.err:
        assert time.monotonic() < until, running.err
        time.sleep(0.1)
    assert re.findall(r"next try is in (\d+) s", running.err) == ["1", "2", "4"]
    began = time.monotonic()
    running.process.terminate()
    result = running.finish(20)
    assert result.code == 0 and time.monotonic() - began < 3 and gone(running.process.pid), result


def test_no_such_queue_and_not_allowed(worker, world):
    result = worker.once(queue=world.queue.arn + "x")
    assert result.code == 1 and "there is no queue %sx" % world.queue.name in result.err, result
    world.box.env["AWS_ACCESS_KEY_ID"] = "AKIDNOBODY"
    result = worker.once()
    assert result.code == 1 and "sqs:ReceiveMessage on %s was answered with 403" % world.queue.arn in result.err, result


@pytest.mark.parametrize("args, code, words", [
    ([], 2, "no queue is named"), (["--bogus"], 2, "unknown option '--bogus'"), (["--ledger"], 2, "--ledger wants a value"),
    (["a", "b"], 2, "more than one queue"), (["--options", "{", "a"], 2, "--options is not JSON"),
    (["--extension", "/nowhere/it's \"here\"", "a"], 1, "cannot be loaded"), (["--once", "it's no arn"], 1, "'it's no arn' is not the ARN of a queue"),
    (["--once", "--options", "{\"metod\":1}", "arn:aws:sqs:us-east-1:0:q"], 1, "metod"),
])
def test_wrong_arguments(bare_box, args, code, words):
    if "--extension" not in args:
        args = ["--extension", str(EXTENSION), *args]
    result = Running([SCRIPT, *args], b"", str(bare_box.path), clean_environment(bare_box.path, {"LOG_LEVEL": "OFF"})).finish(30)
    assert result.code == code and words in result.err and result.out == "", result


def test_help(bare_box):
    result = Running([SCRIPT, "--help"], b"", str(bare_box.path), clean_environment(bare_box.path)).finish(10)
    assert result.code == 0 and result.out.startswith("usage: reindex-worker") and result.err == ""


def test_the_service_names_what_there_is():
    unit = (ROOT / "examples/aws/reindex-worker.service").read_text()
    command = re.search(r"^ExecStart=(.*)$", unit, re.M).group(1).split()
    assert command[0].endswith("/scripts/reindex-worker") and "KillMode=mixed" in unit
    for name in ("reindex-worker-policy.json", "trigger-queue-policy.json"):
        assert json.loads((ROOT / "examples/aws" / name).read_text())["Statement"]
