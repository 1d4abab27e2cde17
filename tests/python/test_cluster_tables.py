"""What a cluster has, as tables: os_index, os_aliases, os_mapping, os_health, os_nodes, os_shards, os_tasks."""
import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.cluster import unique
from harness.refusal import refusal

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")


@pytest.fixture(params=["plain", "v3", "es7"])
def seen(request, bare_box):
    """(box, cluster, prefix) on each server that is supported; what begins with the prefix is removed afterwards."""
    cluster = request.getfixturevalue(request.param)
    bare_box.env["OPENSEARCH_ENDPOINT"] = bare_box.shell.env["OPENSEARCH_ENDPOINT"] = cluster.url
    name = unique()
    yield bare_box, cluster, name
    cluster.call("DELETE", "/%s*" % name, allowed=(404,))


def test_indices(seen):
    box, cluster, name = seen
    cluster.create(name, {"a": {"type": "keyword"}}, settings={"number_of_shards": 2}, aliases={name + "-Z": {}, name + "-a": {}})
    cluster.bulk_put(name, {str(i): {"a": "x"} for i in range(7)})
    cluster.call("DELETE", "/%s/_doc/3?refresh=true" % name)
    cluster.create(name + "-closed")
    cluster.call("POST", "/%s-closed/_close" % name)
    cluster.create(name + "-hidden", settings={"hidden": True})
    rows = {r["index"]: r for r in box.rows("SELECT * FROM os_index WHERE index_name LIKE ?", name + "%")}
    assert set(rows) == {name, name + "-closed", name + "-hidden"}
    row = rows[name]
    assert (row["health"], row["status"], row["documents"], row["primaries"], row["replicas"]) == ("green", "open", 6, 2, 0)
    assert json.loads(row["aliases"]) == [name + "-Z", name + "-a"] and ISO.match(row["created"]) and row["uuid"] == cluster.uuid(name)
    assert isinstance(row["size"], int) and row["size"] == row["primary_size"] > 0 and isinstance(row["deleted"], int)
    closed = rows[name + "-closed"]
    assert (closed["status"], closed["documents"], closed["size"], closed["aliases"]) == ("close", None, None, "[]")
    types = box.rows("SELECT typeof(documents) AS d, typeof(size) AS s, typeof(primaries) AS p, typeof(health) AS h FROM os_index WHERE index_name = ?", name)
    assert types == [{"d": "integer", "s": "integer", "p": "integer", "h": "text"}]


CONDITIONS = {
    "= '{0}'": [""], "IN ('{0}', '{0}-b', 'missing-index', NULL)": ["", "-b"], "LIKE '{0}-%'": ["-a", "-b"], "GLOB '{0}-[ab]'": ["-a", "-b"],
    "= 'missing-index'": [], "IN ('missing-index', 'missing-too')": [], "LIKE 'missing%'": [], "= NULL": [], "= '{0}-A'": [],
    "= '{0},{0}-a'": [], "= '{0}*'": [], "= '_all'": [], "= '..'": [], "= '-{0}'": [], "= '<{0}>'": [], "LIKE '{0}!_%' ESCAPE '!'": [],
    "= upper('{0}') COLLATE NOCASE": [""], "> '{0}' AND {column} < '{0}zz'": ["-a", "-b"]}


@pytest.mark.parametrize("table", ["os_index", "os_shards", "os_aliases", "os_health"])
def test_names_in_where(seen, table):
    """Whatever is asked of a name, the rows are those that SQLite would have chosen from all of them."""
    box, cluster, name = seen
    for more in ("", "-a", "-b"):
        cluster.create(name + more, aliases={name + "-alias": {}})
    column = "name" if table == "os_health" else "index_name"
    for condition, found in CONDITIONS.items():
        rows = box.rows("SELECT DISTINCT %s AS n FROM %s WHERE %s %s ORDER BY 1" % (column, table, column, condition.format(name, column=column)))
        assert [r["n"] for r in rows] == [name + f for f in found], condition


def test_aliases(seen):
    box, cluster, name = seen
    cluster.create(name, {"c": {"type": "keyword"}}, aliases={
        name + "-F": {"filter": {"term": {"c": "red"}}, "routing": "7"}, name + "-w": {"is_write_index": True},
        name + "-r": {"index_routing": "1", "search_routing": "1,2"}})
    cluster.create(name + "-2", aliases={name + "-w": {"is_write_index": False}})
    rows = box.rows("SELECT * FROM os_aliases WHERE index_name GLOB ? ORDER BY alias, index_name", name + "*")
    assert [(r["alias"][len(name):], r["index"][len(name):], r["is_write_index"], r["routing"], r["search_routing"]) for r in rows] == [
        ("-F", "", None, "7", "7"), ("-r", "", None, None, "1,2"), ("-w", "", 1, None, None), ("-w", "-2", 0, None, None)]
    assert json.loads(rows[0]["filter"]) == {"term": {"c": "red"}} and rows[1]["filter"] is None
    assert [r["index"] for r in box.rows("SELECT * FROM os_aliases WHERE alias = ? ORDER BY 2", name + "-w")] == [name, name + "-2"]
    assert box.one("SELECT count(*) FROM os_aliases WHERE alias IN (?, 'no-such-alias', ?)", name + "-F", name + "-w") == 3
    assert box.one("SELECT count(*) FROM os_aliases WHERE alias LIKE ?", (name + "-f").upper()) == 1
    assert box.one("SELECT count(*) FROM os_aliases WHERE alias = ?", name + "-f") == 0


def test_mapping(seen):
    box, cluster, name = seen
    cluster.create(name, {"title": {"type": "text", "fields": {"raw": {"type": "keyword", "ignore_above": 99}}}, "o": {"properties": {"d": {"type": "date", "format": "epoch_millis"}}},
                          "n": {"type": "nested", "properties": {"i": {"type": "integer"}}}, "also": {"type": "alias", "path": "title"}},
                   aliases={name + "-alias": {}})
    expected = {"title": ("text", {}, 0), "title.raw": ("keyword", {"ignore_above": 99}, 1), "o": ("object", {}, 0), "o.d": ("date", {"format": "epoch_millis"}, 0),
                "n": ("nested", {}, 0), "n.i": ("integer", {}, 0), "also": ("alias", {"path": "title"}, 0)}
    for asked in (name, name + "-alias"):
        rows = box.rows("SELECT * FROM os_mapping(?)", asked)
        assert {r["path"]: (r["type"], json.loads(r["parameters"]), r["multi_field"]) for r in rows} == expected
    cluster.create(name + "-empty")
    assert box.rows("SELECT * FROM os_mapping(?)", name + "-empty") == []
    with refusal("404.*no such index"):
        box.one("SELECT * FROM os_mapping('%s-none')" % name)
    with refusal("index_name. is missing"):
        box.one("SELECT * FROM os_mapping")
    with refusal("not allowed in a name"):
        box.one("SELECT * FROM os_mapping('%s*')" % name)


def test_mapping_of_a_data_stream(box, plain, index):
    plain.call("PUT", "/_index_template/" + index, {"index_patterns": [index + "*"], "data_stream": {}, "template": {"settings": {"number_of_replicas": 0}}})
    plain.call("PUT", "/_data_stream/" + index)
    try:
        assert box.rows("SELECT path, type FROM os_mapping(?)", index) == [{"path": "@timestamp", "type": "date"}]
        assert box.one("SELECT count(*) FROM os_index WHERE index_name GLOB ?", ".ds-%s-*" % index) == 1
    finally:
        plain.call("DELETE", "/_data_stream/" + index)
        plain.call("DELETE", "/_index_template/" + index)


@pytest.mark.parametrize("suffix", ["%25x", "'q", "&b=1", ";", "{}", "日本"])
def test_odd_names(box, plain, index, suffix):
    name = index + suffix
    plain.create(urllib.parse.quote(name), {"a": {"type": "keyword"}}, aliases={name + "-a": {}})
    assert box.one("SELECT count(*) FROM os_index WHERE index_name = ?", name) == 1
    assert box.one("SELECT count(*) FROM os_index WHERE index_name IN (?, 'other')", name) == 1
    assert box.one("SELECT alias FROM os_aliases WHERE index_name = ?", name) == name + "-a"
    assert box.one("SELECT path FROM os_mapping(?)", name) == "a"
    assert box.one("SELECT health FROM os_health WHERE name = ?", name) == "green"
    assert box.one("SELECT state FROM os_shards WHERE index_name = ?", name) == "STARTED"


def test_health_says_why_and_what_helps(seen):
    box, cluster, name = seen
    cluster.create(name)
    cluster.create(name + "-y", settings={"number_of_replicas": 2}, wait_for_active_shards=1)
    cluster.create(name + "-r", settings={"routing.allocation.require.box": "nowhere"}, wait_for_active_shards=0)
    cluster.create(name + "-e", settings={"routing.allocation.enable": "none"}, wait_for_active_shards=0)
    rows = {r["name"][len(name):]: r for r in box.rows("SELECT * FROM os_health WHERE name GLOB ?", name + "*")}
    assert (rows[""]["health"], rows[""]["why"], rows[""]["fix"], rows[""]["active"]) == ("green", None, None, 1)
    assert rows["-y"]["health"] == "yellow" and rows["-y"]["unassigned"] == 2 and "every node that may hold it has a copy already" in rows["-y"]["why"]
    assert rows["-r"]["health"] == "red" and "the primary of shard 0" in rows["-r"]["why"] and "nowhere" in rows["-r"]["why"]
    # what is offered is a statement, and it helps
    for more in ("-y", "-e"):
        box.one(re.search(r"SELECT os_request.*\)", rows[more]["fix"]).group())
        cluster.settle(name + more, ("green",))
    whole = box.rows("SELECT * FROM os_health WHERE scope = 'cluster'")
    assert len(whole) == 1 and whole[0]["health"] == "red" and whole[0]["data_nodes"] == 1 and re.match(r"\d+ ind(ex is|ices are) red", whole[0]["why"])
    assert box.rows("SELECT * FROM os_health WHERE name = ?", whole[0]["name"])[0]["scope"] == "cluster"
    named = box.rows(whole[0]["fix"])
    assert name + "-r" in [r["name"] for r in named] and name not in [r["name"] for r in named]


def test_reasons_are_asked_for_only_where_shards_are_missing(through, proxy, plain, index):
    """One explanation for each index in trouble, none where nobody reads it, and at most twenty in one read."""
    for i in range(3):
        plain.create("%s-g%d" % (index, i))
    for i in range(23):
        plain.create("%s-y%d" % (index, i), settings={"number_of_replicas": 1}, wait_for_active_shards=1)
    explains = lambda: [e for e in proxy.calls() if "allocation/explain" in e["path"]]
    through.rows("SELECT name, health FROM os_health WHERE name GLOB ?", index + "*")
    through.rows("SELECT * FROM os_health WHERE name GLOB ?", index + "-g*")
    assert explains() == []
    through.rows("SELECT * FROM os_health WHERE name = ?", index + "-y1")
    assert len(explains()) == 1
    rows = through.rows("SELECT * FROM os_health WHERE name GLOB ? AND health = 'yellow'", index + "-y*")
    assert len(rows) == 23 and len(explains()) == 21
    asked = [r for r in rows if "every node" in r["why"]]
    assert len(asked) == 20 and all("is not assigned" in r["why"] for r in rows)
    other = next(r for r in rows if r not in asked)
    assert "every node" in through.one(other["fix"])


def test_what_a_query_names_goes_into_the_request(through, proxy, plain, index):
    plain.create(index, aliases={index + "-a": {}})
    def paths(sql, *arguments):
        before = len(proxy.calls())
        through.rows(sql, *arguments)
        return [e["path"].split("?")[0] for e in proxy.calls()[before:]]
    assert paths("SELECT health FROM os_index WHERE index_name = ?", index) == ["/_cat/indices/" + index]
    assert paths("SELECT aliases FROM os_index WHERE index_name = ?", index) == ["/_cat/indices/" + index, "/%s/_alias" % index]
    assert paths('SELECT health FROM os_index WHERE "index" LIKE ?', index.upper() + "%") == ["/_cat/indices/%s%%2A" % index.replace("_", "%2A")]
    assert paths("SELECT health FROM os_index") == ["/_cat/indices/"]
    assert paths("SELECT * FROM os_aliases WHERE alias = ?", index + "-a") == ["/_alias/%s-a" % index]
    assert paths("SELECT * FROM os_aliases WHERE index_name GLOB ?", index + "*") == ["/%s%%2A/_alias" % index]
    assert paths("SELECT * FROM os_shards WHERE index_name IN (?, ?)", index, index) == ["/_cat/shards/" + index]
    assert paths("SELECT * FROM os_index WHERE index_name = NULL") == []


def test_nodes(seen):
    box, cluster, _ = seen
    rows = box.rows("SELECT * FROM os_nodes")
    assert len(rows) == 1 and rows[0]["is_manager"] == 1 and rows[0]["version"] == cluster.version() and "data" in json.loads(rows[0]["roles"])
    assert 0 < rows[0]["heap_used"] < rows[0]["heap_max"] and 0 < rows[0]["disk_free"] < rows[0]["disk_total"] and ISO.match(rows[0]["started_at"])
    assert isinstance(rows[0]["cpu"], int) and isinstance(rows[0]["load"], float)
    assert len(box.rows("SELECT * FROM os_nodes WHERE node = ?", rows[0]["node"])) == 1
    assert box.rows("SELECT * FROM os_nodes WHERE node = 'nobody'") == [] and box.rows("SELECT * FROM os_nodes WHERE node = '_local'") == []


def test_tasks_show_progress(seen):
    """Of one that works in slices, whose own figures are zero until they end, the sum of these."""
    box, cluster, name = seen
    cluster.create(name, {"a": {"type": "integer"}}, settings={"number_of_shards": 2})
    cluster.bulk_put(name, {str(i): {"a": i} for i in range(3000)})
    cluster.create(name + "-to")
    task = cluster.call("POST", "/_reindex?wait_for_completion=false&slices=2&requests_per_second=100",
                        {"source": {"index": name, "size": 100}, "dest": {"index": name + "-to"}})["task"]
    try:
        for _ in range(200):
            rows = {r["task"]: r for r in box.rows("SELECT * FROM os_tasks WHERE action = 'indices:data/write/reindex'")}
            if task in rows and rows[task]["created"]:
                break
            box.one("SELECT os_sleep(0.05)")
        parent, slices = rows[task], [r for r in rows.values() if r["parent"] == task]
        assert len(slices) == 2 and parent["cancellable"] == 1 and parent["running"] > 0 and ISO.match(parent["started_at"])
        assert parent["total"] == sum(r["total"] for r in slices) == 3000
        assert parent["created"] == sum(r["created"] for r in slices) > 0
        assert name in parent["description"] and parent["node"] and json.loads(parent["status"])["total"] == 0
    finally:
        cluster.call("POST", "/_tasks/%s/_cancel" % task)


def test_tasks_after_a_slice_has_ended(box, plain, index):
    """What the ended slice did is in the parent's own figures, what the other does is added."""
    plain.create(index, {"a": {"type": "integer"}}, settings={"number_of_shards": 2})
    plain.call("PUT", "/%s/_doc/only?routing=1&refresh=true" % index, {"a": 1})
    few = next(i for i in (0, 1) if plain.get("/%s/_count?preference=_shards:%d" % (index, i))["count"] == 1)
    routing = next(r for r in "abcdefgh" if plain.get("/%s/_search_shards?routing=%s" % (index, r))["shards"][0][0]["shard"] != few)
    plain.call("POST", "/%s/_bulk?refresh=true&routing=%s" % (index, routing), "".join('{"index":{"_id":"%d"}}\n{"a":1}\n' % i for i in range(2000)), content_type="application/x-ndjson")
    plain.create(index + "-to")
    task = plain.call("POST", "/_reindex?wait_for_completion=false&slices=2&requests_per_second=100", {"source": {"index": index, "size": 50}, "dest": {"index": index + "-to"}})["task"]
    try:
        for _ in range(200):
            rows = {r["task"]: r for r in box.rows("SELECT * FROM os_tasks WHERE action = 'indices:data/write/reindex'")}
            running = [r for r in rows.values() if r["parent"] == task]
            if task in rows and len(running) == 1 and running[0]["created"]:
                break
            box.one("SELECT os_sleep(0.05)")
        assert (len(running), running[0]["total"], rows[task]["total"]) == (1, 2000, 2001)
        assert rows[task]["created"] == running[0]["created"] + 1
    finally:
        plain.call("POST", "/_tasks/%s/_cancel" % task)


def test_views_and_joins(box, plain, index):
    plain.create(index, aliases={index + "-1": {}, index + "-2": {}})
    box.one("CREATE VIEW mine AS SELECT i.index_name, a.alias, h.health FROM os_index i JOIN os_aliases a USING(index_name) JOIN os_health h ON h.name = i.index_name")
    rows = box.rows("SELECT * FROM mine WHERE index_name = ? ORDER BY alias", index)
    assert [(r["alias"], r["health"]) for r in rows] == [(index + "-1", "green"), (index + "-2", "green")]
    for table in ("os_index", "os_aliases", "os_health", "os_nodes", "os_shards", "os_tasks"):
        with refusal("may not be modified|read only"):
            box.one("DELETE FROM %s" % table)
        with refusal("unknown connection|no connection|not.*connect"):
            box.one("SELECT * FROM %s WHERE connection = 'nowhere'" % table)


def test_another_connection(box, plain, v3, index):
    v3.create(index)
    try:
        box.one("SELECT os_connect('third', ?)", json.dumps({"endpoint": v3.url}))
        assert box.one("SELECT version FROM os_nodes('third')") == v3.version()
        assert box.one("SELECT count(*) FROM os_index('third') WHERE index_name = ?", index) == 1
        assert box.one("SELECT count(*) FROM os_index WHERE index_name = ?", index) == 0
        assert box.rows("SELECT * FROM os_mapping(?, 'third')", index) == []
    finally:
        v3.delete(index)


# ---- many, and odd answers ------------------------------------------------------------------------------------------
@pytest.fixture
def answering():
    """A server that gives the answers of a table {path: text}."""
    table, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            text = table.get(self.path.split("?")[0], "{}").encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args):
            pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http://127.0.0.1:%d" % server.server_port, table, asked
    server.shutdown()
    server.server_close()


def test_a_thousand_indices(bare_box, answering):
    url, table, asked = answering
    bare_box.env["OPENSEARCH_ENDPOINT"] = url
    table["/_cat/indices/"] = json.dumps([{"index": "i%d" % i, "health": "green", "status": "open", "docs.count": str(i), "docs.deleted": "0", "store.size": str(i * 1000), "pri": "1", "rep": "0",
                                           "creation.date": "1760000000000", "uuid": "u%d" % i, "pri.store.size": str(i * 1000)} for i in range(1000)])
    table["/_alias"] = table["/_alias/a3%2Ca4"] = json.dumps({"i%d" % i: {"aliases": {"a%d" % (i % 7): {}}} for i in range(1000)})
    assert bare_box.rows("SELECT count(*) AS n, sum(documents) AS d, sum(size) AS s, count(DISTINCT aliases) AS a, max(created) AS c FROM os_index") == [
        {"n": 1000, "d": 499500, "s": 499500000, "a": 7, "c": "2025-10-09T08:53:20.000Z"}]
    assert len(asked) == 2
    assert bare_box.one("SELECT count(*) FROM os_aliases WHERE alias = 'a3' OR alias = 'a4'") == 286


@pytest.mark.parametrize("table_name, path", [("os_index", "/_cat/indices/"), ("os_shards", "/_cat/shards/"), ("os_aliases", "/_alias"), ("os_health", "/_cluster/health"), ("os_tasks", "/_tasks")])
def test_an_answer_that_is_no_list(bare_box, answering, table_name, path):
    url, table, _ = answering
    bare_box.env["OPENSEARCH_ENDPOINT"] = url
    for text in ('"no"', "7", "[1]" if path in ("/_alias", "/_cluster/health", "/_tasks") else "{}"):
        table[path] = text
        with refusal("not what OpenSearch promises"):
            bare_box.rows("SELECT * FROM " + table_name)
    table[path] = "<html>"
    with refusal("not JSON"):
        bare_box.rows("SELECT * FROM " + table_name)


def test_nothing_listens(bare_box):
    bare_box.env.update(OPENSEARCH_ENDPOINT="http://127.0.0.1:1", MAX_RETRIES="0")
    with refusal("os_index: GET /_cat/indices/"):
        bare_box.rows("SELECT * FROM os_index")
