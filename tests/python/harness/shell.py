"""The real sqlite3 shell with the extension, in a process of its own."""
import json
import os
import signal
import subprocess
import threading
import time

from .paths import EXTENSION, ROOT, SQLITE3
from .refusal import check_present

# What a process under test may see of our environment: nothing that is a setting.
KEPT = ("PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS", "TZ", "GCOV_PREFIX")


def clean_environment(home, extra=None):
    env = {k: os.environ[k] for k in KEPT if k in os.environ}
    env.update(HOME=str(home), XDG_STATE_HOME=str(home / ".local" / "state"), LANG="C.UTF-8", TERM="dumb")
    env.update(extra or {})
    return {k: str(v) for k, v in env.items() if v is not None}


class Result:
    def __init__(self, out, err, code, seconds):
        self.out, self.err, self.code, self.seconds = out, err, code, seconds

    @property
    def lines(self):
        return self.out.splitlines()

    def json(self):
        """The last line of the output as JSON: what a command returned."""
        return json.loads(self.lines[-1])

    def __repr__(self):
        return "exit code %s after %.1f s\n--- stdout\n%s\n--- stderr\n%s" % (self.code, self.seconds, self.out[-4000:], self.err[-4000:])


# Who was started in the background by a shell has SIGINT ignored, and so would all that is started here.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Running:
    """A shell that has been started; its output is gathered while it runs."""

    def __init__(self, argv, script, cwd, env, stdin=None):
        self.started = time.monotonic()
        # a group of its own, so that interrupt() reaches it alone
        self.process = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, start_new_session=True)
        self._parts = {"out": [], "err": []}
        self._threads = [threading.Thread(target=self._gather, args=(self.process.stdout, "out"), daemon=True),
                         threading.Thread(target=self._gather, args=(self.process.stderr, "err"), daemon=True)]
        for thread in self._threads:
            thread.start()
        try:
            self.process.stdin.write(script if isinstance(script, bytes) else script.encode())
            if stdin is None:
                self.process.stdin.close()
            else:
                self.process.stdin.write(stdin)
                self.process.stdin.close()
        except BrokenPipeError:
            pass

    def _gather(self, stream, name):
        for block in iter(lambda: stream.read1(65536), b""):
            self._parts[name].append(block)

    @property
    def err(self):
        return b"".join(self._parts["err"]).decode(errors="replace")

    @property
    def out(self):
        return b"".join(self._parts["out"]).decode(errors="replace")

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def kill(self):
        self.process.kill()
        return self.finish(10)

    def finish(self, timeout=60):
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError("no end after %s s: %r" % (timeout, Result(self.out, self.err, None, timeout))) from None
        for thread in self._threads:
            thread.join(5)
        return Result(self.out, self.err, code, time.monotonic() - self.started)


class Shell:
    """Shell(cwd, env).run("SELECT 1;") — .load comes first, errors end the script (-bail)."""

    def __init__(self, cwd, env, database=":memory:"):
        self.cwd, self.env, self.database = cwd, env, database

    def start(self, script, database=None, env=None, bail=True, stdin=None, load=True, args=()):
        argv = [SQLITE3, "-batch", *(["-bail"] if bail else []), *args]
        if load:
            argv += ["-cmd", ".load %s" % EXTENSION]
        argv.append(str(database or self.database))
        if stdin is not None:  # the script goes to the command line, standard input is the data
            argv.append(script)
            script = b""
        full = clean_environment(self.cwd, {**self.env, **(env or {})})
        return Running(argv, script, str(self.cwd), full, stdin)

    def run(self, script, check=True, timeout=60, **how):
        result = self.start(script, **how).finish(timeout)
        if check:
            assert result.code == 0, "the shell failed: %r" % result
        return result

    def fails(self, script, *words, timeout=60, **how):
        """The script must end in an error that has all the words (case does not matter)."""
        result = self.run(script, check=False, timeout=timeout, **how)
        assert result.code != 0, "no error where one was due: %r" % result
        assert result.code > 0, "killed by signal %d: %r" % (-result.code, result)
        check_present(result.err)
        for word in words:
            assert word.lower() in result.err.lower(), "%r is not in the error: %r" % (word, result)
        return result


def run_python(code, cwd, env, timeout=60, check=True, interrupt_after=None, args=(), extension=EXTENSION):
    """A Python of the distribution in a process of its own; `connect(path)` is defined for it."""
    prologue = ("import json, os, signal, sqlite3, sys, threading, time\n"
                "def connect(path=':memory:'):\n"
                "    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)\n"
                "    db.enable_load_extension(True)\n"
                "    db.load_extension(%r)\n"
                "    return db\n" % str(extension))
    running = Running(["/usr/bin/python3", "-c", prologue + code, *args], b"", str(cwd), clean_environment(cwd, env))
    if interrupt_after is not None:
        time.sleep(interrupt_after)
        running.interrupt()
    result = running.finish(timeout)
    if check:
        assert result.code == 0, "the script failed: %r" % result
    return result


def sql_text(value):
    """A Python value as an SQL literal."""
    if value is None:
        return "NULL"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False)
    return "'%s'" % str(value).replace("'", "''")


def call(function, *arguments):
    return "SELECT %s(%s);\n" % (function, ", ".join(sql_text(a) for a in arguments))


__all__ = ["Shell", "Result", "Running", "run_python", "clean_environment", "sql_text", "call", "EXTENSION", "ROOT"]
