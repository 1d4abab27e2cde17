"""What a load shows of itself while it runs and at its end: in a terminal of 80 and of 200 columns (tmux, whose screen can
be read), and in a pipe."""
import re
import shutil
import subprocess
import time

import pytest

from harness.paths import EXTENSION
from harness.shell import call, clean_environment

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux")


class Terminal:
    """A session of tmux of its own, in which a shell command runs."""

    def __init__(self, folder, columns, command, env):
        self.base = ["tmux", "-S", str(folder / "tmux.sock"), "-f", "/dev/null"]
        env = {k: v for k, v in clean_environment(folder, env).items() if k != "TERM"}
        subprocess.run([*self.base, "new-session", "-d", "-x", str(columns), "-y", "24", "%s; echo THE END; sleep 600" % command],
                       check=True, cwd=folder, env={**env, "TERM": "xterm"}, timeout=20)

    def screen(self):
        shown = subprocess.run([*self.base, "capture-pane", "-p"], check=True, capture_output=True, text=True, timeout=20).stdout
        return [line for line in shown.split("\n") if line.strip()]

    def until(self, word, timeout=60):
        end = time.time() + timeout
        while True:
            lines = self.screen()
            if any(word in line for line in lines):
                return lines
            assert time.time() < end, "no %r on the screen: %r" % (word, lines)
            time.sleep(0.1)

    def close(self):
        subprocess.run([*self.base, "kill-server"], check=False, capture_output=True, timeout=20)


@pytest.fixture
def slow(through, proxy, plain, index):
    """A box whose loads take some seconds, with two retries and a refused record."""
    plain.create(index, {"n": {"type": "integer"}})
    lines = ["n,text"] + ["%d,%s" % (i, "x" * 50) for i in range(2000)]
    lines[100] = "many,x"
    through.file("a.csv", "\n".join(lines) + "\n")
    through.file("b.ndjson", "".join('{"n":%d}\n' % i for i in range(1000)))
    proxy.rule("status", code=503, times=2, skip=12)
    proxy.rule("delay", seconds=0.08)
    through.script = call("os_bulk_load", '["a.csv","b.ndjson"]', index, {"batch_size": 50, "max_workers": 1, "max_failed": 9})
    return through


@pytest.mark.parametrize("columns", [80, 200])
def test_in_a_terminal(slow, index, columns):
    (slow / "load.sql").write_text(slow.script)
    terminal = Terminal(slow.path, columns, "sqlite3 -batch -cmd '.load %s' app.db <load.sql" % EXTENSION, slow.env)
    try:
        running = terminal.until("1 refused")
        now = [line for line in running if "docs/s" in line]
        assert len(now) == 1 and now[0] == running[-1], "one line, the last: %r" % running
        assert re.match(r"files \d/2  [\d,]+ docs  [\d,]+ docs/s  .*\d+ %  .*ETA \d+:\d\d  1 refused", now[0]), now
        assert ("[#" in now[0] and " MB  " in now[0]) == (columns == 200), now
        ended = terminal.until("THE END")
    finally:
        terminal.close()
    last = [line for line in ended if "docs/s" in line]
    assert len(last) == 1 and len(last[0]) < columns, "what is left is one line: %r" % ended
    assert re.match(r"files 2/2  3,000 docs  [\d,]+ docs/s  0\.0 MB/s  \d+:\d\d in all  1 refused  2 retries$", last[0]), last
    assert "ETA" not in "".join(ended) and "%  " not in "".join(ended)
    logged = [line for line in ended if "WARNING" in line]
    assert logged and all(re.match(r"\d{4}-\d\d-\d\dT", line) for line in logged), "the log begins its own lines: %r" % ended
    result = "".join(ended[ended.index(last[0]) + 1:-1])
    assert result.startswith('{"status":"partial","message":"Loaded 2,999 documents from 2 files into ' + index)
    assert result.count("refused") == 1


def test_in_a_pipe(slow):
    """Nobody redraws in a file: whole lines, every few seconds and at the end."""
    script = slow.script.replace('"batch_size"', '"progress": true, "batch_size"')
    result = slow.sql(script, env={"LOG_LEVEL": "OFF", "TERM": "xterm"})
    assert "\r" not in result.err and "\x1b" not in result.err
    lines = result.err.splitlines()
    assert 1 <= len(lines) <= 5 and all("docs/s" in line for line in lines), lines
    assert re.search(r"files 2/2  3,000 docs .* \d+:\d\d in all  1 refused  2 retries$", lines[-1])


def test_the_retry_of_refused_records(slow, index):
    """It ends its line as well, also when it ends in an error."""
    slow.sql(slow.script)
    (slow / "retry.sql").write_text("UPDATE dlq_failures SET document = '{\"n\":5}'; SELECT json_extract(os_retry_failures(), '$.message');")
    terminal = Terminal(slow.path, 80, "sqlite3 -batch -cmd '.load %s' app.db <retry.sql" % EXTENSION, slow.env)
    try:
        ended = terminal.until("THE END")
    finally:
        terminal.close()
    assert "1 doc  " in ended[0] and "in all" in ended[0] and "MB/s" not in ended[0]
    assert ended[1] == "Sent 1 failed records again: 1 resolved, 0 superseded, 0 refused again."
