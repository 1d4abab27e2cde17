"""Hosts in trouble: processes that fork, threads that share a connection or a ledger, and machines that run out of file
handles, threads, memory or disk. Each ends in a success or in an error that names what ran out; never in a crash, a hang
or a ledger that is not whole."""
import os
import shutil
import sqlite3

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.paths import EXTENSION

DOCS = datasets.products(2000)

# in a child of its own for each limit: prints the limit and what the load said, or how the child died
LIMITED = r"""
import resource
index, kind = %r, %r
def load():
    db = connect('limited.db')
    limit(kind)
    try:
        said = db.execute("SELECT os_bulk_load('p.ndjson', ?, '{\"mode\":\"upsert\"}')", (index,)).fetchone()[0]
    except MemoryError:
        said = 'out of memory'
    except sqlite3.Error as e:
        said = 'error: %%s' %% e
    os.write(1, ('%%d %%s\n' %% (n, said.replace('\n', ' '))).encode())
    db.close()
def limit(kind):
    used = int(open('/proc/self/statm').read().split()[0]) * 4096
    if kind == 'memory': resource.setrlimit(resource.RLIMIT_AS, (used + n * 1000000,) * 2)
    else: resource.setrlimit(getattr(resource, kind), (n, n))
for n in %r:
    pid = os.fork()
    if pid == 0:
        try: load()
        finally: os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if status: print(n, 'died with status', status, flush=True)
"""


def limited(box, index, kind, values, env=None):
    """{limit: what the load said}"""
    result = box.python(LIMITED % (index, kind, list(values)), env={"MAX_RETRIES": "0", "LOG_LEVEL": "OFF", **(env or {})}, timeout=110)
    assert "died" not in result.out, result
    said = dict(line.split(" ", 1) for line in result.lines)
    assert [int(n) for n in said] == list(values), result
    return {int(n): text for n, text in said.items()}


def check_ledger(box, name):
    if (box / name).exists():
        db = sqlite3.connect(box / name)
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        db.close()


@pytest.fixture
def target(box, plain, index):
    plain.create(index, datasets.PRODUCTS)
    datasets.write(box / "p.ndjson", DOCS, ids=True)
    return index


# ---- fork ---------------------------------------------------------------------------------------------------------------
def test_parent_closes_while_a_forked_child_goes_on(box, target):
    """What the child writes into the ledger must not go into a log that the parent has deleted."""
    code = """
index = %r
def load(db): return json.loads(db.execute("SELECT os_bulk_load('p.ndjson', ?, '{\\"mode\\":\\"upsert\\"}')", (index,)).fetchone()[0])['status']
r, w = os.pipe(); r2, w2 = os.pipe()
db = connect('app.db')
load(db)
pid = os.fork()
if pid == 0:
    code = 1
    try:
        load(db); os.write(w, b'x'); os.read(r2, 1)
        load(db); load(db)
        code = 0
    finally:
        os._exit(code)
os.read(r, 1)
db.close()
db = connect('app.db')
load(db); os.write(w2, b'x')
print('child', os.waitpid(pid, 0)[1])
print(db.execute("SELECT count(*) FROM os_jobs WHERE kind = 'bulk_load' AND status = 'success'").fetchone()[0])
""" % target
    assert box.python(code).lines == ["child 0", "5"]
    check_ledger(box, "app.db-ledger")


@pytest.mark.skipif("san" in os.environ.get("OS_TEST_SANITIZER", ""),
                    reason="the sanitizer's allocator has locks that no fork waits for")
def test_children_forked_while_another_thread_loads(box, plain, target):
    """Each fork finds the ledger at rest, whatever the other thread does; the jobs of all are in it afterwards."""
    code = """
index = %r
def load(db): return json.loads(db.execute("SELECT os_bulk_load('p.ndjson', ?, '{\\"mode\\":\\"upsert\\",\\"batch_size\\":100}')", (index,)).fetchone()[0])['status']
db = connect('app.db')
load(db)
stop, loads = False, [1]
def loading():
    while not stop: assert load(db) == 'success'; loads[0] += 1
thread = threading.Thread(target=loading); thread.start()
children = []
for i in range(8):
    time.sleep(0.05)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if load(connect('app.db')) == 'success' else 2
        finally:
            os._exit(code)
    children.append(pid)
codes = [os.waitpid(pid, 0)[1] for pid in children]
stop = True
thread.join()
print(codes == [0] * 8, codes)
print(db.execute("SELECT count(*) FROM os_jobs WHERE kind = 'bulk_load' AND status = 'success'").fetchone()[0] - loads[0])
""" % target
    result = box.python(code, timeout=110)
    assert result.lines[0].startswith("True") and result.lines[1] == "8", result
    check_ledger(box, "app.db-ledger")


# ---- threads ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shared", [False, True], ids=["own connections", "one connection"])
def test_loads_in_several_threads(box, plain, target, shared):
    code = """
index = %r
first = connect('app.db')
said = []
def load(db):
    try: said.append(json.loads(db.execute("SELECT os_bulk_load('p.ndjson', ?, '{\\"mode\\":\\"upsert\\",\\"batch_size\\":100}')", (index,)).fetchone()[0])['status'])
    except sqlite3.Error as e: said.append(str(e))
threads = [threading.Thread(target=load, args=(first if %r else connect('app.db'),)) for i in range(3)]
for t in threads: t.start()
for t in threads: t.join()
print(said)
""" % (target, shared)
    assert box.python(code, timeout=90).lines == ["['success', 'success', 'success']"]
    assert_exactly_once(plain, target, datasets.by_id(DOCS))
    check_ledger(box, "app.db-ledger")


def test_interrupts_at_any_moment(box, target):
    code = """
import random
random.seed(4)
db = connect('app.db')
stop = False
def interrupting():
    while not stop:
        time.sleep(random.random() * 0.1)
        db.interrupt()
thread = threading.Thread(target=interrupting); thread.start()
end, seen = time.monotonic() + 6, set()
while time.monotonic() < end:
    for sql in ("SELECT os_ping()", "SELECT os_bulk_load('p.ndjson', '%(i)s', '{\\"mode\\":\\"upsert\\",\\"batch_size\\":50}')", "SELECT os_sleep(0.05)",
                "SELECT count(*) FROM os_jobs, os_audit", "SELECT * FROM os_preview('p.ndjson')", "SELECT * FROM os_load_plan('p.ndjson', '%(i)s')"):
        try: db.execute(sql).fetchall()
        except sqlite3.Error as e:
            assert 'interrupted' in str(e), (sql, e)
            seen.add(sql)
stop = True; thread.join()
print(len(seen) > 2)
while True:
    try: print(json.loads(db.execute("SELECT os_bulk_load('p.ndjson', '%(i)s', '{\\"mode\\":\\"upsert\\"}')").fetchone()[0])['status']); break
    except sqlite3.Error as e: assert 'interrupted' in str(e), e
print(db.execute("SELECT count(*) FROM os_jobs WHERE status = 'running'").fetchone()[0])
""" % {"i": target}
    assert box.python(code, env={"LOG_LEVEL": "OFF"}, timeout=60).lines == ["True", "success", "0"]
    check_ledger(box, "app.db-ledger")


# ---- limits -------------------------------------------------------------------------------------------------------------
def test_no_file_handle_left(box, plain, target):
    """From none to enough, one at a time."""
    said = limited(box, target, "RLIMIT_NOFILE", range(3, 30))
    for n, text in said.items():
        assert '"success"' in text or "open" in text or "network thread" in text or "start" in text, (n, text)
    assert "ulimit -n" in said[4] and "ulimit -n" in said[8]
    assert '"success"' in said[29], said[29]
    assert_exactly_once(plain, target, datasets.by_id(DOCS))
    check_ledger(box, "limited.db-ledger")


@pytest.mark.skipif("san" in os.environ.get("OS_TEST_SANITIZER", ""), reason="a sanitizer needs terabytes of addresses")
def test_no_memory_left(box, plain, target):
    said = limited(box, target, "memory", [*range(1, 25), 40, 80, 500])
    for n, text in said.items():
        assert '"success"' in text or "memory" in text.lower() or "thread" in text, (n, text)
    assert '"success"' in said[500]
    check_ledger(box, "limited.db-ledger")


def test_no_thread_left(box, plain, target):
    """The limit counts a user's threads, and root has none: as root the children become somebody else."""
    extension = EXTENSION
    if os.getuid() == 0:
        extension = shutil.copy(EXTENSION, box.path)  # where it was built may be closed to others
        os.chmod(box.path, 0o777)
        for parent in box.path.parents[:3]:
            os.chmod(parent, 0o755)
        become = "os.setgid(54321); os.setuid(54321)\n"
    else:
        become = ""
    code = become + LIMITED % (target, "RLIMIT_NPROC", list(range(1, 5)) + [4000])
    result = box.python(code, env={"MAX_RETRIES": "0", "LOG_LEVEL": "OFF", "OS_LEDGER": ":memory:"}, timeout=110,
                        extension=extension)
    said = dict(line.split(" ", 1) for line in result.lines)
    assert "died" not in result.out and '"success"' in said["4000"], result
    assert "thread" in said["1"] and "error" in said["1"], result


def test_no_room_for_the_ledger(box, plain, target):
    """A limit on the size of files stands in for a full disk: it hits the ledger in the middle of the load."""
    said = limited(box, target, "RLIMIT_FSIZE", [1, 5000, 40000, 70000, 120000, 10000000])
    for n, text in said.items():
        assert '"success"' in text or "ledger" in text, (n, text)
    assert '"success"' in said[10000000] and "error" in said[5000]
    check_ledger(box, "limited.db-ledger")
    assert box.load("p.ndjson", target, mode="upsert")["status"] == "success"


# ---- sources ------------------------------------------------------------------------------------------------------------
def test_ten_thousand_columns(box, plain, index):
    plain.create(index, settings={"index.mapping.total_fields.limit": 20000}, mappings={"dynamic": False})
    columns = 10000
    box.file("wide.csv", ",".join("c%d" % i for i in range(columns)) + "\n" + "\n".join(",".join(str(r * i) for i in range(columns)) for r in range(3)))
    assert box.one("SELECT count(*) FROM os_preview('wide.csv')") == 3
    assert box.load("wide.csv", index)["response"]["created"] == 3
    docs = sorted((d for _, d, _ in plain.read_all(index)), key=lambda d: d["c1"])
    assert [len(d) for d in docs] == [columns] * 3 and docs[2]["c9999"] == 19998


def test_many_small_files(box, plain, index):
    plain.create(index)
    for i in range(3000):
        box.file("many/%02d/%04d.ndjson" % (i % 60, i), '{"_id":"%d","a":%d}\n' % (i, i))
    result = box.load("many", index, mode="upsert")["response"]
    assert (result["files"], result["created"]) == (3000, 3000) and result["requests"] < 100
    assert box.load("many", index, mode="resume")["response"]["files_skipped"] == 3000


def test_standard_streams_that_are_closed(box, plain, target):
    """A daemon has none: the files that are opened must not be taken for them, nor messages be written into the ledger."""
    code = """
os.close(0); os.close(1); os.close(2)
db = connect('app.db')
status = json.loads(db.execute("SELECT os_bulk_load('p.ndjson', '%s', '{\\"mode\\":\\"upsert\\",\\"progress\\":\\"json\\"}')").fetchone()[0])['status']
db.close()
os._exit(0 if status == 'success' else 1)
""" % target
    assert box.python(code).code == 0
    assert_exactly_once(plain, target, datasets.by_id(DOCS))
    check_ledger(box, "app.db-ledger")
