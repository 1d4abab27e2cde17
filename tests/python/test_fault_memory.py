"""Every allocation of a small load failing in turn, in the whole process: ours, SQLite's, libcurl's, jansson's and libc's own
(tests/faults/nomem.c). Each time an error that says so or a load that could do without, nothing kept, and the next load works.

OS_TEST_SWEEP=1 takes every allocation instead of some."""
import os
import re
import subprocess

import pytest

import shim
from harness.checker import assert_exactly_once
from harness.paths import EXTENSION
from harness.shell import clean_environment

LONG = bool(os.environ.get("OS_TEST_SWEEP"))
SANITIZED = "san" in os.environ.get("OS_TEST_SANITIZER", "")
LINE = re.compile(r"(\d+) asked=(\d+) code=(\d+) live=(\d+) (.*)")
# libcurl hides a lack of memory behind what it was doing: a name that cannot be looked up, a request that fails
WORDS = ("out of memory", "memory", "cannot open", "unable to open", "could not", "failed", "cannot", "disk I/O error")


# jansson 2.14 does not look whether its text buffer grew: without the byte of a closing quote it reads on behind the buffer, and
# may come to an assertion. That is passed over; everything else that ends the program is a fault.
JANSSON = "lex_scan_string"


RANGE = 200  # numbers that are tried with one ledger: it gets longer with each, and a longer one asks for more memory


def tried(box, sql, first, last, step, forever):
    library, host = shim.built("nomem.c", "-shared"), shim.built("nomem_host.c", "-lsqlite3", "-ldl")
    env = clean_environment(box.path, {**box.env, "LD_PRELOAD": library, "LOG_LEVEL": "OFF", "MAX_RETRIES": "0"})
    for _ in range(RANGE if LONG else 4):
        result = subprocess.run([host, str(EXTENSION), "app.db", sql, str(first), str(last), str(step), str(int(forever))], cwd=box.path, env=env,
                                capture_output=True, text=True, timeout=600 if LONG else 110)
        lines = result.stdout.splitlines()
        if result.returncode == 0:
            yield lines
            return
        assert JANSSON in result.stderr, "died with %s behind: %s %s" % (result.returncode, result.stdout[-500:], result.stderr[-500:])
        yield [*lines, "end " + lines[0].split()[1]]
        first = int(lines[-1].split()[0]) + 2 * step
        if first > last:
            return


def is_beyond(line):
    """Did the statement need fewer allocations than the one that was to fail?"""
    found = LINE.match(line)
    return bool(found) and int(found.group(2)) < int(found.group(1))


def sweep(box, sql, first, step, forever):
    over = False
    while LONG and not over:
        for path in box.path.glob("app.db*"):
            path.unlink()
        for lines in tried(box, sql, first, first + RANGE - 1, step, forever):
            yield lines
            over = over or any(is_beyond(line) for line in lines)
        first += RANGE
    if not LONG:
        yield from tried(box, sql, first, 100000, step, forever)


def check(lines):
    """Each failure is told, nothing is kept, and the next load works. Gives how many failed."""
    failed = 0
    begin, end = int(lines[0].split("=")[1]), int(lines[-1].split("=")[1])
    for line in lines[1:-1]:
        found = LINE.match(line)
        if not found:
            assert line.endswith(" lives"), line
            continue
        number, _, code, live, text = found.groups()
        assert int(code) < 1000, "the connection cannot be closed: " + line
        assert code == "0" or any(word in text for word in WORDS), line
        assert abs(int(live) - begin) <= 40, "memory is kept, %d pieces at first: %s" % (begin, line)
        failed += code != "0"
    assert abs(end - begin) <= 40
    return failed


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator of its own")
@pytest.mark.limit(3600 if LONG else 130)
@pytest.mark.parametrize("forever", [False, True], ids=["one fails", "all later ones fail"])
def test_every_allocation_of_a_load(box, plain, index, forever):
    docs = {"k%d" % n: {"n": n} for n in range(5)}
    plain.create(index)
    box.file("p.ndjson", "".join('{"_id":"%s","n":%d}\n' % (key, doc["n"]) for key, doc in docs.items()))
    sql = "SELECT os_bulk_load('p.ndjson', '%s', '{\"mode\":\"upsert\"}')" % index
    # begun elsewhere each time: over many runs every allocation has its turn
    parts = list(sweep(box, sql, 1 if LONG else 1 + os.getpid() % 61, 1 if LONG else 61, forever))
    assert sum(check(lines) for lines in parts) > 20
    assert_exactly_once(plain, index, docs)
    jobs = box.rows("SELECT count(*) AS n FROM os_jobs WHERE status = 'running'")
    assert jobs[0]["n"] == 0
