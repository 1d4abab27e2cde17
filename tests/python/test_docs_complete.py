"""Does the documentation cover what there is? Compared with the extension itself and with the tables in its sources.

test_docs.py runs the examples; here nothing is sent to any cluster.
"""
import re
import sqlite3

import pytest

from harness.paths import EXTENSION, ROOT

REFERENCE = ROOT / "docs" / "reference"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
# which page describes the options of an array in ext/surface
PAGES = {"request_options": "os_request", "delete_options": "os_delete_index", "load_options": "os_bulk_load",
         "cleanup_options": "os_cleanup", "retry_options": "os_retry_failures", "reindex_options": "os_reindex",
         "switch_options": "os_switch_alias", "refresh_options": "os_refresh_data", "undo_options": "os_undo_alias", "merge_options": "os_force_merge",
         "send_options": "os_dlq_send", "receive_options": "os_dlq_receive",
         "versions_options": "os_reindex_versions", "worker_options": "os_trigger_run", "common_options": "README"}


def registered(array):
    """Names in a table of ext/opensearch.c; both tables are the whole surface."""
    source = (ROOT / "ext/opensearch.c").read_text()
    body = re.search(r"\b%s\[\] = \{\n(.*?)^\};" % array, source, re.M | re.S).group(1)
    return re.findall(r'"(os_\w+|dlq_failures)"', body)


FUNCTIONS, TABLES = registered("aFunc"), registered("aMod")


def option_arrays():
    found = {}
    for path in sorted((ROOT / "ext/surface").glob("*.c")):
        for name, body in re.findall(r"struct os_option (\w+)\[\] = \{\n(.*?)^\};", path.read_text(), re.M | re.S):
            found[name] = re.findall(r'\{"(\w+)", OS_OPT', body)
    return found


def page(name):
    return (REFERENCE / (name + ".md")).read_text()


@pytest.fixture(scope="module")
def db():
    db = sqlite3.connect(":memory:")
    db.enable_load_extension(True)
    db.load_extension(str(EXTENSION))
    yield db
    db.close()


def test_the_sources_are_understood():
    assert len(FUNCTIONS) >= 18 and len(TABLES) >= 9
    assert all(option_arrays().values()) and "mode" in option_arrays()["load_options"]


@pytest.mark.parametrize("name", FUNCTIONS + TABLES)
def test_a_page_for_each_function_and_table(name):
    text = page(name)
    assert text.startswith("# " + name), "the title is not the name"
    assert "**Errors**" in text or "## Errors" in text, "nothing about errors"
    assert re.search(r"^```s(ql|h)$", text, re.M), "no example that is run"
    assert "(%s.md)" % name in page("README"), "not in the index"


def test_every_option_is_described():
    for array, keys in option_arrays().items():
        assert array in PAGES, "add the page of %s to this test" % array
        missing = [key for key in keys if "`%s`" % key not in page(PAGES[array])]
        assert not missing, "%s.md lacks %s" % (PAGES[array], ", ".join(missing))


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_described(db, name):
    columns = [row[1] for row in db.execute("PRAGMA table_xinfo(%s)" % name)]
    assert columns
    missing = [column for column in columns if "`%s`" % column not in page(name)]
    assert not missing, "%s.md lacks %s" % (name, ", ".join(missing))


def test_every_setting_is_described_with_its_default(db):
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", page("settings"), re.M)
    for name, default in db.execute("SELECT name, default_value FROM os_settings"):
        shown = [value for names, value in rows if "`%s`" % name in names]
        assert shown, "settings.md lacks " + name
        assert default is None or "`%s`" % default in shown[0], "%s: the default is %s" % (name, default)


def test_every_setting_of_aws_has_a_page(db):
    """OPENSEARCH_AUTH.md and so on; those that differ by the service share one."""
    names = [name for (name,) in db.execute("SELECT name FROM os_settings WHERE name LIKE 'AWS%' OR name LIKE '%SERVERLESS%' OR name LIKE '%DLQ%'")]
    assert len(names) > 8
    for name in ["OPENSEARCH_AUTH", *names]:
        text = page("settings/" + re.sub("(ENDPOINT_URL)_.*", r"\1", name))
        assert name in text.split("\n")[0] and "**Set by**" in text and "**Errors**" in text, name
        assert re.search(r"^```s(ql|h)$", text, re.M), "%s: no example that is run" % name


def anchors(text):
    """As GitHub makes them from headings, and those set by hand."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads} | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        goal = (path.parent / name).resolve() if name else path
        assert goal.exists(), "%s: there is no %s" % (path.name, target)
        assert not anchor or anchor in anchors(goal.read_text()), "%s: %s has no heading for #%s" % (path.name, goal.name, anchor)
