"""Stopping: Ctrl-C in the shell and in Python, a resolver that hangs, close() with a load running, fork, and the end of
the process. Everything stops within a second, and what was acknowledged stays recorded."""
import os
import signal
import subprocess
import time

import pytest

import datasets
from harness.checker import assert_exactly_once
from harness.servers import Listener

DOCS = datasets.products(2000)
SOON = 2.0  # one second by the contract, and one for a machine that is busy

RESOLVER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
/* A resolver that says nothing for a minute about every name that contains "hung". */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
  if (node && strstr(node, "hung")) { for (int i = 0; i < 60; i++) sleep(1); return EAI_AGAIN; }
  return real(node, service, hints, res);
}
"""

HOST = r"""
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>
/* host EXTENSION SQL INTERRUPT: runs SQL in a thread and closes the connection meanwhile. */
static sqlite3 *db;
static void *run(void *sql) {
  char *text = 0;
  int rc = sqlite3_exec(db, sql, 0, 0, &text);
  printf("ran %d %s\n", rc, text ? text : "");
  return 0;
}
int main(int argc, char **argv) {
  pthread_t thread;
  if (argc != 4 || sqlite3_open("app.db", &db)) return 2;
  sqlite3_enable_load_extension(db, 1);
  if (sqlite3_load_extension(db, argv[1], 0, 0)) return 3;
  pthread_create(&thread, 0, run, argv[2]);
  sleep(1);
  if (argv[3][0] == '1') sqlite3_interrupt(db);
  printf("closed %d\n", sqlite3_close_v2(db));
  pthread_join(thread, 0);
  return 0;
}
"""


@pytest.fixture
def slow(through, proxy, plain, index):
    plain.create(index, datasets.PRODUCTS)
    datasets.write(through / "p.ndjson", DOCS)
    proxy.rule("delay", seconds=0.2)
    through.script = "SELECT os_bulk_load('p.ndjson', '%s', '{\"batch_size\":50,\"max_workers\":2}');" % index
    return through


@pytest.fixture(scope="session")
def hung_resolver(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resolver")
    (folder / "r.c").write_text(RESOLVER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "r.so", "r.c", "-ldl"], cwd=folder, check=True)
    return str(folder / "r.so")


def preload(box, library):
    """Behind a sanitizer's library, which must come first."""
    return " ".join(x for x in (os.environ.get("LD_PRELOAD"), library) if x)


# ---- Ctrl-C -----------------------------------------------------------------------------------------------------------
def test_ctrl_c_in_the_shell(slow, proxy, plain, index):
    running = slow.start(slow.script + "\nSELECT 'went on';\n")
    proxy.wait_for(4)
    started = time.monotonic()
    running.interrupt()
    result = running.finish(15)
    assert time.monotonic() - started < SOON, "it took %.1f s" % (time.monotonic() - started)
    assert "interrupt" in result.err.lower() and "resume" in result.err, result
    row = slow.job()
    assert row["status"] == "interrupted" and row["documents_created"] > 0 and row["finished_at"]
    proxy.clear()
    slow.load("p.ndjson", index, mode="resume")
    assert_exactly_once(plain, index, DOCS)


def test_the_shell_lives_on_after_ctrl_c(slow, proxy, plain, index):
    """Without -bail the next statement runs, and so does the next load."""
    running = slow.start(slow.script + "\nSELECT 'went on';\nSELECT os_ping() IS NOT NULL;\n", bail=False)
    proxy.wait_for(3)
    running.interrupt()
    result = running.finish(15)
    assert "interrupt" in result.err.lower()
    assert result.lines[-2:] == ["went on", "1"] or "interrupt" in result.err, result


@pytest.mark.parametrize("what", ["KeyboardInterrupt", "handler", "connection.interrupt"])
def test_ctrl_c_in_python(slow, proxy, plain, index, what):
    code = """
import threading
db = connect('app.db')
what = %r
if what == 'handler':
    signal.signal(signal.SIGINT, lambda *a: print('handled', flush=True))
def later():
    while db_count() < 4: time.sleep(0.02)
    global t; t = time.monotonic()
    if what == 'connection.interrupt': db.interrupt()
    else: os.kill(os.getpid(), signal.SIGINT)
def db_count():
    try: return sqlite3.connect('file:app.db-ledger?mode=ro', uri=True).execute("SELECT requests FROM job ORDER BY 1 DESC LIMIT 1").fetchone()[0]
    except Exception: return 99 if time.monotonic() - t0 > 1.2 else 0
t0 = time.monotonic()
threading.Thread(target=later, daemon=True).start()
try:
    try:
        db.execute(%r).fetchall()
        print('NOT STOPPED')
    except sqlite3.Error as e:
        print('error', e)
        print('after %%.2f' %% (time.monotonic() - t))
    time.sleep(0.05)
except KeyboardInterrupt as e:
    print('keyboard', e.__context__, db.execute("SELECT error FROM os_jobs WHERE kind = 'bulk_load'").fetchall())
    print('after %%.2f' %% (time.monotonic() - t))
print(db.execute("SELECT os_version() IS NOT NULL").fetchone()[0])
""" % (what, slow.script)
    result = slow.python(code, timeout=30)
    assert "NOT STOPPED" not in result.out and "interrupt" in result.out.lower() and "resume" in result.out, result
    took = float([line for line in result.lines if line.startswith("after ")][0].split()[1])
    assert took < SOON, result
    if what == "handler":
        assert "handled" in result.out, "the application's own handler was lost: %r" % result
    if what == "KeyboardInterrupt":
        assert "keyboard" in result.out, result
    assert result.lines[-1] == "1"
    assert slow.job()["status"] == "interrupted"
    proxy.clear()
    slow.load("p.ndjson", index, mode="resume")
    assert_exactly_once(plain, index, DOCS)


def test_ignored_ctrl_c_stays_ignored(slow, proxy, plain, index):
    code = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
db = connect('app.db')
threading.Timer(0.8, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
print(db.execute(%r).fetchone()[0])
assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
""" % slow.script
    result = slow.python(code, timeout=60)
    assert '"success"' in result.out
    assert_exactly_once(plain, index, DOCS)


def test_handler_is_given_back(slow, plain, index):
    code = """
import ctypes
class Action(ctypes.Structure):
    _fields_ = [('handler', ctypes.c_void_p), ('rest', ctypes.c_char * 512)]
libc = ctypes.CDLL(None)
def current():
    a = Action(); libc.sigaction(2, None, ctypes.byref(a)); return a.handler
before = current()
db = connect('app.db')
assert current() == before, 'changed by loading'
db.execute("SELECT os_ping()").fetchall()
assert current() == before, 'not given back'
try: db.execute("SELECT os_bulk_load('nowhere.csv', 'x')").fetchall()
except sqlite3.Error: pass
assert current() == before, 'not given back after an error'
"""
    slow.python(code)


@pytest.mark.parametrize("sql", ["SELECT os_sleep(30);", "SELECT os_ping();", "SELECT os_request('GET', '/');", "SELECT os_count('x');", "SELECT os_bulk_load('a.ndjson', 'x');"])
def test_every_command_stops(bare_box, sql):
    bare_box.file("a.ndjson", '{"a":1}\n')
    with Listener(silent=True) as server:
        running = bare_box.start(sql, env={"OPENSEARCH_ENDPOINT": server.url, "REQUEST_TIMEOUT": "40"})
        time.sleep(0.7)
        assert running.process.poll() is None, running.finish()
        started = time.monotonic()
        running.interrupt()
        result = running.finish(20)
        assert time.monotonic() - started < SOON and "interrupt" in result.err.lower(), result


def test_reading_a_pipe_stops(box, plain, index):
    plain.create(index)
    from harness.shell import Running, clean_environment
    from harness.paths import EXTENSION
    read, write = os.pipe()
    process = subprocess.Popen(["sqlite3", "-batch", "-cmd", ".load %s" % EXTENSION, "app.db", "SELECT os_bulk_load('-', '%s');" % index],
                               cwd=box.path, env=clean_environment(box.path, box.env), stdin=read, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(read)
    os.write(write, b'{"a":1}\n{"a":')
    time.sleep(1)
    assert process.poll() is None
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    os.close(write)
    assert time.monotonic() - started < SOON and b"interrupt" in err.lower(), err
    assert Running is not None


# ---- a resolver that hangs ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sql", ["SELECT os_ping();", "SELECT os_bulk_load('a.ndjson', 'x');"])
def test_hung_resolver_and_ctrl_c(bare_box, hung_resolver, sql):
    bare_box.file("a.ndjson", '{"a":1}\n')
    running = bare_box.start(sql + "\nSELECT 'went on';\n", bail=False, stdin=None,
                             env={"OPENSEARCH_ENDPOINT": "http://hung.example:9200", "LD_PRELOAD": preload(bare_box, hung_resolver), "LOG_LEVEL": "OFF"})
    time.sleep(1)
    assert running.process.poll() is None, "it does not hang: %r" % running.finish()
    started = time.monotonic()
    running.interrupt()
    while "interrupt" not in running.err.lower() and time.monotonic() - started < 20:
        time.sleep(0.02)
    took = time.monotonic() - started
    result = running.kill()
    assert took < SOON and "interrupt" in result.err.lower(), "%.1f s: %r" % (took, result)


def test_hung_resolver_does_not_hold_up_the_end_of_the_shell(bare_box, hung_resolver):
    """After the message the user gets his prompt back: closing the connection does not wait for the resolver either."""
    running = bare_box.start("SELECT os_ping();", env={"OPENSEARCH_ENDPOINT": "http://hung.example:9200", "LD_PRELOAD": preload(bare_box, hung_resolver)})
    time.sleep(1)
    running.interrupt()
    result = running.finish(8)
    assert result.code == 1 and "interrupt" in result.err.lower(), result


def test_hung_resolver_then_another_cluster(bare_box, hung_resolver):
    """After the interruption the connection is usable: the stuck thread is left behind."""
    with Listener() as server:
        code = """
db = connect('app.db')
threading.Timer(0.5, db.interrupt).start()
try: db.execute("SELECT os_ping()").fetchall(); print('NOT STOPPED')
except sqlite3.Error as e: print(e)
db.execute("SELECT os_config('OPENSEARCH_ENDPOINT', '%s')").fetchall()
t = time.monotonic()
print(db.execute("SELECT os_ping()").fetchone()[0], time.monotonic() - t)
sys.stdout.flush(); os._exit(0)
""" % server.url
        result = bare_box.python(code, env={"OPENSEARCH_ENDPOINT": "http://hung.example:9200", "LD_PRELOAD": preload(bare_box, hung_resolver)}, timeout=20)
        assert "NOT STOPPED" not in result.out and "2.19.4" in result.lines[-1], result
        assert server.requests


# ---- close, exit, fork ------------------------------------------------------------------------------------------------------
def test_close_with_a_load_running_in_another_thread(slow, proxy, plain, index):
    code = """
db = connect('app.db')
seen = []
def load():
    try: seen.append(db.execute(%r).fetchone()[0])
    except sqlite3.Error as e: seen.append(str(e))
t = threading.Thread(target=load); t.start()
time.sleep(1.2)
db.interrupt()
try: db.close()
except sqlite3.Error as e: print('close:', e)
t.join(20)
print(t.is_alive(), seen)
""" % slow.script
    result = slow.python(code, timeout=40)
    assert result.lines[-1].startswith("False"), result
    assert slow.job()["status"] in ("interrupted", "success")


@pytest.fixture(scope="session")
def closing_host(tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    (folder / "h.c").write_text(HOST)
    subprocess.run(["cc", "-o", "host", "h.c", "-lsqlite3", "-lpthread"], cwd=folder, check=True)
    return str(folder / "host")


@pytest.mark.parametrize("interrupt", ["0", "1"])
def test_close_while_another_thread_loads(slow, proxy, plain, index, closing_host, interrupt):
    """sqlite3_close_v2() with a statement running: the connection lives on until the statement ends, then everything is
    joined and freed. (Python's own close() is no host for this: it crashes with any function that takes a while.)"""
    from harness.paths import EXTENSION
    from harness.shell import Running, clean_environment
    result = Running([closing_host, str(EXTENSION), slow.script, interrupt], b"", str(slow.path), clean_environment(slow.path, slow.env)).finish(60)
    assert result.code == 0 and "closed 0" in result.out, result
    if interrupt == "1":
        assert "interrupt" in result.out and slow.job()["status"] == "interrupted"
        proxy.clear()
        slow.load("p.ndjson", index, mode="resume")
    else:
        assert "ran 0" in result.out and slow.job()["status"] == "success", result
    assert_exactly_once(plain, index, DOCS)


def test_process_ends_while_a_load_runs(slow, proxy, plain, index):
    """sys.exit with a daemon thread inside a load: no crash, and the job is interrupted, not running for ever."""
    code = """
db = connect('app.db')
t = threading.Thread(target=lambda: db.execute(%r).fetchall(), daemon=True); t.start()
time.sleep(1.2)
sys.exit(3)
""" % slow.script
    result = slow.python(code, timeout=40, check=False)
    assert result.code == 3, result
    assert slow.job()["status"] in ("interrupted", "success")
    proxy.clear()
    slow.load("p.ndjson", index, mode="resume")
    assert_exactly_once(plain, index, DOCS)


def test_cursor_left_open_over_a_table_function(box):
    box.file("p.csv", "a\n" + "1\n" * 1000)
    code = """
db = connect('app.db')
c = db.execute("SELECT * FROM os_preview('p.csv')")
print(c.fetchone() is not None)
db.close()
"""
    assert box.python(code).lines[-1] == "True"


def test_fork_and_load_in_the_child(through, proxy, plain, index):
    """The child abandons what it inherited and opens its own; the parent goes on as before."""
    plain.create(index, datasets.PRODUCTS)
    for n in range(3):
        datasets.write(through / ("f%d.ndjson" % n), DOCS[n * 500:n * 500 + 500])
    code = """
index = %r
def load(db, n): return json.loads(db.execute("SELECT os_bulk_load(?, ?, '{\\"mode\\":\\"append\\",\\"batch_size\\":50}')", ('f%%d.ndjson' %% n, index)).fetchone()[0])['status']
db = connect('app.db')
assert load(db, 0) == 'success'
pid = os.fork()
if pid == 0:
    code = 1
    try:
        code = 0 if load(db, 1) == 'success' else 2
    finally:
        os._exit(code)
print('parent', load(db, 2))
_, status = os.waitpid(pid, 0)
print('child', status)
print(db.execute("SELECT count(*) FROM os_jobs WHERE kind = 'bulk_load' AND status = 'success'").fetchone()[0])
""" % index
    result = through.python(code, timeout=60)
    assert result.lines[-3:] == ["parent success", "child 0", "3"], result
    assert_exactly_once(plain, index, DOCS[:1500])


@pytest.mark.skipif("san" in os.environ.get("OS_TEST_SANITIZER", ""),
                    reason="the sanitizer's allocator has locks that no fork waits for")
@pytest.mark.parametrize("pause", [0, 0.0003, 0.003, 0.009, 1])
def test_fork_while_a_load_runs_in_the_parent(slow, proxy, plain, index, pause):
    """At the beginning too, while the parent's thread is inside SQLite, libcurl's start or OpenSSL."""
    datasets.write(slow / "child.ndjson", datasets.products(100, start=7000))
    code = """
index = %r
db = connect('app.db')
t = threading.Thread(target=lambda: db.execute(%r).fetchall()); t.start()
time.sleep(%r)
pid = os.fork()
if pid == 0:
    code = 1
    try:
        other = connect('app.db')
        code = 0 if json.loads(other.execute("SELECT os_bulk_load('child.ndjson', ?, '{\\"mode\\":\\"append\\"}')", (index,)).fetchone()[0])['status'] == 'success' else 2
    finally:
        os._exit(code)
_, status = os.waitpid(pid, 0)
print('child', status)
print([r[0] for r in db.execute("SELECT status FROM os_jobs WHERE kind='bulk_load' ORDER BY job")] if not t.is_alive() else 'still running')
t.join(60)
""" % (index, slow.script, pause)
    result = slow.python(code, timeout=90)
    assert "child 0" in result.out, result
    assert_exactly_once(plain, index, DOCS + datasets.products(100, start=7000))


# ---- progress -----------------------------------------------------------------------------------------------------------------
def test_progress_as_json_lines(slow, proxy, plain, index):
    import json
    result = slow.sql(slow.script.replace('{"batch_size"', '{"progress":"json","batch_size"'), timeout=60)
    lines = [json.loads(line) for line in result.err.splitlines() if line.startswith("{")]
    assert len(lines) >= 3, result
    numbers = [line["documents"] if "documents" in line else line["documents_created"] for line in lines]
    assert numbers == sorted(numbers) and numbers[-1] > numbers[0]
    assert any("eta" in key for key in lines[0]) or any("rate" in key for key in lines[0])


def test_no_progress_when_stderr_is_no_terminal(slow, proxy, plain, index):
    proxy.clear()
    result = slow.sql(slow.script)
    assert "\r" not in result.err and "%" not in result.err


def test_progress_on_a_terminal_is_one_line_drawn_again(slow, plain, index):
    import pty
    from harness.paths import EXTENSION
    from harness.shell import clean_environment
    master, slave = pty.openpty()
    process = subprocess.Popen(["sqlite3", "-batch", "-cmd", ".load %s" % EXTENSION, "app.db", slow.script], cwd=slow.path,
                               env=clean_environment(slow.path, {**slow.env, "TERM": "xterm"}), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=slave)
    os.close(slave)
    seen = b""
    while True:
        try:
            block = os.read(master, 4096)
        except OSError:
            break
        if not block:
            break
        seen += block
    out, _ = process.communicate(timeout=60)
    os.close(master)
    assert process.returncode == 0 and b'"success"' in out
    assert seen.count(b"\r") >= 3, seen
    assert seen.count(b"\n") <= 3 and b"/s" in seen, seen


def test_progress_rows_can_be_switched_off(slow, proxy, plain, index):
    proxy.clear()
    result = slow.sql(slow.script.replace('{"batch_size"', '{"progress":false,"batch_size"'), env={"LOG_LEVEL": "OFF"})
    assert result.err.strip() == "" and slow.job()["documents_created"] == 2000
