"""The bench measures what it says: its files, its arithmetic, its report. No figure is expected to be good here."""
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest

from harness.paths import EXTENSION, ROOT

sys.path.insert(0, str(ROOT / "tests" / "perf"))
import bench_data  # noqa: E402
import chart  # noqa: E402
import compare  # noqa: E402
import figures  # noqa: E402
import measure  # noqa: E402
import peers  # noqa: E402
import plan  # noqa: E402
import receiver  # noqa: E402
import report  # noqa: E402
import targets  # noqa: E402
import tools  # noqa: E402


def documents_in(path):
    if path.suffix == ".csv":
        with open(path, newline="") as rows:
            return [row for row in csv.reader(rows)][1:]
    text = path.read_text()
    if path.suffix == ".json":
        content = json.loads(text)
        return list(content.items()) if isinstance(content, dict) else content
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", bench_data.FORMATS)
def test_files_hold_what_they_are_said_to_hold(tmp_path, name):
    """Whole documents, as many as are counted, the same every time, and a shorter file is the start of a longer one."""
    long, short, again = (tmp_path / ("%s-%s" % (which, name)) for which in ("long", "short", "again"))
    assert bench_data.generate(long, name, 300_000) == len(documents_in(long)) > 100
    assert bench_data.generate(again, name, 300_000) and again.read_bytes() == long.read_bytes()
    for size in (100_000, 100_001, 123_456):
        count = bench_data.shorten(short, long, name, size)
        assert documents_in(short) == documents_in(long)[:count]
        assert size - 6000 < short.stat().st_size <= size + 10


def test_files_are_kept_and_compressed(tmp_path):
    data = bench_data.Folder(tmp_path / "data")
    path, size, documents = data.file("places.ndjson", 1)
    before = os.stat(path)
    packed, plain_size, counted = bench_data.Folder(tmp_path / "data").file("places.ndjson", 1, "gz")
    assert os.stat(path).st_mtime_ns == before.st_mtime_ns and (plain_size, counted) == (size, documents)
    assert subprocess.run(["gzip", "-dc", packed], capture_output=True).stdout == open(path, "rb").read()
    folder, total, records = data.many_files(30, 2)
    assert records == 60 and total == sum(file.stat().st_size for file in (tmp_path / "data").glob("many-*/*/*"))


def test_a_file_is_no_part_of_one_that_repeats(tmp_path):
    """Its ids would come again, and each tool would seem to have lost documents."""
    data = bench_data.Folder(tmp_path / "data")
    data.long_log(3, 1)
    path, _, documents = data.file("log.ndjson", 2)
    with open(path, encoding="utf-8") as lines:
        assert len({json.loads(line)["_id"] for line in lines}) == documents


def test_a_run_is_measured_by_itself(tmp_path):
    """Status and output are those of the program; its memory is not that of who started it."""
    mine = bytearray(200 << 20)
    run = measure.run(["sh", "-c", "echo one; echo two >&2; exit 3"], {"PATH": os.environ["PATH"]}, str(tmp_path))
    assert (run.status, run.output) == (3, "one\ntwo\n") and run.rss < 100 < len(mine) >> 20
    busy = "import time; data = bytes([1]) * (60 << 20)\nwhile time.process_time() < 0.4: pass"
    run = measure.run(["/usr/bin/python3", "-c", busy], {}, str(tmp_path))
    assert run.cpu >= 0.4 and run.seconds >= 0.4 and 60 <= run.rss < 150
    assert measure.run(["/bin/sleep", "0.3"], {}, str(tmp_path)).cpu < 0.2


def entry(tool, seconds, peer=True, arrived=1000, receiver="sink", file="log.ndjson", **more):
    runs = [{"seconds": s, "cpu": s / 2, "rss": 50 + s, "status": 0, "output": "", "fault": "", "arrived": arrived} for s in seconds]
    return {"receiver": receiver, "tool": tool, "peer": peer, "file": file, "compression": "", "size": 100_000_000, "documents": 1000,
            "unfit": None, "runs": runs, **more}


def test_medians_spread_and_ratios():
    ours, fast, slow = entry("ours", [1, 3, 2], peer=False), entry("fast", [4, 5, 6]), entry("slow", [20, 10, 40])
    assert figures.summary(ours) == {"rate": 50, "slowest": pytest.approx(33.33, abs=0.01), "fastest": 100, "documents": 500,
                                     "cpu": 10, "rss": 53, "rounds": 3}
    assert figures.best_peer([ours, slow, fast]) == ("fast", 20)
    assert figures.ratios(ours, [ours, slow, fast]) == [("fast", 2.5), ("slow", 10)]


@pytest.mark.parametrize("arrived, words", [(999, "delivered 999 of 1000"), (1001, "delivered 1001 of 1000")])
def test_a_tool_that_loses_or_doubles_is_named_and_no_rival(arrived, words):
    false = entry("false", [1, 1], arrived=arrived)
    assert words in figures.trouble(false)
    assert figures.best_peer([entry("ours", [1], peer=False), false, entry("true", [2])]) == ("true", 50)
    lost = targets.rows({"entries": [entry("ours", [1], peer=False, arrived=arrived)]})[-1]
    assert lost[2] == "0 of 1 loads" and "missed" in lost[3]


def test_a_failed_run_is_told():
    broken = entry("broken", [1, 1])
    broken["runs"][0]["fault"] = "ended with status 1: no"
    assert figures.summary(broken)["rounds"] == 1 and "status 1: no" in figures.trouble(broken)
    broken["runs"][1]["fault"] = "ended with status 1: no"
    assert figures.summary(broken) is None and report.row_of(broken, None)[-1] == "ended with status 1: no"


def results():
    entries = [entry("sqlite-opensearch", [1, 2, 3], peer=False), entry("other <&> 'peer'", [8, 9, 9]), entry("third", [30]),
               {**entry("never", []), "unfit": "it does not read this"},
               entry(tools.Ours("x", "exactly_once false").name, [2, 2], peer=False, receiver="node"), entry("third", [3, 4], receiver="node")]
    for label, size, seconds in (("100 MB", 1e8, 0.3), ("1000 MB", 1e9, 2.1), ("4000 MB", 4e9, 8.1)):
        entries.append({**entry("sqlite-opensearch", [seconds], peer=False), "label": label, "size": size})
    return {"entries": entries, "date": "today", "machine": {"processor": "one"}, "missing": {"fourth": "node is not installed"}}


def test_the_report_has_everything(tmp_path):
    report.write(results(), tmp_path)
    text = (tmp_path / "results.md").read_text()
    for words in ("| **sqlite-opensearch** | 100 | 50.0 (33.3–100.0) | 500 |", "4.50×", "n/a: it does not read this", "left out: fourth (node is not installed)",
                  "2.00 s/GB from 0.1 to 1 GB, 2.00 s/GB from 1 to 4 GB", "![", "## Into a real node", "≥ 8× the best peer"):
        assert words in text, words
    assert set(re.findall(r"\]\((\w+\.svg)\)", text)) == {"sink.svg", "node.svg", "curve.svg"} == {path.name for path in tmp_path.glob("*.svg")}


def test_charts_can_be_read(tmp_path):
    """They are XML, every tool is named in text of a readable size, and no text leaves the picture."""
    report.write(results(), tmp_path)
    for path in tmp_path.glob("*.svg"):
        picture = xml.fromstring(path.read_text())
        width, height = (float(number) for number in picture.attrib["viewBox"].split()[2:])
        texts = picture.findall("{http://www.w3.org/2000/svg}text")
        for text in texts:
            x, y, size = (float(text.attrib[name]) for name in ("x", "y", "font-size"))
            length = len(text.text) * size * 0.56  # wide for DejaVu Sans
            left = x - {"start": 0, "middle": length / 2, "end": length}[text.attrib["text-anchor"]]
            assert 0 <= left and left + length <= width and 0 < y < height and size >= 12, text.text
    words = [text.text for text in xml.fromstring((tmp_path / "sink.svg").read_text()).iter() if text.text]
    assert {"sqlite-opensearch", "other <&> 'peer'", "third"} <= set(words)


def test_a_line_of_45_degrees_is_what_is_proportional():
    svg = chart.curve("t", [(10, 0.1), (100, 1), (1000, 10)])
    spots = [tuple(map(float, spot.split(","))) for spot in re.search(r"polyline points='([^']*)'", svg).group(1).split()]
    steps = [(b[0] - a[0], a[1] - b[1]) for a, b in zip(spots, spots[1:])]
    assert steps[0] == pytest.approx(steps[1]) and steps[0][0] > 0 and steps[0][1] > 0


def test_the_table_goes_into_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n%s\nold\n%s\nafter\n" % (report.MARK % "begin", report.MARK % "end"))
    for _ in range(2):
        report.put_into(page, results())
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text and text.count("300-byte NDJSON, sink") == 3
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="no place"):
        report.put_into(page, results())


def test_the_page_has_a_place():
    text = (ROOT / "docs" / "performance.md").read_text()
    assert text.count(report.MARK % "begin") == text.count(report.MARK % "end") == 1


def test_a_peer_that_cannot_be_had_is_named(tmp_path, monkeypatch):
    """Without Go, Node.js and pip's index nothing fails; the reasons are told."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    found, missing = tools.others(str(tmp_path / "cache"))
    assert not found and set(missing) == {"opensearch-go", "go-elasticsearch", "opensearch-py", "elasticdump"}
    assert missing["opensearch-go"] == "go is not installed" and missing["elasticdump"] == "node is not installed"
    assert "pip" in missing["opensearch-py"] or "No module" in missing["opensearch-py"]
    assert all(re.fullmatch(r"v?\d+(\.\d+)+", version) for version in peers.versions().values())


def test_every_peer_has_a_word_on_every_file():
    for name in plan.NAMES:
        for compression in ("", "gz", "zst"):
            file = plan.File(name, name, name, 1000, 1, compression)
            assert (tools.Elasticdump("x").unfit(file) is None) == (name.endswith("ndjson") and compression != "zst")
            assert (tools.Ours("x", "", exactly_once=False).unfit(file) is None) == (name in ("places.ndjson", "products.csv"))


@pytest.fixture(scope="module")
def nullsink(tmp_path_factory):
    if os.environ.get("LD_PRELOAD"):
        pytest.skip("the bench starts programs with an environment of its own, without the sanitizer's library")
    program = tmp_path_factory.mktemp("sink") / "nullsink"
    subprocess.run(["cc", "-O1", "-o", program, ROOT / "tests/perf/nullsink.c"], check=True)
    return program


def test_ours_is_measured_into_sink_and_node(nullsink, plain, tmp_path):
    """The whole way, on small files of every kind: all documents are counted at the other end."""
    node = receiver.Node(plain.url)
    data = bench_data.Folder(tmp_path / "data")
    sink, lines = receiver.Sink(nullsink, node), []
    try:
        entries = []
        for name in plan.NAMES:
            entries += compare.compare(tools.ours(EXTENSION), sink, data, name, "", 1, 2, lines.append)
        entries += compare.compare(tools.ours(EXTENSION), node, data, "products.csv", "gz", 1, 1, lines.append)
    finally:
        sink.close()
        node.remove()
    without_ids = len(plan.NAMES) - len(plan.HAS_IDS)
    assert lines == entries and len(entries) == len(plan.NAMES) + without_ids + 2
    assert [figures.trouble(one) for one in entries] == [""] * len(entries)
    assert all(figures.summary(one)["rate"] > 0 for one in entries)


def test_bench_says_what_is_wrong(tmp_path):
    script = str(ROOT / "scripts" / "bench")
    assert subprocess.run([script], capture_output=True).returncode == 2
    done = subprocess.run([script, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1 and "is missing (make bench builds them)" in done.stderr
    (tmp_path / "perf").mkdir()
    (tmp_path / "opensearch.so").touch()
    shutil.copy("/bin/true", tmp_path / "perf" / "nullsink")
    done = subprocess.run([script, str(tmp_path)], capture_output=True, text=True, env={**os.environ, "BENCH_ENDPOINT": "https://elsewhere:9200"})
    assert done.returncode == 1 and "https://elsewhere:9200" in done.stderr
