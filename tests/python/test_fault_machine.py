"""A machine that gives out in the middle of a load: the disk under the ledger full, threads that cannot be started, the power cut,
processes killed. An error that says what; afterwards the ledger is whole, the next load goes on, the index is exact and has its
settings back.

OS_TEST_SWEEP=300 makes each sweep that long."""
import os
import random
import shutil
import sqlite3
import subprocess

import pytest

import datasets
import shim
from harness.checker import assert_exactly_once
from torture import one
from torture_plan import Plan

LONG = int(os.environ.get("OS_TEST_SWEEP", "0"))
DOCS = datasets.products(1500)
LOAD = "SELECT os_bulk_load('p.ndjson', '%s', '{\"mode\":\"%s\",\"batch_size\":25,\"max_workers\":4,\"tune_index\":true}');"


@pytest.fixture
def target(box, plain, index):
    plain.create(index, datasets.PRODUCTS, settings={"refresh_interval": "7s"})
    datasets.write(box / "p.ndjson", DOCS)
    return index


def goes_on(box, plain, index):
    """What any trouble must leave possible."""
    files = [name for name in ("app.db-ledger", "ledger/l.db") if (box / name).exists()]
    for name in files:
        with sqlite3.connect(box / name) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    result = box.sql(LOAD % (index, "resume"), env={"LOG_LEVEL": "OFF"})
    assert result.json()["status"] == "success", result
    assert_exactly_once(plain, index, DOCS)
    assert plain.setting(index, "refresh_interval") == "7s", "the settings that were tuned are not back"


@pytest.mark.limit(120 + 15 * LONG)
def test_no_space_under_the_ledger(box, plain, target):
    """The n-th byte finds the disk full: from the first page to the last commit."""
    rng, failed = random.Random(LONG), 0
    for _ in range(LONG or 8):
        room = int(rng.uniform(6, 13) ** 5)  # 8 KB to 370 KB, the small ones oftener
        for leftover in box.path.glob("app.db-ledger*"):
            leftover.unlink()
        plain.delete(target)
        plain.create(target, datasets.PRODUCTS, settings={"refresh_interval": "7s"})
        result = box.start(LOAD % (target, "append"), env={**shim.environment(nospace="%d:app.db-ledger" % room), "LOG_LEVEL": "OFF"}).finish(60)
        assert result.code in (0, 1), (room, result)
        if result.code:
            failed += 1
            assert "full" in result.err and "ledger" in result.err, (room, result)
        goes_on(box, plain, target)
    assert failed > 2


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount")
def test_a_full_file_system_under_the_ledger(box, plain, target):
    folder = box / "ledger"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "none", str(folder)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here: " + mounted.stderr.strip())
    env = {"OS_LEDGER": str(folder / "l.db"), "LOG_LEVEL": "OFF"}
    box.env.update(env)
    box.shell.env.update(env)
    try:
        result = box.start(LOAD % (target, "append")).finish(60)
        assert result.code == 1 and "full" in result.err and "ledger" in result.err, result
        subprocess.run(["mount", "-o", "remount,size=8m", str(folder)], check=True)
        goes_on(box, plain, target)
    finally:
        box.close()
        subprocess.run(["umount", "-l", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_the_nth_thread_cannot_be_started(box, plain, target, number):
    result = box.start(LOAD % (target, "append"), env={**shim.environment(threads=number), "LOG_LEVEL": "OFF", "MAX_RETRIES": "0"}).finish(60)
    assert result.code in (0, 1), result
    assert result.code == 0 or "thread" in result.err or "name" in result.err, result  # libcurl looks names up in a thread
    assert number > 1 or result.code == 1
    goes_on(box, plain, target)


@pytest.mark.limit(300 + 60 * LONG)
@pytest.mark.parametrize("family", ["kills", "power"])
def test_deaths(family, plain, extension):
    """Further seeds of the two families of the fault campaign that test_torture_sample.py begins."""
    for seed in range(10, 10 + (LONG or 3)):
        _, _, _, wrong = one(seed, plain.url, family=family)
        assert wrong is None, "%s\n%s" % (Plan(seed, family).describe(), wrong)
