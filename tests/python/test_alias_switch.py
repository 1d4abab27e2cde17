"""os_switch_alias: every guard trips and nothing moves; what an alias has beside its name goes with it; searches never fail."""
import json
import threading
import time

import pytest

from harness.cluster import unique
from harness.refusal import refusal

FILTER = {"bool": {"filter": [{"term": {"k": "a"}}, {"range": {"n": {"gte": 1}}}]}}
FULL = {"filter": FILTER, "index_routing": "r1", "search_routing": "r1,r2", "is_write_index": True}
FIELDS = {"k": {"type": "keyword"}, "n": {"type": "integer"}}


def documents(count):
    return {str(i): {"k": "ab"[i % 2], "n": i} for i in range(count)}


class Pair:
    """Two indices and an alias on the first."""

    def __init__(self, box, cluster, first=10, second=10, alias=None):
        self.box, self.cluster, self.alias = box, cluster, unique("al")
        self.old, self.new = self.alias + "_v1", self.alias + "_v2"
        cluster.create(self.old, FIELDS, aliases={self.alias: alias or {}})
        cluster.create(self.new, FIELDS)
        for index, count in ((self.old, first), (self.new, second)):
            if count:
                cluster.bulk_put(index, documents(count))
        self.before = self.where()

    def where(self, alias=None):
        """{index: properties} of the alias, not by way of the extension."""
        alias = alias or self.alias
        answer = self.cluster.get("/_alias/" + alias, allowed=(404,))
        return {} if "error" in answer else {i: a["aliases"][alias] for i, a in answer.items()}

    def switch(self, source=None, target=None, alias=None, **options):
        return self.box.run("os_switch_alias", alias or self.alias, source or self.old, target or self.new, options)

    def refused(self, *words, **how):
        """The switch is refused with these words, nothing has moved, and the audit says so, in its last row."""
        with refusal() as caught:
            self.switch(**how)
        text = str(caught.value)
        for word in words:
            assert word in text, "%r is not in %r" % (word, text)
        assert self.where() == self.before, "the alias moved"
        rows = self.audit()
        assert rows[-1]["verdict"] in ("fail", "unknown") and rows[-1]["detail"][:40] in text, rows[-1]
        assert not any(r["verdict"] == "did" for r in rows), "something was changed"
        assert self.box.one("SELECT status FROM os_jobs ORDER BY job DESC LIMIT 1") == "failed"
        return text

    def audit(self, job=None):
        if job is None:
            job = self.box.one("SELECT max(job) FROM os_jobs")
        return self.box.rows("SELECT * FROM os_audit WHERE job = ? ORDER BY id", job)

    def settings(self, index, **settings):
        self.cluster.call("PUT", "/%s/_settings" % index, settings)

    def change(self, *actions):
        self.cluster.call("POST", "/_aliases", {"actions": list(actions)})


@pytest.fixture
def pair(box, plain):
    made = Pair(box, plain)
    yield made
    plain.call("DELETE", "/%s*" % made.alias)


# ---- it moves -------------------------------------------------------------------------------------------------------------
def test_moves(pair):
    result = pair.switch()
    assert pair.where() == {pair.new: {}}
    assert result["status"] == "success" and result["response"]["source_documents"] == result["response"]["target_documents"] == 10
    assert result["response"]["health"] == "green" and result["response"]["already"] is False and result["response"]["warning"] is None
    checks = {r["check_name"]: r["verdict"] for r in pair.audit(result["job"])}
    for check in ("names", "alias", "source index", "target index", "blocks", "refresh", "health", "source documents",
                  "target documents", "documents", "fields", "read back"):
        assert checks[check] in ("pass", "did"), check
    did = [r["detail"] for r in pair.audit(result["job"]) if r["verdict"] == "did"]
    assert len(did) == 1 and "os_undo_alias(%d)" % result["job"] in did[0] and '"must_exist":true' in did[0]
    job = pair.box.rows("SELECT * FROM os_jobs WHERE job = ?", result["job"])[0]
    assert (job["kind"], job["status"], job["count_before"], job["count_after"]) == ("switch_alias", "success", 10, 10)


def test_dry_run_returns_the_checks_and_moves_nothing(pair):
    result = pair.switch(dry_run=True)
    assert pair.where() == pair.before
    assert {c["check"] for c in result["checks"]} >= {"alias", "target index", "health", "documents", "fields"}
    assert all(c["verdict"] == "pass" for c in result["checks"]) and "would move" in result["message"]


@pytest.mark.parametrize("properties", [FULL, {"filter": FILTER}, {"index_routing": "x", "search_routing": "x"}, {"is_write_index": False},
                                        {"is_hidden": True}], ids=["all", "filter", "routing", "write flag", "hidden"])
def test_what_belongs_to_the_alias_goes_with_it(box, plain, properties):
    """A second add without a filter would wipe it: it is given again, with everything else."""
    pair = Pair(box, plain, alias=properties)
    pair.switch()
    assert pair.where() == {pair.new: pair.before[pair.old]}
    assert set(pair.where()[pair.new]) == set(properties)
    plain.call("DELETE", "/%s*" % pair.alias)


def test_numbers_in_a_filter_stay_exact(box, plain):
    values = [9007199254740993, 0.1, 123456789012345678, -1.5e-7, 1e300]
    pair = Pair(box, plain, alias={"filter": {"terms": {"n2": values}}})
    pair.switch()
    assert pair.where()[pair.new] == pair.before[pair.old]
    assert pair.where()[pair.new]["filter"]["terms"]["n2"] == values
    plain.call("DELETE", "/%s*" % pair.alias)


def test_a_number_that_would_be_rounded_is_refused(box, plain):
    pair = Pair(box, plain, alias={"filter": {"term": {"n2": 18446744073709551615}}})
    with refusal("cannot be read exactly"):
        pair.switch()
    assert pair.where() == pair.before
    plain.call("DELETE", "/%s*" % pair.alias)


def test_counts_are_those_of_the_indices(box, plain):
    """Not through the filter of the alias, not before a refresh, and nested documents are none."""
    pair = Pair(box, plain, first=10, second=0, alias={"filter": {"term": {"k": "a"}}})
    plain.call("PUT", "/%s/_mapping" % pair.new, {"properties": {"list": {"type": "nested"}}})
    plain.call("PUT", "/%s/_settings" % pair.new, {"refresh_interval": "1h"})
    for i in range(10):
        plain.call("PUT", "/%s/_doc/%d" % (pair.new, i), {"list": [{"a": 1}, {"a": 2}]})
    result = pair.switch(threshold=0)
    assert result["response"]["source_documents"] == result["response"]["target_documents"] == 10
    plain.call("DELETE", "/%s*" % pair.alias)


# ---- guards: names ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("where", ["alias", "source", "target"])
@pytest.mark.parametrize("name, word", [("a*", "'*'"), ("_all", "'_'"), ("a,b", "','"), ("a?", "'?'"), ("", ""), ("-a", "'-'"),
                                        ("a b", "blank"), ("<a-{now/d}>", "'<'"), ("a/b", "'/'"), ("x:y", "':'")])
def test_names_that_are_not_one_name(pair, where, name, word):
    with refusal(where):
        pair.box.run("os_switch_alias", *[name if role == where else given for role, given in
                                          (("alias", pair.alias), ("source", pair.old), ("target", pair.new))])
    assert pair.where() == pair.before


def test_source_is_target(pair):
    pair.refused("same index", target=pair.old)


def test_alias_and_index_of_one_name(pair):
    pair.refused("as the alias and as an index", target=pair.alias)


# ---- guards: the alias --------------------------------------------------------------------------------------------------------
def test_no_such_alias(pair):
    text = pair.refused("there is no alias", "create it first", alias=pair.alias + "_x")
    assert pair.old in text and not pair.cluster.exists(pair.alias + "_x")


def test_the_alias_is_an_index(pair):
    """What a writer makes that comes while there is no alias: an index of its name."""
    squatter = pair.alias + "_x"
    pair.cluster.put(squatter, "1", {"k": "a"})
    pair.refused("is an index, not an alias", alias=squatter)
    assert pair.cluster.exists(squatter)


def test_the_alias_is_on_several(pair):
    pair.change({"add": {"index": pair.new, "alias": pair.alias}})
    pair.before = pair.where()
    pair.refused("several indices", pair.old, pair.new)


def test_the_alias_is_elsewhere(pair):
    third = pair.alias + "_v3"
    pair.cluster.create(third, FIELDS)
    pair.refused("not on source", pair.old, source=third)


def test_the_alias_is_there_already(pair):
    pair.switch()
    pair.before = pair.where()
    pair.refused("already", "nothing to do")


# ---- guards: the indices -------------------------------------------------------------------------------------------------------
def test_no_such_target(pair):
    pair.refused("target index", "does not exist", target=pair.alias + "_none")


def test_no_such_source(pair):
    """The alias cannot be on it, which is said first."""
    pair.refused("not on source", source=pair.alias + "_none")


def test_target_is_an_alias(pair):
    other = pair.alias + "_other"
    pair.change({"add": {"index": pair.new, "alias": other}})
    pair.refused("is an alias, not an index", pair.new, target=other)
    assert pair.where(other) == {pair.new: {}}


@pytest.fixture
def stream(plain):
    name = unique("ds")
    plain.call("PUT", "/_index_template/" + name, {"index_patterns": [name], "data_stream": {},
                                                   "template": {"settings": {"number_of_replicas": 0}}})
    plain.call("PUT", "/_data_stream/" + name)
    yield name
    plain.call("DELETE", "/_data_stream/" + name)
    plain.call("DELETE", "/_index_template/" + name)


def test_target_is_a_data_stream(pair, stream):
    pair.refused("is a data stream, not an index", target=stream)
    pair.refused("is a data stream, not an alias", alias=stream)
    backing = pair.cluster.get("/_data_stream/" + stream)["data_streams"][0]["indices"][0]["index_name"]
    pair.refused("belongs to data stream", target=backing)


@pytest.mark.parametrize("role", ["source", "target"])
def test_closed(pair, role):
    index = pair.new if role == "target" else pair.old
    pair.cluster.call("POST", "/%s/_close" % index)
    if role == "source":  # an alias on a closed index is one still
        pair.before = pair.where()
    pair.refused("%s index" % role, "closed", "_open")


@pytest.mark.parametrize("block", ["write", "read_only", "read_only_allow_delete", "read"])
def test_blocked_target(pair, block):
    pair.settings(pair.new, **{"index.blocks." + block: True})
    try:
        pair.refused("index.blocks." + block, "lift it")
    finally:
        pair.settings(pair.new, **{"index.blocks." + block: None})
    pair.switch()


def test_metadata_blocked(pair):
    """The server does not even tell where the alias is."""
    pair.settings(pair.new, **{"index.blocks.metadata": True})
    try:
        with refusal("index metadata"):
            pair.switch()
    finally:
        pair.settings(pair.new, **{"index.blocks.metadata": None})
    assert pair.where() == pair.before


def test_a_clone_that_kept_its_write_block(pair):
    """A clone inherits the block of its source."""
    pair.settings(pair.old, **{"index.blocks.write": True})
    clone = pair.alias + "_clone"
    pair.cluster.call("PUT", "/%s/_clone/%s" % (pair.old, clone), {"settings": {"number_of_replicas": 0}})
    pair.cluster.settle(clone)
    pair.refused("index.blocks.write", target=clone)


def test_refresh_switched_off(pair):
    pair.settings(pair.new, **{"index.refresh_interval": "-1"})
    pair.refused("refresh_interval -1", "would not be found")
    pair.settings(pair.new, **{"index.refresh_interval": None})
    pair.switch()


def test_yellow_passes_with_a_note(pair):
    pair.settings(pair.new, **{"index.number_of_replicas": 1})
    pair.cluster.settle(pair.new, ("yellow",))
    result = pair.switch()
    assert result["response"]["health"] == "yellow" and pair.where() == {pair.new: {}}
    assert [r["detail"] for r in pair.audit(result["job"]) if r["check_name"] == "health"][0].endswith("not every replica")


def test_red_is_refused_and_explained(pair):
    red = pair.alias + "_red"
    pair.cluster.create(red, FIELDS, settings={"index.routing.allocation.require._name": "nobody"}, wait_for_active_shards=0)
    pair.cluster.settle(red, ("red",))
    pair.refused("is red", "_name", "nobody", target=red)


# ---- guards: numbers -----------------------------------------------------------------------------------------------------------
def refill(pair, first, second):
    for index, count in ((pair.old, first), (pair.new, second)):
        pair.cluster.call("POST", "/%s/_delete_by_query?refresh=true&conflicts=proceed" % index, {"query": {"match_all": {}}})
        if count:
            pair.cluster.bulk_put(index, documents(count))


def test_empty_target(pair):
    refill(pair, 10, 0)
    pair.refused("has 0 documents", "allow_empty")
    pair.switch(allow_empty=True)
    assert pair.where() == {pair.new: {}}


def test_empty_source_has_nothing_to_compare(pair):
    refill(pair, 0, 7)
    assert pair.switch(threshold=0)["response"]["target_documents"] == 7


@pytest.mark.parametrize("first, second, options, words", [
    (10, 21, {}, ["110 % more", "100 %", "threshold"]),
    (10, 20, {}, None),
    (10, 9, {"threshold": 9.99}, ["10 % fewer", "9.99 %"]),
    (10, 9, {"threshold": 10}, None),
    (10, 11, {"threshold": 9.99}, ["10 % more"]),
    (3, 2, {"threshold": 33}, ["33.33 % fewer"]),
    (10, 9, {"max_shrink": 5}, ["max_shrink", "5 %"]),
    (10, 9, {"max_shrink": 5, "threshold": 1000}, ["max_shrink"]),
    (10, 9, {"max_growth": 0, "max_shrink": 10}, None),
    (10, 12, {"max_growth": 10}, ["max_growth", "20 % more"]),
    (10, 12, {"max_growth": 20, "threshold": 0}, None),
    (10, 10, {"threshold": 0, "max_shrink": 0, "max_growth": 0}, None),
    (10, 1, {}, None)])
def test_difference(pair, first, second, options, words):
    refill(pair, first, second)
    if words:
        pair.refused(*words, **options)
    else:
        pair.switch(**options)
        assert pair.where() == {pair.new: {}}


def test_the_default_is_the_setting(pair):
    refill(pair, 10, 8)
    pair.box.one("SELECT os_config('DOCUMENT_COUNT_THRESHOLD', 15)")
    pair.refused("20 % fewer", "15 %")
    pair.box.one("SELECT os_config('DOCUMENT_COUNT_THRESHOLD', 20)")
    pair.switch()


@pytest.mark.parametrize("options, word", [({"threshold": -1}, "threshold"), ({"threshold": "10"}, "threshold"), ({"treshold": 1}, "treshold"),
                                           ({"max_shrink": 101}, "max_shrink"), ({"allow_live": True}, "allow_live")])
def test_options_are_checked(pair, options, word):
    with refusal(word):
        pair.switch(**options)
    assert pair.where() == pair.before


# ---- fields ---------------------------------------------------------------------------------------------------------------------
def test_fields_that_the_target_lacks_are_told(pair):
    pair.cluster.call("PUT", "/%s/_mapping" % pair.old, {"properties": {
        "gone": {"type": "text", "fields": {"raw": {"type": "keyword"}}}, "o": {"properties": {"deep": {"type": "long"}, "same": {"type": "long"}}},
        "other": {"type": "keyword"}, "t": {"type": "text", "fields": {"raw": {"type": "keyword"}}}}})
    pair.cluster.call("PUT", "/%s/_mapping" % pair.new, {"properties": {
        "o": {"properties": {"same": {"type": "long"}}}, "other": {"type": "text"}, "t": {"type": "text"}, "more": {"type": "long"}}})
    result = pair.switch()
    warning = result["response"]["warning"]
    assert warning == "not in the target's mapping: gone, o.deep, t.raw; of another type in the target: other (text, was keyword)"
    row = [r for r in pair.audit(result["job"]) if r["check_name"] == "fields"][0]
    assert row["verdict"] == "pass" and row["detail"] == "warning: " + warning and warning in result["message"]
    assert pair.where() == {pair.new: {}}


# ---- searches go on ---------------------------------------------------------------------------------------------------------------
def test_no_search_fails_while_the_alias_moves(pair):
    """To and fro, with searches through the alias all the time: each finds everything, none fails."""
    stop, seen, faults = threading.Event(), [], []

    def search():
        while not stop.is_set():
            try:
                answer = pair.cluster.call("POST", "/%s/_search?allow_partial_search_results=false" % pair.alias, {"size": 0, "track_total_hits": True})
                seen.append((answer["hits"]["total"]["value"], answer["_shards"]["failed"]))
            except Exception as fault:  # anything at all is what must not be
                faults.append(fault)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for i in range(30):
            at, to = (pair.old, pair.new) if i % 2 == 0 else (pair.new, pair.old)
            pair.switch(source=at, target=to)
            assert pair.where() == {to: {}}
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not faults and len(seen) > 60 and set(seen) == {(10, 0)}


# ---- the frame ---------------------------------------------------------------------------------------------------------------------
def test_a_view_cannot_move_an_alias(pair):
    pair.box.db.execute("CREATE TABLE t(a)")
    pair.box.db.execute("CREATE VIEW v AS SELECT os_switch_alias('%s', '%s', '%s')" % (pair.alias, pair.old, pair.new))
    with refusal("unsafe|named|refused"):
        pair.box.one("SELECT * FROM v")
    assert pair.where() == pair.before


def test_timeout_is_for_the_whole(pair, proxy):
    pair.box.one("SELECT os_config('OPENSEARCH_ENDPOINT', ?)", proxy.url)
    proxy.rule("delay", on="read", seconds=1)
    began = time.monotonic()
    with refusal("timeout"):
        pair.switch(timeout=0.5)
    assert time.monotonic() - began < 3 and pair.where() == pair.before


def test_the_result_is_json_with_its_subtype(pair):
    row = pair.box.one("SELECT json_object('r', os_switch_alias(?, ?, ?, '{\"dry_run\":true}'))", pair.alias, pair.old, pair.new)
    assert json.loads(row)["r"]["response"]["target"] == pair.new
