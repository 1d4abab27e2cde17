"""The alias moves and something happens in between: the answer is lost, the process dies, somebody else moves it too. What is
read afterwards decides; and os_undo_alias puts it back."""
import signal
import threading
import time

import pytest

from harness.crash import kill_at
from harness.refusal import refusal
from test_alias_switch import FULL, Pair

MOVE = r"POST /_aliases"


@pytest.fixture
def pair(through, plain):
    made = Pair(through, plain, alias=FULL)
    yield made
    plain.call("DELETE", "/%s*" % made.alias)


def moved(pair):
    return {pair.new: pair.before[pair.old]}


def meanwhile(proxy, rule, action):
    """Run `action` once the rule has fired, in another thread; gives the thread."""
    def wait():
        for _ in range(1000):
            if rule["fired"]:
                time.sleep(0.2)  # a rule that answers late has its request done by then
                return action()
            proxy.wait(0.01)
    thread = threading.Thread(target=wait)
    thread.start()
    return thread


# ---- the answer is lost -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fault, how", [("cut_after", {}), ("cut_before", {}), ("cut_answer", {}), ("status", {"code": 503}), ("status", {"code": 429}),
                                        ("status", {"code": 502, "html": True}), ("status_after", {"code": 504}), ("status_after", {"code": 502}),
                                        ("lie", {"kind": "html"}), ("lie", {"kind": "empty"}), ("duplicate", {"answer": "second"})])
def test_answer_lost_or_wrong(pair, proxy, fault, how):
    """Whether it was carried out or not: in the end it was, once, and the audit tells."""
    proxy.rule(fault, on=MOVE, times=1, **how)
    result = pair.switch()
    assert pair.where() == moved(pair) and result["status"] == "success"
    assert [r["verdict"] for r in pair.audit(result["job"])][-1] == "pass"
    pair.box.run("os_undo_alias", result["job"])
    assert pair.where() == pair.before


def test_answer_that_never_comes(pair, proxy):
    proxy.rule("delay_answer", on=MOVE, seconds=5, times=1)
    pair.box.one("SELECT os_config('REQUEST_TIMEOUT', 1)")
    pair.switch()
    assert pair.where() == moved(pair)


@pytest.mark.parametrize("fault, how", [("cut_before", {}), ("status", {"code": 503})])
def test_never_carried_out(pair, proxy, fault, how):
    """It is sent three times, then the command says where the alias is; calling it again moves it."""
    rule = proxy.rule(fault, on=MOVE, **how)
    with refusal("is still on '%s'" % pair.old):
        pair.switch()
    assert rule["fired"] == 3 and pair.where() == pair.before
    proxy.clear()
    pair.switch()
    assert pair.where() == moved(pair)


def test_acknowledged_and_not_done(pair, proxy):
    """What is read back decides, not the answer."""
    proxy.rule("status", on=MOVE, code=200, body='{"acknowledged":true}')
    with refusal("somebody else changed alias.*is on '%s' now" % pair.old):
        pair.switch()
    assert pair.where() == pair.before and pair.audit()[-1]["verdict"] == "fail"


def test_not_acknowledged_and_done(pair, proxy):
    proxy.rule("status_after", on=MOVE, code=200, body='{"acknowledged":false}', times=1)
    pair.switch()
    assert pair.where() == moved(pair)


def test_refused_by_the_server(pair, proxy):
    proxy.rule("status", on=MOVE, code=403, body='{"error":{"type":"security_exception","reason":"no permissions for [indices:admin/aliases] and User [x]"}}')
    with refusal("stays on '%s'.*indices:admin/aliases" % pair.old):
        pair.switch()
    assert pair.where() == pair.before
    job = pair.box.one("SELECT max(job) FROM os_jobs")
    proxy.clear()
    assert pair.box.run("os_undo_alias", job)["response"]["already"]


def test_the_cluster_goes_away_after_the_request(pair, proxy):
    """Nobody can tell; the next call finds it moved, and it can be undone by either job."""
    proxy.rule("cut_after", on=MOVE)
    proxy.rule("cut_before", on=r"GET /\S+/_alias/", skip=2)
    pair.box.one("SELECT os_config('MAX_RETRIES', 0)")
    with refusal("is not known.*do it again"):
        pair.switch()
    assert pair.where() == moved(pair)
    first = pair.box.one("SELECT max(job) FROM os_jobs")
    proxy.clear()
    result = pair.switch()
    assert result["response"]["already"] is True and pair.where() == moved(pair)
    assert "job %d moved it" % first in pair.audit(result["job"])[-1]["detail"]
    pair.box.run("os_undo_alias", result["job"])
    assert pair.where() == pair.before


# ---- the process dies ---------------------------------------------------------------------------------------------------------
# where: (requests that match before it, the request, is it carried out)
MOMENTS = {"first look": (0, r"GET /\S+/_alias/", False), "counting": (0, r"GET /\S+/_count", False), "last look": (1, r"GET /\S+/_alias/", False),
           "index looked at": (2, r"GET /\S+/_alias(\?|$)", False), "moved": (0, MOVE, True), "read back": (2, r"GET /\S+/_alias/", True)}


@pytest.mark.table
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("then", ["again", "undo"])
def test_killed(pair, proxy, moment, then):
    """kill -9 when the cluster has done the request and not answered; then the same call, or an undoing, sets it right."""
    skip, on, done = MOMENTS[moment]
    kill_at(pair.box, proxy, "SELECT os_switch_alias('%s','%s','%s');" % (pair.alias, pair.old, pair.new), on, skip=skip)
    assert pair.where() == (moved(pair) if done else pair.before)
    job = pair.box.one("SELECT max(job) FROM os_jobs")
    assert pair.box.one("SELECT status FROM os_jobs WHERE job = ?", job) == "interrupted"
    if then == "again":
        result = pair.switch()
        assert result["response"]["already"] is done and pair.where() == moved(pair)
        pair.box.run("os_undo_alias", result["job"])
        assert pair.where() == pair.before
    elif moment in ("first look", "counting"):
        with refusal("moved no alias"):
            pair.box.run("os_undo_alias", job)
    else:
        assert pair.box.run("os_undo_alias", job)["response"]["already"] is not done
        assert pair.where() == pair.before


@pytest.mark.parametrize("late", [0.3, 5])
def test_interrupted_during_the_request(pair, proxy, late):
    """Ctrl-C: an answer that is about to come is waited for, else the state is said to be unknown; again sets it right."""
    rule = proxy.rule("delay_answer", on=MOVE, seconds=late, times=1)
    running = pair.box.start("SELECT os_switch_alias('%s','%s','%s');" % (pair.alias, pair.old, pair.new))
    while not rule["fired"]:
        proxy.wait(0.01)
    time.sleep(0.1)
    began = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    result = running.finish(20)
    assert time.monotonic() - began < 3
    proxy.clear()
    again = pair.box.sql("SELECT os_switch_alias('%s','%s','%s');" % (pair.alias, pair.old, pair.new), check=False)
    assert pair.where() == moved(pair)
    if late > 1:
        assert result.code != 0 and "is not known" in result.err and again.json()["response"]["already"] is True
    else:
        assert "already" in again.out + again.err


# ---- somebody else is faster ------------------------------------------------------------------------------------------------------
def third(pair):
    name = pair.alias + "_v3"
    pair.cluster.create(name)
    return name


def test_moved_by_somebody_right_before(pair, proxy):
    """remove of an alias that is not there is silently dropped and the alias is on two indices then: must_exist hinders it."""
    other = third(pair)
    rule = proxy.rule("delay", on=MOVE, seconds=1.5, times=1)
    thread = meanwhile(proxy, rule, lambda: pair.change({"remove": {"index": pair.old, "alias": pair.alias}}, {"add": {"index": other, "alias": pair.alias}}))
    with refusal("somebody else changed alias.*%s" % other):
        pair.switch()
    thread.join()
    assert pair.where() == {other: {}}


def test_changed_by_somebody_since_the_guards(pair, proxy):
    """A new filter came after the alias was read: it is not overwritten by the old one."""
    rule = proxy.rule("delay", on=r"GET /\S+/_count", seconds=1, times=1)
    new = {"filter": {"term": {"k": "b"}}}
    thread = meanwhile(proxy, rule, lambda: pair.change({"add": {"index": pair.old, "alias": pair.alias, **new}}))
    with refusal("somebody else changed"):
        pair.switch()
    thread.join()
    assert pair.where() == {pair.old: new}


def test_target_becomes_another_index(pair, proxy):
    """Deleted, and created again by whoever wrote to it: empty, under the name that had been looked at."""
    rule = proxy.rule("delay", on=r"GET /\S+/_alias/", skip=1, seconds=1, times=1)

    def replace():
        pair.cluster.delete(pair.new)
        pair.cluster.put(pair.new, "1", {"k": "a"})
    thread = meanwhile(proxy, rule, replace)
    with refusal("became another one"):
        pair.switch()
    thread.join()
    assert pair.where() == pair.before


def test_target_deleted_midway(pair, proxy):
    rule = proxy.rule("delay", on=MOVE, seconds=1, times=1)
    thread = meanwhile(proxy, rule, lambda: pair.cluster.delete(pair.new))
    with refusal("stays on '%s'.*%s" % (pair.old, pair.new)):
        pair.switch()
    thread.join()
    assert pair.where() == pair.before


@pytest.mark.parametrize("state", ["both", "none"])
def test_repaired(pair, proxy, state):
    """It is on both indices, or on none, when it is read back: the next request makes it one."""
    rule = proxy.rule("delay_answer", on=MOVE, seconds=1.5, times=1)
    action = {"add": {"index": pair.old, "alias": pair.alias}} if state == "both" else {"remove": {"index": pair.new, "alias": pair.alias}}
    thread = meanwhile(proxy, rule, lambda: pair.change(action))
    result = pair.switch()
    thread.join()
    assert pair.where() == moved(pair)
    rows = pair.audit(result["job"])
    assert [r["check_name"] for r in rows if r["verdict"] == "did"] == ["alias", "repair"]


def test_moved_on_by_somebody_right_after(pair, proxy):
    other = third(pair)
    rule = proxy.rule("delay_answer", on=MOVE, seconds=1.5, times=1)
    thread = meanwhile(proxy, rule, lambda: pair.change({"remove": {"index": pair.new, "alias": pair.alias}}, {"add": {"index": other, "alias": pair.alias}}))
    with refusal("somebody else changed.*%s" % other):
        pair.switch()
    thread.join()
    assert pair.where() == {other: {}}


def test_two_at_once(pair):
    """Two processes move the same alias to different indices: one wins, the other says so, and it is on one index."""
    other = third(pair)
    runs = [pair.box.start("SELECT os_switch_alias('%s','%s','%s','{\"allow_empty\":true}');" % (pair.alias, pair.old, to)) for to in (pair.new, other)]
    codes = [run.finish(30).code for run in runs]
    assert sorted(codes) == [0, 1] and list(pair.where()) == [(pair.new, other)[codes.index(0)]]


# ---- undoing --------------------------------------------------------------------------------------------------------------------
def test_undo_and_undo_of_the_undoing(pair):
    job = pair.switch()["job"]
    result = pair.box.run("os_undo_alias", job)
    assert pair.where() == pair.before and result["response"] == {"alias": pair.alias, "source": pair.new, "target": pair.old, "undone": job, "already": False}
    assert pair.box.run("os_undo_alias", job)["response"]["already"] is True and pair.where() == pair.before
    pair.box.run("os_undo_alias", result["job"])
    assert pair.where() == moved(pair)


def test_undo_dry_run(pair):
    job = pair.switch()["job"]
    result = pair.box.run("os_undo_alias", job, {"dry_run": True})
    assert pair.where() == moved(pair) and {c["verdict"] for c in result["checks"]} == {"pass"}


def test_undo_when_it_was_moved_again(pair):
    job = pair.switch()["job"]
    other = third(pair)
    pair.switch(source=pair.new, target=other, allow_empty=True)
    with refusal("was moved again since job %d.*%s" % (job, other)):
        pair.box.run("os_undo_alias", job)
    assert pair.where() == {other: pair.before[pair.old]}


@pytest.mark.parametrize("change", ["new", "old"])
def test_undo_when_the_filter_was_changed(pair, change):
    job = pair.switch()["job"]
    if change == "old":
        pair.box.run("os_undo_alias", job)
    index = pair.new if change == "new" else pair.old
    pair.change({"add": {"index": index, "alias": pair.alias, "filter": {"term": {"k": "b"}}}})
    with refusal("filter, routing or write flag were changed"):
        pair.box.run("os_undo_alias", job)
    assert pair.where() == {index: {"filter": {"term": {"k": "b"}}}}


@pytest.mark.parametrize("state, word", [("replaced", "is another one"), ("closed", "is closed"), ("deleted", "does not exist")])
def test_undo_to_an_index_that_is_not_what_it_was(pair, state, word):
    job = pair.switch()["job"]
    if state == "closed":
        pair.cluster.call("POST", "/%s/_close" % pair.old)
    else:
        pair.cluster.delete(pair.old)
    if state == "replaced":
        pair.cluster.create(pair.old)
    with refusal(word):
        pair.box.run("os_undo_alias", job)
    assert pair.where() == moved(pair)


def test_undo_of_what_moved_nothing(pair):
    with refusal("no ledger yet"):
        pair.box.run("os_undo_alias", 1)
    with refusal("has 0 documents"):
        pair.switch(target=third(pair))
    for job in (1, 99):
        with refusal("job %d moved no alias" % job):
            pair.box.run("os_undo_alias", job)


def test_undo_while_it_runs(pair, proxy):
    rule = proxy.rule("delay_answer", on=MOVE, seconds=3, times=1)
    running = pair.box.start("SELECT os_switch_alias('%s','%s','%s');" % (pair.alias, pair.old, pair.new))
    while not rule["fired"]:
        proxy.wait(0.01)
    with refusal("still runs"):
        pair.box.run("os_undo_alias", pair.box.one("SELECT max(job) FROM os_jobs"))
    assert running.finish(30).code == 0 and pair.where() == moved(pair)


def test_undo_goes_to_the_cluster_of_the_job(pair, plain):
    """Another connection had been used: it is the default, and one that is not known here is named."""
    pair.box.one("SELECT os_connect('other', json_object('endpoint', ?))", plain.url)
    job = pair.switch(connection="other")["job"]
    pair.box.one("SELECT os_config('OPENSEARCH_ENDPOINT', 'http://127.0.0.1:1')")
    pair.box.run("os_undo_alias", job)
    assert pair.where() == pair.before
    pair.box.fails("SELECT os_undo_alias(%d);" % job, "other")
