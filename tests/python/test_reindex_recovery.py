"""A copy dies, or loses an answer, at each of its requests: the same call again ends with the whole copy, and undoing it
with what was there before. Nothing is left on the cluster in either case."""
import os
import re
import sqlite3

import pytest

import datasets
from harness.crash import kill_at

DOCS = datasets.by_id(datasets.products(150))
OLD = datasets.by_id(datasets.products(190)[150:])
OPTIONS = {"create": {"create": True}, "backup": {"backup": True}, "delete": {"backup": False}}
# the requests of each way that change something, and some of those between them; %s: the target
CREATE = {"created": r"PUT /%s(\?|$)"}
CLONE = {"trial created": r"PUT /%s-os-trial-\d+", "trial deleted": r"DELETE /%s-os-trial-\d+", "blocked": r"PUT /%s/_block/write",
         "cloned": r"PUT /%s/_clone/", "deleted": r"DELETE /%s(\?|$)", "made anew": r"PUT /%s(\?|$)"}
DELETE = {"deleting": r"POST /%s/_delete_by_query", "expunged": r"POST /%s/_forcemerge"}
COPY = {"started": r"POST /_reindex\?.*", "watched": r"GET /_tasks/(?!os-reindex)[^?/]+$", "counted": r"GET /%s/_count"}
DROP = {"backup dropped": r"DELETE /%s-os-backup-\d+"}
COURSES = {"create": {**CREATE, **COPY}, "backup": {**CLONE, **COPY, **DROP}, "delete": {**DELETE, **COPY}}
POINTS = [(way, moment) for way, moments in COURSES.items() for moment in moments]


class Pair:
    def __init__(self, plain, index, way):
        self.plain, self.source, self.target, self.way = plain, index + "-a", index + "-b", way
        plain.create(self.source, datasets.PRODUCTS, settings={"refresh_interval": "7s", "number_of_shards": 2})
        plain.bulk_put(self.source, DOCS)
        if way != "create":
            plain.create(self.target, datasets.PRODUCTS, settings={"refresh_interval": "9s"})
            plain.bulk_put(self.target, OLD)

    def pattern(self, moment):
        pattern = COURSES[self.way][moment]
        return pattern % re.escape(self.target) if "%s" in pattern else pattern

    def call(self, **options):
        return "SELECT os_reindex('%s', '%s', json('%s'));" % (self.source, self.target, datasets.json.dumps({**OPTIONS[self.way], **options}))

    def run(self, box, **options):
        return box.run("os_reindex", self.source, self.target, {**OPTIONS[self.way], **options})

    def tidy(self):
        names = {i["index"] for i in self.plain.get("/_cat/indices/%s*?format=json" % self.target)}
        assert names <= {self.target}, "left behind: %s" % names
        tasks = self.plain.get("/_tasks?actions=*reindex&detailed=true")["nodes"]
        mine = [t for n in tasks.values() for t in n["tasks"].values() if "[%s]" % self.target in t["description"]]
        assert not mine, mine
        assert self.plain.documents(self.source) == DOCS
        if names:
            assert self.plain.setting(self.target, "blocks.write") in (None, "false")
            assert self.plain.setting(self.target, "refresh_interval") == ("7s" if self.way == "create" else "9s")

    def whole(self):
        self.tidy()
        assert self.plain.documents(self.target) == DOCS

    def as_before(self, emptied=False):
        self.tidy()
        if self.way == "create":
            assert not self.plain.exists(self.target)
        elif not emptied:
            assert self.plain.documents(self.target) == OLD


@pytest.fixture
def pair(plain, index, request):
    return Pair(plain, index, request.param)


def dies(box, proxy, pair, moment, done, **options):
    """os_reindex, killed when the cluster has done (or has not yet got) the moment's request."""
    kill_at(box, proxy, pair.call(**options), pair.pattern(moment), skip=skipped(pair, moment), done=done)


def comes_to(proxy, rule, ready=lambda: True):
    for _ in range(2000):
        if rule["fired"] and ready():
            return
        proxy.wait(0.01)
    raise AssertionError("it never came to the request %s" % rule["on"])


def skipped(pair, moment):
    """The target is counted once before it is emptied, once after."""
    return 2 if moment == "counted" and pair.way != "create" else 0


@pytest.mark.table
@pytest.mark.parametrize("done", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("pair, moment", POINTS, indirect=["pair"])
def test_killed_then_again(through, proxy, pair, moment, done):
    dies(through, proxy, pair, moment, done)
    result = pair.run(through)
    pair.whole()
    assert result["status"] == "success" and result["response"]["target_documents"] == len(DOCS)
    with pytest.raises(sqlite3.Error, match="nothing to resume"):
        pair.run(through, mode="resume")


@pytest.mark.table
@pytest.mark.parametrize("pair, moment", POINTS, indirect=["pair"])
def test_killed_then_undone(through, proxy, pair, moment):
    dies(through, proxy, pair, moment, True)
    try:
        pair.run(through, mode="undo")
    except sqlite3.Error as error:  # it died before it had begun anything
        assert "nothing to undo" in str(error)
    if moment == "backup dropped":  # nothing was missing but this
        pair.whole()
    elif pair.way == "delete":
        pair.tidy()
        assert pair.plain.count(pair.target) == 0
    else:
        pair.as_before()
    pair.run(through)
    pair.whole()


FAULTS = {"answer lost": {"fault": "cut_after"}, "request lost": {"fault": "cut_before"}, "refused": {"fault": "status", "code": 500}}
if os.environ.get("OS_TEST_SWEEP"):
    FAULTS["a balancer gave up"] = {"fault": "status_after", "code": 504, "html": True}


@pytest.mark.table
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("pair, moment", POINTS, indirect=["pair"])
def test_a_request_fails(through, proxy, pair, moment, fault):
    """In the same process: it ends with the whole copy, or with an error and everything as it was."""
    rule = proxy.rule(on=pair.pattern(moment), times=1, skip=skipped(pair, moment), **fault)
    try:
        result = pair.run(through)
    except sqlite3.Error as error:
        failed = str(error)
    else:
        failed = None
    assert rule["fired"], "the request was never made"
    if failed is None:
        assert result["response"]["target_documents"] == len(DOCS)
        pair.whole()
    elif moment == "backup dropped":
        assert "everything is copied" in failed
    elif pair.way == "delete":
        pair.tidy()
        assert pair.plain.count(pair.target) in (0, len(OLD)) and ("empty" in failed or "emptying" in failed), failed
    else:
        pair.as_before()
    pair.run(through)
    pair.whole()


@pytest.mark.parametrize("pair", ["create", "backup"], indirect=True)
def test_the_task_still_runs(through, proxy, pair):
    """Killed while the task copies: it is found again by its id, and no second one is started."""
    dies(through, proxy, pair, "watched", True, requests_per_second=40, slices=2)
    result = pair.run(through, requests_per_second=40, slices=2)
    pair.whole()
    assert result["response"]["resumed"] is True
    audit = through.audit(result["job"])
    assert [a["check_name"] for a in audit if a["step"] == "copy"][0] == "found"
    assert not any(a["check_name"] == "start" for a in audit)


@pytest.mark.parametrize("pair", ["backup"], indirect=True)
def test_killed_twice(through, proxy, pair):
    """The second process went on with the first one's copy, and died over it itself."""
    dies(through, proxy, pair, "started", True)
    dies(through, proxy, pair, "backup dropped", False)
    pair.run(through)
    pair.whole()


@pytest.mark.parametrize("pair", ["backup"], indirect=True)
def test_undone_later(through, proxy, pair):
    """The cluster goes away when the copy has failed: nothing can be undone then, the next call does it."""
    proxy.rule("status", code=500, on=pair.pattern("started"))
    proxy.rule("status", code=500, on=pair.pattern("deleted"), skip=1)
    through.one("SELECT os_config('MAX_RETRIES', 0)")
    with pytest.raises(sqlite3.Error, match="could not be undone"):
        pair.run(through)
    proxy.clear()
    with pytest.raises(sqlite3.Error, match="os_reindex"):  # nobody else may fill it meanwhile
        datasets.write(through / "n.ndjson", datasets.products(3))
        through.load("n.ndjson", pair.target, mode="append")
    pair.run(through, mode="undo")
    pair.as_before()


@pytest.mark.parametrize("pair", ["backup"], indirect=True)
def test_another_request_after_a_break(through, proxy, pair):
    """What was broken off is undone before something else is copied; resume refuses."""
    dies(through, proxy, pair, "watched", True)
    other = {"query": {"term": {"_id": next(iter(DOCS))}}}
    with pytest.raises(sqlite3.Error, match="asked for otherwise"):
        pair.run(through, mode="resume", **other)
    assert pair.run(through, **other)["response"]["target_documents"] == 1
    pair.tidy()
    pair.run(through, mode="fresh")
    pair.whole()


@pytest.mark.parametrize("pair, moment", [("create", "created"), ("create", "started"), *(("backup", m) for m in CLONE), ("backup", "started"),
                                          ("delete", "deleting")], indirect=["pair"])
def test_interrupted(through, proxy, pair, moment):
    """Ctrl-C while the cluster is at it: what was done is undone all the same."""
    rule = proxy.rule("delay_answer", on=pair.pattern(moment), seconds=1.5, times=1)
    running = through.start(pair.call())
    comes_to(proxy, rule)
    running.interrupt()
    out = running.finish(30)
    assert out.code != 0 and "interrupted" in out.err
    if pair.way == "delete":
        pair.tidy()
        assert re.search("holds [0-9]+ documents now|is empty now", out.err)
    else:
        pair.as_before()
    pair.run(through)
    pair.whole()


@pytest.mark.parametrize("pair", ["backup"], indirect=True)
def test_a_second_ctrl_c_leaves_the_rest(through, proxy, pair):
    """Undoing takes its time; who does not want to wait for it has it done by the next call."""
    rule = proxy.rule("hang", on=r"PUT /%s-os-backup-\d+/_clone/" % re.escape(pair.target), seconds=20)
    started = proxy.rule("delay_answer", on=pair.pattern("watched"), seconds=1, times=1)
    running = through.start(pair.call())
    comes_to(proxy, started)
    running.interrupt()
    comes_to(proxy, rule)
    running.interrupt()
    out = running.finish(5)
    assert out.code != 0 and "could not be undone" in out.err and '"mode":"undo"' in out.err
    proxy.clear()
    pair.run(through, mode="undo")
    pair.as_before()
