"""os_report: the page about a job, made through the real shell, read as text and looked at in a headless Chromium."""
import json
import os
import re
import sqlite3
import stat
import time
from html.parser import HTMLParser

import pytest

import datasets
from harness.browser import browser  # noqa: F401
from harness.paths import ROOT
from harness.shell import call

HOSTILE = "</td></title><script>document.title='owned'</script><img src=x onerror=alert(1)>"
BLUE, DARK_BACK, LIGHT_BACK = (0x17, 0x69, 0xaa), (0x14, 0x18, 0x1c), (255, 255, 255)


class Text(HTMLParser):
    """The words of a page as they are read, its elements and their attributes."""

    def __init__(self, page):
        super().__init__()
        self.words, self.elements, self.attributes, self._mute = [], [], [], 0
        self.feed(page)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs
        self._mute += tag == "style"

    def handle_endtag(self, tag):
        self._mute -= tag == "style"

    def handle_data(self, data):
        if not self._mute:
            self.words.append(data)


@pytest.fixture
def loaded(through, proxy, plain, index):
    """A load with retries and refused records: two by the cluster, one by the parser. Gives the box."""
    box = through
    plain.create(index, {"price": {"type": "float"}, "name": {"type": "keyword"}})
    lines = ["name,price"] + ["item %d,%d" % (i, i) for i in range(3000)]
    lines[700] = "seven hundred,dear"
    lines[2100] = HOSTILE + "\x1b[31m,cheap"
    lines[2900] = "one,2,too many"
    box.file("stock.csv", "\n".join(lines) + "\n")
    box.file("good.ndjson", "".join('{"name":"x%d","price":%d}\n' % (i, i) for i in range(1000)))
    proxy.rule("status", code=503, times=2)
    proxy.rule("delay", seconds=0.06)
    box.load('["stock.csv","good.ndjson"]', index, batch_size=100, max_workers=1, max_failed=10, correlation_id=HOSTILE)
    proxy.clear()
    return box


def report(box, job, *path):
    result = box.sql(call("os_report", job, *path)).json()
    assert result["status"] == "success" and result["job"] is None and result["response"]["job"] == job
    made = box.path / result["response"]["path"]
    assert made.is_absolute() and made.stat().st_size == result["response"]["bytes"]
    return made


# ---- what it says -----------------------------------------------------------------------------------------------------------------
def test_the_page_of_a_load(loaded, index, browser):  # noqa: F811
    job = loaded.job()
    made = report(loaded, job["job"])
    assert made == loaded.path / ("os-report-%d.html" % job["job"])
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    page = Text(browser.dom(made))
    for words in ("Job %d: bulk_load into %s partial" % (job["job"], index), "3 records were refused", "Records read 4,000",
                  "Documents created 3,997", "Refused 3", "Files done 2 of 2", "Retries %d" % job["retries"],
                  "Records a second", "Bytes sent a second", "On average", "Retries", "The figures of the charts",
                  "mapper_parsing_exception the cluster (HTTP 400) 2 0", "csv_too_many_cells the parser 1 0",
                  "stock.csv, line 701", "seven hundred,dear", "one,2,too many", "stock.csv partial 3,000 3",
                  "good.ndjson success 1,000 0", "guard endpoint pass", "finish count pass", "batch_size 100 an option of the call",
                  "OPENSEARCH_ENDPOINT", "the environment", "mode_reason auto chose fresh", "started_at " + job["started_at"]):
        assert words in page.text, "%r is not in: %s" % (words, page.text)
    assert job["retries"] > 0 and page.elements.count("svg") == 4
    assert page.elements.count("desc") == 4 and page.elements.count("title") == 5
    figures = page.text.split("The figures of the charts")[1].split("Refused records by reason")[0].split("They are kept")[0]
    rows = re.findall(r"\d+:\d\d(?:\.\d)? ([\d,]+) [\d.,]+[kM]? [\d.]+ k?B", figures)
    assert 10 <= len(rows) <= 48 and abs(sum(int(n.replace(",", "")) for n in rows) - 4000) <= len(rows)


def test_nothing_of_the_data_becomes_markup(loaded, index, browser):  # noqa: F811
    name = "<img src=y onerror=alert(2)>\x1b]0;x\x07 & 'q' \"d\".csv"
    loaded.file(name, "name,price\nlist,nothing\nok,1\n")
    loaded.load(name, index, mode="append", max_failed=5)
    for job in (loaded.job()["job"] - 1, loaded.job()["job"]):
        made = report(loaded, job, "hostile.html")
        source = made.read_text(encoding="utf-8", errors="strict")
        assert "\x1b" not in source and "\x07" not in source and "http-equiv=\"Content-Security-Policy\"" in source
        dom = browser.dom(made)
        page = Text(dom)
        assert "<title>Job %d: bulk_load into %s</title>" % (job, index) in dom, "a script has run"
        assert not {"script", "img", "iframe", "object", "link", "base", "form"} & set(page.elements)
        assert not [a for a in page.attributes if a[0].startswith("on") or a[0] in ("href", "src", "xlink:href", "action")]
    assert "‹U+001B›]0;x‹U+0007› & 'q' \"d\".csv" in page.text and "line 2" in page.text
    first = Text(browser.dom(report(loaded, loaded.job()["job"] - 1, "hostile.html"))).text
    assert HOSTILE in first, "a hostile value is to be seen as text"
    assert first.count("Job ") >= 1 and "‹U+001B›[31m" in first


def test_bytes_that_are_no_text(box, plain, index, browser):  # noqa: F811
    plain.create(index, {"price": {"type": "integer"}})
    box.file("latin.csv", b"name,price\ncaf\xe9,1\nok,2\n")
    box.load("latin.csv", index, max_failed=5)
    page = Text(browser.dom(report(box, box.job()["job"])))
    assert "caf�,1" in page.text and "latin.csv, line 2" in page.text


def test_no_secret_is_in_it(box, plain, index):
    password = "correct-horse-7"
    box.shell.env.update(OPENSEARCH_USERNAME="loader", OPENSEARCH_PASSWORD=password)
    box.file("a.csv", "a\n1\n")
    plain.create(index)
    box.sql("SELECT os_config('REQUEST_TIMEOUT', 33);" + call("os_bulk_load", "a.csv", index) +
            call("os_connect", "old", {"endpoint": plain.url, "password": password}))
    source = report(box, box.job()["job"]).read_text()
    assert password not in source and "OPENSEARCH_PASSWORD" not in source
    text = Text(source).text
    assert "OPENSEARCH_USERNAME loader the environment" in text and "REQUEST_TIMEOUT 33 os_config" in text


# ---- how it looks ------------------------------------------------------------------------------------------------------------------
def test_the_picture(loaded, browser):  # noqa: F811
    made = report(loaded, loaded.job()["job"])
    light = browser.screenshot(made)
    assert light.pixel(2, 2) == LIGHT_BACK and light.count(BLUE) > 1000, "no chart is to be seen"
    assert light.count(LIGHT_BACK) < 0.97 * light.width * light.height, "next to nothing is on the page"
    dark = browser.screenshot(made, dark=True)
    assert dark.pixel(2, 2) == DARK_BACK and dark.count((0x64, 0xb5, 0xf6)) > 1000
    pdf = browser.pdf(made)
    assert pdf.startswith(b"%PDF") and len(pdf) > 10000


@pytest.mark.parametrize("width", [320, 400, 1000])
def test_nothing_runs_out_of_the_window(loaded, index, browser, width):  # noqa: F811
    """Neither the page as a whole nor anything in it, but for wide tables, which scroll in a box of their own."""
    name = "x" * 150 + ".csv"
    loaded.file(name, "name,price\n" + "y" * 5000 + ",nothing\nok,1\n")
    loaded.load([name, "good.ndjson"], index, mode="append", max_failed=5, allow_again=True, batch_size=20, max_rate="700/s")
    made = report(loaded, loaded.job()["job"])
    seen = json.loads(browser.measure(made, width, """JSON.stringify({
        page: d.documentElement.scrollWidth,
        out: [...d.querySelectorAll('body *')].filter(e => !e.closest('.scroll table, svg, details') &&
             e.getBoundingClientRect().right > %d + 1).map(e => e.tagName + '.' + e.className),
        heads: d.querySelectorAll('th').length,
        scoped: [...d.querySelectorAll('th')].every(e => e.scope),
        named: [...d.querySelectorAll('svg')].every(e => d.getElementById(e.getAttribute('aria-labelledby').split(' ')[1]).textContent),
        letters: Math.min(...[...d.querySelectorAll('svg')].map(e => e.getBoundingClientRect().width / 400 * 11))})""" % width))
    assert seen["page"] == width and seen["out"] == []
    assert seen["heads"] > 20 and seen["scoped"] and seen["named"]
    assert seen["letters"] > 7.5, "the letters of the charts are too small"


# ---- any job, at any time ------------------------------------------------------------------------------------------------------------
def test_a_load_that_runs_and_one_that_was_killed(through, proxy, plain, index):
    plain.create(index, datasets.PRODUCTS)
    datasets.write(through / "p.ndjson", datasets.products(2000))
    proxy.rule("delay", seconds=0.2)
    running = through.start(call("os_bulk_load", "p.ndjson", index, {"batch_size": 50, "max_workers": 1}))
    end = time.time() + 30
    while not (through.rows("SELECT 1 FROM os_jobs WHERE kind = 'bulk_load' AND documents_read > 200")):
        assert time.time() < end and running.process.poll() is None
        time.sleep(0.1)
    job = through.job()["job"]
    first = Text(report(through, job).read_text())
    assert "running It runs; this is how far it was at" in first.text and "p.ndjson running" in first.text
    assert "Records a second" in first.text and "svg" in first.elements
    read = int(re.search(r"Records read ([\d,]+)", first.text).group(1).replace(",", ""))
    assert 200 < read < 2000
    running.kill()
    proxy.clear()
    second = Text(report(through, job).read_text()).text
    assert "interrupted" in second and "It runs" not in second
    through.load("p.ndjson", index, mode="resume")
    assert "It ended well" in Text(report(through, through.job()["job"]).read_text()).text


def test_jobs_that_are_no_loads(box, plain, index):
    box.run("os_create_index", index)
    with pytest.raises(sqlite3.OperationalError, match="exists already"):
        box.run("os_create_index", index)
    text = Text(report(box, 1).read_text()).text
    assert "Job 1: create_index of %s success" % index in text and "It ended well" in text and "Over time" not in text
    text = Text(report(box, 2).read_text()).text
    assert "failed" in text and "exists already" in text


def test_a_rehearsal(box, plain, index):
    plain.create(index, {"price": {"type": "integer"}})
    box.file("a.csv", "name,price\na,1\nb,dear\n")
    box.load("a.csv", index, dry_run=True)
    text = Text(report(box, box.job()["job"]).read_text()).text
    assert "dry_run true an option of the call" in text and "Documents created" not in text


def test_a_ledger_of_the_first_version(bare_box):
    """os_report is a command: it brings an older ledger up to date and then reads it."""
    ledger = sqlite3.connect(bare_box / "app.db-ledger")
    ledger.executescript((ROOT / "sql" / "ledger_v1.sql").read_text())
    ledger.execute("INSERT INTO job(kind, status, started_at, updated_at, finished_at, host, pid, version, index_name, documents_read)"
                   " VALUES('bulk_load', 'success', '2026-01-01T00:00:00.000Z', '2026-01-01T00:01:05.000Z', '2026-01-01T00:01:05.000Z',"
                   " 'h', 1, '0.0.9', 'old', 65000)")
    ledger.commit()
    ledger.close()
    text = Text(report(bare_box, 1).read_text()).text
    assert "Job 1: bulk_load into old success" in text and "Duration 1 min 5 s" in text and "Rate 1,000 records/s" in text
    assert "Its settings were not recorded" in text and "Over time" not in text


# ---- the file, and who may write it -------------------------------------------------------------------------------------------------
def test_an_earlier_report_is_replaced_and_nothing_else(box, index):
    box.run("os_create_index", index)
    made = report(box, 1, "reports.html")
    os.chmod(made, 0o640)
    made.write_text(made.read_text() + "<!-- old -->")
    assert "old" not in report(box, 1, "reports.html").read_text()
    assert stat.S_IMODE(made.stat().st_mode) == 0o640
    box.file("mine.txt", "mine")
    (box / "folder").mkdir()
    box.fails(call("os_report", 1, "mine.txt"), "os_report", "'mine.txt' exists and is no report", "earlier report")
    box.fails(call("os_report", 1, "app.db-ledger"), "is no report")
    box.fails(call("os_report", 1, "folder"), "is a folder")
    box.fails(call("os_report", 1, "/dev/null"), "no ordinary file")
    box.fails(call("os_report", 1, "nowhere/r.html"), "nowhere/r.html", "No such file", "second argument")
    assert (box / "mine.txt").read_text() == "mine" and list((box / "folder").iterdir()) == []
    assert not [name for name in os.listdir(box.path) if name.startswith(".os-report")]


def test_the_disk_is_full(box, index):
    """What cannot be written whole is not there at all, and the earlier report stays."""
    box.run("os_create_index", index)
    before = report(box, 1).read_text()
    result = box.python("import resource\n"
                        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
                        "db = connect('app.db')\n"
                        "db.execute('SELECT count(*) FROM os_jobs').fetchall()\n"
                        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
                        "try:\n"
                        "    db.execute('SELECT os_report(1)').fetchall()\n"
                        "except sqlite3.Error as e:\n"
                        "    print(e)\n")
    assert "cannot be written" in result.out and "File too large" in result.out
    assert (box / "os-report-1.html").read_text() == before
    assert not [name for name in os.listdir(box.path) if name.startswith(".os-report")]


@pytest.mark.parametrize("arguments, words", [
    ("99", "there is no job 99"), ("0", "not from 1"), ("'1'", "text, not a whole number"), ("NULL", "NULL"), ("1.5", "real"),
    ("", "takes 1 or 2 arguments"), ("1, 'a', 'b'", "takes 1 or 2 arguments"), ("1, ''", "is empty"), ("1, 5", "integer, not text"),
    ("1, x'00'", "blob"), ("1, 'a' || char(0) || 'b'", "NUL"), pytest.param("1, '%s'" % ("n" * 5000), "name too long", id="long")])
def test_wrong_arguments(box, index, arguments, words):
    box.run("os_create_index", index)
    box.fails("SELECT os_report(%s);" % arguments, "os_report", words)


def test_without_a_ledger(bare_box):
    bare_box.fails("SELECT os_report(1);", "there is no job 1", "no ledger yet")
    assert not (bare_box / "app.db-ledger").exists()


def test_a_database_cannot_call_it(box, index):
    box.run("os_create_index", index)
    box.fails("CREATE VIEW v AS SELECT os_report(1, 'view.html'); SELECT * FROM v;", "unsafe use")
    box.fails("CREATE TABLE t(a CHECK (os_report(1, 'check.html') IS NOT NULL)); INSERT INTO t VALUES(1);", "os_report")
    assert not (box / "view.html").exists() and not (box / "check.html").exists()


def test_one_report_a_statement(box, index):
    """A call that SQLite evaluates for many rows writes once."""
    box.run("os_create_index", index)
    rows = box.rows("SELECT json_extract(os_report(1), '$.response.path') AS p FROM (VALUES (1), (2), (3))")
    assert len({row["p"] for row in rows}) == 1
