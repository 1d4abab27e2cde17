"""A load that outlives its keys."""
import time

import pytest

import datasets
from harness.aws import SESSION_KEY
from harness.checker import assert_exactly_once
from harness.credentials import config, container, instance, issued, no_secrets, printed, program, signed

DOCS = [{"_id": "d%d" % i, "n": i, "text": "x" * 200} for i in range(6000)]
BY_ID = {doc["_id"]: {k: v for k, v in doc.items() if k != "_id"} for doc in DOCS}


def load_slowly(box, plain, index, env, seconds=8):
    """So slowly that keys of three seconds are renewed several times."""
    datasets.write(box / "docs.ndjson", DOCS)
    script = "SELECT os_bulk_load('docs.ndjson', '%s', '{\"create\":true,\"batch_size\":50,\"max_rate\":\"%d/s\"}');" % (index, len(DOCS) // seconds)
    result = box.sql(script, env=env, timeout=90)
    no_secrets(result)
    assert_exactly_once(plain, index, BY_ID)
    return result


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["container", "instance"])
def test_keys_are_renewed_while_a_load_runs(box, es, plain, index, creds, kind):
    path = "/ecs/creds" if kind == "container" else "/latest/meta-data/iam/security-credentials/ingest-role"
    creds.control("/__creds/ttl?s=4")
    before, stats = issued(creds, path), es.control("/__sigv4/stats", "GET")["rejected"]
    load_slowly(signed(box, es), plain, index, container(creds) if kind == "container" else instance(creds))
    assert issued(creds, path) - before >= 3
    assert es.control("/__sigv4/stats", "GET")["rejected"] == stats  # renewed before they ended, not because they had


@pytest.mark.slow
def test_a_slow_program_does_not_hold_up_a_load(box, es, plain, index):
    """Keys of five seconds from a program that takes one: it begins early enough for nobody to wait."""
    program(box, "echo >>runs; [ $(wc -l <runs) = 1 ] || sleep 1\nuntil=$(date -u -d '5 seconds' +%%FT%%TZ)\ncat <<E\n%s\nE\n"
            % printed(SESSION_KEY, Expiration="$until"))
    config(box, "[default]\ncredential_process = %s\n" % (box / "keys.sh"))
    load_slowly(signed(box, es), plain, index, {})
    assert len((box / "runs").read_text().splitlines()) >= 2


@pytest.mark.slow
def test_renewal_that_fails_now_and_then(box, es, plain, index, creds):
    creds.control("/__creds/ttl?s=5")
    creds.control("/__creds/fail?n=0")
    datasets.write(box / "docs.ndjson", DOCS)
    env = signed(box, es).env | container(creds)
    running = box.start("SELECT os_bulk_load('docs.ndjson', '%s', '{\"create\":true,\"batch_size\":50,\"max_rate\":\"600/s\"}');" % index, env=env)
    until = time.monotonic() + 9
    while time.monotonic() < until:
        time.sleep(1.5)
        creds.control("/__creds/fail?n=1")
    result = running.finish(60)
    assert result.code == 0, result
    no_secrets(result)
    assert_exactly_once(plain, index, BY_ID)


@pytest.mark.slow
def test_keys_that_a_server_calls_expired(box, es, plain, index, creds):
    """Taken back before their time: others are fetched, and the batch goes again."""
    datasets.write(box / "docs.ndjson", DOCS)
    env = signed(box, es).env | container(creds)
    before = issued(creds, "/ecs/creds")
    running = box.start("SELECT os_bulk_load('docs.ndjson', '%s', '{\"create\":true,\"batch_size\":50,\"max_rate\":\"1000/s\"}');" % index, env=env)
    until = time.monotonic() + 20
    while time.monotonic() < until and (not plain.exists(index) or not plain.count(index)):
        time.sleep(0.1)
    key = [entry for entry in es.decisions() if entry["ok"]][-1]["key"]
    es.control("/__sigv4/expire?key=%s&n=100000" % key)
    result = running.finish(60)
    assert result.code == 0, result
    assert_exactly_once(plain, index, BY_ID)
    assert issued(creds, "/ecs/creds") - before == 2
    es.control("/__sigv4/reset")
