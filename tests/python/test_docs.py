"""Every example in README.md, docs/ and examples/ is run.

Convention for whoever writes documentation:

* A block fenced as ```sql is run, and all the blocks of one file are one session of the sqlite3 shell, in order, with the
  extension loaded, in a temporary copy of examples/ as the working directory, against a real node
  (OPENSEARCH_ENDPOINT is set). Dot commands work. `.load build/opensearch` is allowed and does no harm.
  `build`, `scripts`, `sql` and `examples` of the tree are there under these names, so examples are written as they are
  run from the root of the tree.
* A line `-- → value` after a statement says what it prints. Several such lines are several lines of output. What stands
  there must be the whole output of the statements since the last such line (or the block's start). `…` stands for any
  text within a line: `-- → {"status":"success",…}`. Output that no `-- →` follows is not compared, but an error fails the test.
* An error that belongs to the example is written `-- ✗ text`: the statement before must fail, and the message must
  contain the text (again with `…`). Then the block's next statement runs as if nothing had happened.
* A block fenced as ```sh is run with `sh -eu` in the same folder, at its place between the SQL blocks; its output is not
  compared. What should only be read (the commands that set a machine up, output, fragments) is fenced as ```text or
  ```console. There is no way to mark SQL as "not run".
* examples/*.sql are run whole in the same way, with the same comments. A file that needs a terminal, a cloud or minutes
  belongs under examples/ as another suffix.
* Index names in documentation may be anything; every index that a file names and creates is removed after it.
"""
import re
import shutil

import pytest

from harness.paths import EXTENSION, ROOT
from harness.shell import Shell

FENCE = re.compile(r"^```([A-Za-z-]*)[^\n]*\n(.*?)^```[ ]*$", re.M | re.S)
RUN = ("sql", "sh")
KNOWN = {"sql", "sh", "text", "console", "json", "csv", "c", "python", "make", "ini", "yaml", "ndjson", ""}
NOT_ALONE = {"demo.sql"}  # run by scripts/demo with data from a registry


def documents():
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md")),
             *sorted((ROOT / "examples").rglob("*.sql"))]
    return [path for path in found if path.exists() and path.name not in NOT_ALONE]


def blocks_of(path):
    """[(language, text, first line)]"""
    text = path.read_text()
    if path.suffix == ".sql":
        return [("sql", text, 1)]
    return [(m.group(1), m.group(2), text[:m.start()].count("\n") + 2) for m in FENCE.finditer(text)]


def steps_of(block):
    """[(sql, expected lines or None, expected error or None)]: the statements between two expectations."""
    steps, sql, want, error = [], [], [], None
    def flush():
        nonlocal sql, want, error
        if sql or want or error:
            steps.append(("\n".join(sql), want or None, error))
        sql, want, error = [], [], None
    for line in block.split("\n"):
        note = re.match(r"\s*--\s*(→|✗)\s?(.*)$", line)
        if note:
            if note.group(1) == "→":
                want.append(note.group(2).rstrip())
            else:
                error = note.group(2).strip()
            continue
        if want or error:
            flush()
        sql.append(line)
    flush()
    return steps


def pattern(text):
    return re.compile(".*".join(re.escape(part) for part in text.split("…")) + r"\Z", re.S)


def test_the_convention_itself():
    block = "SELECT 1;\n-- → 1\nSELECT 2;\nSELECT 3;\n-- → 2\n-- → 3\nSELECT bad;\n-- ✗ no such column\nSELECT 4;\n"
    assert steps_of(block) == [("SELECT 1;", ["1"], None), ("SELECT 2;\nSELECT 3;", ["2", "3"], None), ("SELECT bad;", None, "no such column"), ("SELECT 4;\n", None, None)]
    assert pattern('{"a":1,…}').match('{"a":1,"b":2}') and not pattern('{"a":1,…}').match('{"a":2,"b":2}')


GOOD = """# Title
```sql
SELECT os_version() IS NOT NULL;
-- → 1
CREATE TABLE t(a);
INSERT INTO t VALUES(1), (2);
SELECT a FROM t;
-- → 1
-- → 2
SELECT no_such_column;
-- ✗ no such column
```
```sh
echo "a" > made.csv
echo "7" >> made.csv
```
```text
rm -rf / is not run
```
```sql
.mode csv
.import made.csv u
SELECT a, 'x…y' FROM u;
-- → 7,…
```
"""


@pytest.mark.parametrize("change, message", [
    (None, None), (("-- → 2\n", ""), "expected"), (("-- → 7,…", "-- → 8,…"), "expected"), (("no such column\n", "no such table\n"), "expected the error"),
    (("INSERT INTO t", "INSERT INTO missing"), "no such table"), (('echo "7"', "false; echo 7"), "block failed"), (("SELECT no_such_column;", "SELECT 1;"), "expected the error")])
def test_the_convention_is_enforced(extension, tmp_path, change, message):
    """A wrong value, a missing line, an error that does not come, a failing command: each fails the document."""
    document = tmp_path / "doc.md"
    document.write_text(GOOD.replace(*change) if change else GOOD)
    assert change is None or change[0] in GOOD
    if message:
        with pytest.raises(AssertionError, match=message):
            run_document(document, tmp_path, {})
    else:
        run_document(document, tmp_path, {})


def test_there_is_something_to_test():
    names = {str(p.relative_to(ROOT)) for p in documents()}
    assert "README.md" in names
    assert any(language in RUN for p in documents() for language, _, _ in blocks_of(p)), "no example in any document"


@pytest.mark.parametrize("path", documents(), ids=lambda p: str(p.relative_to(ROOT)))
def test_fences_are_known(path):
    for language, _, line in blocks_of(path):
        assert language in KNOWN, "%s:%d: unknown fence ```%s" % (path.name, line, language)


def runnable():
    return [p for p in documents() if any(language in RUN and text.strip() for language, text, _ in blocks_of(p))]


@pytest.mark.slow
@pytest.mark.limit(300)
@pytest.mark.parametrize("path", runnable(), ids=lambda p: str(p.relative_to(ROOT)))
def test_examples(path, plain, extension, tmp_path):
    before = {i["index"] for i in plain.get("/_cat/indices?format=json")}
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", folder) if (ROOT / "examples").exists() else folder.mkdir()
    for name in ("scripts", "sql"):
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    (folder / "examples").symlink_to(".")
    (folder / "build").mkdir()
    (folder / "build/opensearch.so").symlink_to(EXTENSION)
    env = {"OPENSEARCH_ENDPOINT": plain.url}
    try:
        run_document(path, folder, env)
    finally:
        # only what the document names: other tests may be using the same node
        text = path.read_text()
        for name in {i["index"] for i in plain.get("/_cat/indices?format=json")} - before:
            if not name.startswith(".") and name in text:
                plain.delete(name)


def marked(text):
    """{step: what was printed in it}, from output in which the marks stand."""
    parts = re.split(r"^<<<(\d+)>>>$\n?", text, flags=re.M)
    return {int(parts[i]): parts[i + 1] for i in range(1, len(parts), 2)}


def run_document(path, folder, env):
    """One session of the shell. Before each step a mark is printed on standard output and standard error; ```sh blocks are
    run from within the session."""
    script, steps = [], []
    for language, text, line in blocks_of(path):
        if language not in RUN:
            continue
        where = "%s:%d" % (path.name, line)
        for sql, want, error in steps_of(text) if language == "sql" else [(text, None, None)]:
            if not sql.strip():
                continue
            number = len(steps)
            steps.append((where, sql, want, error))
            script.append(".output /dev/stderr\n.print <<<%d>>>\n.output stdout\n.print <<<%d>>>\n" % (number, number))
            if language == "sh":
                (folder / ("block%d.sh" % number)).write_text(sql)
                script.append(".shell sh -eu block%d.sh >block%d.log 2>&1 </dev/null || { echo Error: block failed; cat block%d.log; } >&2\n" % ((number,) * 3))
            else:
                script.append(sql.rstrip() + "\n")
    result = Shell(folder, {"LOG_LEVEL": "OFF", **env}, "example.db").run("".join(script), check=False, bail=False, timeout=280)
    printed, errors = marked(result.out), marked(result.err)
    for number, (where, sql, want, error) in enumerate(steps):
        assert number in printed, "%s: the session ended before\n%s\n%r" % (where, sql, result)
        check_step(where, sql, want, error, printed[number], errors.get(number, ""))


def check_step(where, sql, want, error, printed, said):
    failures = [line for line in said.splitlines() if re.match(r"(Parse |Runtime )?[Ee]rror", line)]
    if error is not None:
        assert failures and pattern("…" + error + "…").match(said), "%s: expected the error %r, got %r for\n%s" % (where, error, said, sql)
        return
    assert not failures, "%s: %s\nfor\n%s" % (where, said, sql)
    if want is not None:
        got = printed.rstrip("\n").split("\n")
        assert len(got) == len(want) and all(pattern(w).match(g.rstrip()) for w, g in zip(want, got)), \
            "%s: expected\n%s\ngot\n%s\nfor\n%s" % (where, "\n".join(want), "\n".join(got), sql)
