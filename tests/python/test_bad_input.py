"""Bad input: a clear error that names file and place, or a dead letter with line, byte and the exact bytes. Nothing is
lost in silence and nothing crashes."""
import gzip
import json
import os
import subprocess
import threading
import time

import pytest

import datasets
from harness.checker import assert_exactly_once

DOCS = datasets.products(200)


@pytest.fixture
def open_index(plain, index):
    plain.create(index, mappings={"dynamic": False})
    return index


def refusals(box):
    return [(r["line"], r["byte_offset"], r["error_type"]) for r in box.dlq()]


# ---- files ------------------------------------------------------------------------------------------------------------
def test_missing_file_folder_glob(box, open_index):
    for path in ("no/such/file.csv", "no/such/folder/", "nothing-*.csv"):
        box.load_fails(path, open_index, path.rstrip("/"))
    box.load_fails(json.dumps(["gone.csv"]), open_index, "gone.csv")
    (box / "empty").mkdir()
    box.load_fails(box / "empty", open_index, "empty")
    box.file("only/readme.txt", "x")
    box.load_fails(box / "only", open_index, "only", ".csv")


@pytest.mark.skipif(os.getuid() == 0 and not os.path.exists("/usr/bin/setpriv"), reason="setpriv is missing")
def test_unreadable_file_and_folder(box, plain, open_index):
    """Root may read everything, so the shell runs as somebody else."""
    from harness.shell import Running, clean_environment
    from harness.paths import EXTENSION
    box.file("d/secret.csv", "a\n1\n")
    box.file("locked/x.csv", "a\n1\n")
    copy = box.file("ext.so", EXTENSION.read_bytes())
    for path in (box.path, *box.path.parents):
        if str(path).startswith("/tmp"):
            os.chmod(path, 0o755) if path != box.path else os.chmod(path, 0o777)
    os.chmod("/tmp", 0o1777)
    os.chmod(box / "d", 0o755)
    os.chmod(copy, 0o755)
    os.chmod(box / "d/secret.csv", 0)
    os.chmod(box / "locked", 0)
    who = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    for path, name in (("d", "secret.csv"), ("locked", "locked"), ("d/secret.csv", "secret.csv")):
        script = ".load ./ext.so sqlite3_opensearch_init\nSELECT os_bulk_load('%s', '%s');\n" % (path, open_index)
        result = Running([*who, "sqlite3", "-batch", "-bail", ":memory:"], script, str(box.path), clean_environment(box.path, box.env)).finish()
        assert result.code == 1 and name in result.err and "ermission" in result.err, result
    assert plain.count(open_index) == 0
    os.chmod(box / "locked", 0o755)


@pytest.mark.parametrize("name, data", [("e.csv", b""), ("e.json", b""), ("e.ndjson", b"\n\n"), ("e.json", b"[]"), ("e.csv", b"a,b\n"), ("e.csv.gz", gzip.compress(b"", mtime=0)), ("e.json", b" \n ")])
def test_empty_files_are_no_error(box, plain, open_index, name, data):
    result = box.load(box.file(name, data), open_index)
    assert result["status"] == "success" and plain.count(open_index) == 0
    assert box.job()["documents_read"] == 0


def test_gzip_members_and_zstd_frames(box, plain, open_index):
    halves = [datasets.ndjson_text(DOCS[:100]).encode(), datasets.ndjson_text(DOCS[100:]).encode()]
    box.file("m/g.ndjson.gz", b"".join(gzip.compress(h) for h in halves))
    box.load(box / "m/g.ndjson.gz", open_index)
    assert_exactly_once(plain, open_index, DOCS)
    box.file("m/z.ndjson.zst", b"".join(datasets.compress(h, "x.zst") for h in halves))
    box.load(box / "m/z.ndjson.zst", open_index, mode="fresh")
    assert_exactly_once(plain, open_index, DOCS)


@pytest.mark.parametrize("cut", [0.5, 0.98])
@pytest.mark.parametrize("name", ["c.ndjson.gz", "c.csv.gz", "c.json.zst", "c.ndjson.zst"])
def test_compressed_file_cut_short_is_never_a_quiet_end(box, plain, open_index, name, cut):
    whole = datasets.compress(datasets.text_for(name, DOCS).encode(), name)
    f = box.file(name, whole[:int(len(whole) * cut)])
    box.load_fails(f, open_index, name)
    assert box.job()["status"] in ("failed", "interrupted") and name in box.job()["error"]


@pytest.mark.parametrize("name", ["x.ndjson.gz", "x.csv.zst"])
def test_damaged_compression_and_trailing_garbage(box, plain, open_index, name):
    whole = bytearray(datasets.compress(datasets.text_for(name, DOCS).encode(), name))
    whole[len(whole) // 2] ^= 0xFF
    whole[len(whole) // 2 + 1] ^= 0x55
    box.load_fails(box.file(name, bytes(whole)), open_index, name)
    box.load_fails(box.file("not" + name, b"this is not compressed at all\n" * 5), open_index, "not" + name)
    good = datasets.compress(datasets.text_for(name, DOCS).encode(), name)
    box.load_fails(box.file("tail" + name, good + b"garbage after the end"), open_index, "tail" + name, mode="append")


def test_zero_padding_after_gzip_is_fine_or_an_error_but_loses_nothing(box, plain, open_index):
    """tar-like padding: whatever is said, all records before it are there."""
    f = box.file("pad.ndjson.gz", gzip.compress(datasets.ndjson_text(DOCS).encode()) + b"\0" * 512)
    box.sql("SELECT os_bulk_load('%s', '%s');" % (f, open_index), check=False)
    assert_exactly_once(plain, open_index, DOCS)


# ---- ids ---------------------------------------------------------------------------------------------------------------
def test_ids_too_long_empty_or_no_scalar(box, plain, open_index):
    lines = ['{"_id":"%s","n":1}' % ("x" * 513), '{"_id":"%s","n":2}' % ("x" * 512), '{"_id":"","n":3}', '{"_id":{"a":1},"n":4}',
             '{"_id":["a"],"n":5}', '{"_id":true,"n":6}', '{"_id":"%s","n":7}' % ("é" * 257), '{"_id":"ok","n":8}']
    result = box.load(box.file("i.ndjson", "\n".join(lines) + "\n"), open_index, mode="upsert")
    assert result["status"] == "partial"
    assert sorted(d["n"] for d in plain.documents(open_index).values()) == [2, 8]
    rows = box.dlq()
    assert [r["line"] for r in rows] == [1, 3, 4, 5, 6, 7]
    assert "512" in rows[0]["error_reason"] and rows[0]["raw"] == lines[0]
    assert all(r["status"] in (0, None) for r in rows), "sent to the server"


def test_ids_in_some_rows_only(box, plain, open_index):
    """The header says there are ids: rows without one are refused under upsert, never given another id."""
    f = box.file("s.csv", "_id,a\n1,x\n,y\n3,z\n")
    result = box.load(f, open_index)
    assert result["status"] == "partial"
    assert plain.documents(open_index) == {"1": {"a": "x"}, "3": {"a": "z"}}
    assert [(r["line"], r["file"].endswith("s.csv")) for r in box.dlq()] == [(3, True)]


# ---- CSV -----------------------------------------------------------------------------------------------------------------
def test_rows_with_too_few_or_too_many_cells(box, plain, open_index):
    text = "a,b,c\n1,x,y\n2,x\n3,x,y,z\n\"4\n\",x,y\n5\n6,x,y\n"
    result = box.load(box.file("r.csv", text), open_index)
    assert result["status"] == "partial" and plain.count(open_index) == 3
    rows = box.dlq()
    assert [(r["line"], r["raw"].rstrip("\r\n")) for r in rows] == [(3, "2,x"), (4, "3,x,y,z"), (7, "5")]
    assert [r["byte_offset"] for r in rows] == [text.index("2,x\n"), text.index("3,x,y,z"), text.index("\n5\n") + 1]
    assert "2" in rows[0]["error_reason"] and "3" in rows[0]["error_reason"] and rows[0]["error_type"] != rows[1]["error_type"]


def test_unterminated_quote_names_the_line_where_it_began(box, plain, open_index):
    f = box.file("q.csv", 'a,b\n1,x\n2,"never closed\n3,y\n4,z\n')
    box.sql("SELECT os_bulk_load('%s', '%s');" % (f, open_index), check=False)
    rows = box.dlq()
    assert len(rows) == 1 and rows[0]["line"] == 3 and "3" in rows[0]["error_reason"] and "quote" in rows[0]["error_reason"].lower()
    # what follows may count as part of the open cell or be read as rows again, but it may not vanish
    raw, loaded = rows[0]["raw"], {d["a"] for d in plain.documents(open_index).values()}
    assert "never closed" in raw and 1 in loaded and 2 not in loaded
    assert all(n in loaded or ("%d," % n) in raw for n in (3, 4)) and not (3 in loaded and "3," in raw)


@pytest.mark.parametrize("header, words", [("a,,c", ["2"]), ("a,b,a", ["a"]), ("a, b ,b", ["b"]), ("a,a.b", ["a.b"])])
def test_bad_headers(box, plain, open_index, header, words):
    text = box.load_fails(box.file("h.csv", header + "\n1,2,3\n"), open_index, "h.csv", *words)
    assert plain.count(open_index) == 0, text


def test_header_with_invalid_utf8(box, plain, open_index):
    box.load_fails(box.file("h.csv", b"a,b\xff\n1,2\n"), open_index, "h.csv", "utf-8")


def test_invalid_utf8_tells_line_and_byte(box, plain, open_index):
    text = b"a,b\n1,ok\n2,\xff\xfe\n3,ok\n"
    result = box.load(box.file("u.csv", text), open_index)
    assert result["status"] == "partial" and plain.count(open_index) == 2
    row = box.dlq()[0]
    assert row["line"] == 3 and row["byte_offset"] == text.index(b"2,") and bytes(row["raw"]).rstrip(b"\n") == b"2,\xff\xfe"
    assert "utf-8" in row["error_reason"].lower()
    text = b'{"a":1}\n{"a":"\xc3\x28"}\n{"a":3}\n'
    box.load(box.file("u.ndjson", text), open_index, mode="append")
    row = box.dlq("file LIKE '%ndjson'")[0]
    assert row["line"] == 2 and row["byte_offset"] == 8 and plain.count(open_index) == 4


@pytest.mark.parametrize("data", ids=["utf-16 little", "utf-16 big", "all bytes", "zeros", "elf"], argvalues=[b"\xff\xfea\x00,\x00b\x00\n\x00", b"\xfe\xff\x00a\x00,\x00b", bytes(range(256)) * 40, b"a,b\n1,\x00\n" + b"\x00" * 5000, b"\x7fELF\x02\x01\x01" + b"\x00" * 3000])
def test_binary_and_utf16_with_a_csv_name(box, plain, open_index, data):
    f = box.file("binary.csv", data)
    result = box.sql("SELECT os_bulk_load('%s', '%s');" % (f, open_index), check=False)
    if result.code == 0:
        assert result.json()["status"] == "partial" and box.dlq()
    else:
        assert result.code == 1 and ("binary.csv" in result.err or box.dlq()), result


def test_ten_thousand_columns(box, plain, open_index):
    names = ["c%05d" % i for i in range(10_000)]
    text = ",".join(names) + "\n" + ",".join(str(i) for i in range(10_000)) + "\n" + ",".join(["x"] * 10_000) + "\n"
    started = time.monotonic()
    box.load(box.file("wide.csv", text), open_index, types={"c00000": "string"})
    assert time.monotonic() - started < 20
    docs = sorted(plain.documents(open_index).values(), key=lambda d: d["c00000"])
    assert len(docs) == 2 and docs[0]["c09999"] == 9999 or docs[0]["c09999"] == "9999"


# ---- JSON ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text, words", [
    ('[{"a":1},{"a":2},{"a":', ["1", "byte"]), ('[{"a":1}\n{"a":2}]', ["2"]), ('[{"a":1}] trailing', ["1"]), ('[{"a":1},]', ["1"]),
    ('{"x":{"a":1},"y":{"a":2}', ["1"]), ('[{"a":1}', ["1"])])
def test_json_that_cannot_be_read_to_its_end(box, plain, open_index, text, words):
    box.load_fails(box.file("bad.json", text), open_index, "bad.json", "line", *words)
    assert box.job()["status"] == "failed"


def test_broken_lines_of_ndjson_are_refused_and_the_rest_goes_on(box, plain, open_index):
    lines = ['{"a":1}', '{"a":', '{"a":2}', 'nonsense', '[1,2]', '{"a":3}', '{"a":01}', '{"a":"x\ty"}', "{'a':1}", '{"a":1,}', '{"a":4}', '"text"', '{"a":NaN}', '{"a":5}']
    text = "\n".join(lines)
    result = box.load(box.file("b.ndjson", text), open_index, max_failed=None)
    assert result["status"] == "partial"
    assert sorted(d["a"] for d in plain.documents(open_index).values()) == [1, 2, 3, 4, 5]
    bad = [i for i, line in enumerate(lines) if i not in (0, 2, 5, 10, 13)]
    rows = box.dlq()
    assert [r["line"] for r in rows] == [i + 1 for i in bad]
    assert [r["raw"].rstrip("\n") for r in rows] == [lines[i] for i in bad]
    assert [r["byte_offset"] for r in rows] == [len("\n".join(lines[:i])) + 1 for i in bad]
    assert all(r["error_reason"] and r["document"] is None for r in rows)


def test_nul_bytes(box, plain, open_index):
    result = box.load(box.file("n.ndjson", b'{"a":1}\n{"a":\x00}\n{"a":"x\x00y"}\n{"a":"\\u0000"}\n'), open_index)
    assert result["status"] == "partial"
    assert [r["line"] for r in box.dlq()] == [2, 3] and plain.count(open_index) == 2
    result = box.load(box.file("n.csv", b"a,b\n1,x\n2,y\x00z\n"), open_index, mode="append")
    assert [r["line"] for r in box.dlq("file LIKE '%csv'")] == [3] and plain.count(open_index) == 3


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_deep_nesting_is_refused_without_a_crash(box, plain, open_index, depth):
    deep = '{"a":' * depth + "1" + "}" * depth
    f = box.file("deep.ndjson", '{"n":1}\n' + deep + "\n" + '{"n":2}\n')
    result = box.load(f, open_index)
    assert result["status"] == "partial" and plain.count(open_index) == 2
    assert [r["line"] for r in box.dlq()] == [2]
    g = box.file("deep.json", "[" * depth + "]" * depth)
    box.sql("SELECT os_bulk_load('%s', '%s', '{\"mode\":\"append\"}');" % (g, open_index), check=False)
    assert plain.count(open_index) == 2


def test_bom_and_line_ends_in_ndjson(box, plain, open_index):
    box.load(box.file("b.ndjson", b'\xef\xbb\xbf{"a":1}\r\n\r\n{"a":2}\r\n{"a":3}'), open_index)
    assert_exactly_once(plain, open_index, [{"a": 1}, {"a": 2}, {"a": 3}])


def test_what_the_server_refuses(box, plain, index):
    """By field type, by a field that must not be there, by a term that is too long."""
    plain.create(index, {"n": {"type": "integer"}, "k": {"type": "keyword"}}, mappings={"dynamic": "strict"})
    lines = ['{"n":1}', '{"n":"many"}', '{"k":"%s"}' % ("x" * 40_000), '{"other":1}', '{"n":2,"k":"y"}', '{"_index":"x"}']
    result = box.load(box.file("s.ndjson", "\n".join(lines) + "\n"), index)
    assert result["status"] == "partial" and plain.count(index) == 2
    rows = box.dlq()
    assert [(r["line"], r["status"]) for r in rows] == [(2, 400), (3, 400), (4, 400), (6, 400)]
    assert json.loads(rows[0]["document"]) == {"n": "many"} and rows[0]["raw"] == lines[1] and "n" in rows[0]["error_reason"]
    assert "dynamic" in rows[2]["error_type"] and rows[0]["index_name"] == index and rows[0]["op"] == "create" and rows[0]["doc_id"]
    assert box.figures() == {"files": 1, "files_done": 1, "read": 6, "created": 2, "failed": 4}


def test_the_same_id_fifty_times_over_three_files(box, plain, open_index):
    """The last record wins: files by name, records by position; whatever is in flight."""
    for name in ("b", "c", "a"):
        box.file("same/%s.ndjson" % name, "".join('{"_id":"one","v":"%s%02d"}\n{"_id":"%s%02d","v":1}\n' % (name, i, name, i) for i in range(17)))
    for turn in range(3):
        box.load(box / "same", open_index, batch_size=5, max_workers=8, mode="upsert")
        docs = plain.documents(open_index)
        assert docs["one"] == {"v": "c16"} and len(docs) == 52
    assert box.job()["documents_read"] == 102


# ---- files that move under our feet ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("change", ["shrink", "grow", "replace", "delete"])
def test_a_file_that_changes_while_it_is_read(through, proxy, plain, open_index, change):
    docs = datasets.products(20_000)
    f = datasets.write(through / "moving.ndjson", docs)
    size = f.stat().st_size
    proxy.rule("delay", seconds=0.3, times=8)
    running = through.start("SELECT os_bulk_load('%s', '%s', '{\"batch_size\":200,\"max_workers\":1}');" % (f, open_index))
    proxy.wait_for(2)
    if change == "shrink":
        os.truncate(f, size // 3)
    elif change == "grow":
        with open(f, "a") as out:
            out.write('{"late":1}\n')
    elif change == "replace":
        datasets.write(through / "new.ndjson", datasets.products(10, seed=3)).rename(f)
    else:
        f.unlink()
    result = running.finish(90)
    assert result.code in (0, 1), result
    if change in ("delete", "replace"):  # the open file is still whole
        if result.code == 0:
            assert_exactly_once(plain, open_index, docs)
        else:
            assert "moving.ndjson" in result.err
    elif change == "shrink":
        assert result.code == 1 and "moving.ndjson" in result.err and "chang" in result.err.lower(), result
    else:
        assert result.code == 1 and "moving.ndjson" in result.err or '"late":1' in (through / "moving.ndjson").read_text(), result


def test_symbolic_link_loop(box, plain, open_index):
    datasets.write(box / "loop/a.ndjson", DOCS[:10])
    (box / "loop/again").symlink_to(box / "loop", target_is_directory=True)
    (box / "loop/self.csv").symlink_to("self.csv")
    result = box.sql("SELECT os_bulk_load('loop', '%s');" % open_index, check=False, timeout=30)
    if result.code == 0:
        assert_exactly_once(plain, open_index, DOCS[:10])
    else:
        assert "self.csv" in result.err or "again" in result.err


def test_devices_and_pipes_are_not_waited_for(box, open_index):
    os.mkfifo(box / "pipe.csv")
    box.file("folder.csv/x.txt", "")
    box.fails("SELECT os_bulk_load('pipe.csv', '%s');" % open_index, "pipe.csv", timeout=20)
    box.fails("SELECT os_bulk_load('folder.csv', '%s');" % open_index, "folder.csv", timeout=20)


@pytest.mark.slow
@pytest.mark.limit(300)
def test_a_folder_with_a_hundred_thousand_files(box, plain, open_index):
    for d in range(100):
        folder = box / ("huge/%02d" % d)
        folder.mkdir(parents=True)
        for n in range(1000):
            with open(folder / ("%03d.ndjson" % n), "w") as out:
                out.write('{"n":%d}\n' % (d * 1000 + n))
    result = box.sql("SELECT os_bulk_load('huge', '%s');\n.shell cat /proc/$PPID/status | grep VmHWM\n" % open_index, timeout=240)
    assert plain.count(open_index) == 100_000, result
    peak = int([line for line in result.lines if "VmHWM" in line][0].split()[1])
    assert peak < 600_000 or "asan" in os.environ.get("LD_PRELOAD", ""), "%d kB of memory" % peak


def test_memory_does_not_grow_with_the_file(box, plain, open_index):
    """One record after another from a 60 MB gzip of few bytes: the peak stays far below the content."""
    line = json.dumps({"t": "x" * 3000}) + "\n"
    with gzip.open(box / "long.ndjson.gz", "wt", compresslevel=1) as out:
        for _ in range(20_000):
            out.write(line)
    result = box.sql("SELECT os_bulk_load('long.ndjson.gz', '%s', '{\"dry_run\":true,\"batch_bytes\":\"1MiB\"}');\n.shell cat /proc/$PPID/status | grep VmHWM\n" % open_index)
    peak = int([text for text in result.lines if "VmHWM" in text][0].split()[1])
    assert peak < 250_000 or "asan" in os.environ.get("LD_PRELOAD", ""), "%d kB" % peak


def test_wrong_rows_do_not_leak_threads_or_files(box, plain, open_index):
    """Fifty failing loads in one process: as many threads and open files afterwards as after the first."""
    f = box.file("bad.json", '[{"a":1},')
    def counted():
        return threading.active_count(), len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    for _ in range(3):
        box.load_fails(f, open_index, "bad.json", mode="append")
    time.sleep(0.3)
    before = counted()
    for _ in range(50):
        box.load_fails(f, open_index, "bad.json", mode="append")
    time.sleep(0.3)
    after = counted()
    assert after[1] <= before[1] + 3 and after[2] <= before[2] + 2, (before, after)
    assert subprocess.run(["true"]).returncode == 0
