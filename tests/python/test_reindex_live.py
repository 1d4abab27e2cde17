"""os_reindex_versions, method live: the next version is equal to the old one although others write and delete all the time, and
whoever writes through the alias loses nothing."""
import json
import random
import sqlite3
import threading
import time
import urllib.request

import pytest

from harness.crash import kill_at
from harness.refusal import refusal
from test_reindex_versions import Versions, documents

WRITERS = 4


@pytest.fixture
def live(box, plain):
    made = Versions(box, plain, count=3000)
    for i in (0, 1):  # they are served by the alias of the trigger, as after an earlier version
        plain.call("POST", "/_aliases", {"actions": [{"add": {"index": made.names[i], "alias": made.alias[i]}}]})
    yield made
    plain.call("DELETE", "/%s*" % made.base)


@pytest.fixture
def behind(through, plain, proxy):
    made = Versions(through, plain, url=proxy.url, count=400)
    made.trigger["indices"] = made.names[:1]
    yield made
    plain.call("DELETE", "/%s*" % made.base)


def run(versions, **options):
    return versions.run(method="live", **options)


class Writer(threading.Thread):
    """Changes and deletes documents of its own through `name`, again and again until each was acknowledged."""
    def __init__(self, cluster, name, number, first):
        super().__init__(daemon=True)
        self.cluster, self.name, self.number, self.ending = cluster, name, number, False
        self.rng, self.model, self.done, self.refused, self.faults = random.Random(number), dict(first), 0, 0, []
        self.ids = sorted(first) + ["w%d-%d" % (number, i) for i in range(200)]

    def send(self, lines, changes):
        while not self.ending:
            answer = self.cluster.call("POST", "/%s/_bulk?require_alias=false" % self.name, "\n".join(lines) + "\n",
                                       content_type="application/x-ndjson")
            statuses = [next(iter(item.values()))["status"] for item in answer["items"]]
            if all(status in (200, 201, 404) for status in statuses):
                for key, doc in changes.items():
                    if doc is None:
                        self.model.pop(key, None)
                    else:
                        self.model[key] = doc
                self.done += 1
                return
            if any(status not in (200, 201, 404, 403) for status in statuses):
                self.faults.append(answer)
                return
            self.refused += 1  # blocked: as a whole or not at all, since no id comes twice
            time.sleep(0.02)

    def run(self):
        while not self.ending:
            lines, changes = [], {}
            for key in self.rng.sample(self.ids, 10):
                if self.rng.random() < 0.25:
                    lines.append(json.dumps({"delete": {"_id": key}}))
                    changes[key] = None
                else:
                    changes[key] = {"k": "w", "n": self.rng.randrange(10 ** 6)}
                    lines += [json.dumps({"index": {"_id": key}}), json.dumps(changes[key])]
            self.send(lines, changes)
            time.sleep(0.005)


def start_writers(versions, name, first):
    share = {n: {k: v for k, v in first.items() if int(k) % WRITERS == n} for n in range(WRITERS)}
    writers = [Writer(versions.cluster, name, n, share[n]) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    time.sleep(0.5)
    return writers


def stop(writers):
    for writer in writers:
        writer.ending = True
    model = {}
    for writer in writers:
        writer.join(20)
        assert writer.faults == [] and writer.done > 10, (writer.done, writer.faults[:1])
        model.update(writer.model)
    return model


def test_writers_through_the_alias_lose_nothing(live):
    """Each keeps what was acknowledged to it; the new index is the sum of that, to the last document."""
    live.trigger["indices"] = live.names[:1]
    writers = start_writers(live, live.alias[0], documents(3000))
    seen = []
    def search():
        while not writers[0].ending:
            found = live.cluster.call("POST", "/%s/_search" % live.alias[0], {"size": 0, "track_total_hits": True})
            seen.append((found["_shards"]["failed"], found["hits"]["total"]["value"]))
    searching = threading.Thread(target=search, daemon=True)
    searching.start()
    result = run(live)
    time.sleep(0.5)  # they go on with the new one
    model = stop(writers)
    searching.join(10)
    assert live.cluster.documents(live.next[0]) == model
    assert not live.cluster.exists(live.names[0])
    assert seen and all(failed == 0 and 1500 < total < 4500 for failed, total in seen), seen[:5]
    assert result["response"]["indices"][0]["state"] == "replaced"
    checks = {(a["step"], a["check_name"]): a for a in live.audit(result["job"])}
    assert checks["live", "equal"]["verdict"] == "pass" and ("live", "block") in checks
    assert sum(w.refused for w in writers) > 0, "nobody met the block: this shows nothing"


def test_the_new_index_is_identical_to_the_old(live):
    """Writers by the old index's own name: behind the block they are refused, and both stay as they were."""
    live.trigger["indices"] = live.names[:1]
    writers = start_writers(live, live.names[0], documents(3000))
    run(live, keep_old=True)
    model = stop(writers)
    old, new = live.cluster.documents(live.names[0]), live.cluster.documents(live.next[0])
    assert new == old == model
    assert live.cluster.setting(live.names[0], "blocks.write") == "true", "a late writer must be told"


def test_without_writers(live):
    result = run(live)
    live.check_done()
    details = {a["check_name"]: a["detail"] for a in live.audit(result["job"])}
    assert "deletes" not in details, "counts were equal: nothing had to be looked up"
    for i in (0, 1):
        assert live.cluster.setting(live.next[i], "blocks.write") in (None, "false")


def test_what_json_holds_is_kept(behind):
    """Numbers to the last digit, routing, documents over several lines, an id that needs escapes."""
    cluster, old, new = behind.cluster, behind.names[0], behind.next[0]
    cluster.call("PUT", "/%s/_mapping" % old, {"properties": {"raw": {"type": "object", "enabled": False}}})
    text = '{"k":"x",\n "raw":{"n":12345678901234567890123.4500,\n"t":"a\\u0000b\\ud83d\\ude00"}}'
    cluster.call("PUT", "/%s/_doc/%%22q%%22%%5C%%2F%%C3%%BC?routing=r%%2F1&refresh=true" % old, text.encode())
    run(behind)
    with urllib.request.urlopen(cluster.url + "/%s/_source/%%22q%%22%%5C%%2F%%C3%%BC?routing=r%%2F1" % new) as answer:
        text = answer.read().decode()
    assert "12345678901234567890123.4500" in text and json.loads(text)["raw"]["t"] == "a\0b😀"
    assert cluster.count(new) == 401


def test_the_methods_do_not_mix(behind, proxy):
    proxy.rule("status", code=400, on=r"POST /_reindex")
    with refusal():
        behind.run()
    proxy.clear()
    behind.refused("was begun with method 'server'", method="live")
    behind.run()
    assert behind.indices() == [behind.next[0], behind.names[1]]
    behind.trigger["indices"] = behind.names[1:]
    proxy.rule("status", code=400, on=r"PUT /%s/_block" % behind.names[1])
    with refusal():
        run(behind)
    behind.refused("was begun with method 'live'")
    proxy.clear()
    run(behind)
    assert not behind.cluster.exists(behind.names[1])


def test_a_block_that_takes_too_long_is_lifted(behind, proxy):
    """The old index takes writes again, serves as before, and the next call goes on."""
    proxy.rule("delay_answer", on=r"POST /%s/_refresh" % behind.names[0], seconds=1.5, skip=1)
    with refusal() as caught:
        run(behind, max_block=1)
    assert "has refused writes for" in str(caught.value) and "serves and takes writes as before" in str(caught.value)
    assert behind.cluster.setting(behind.names[0], "blocks.write") in (None, "false")
    assert set(behind.aliases(behind.names[0])) == {behind.names[0] + "_other"}
    proxy.clear()
    behind.cluster.put(behind.names[0], "late", {"k": "late", "n": 1})
    run(behind)
    behind.check_done((0,), {**documents(400), "late": {"k": "late", "n": 1}})


def test_somebody_elses_block_stays_theirs(behind, proxy):
    behind.cluster.call("PUT", "/%s/_settings" % behind.names[0], {"index.blocks.write": True})
    proxy.rule("status", code=400, on=r"POST /_aliases")
    with refusal():
        run(behind)
    assert behind.cluster.setting(behind.names[0], "blocks.write") == "true"
    proxy.clear()
    run(behind)
    behind.check_done((0,))


def test_a_document_that_does_not_fit_stops_it(behind, proxy):
    proxy.rule("items", status=400, percent=1, on=r"POST /%s/_bulk" % behind.next[0])
    with refusal() as caught:
        run(behind)
    assert "refuses document '" in str(caught.value) and "os_mapping" in str(caught.value)
    assert behind.cluster.setting(behind.names[0], "blocks.write") in (None, "false")
    proxy.clear()
    run(behind)
    behind.check_done((0,))


def test_cancelled(behind, proxy):
    rule = proxy.rule("delay_answer", on=r"POST /%s/_search" % behind.names[0], seconds=0.4)
    running = behind.box.start(behind.sql(method="live"))
    while not rule["fired"]:
        time.sleep(0.01)
    behind.box.one("SELECT os_cancel(max(job)) FROM os_jobs")
    result = running.finish(20)
    assert result.code == 1 and "cancel" in result.err, result
    proxy.clear()
    run(behind)
    behind.check_done((0,))


# killed when the cluster has done this request and not answered yet: (request, how many such go before)
MOMENTS = {"created": (r"PUT /%(new)s(\?|$)", 0), "copying": (r"POST /%(new)s/_bulk", 0), "blocked": (r"PUT /%(old)s/_block/write", 0),
           "last pass": (r"POST /%(old)s/_refresh", 1), "counting": (r"(GET|POST) /%(new)s/_count", 0), "swapped": (r"POST /_aliases", 0),
           "deleted": (r"DELETE /%(old)s(\?|$)", 0)}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_continued(behind, proxy, moment):
    pattern, before = MOMENTS[moment]
    names = {"old": behind.names[0], "new": behind.next[0]}
    kill_at(behind.box, proxy, behind.sql(method="live"), pattern % names, skip=before)
    late = {}
    if moment in ("created", "copying"):
        late = {"late": {"k": "late", "n": 5}}
        behind.cluster.put(behind.names[0], "late", late["late"])
    result = run(behind)
    assert result["status"] == "success" and result["response"]["continued"]
    behind.check_done((0,), {**documents(400), **late})
    assert behind.cluster.setting(behind.next[0], "blocks.write") in (None, "false")


@pytest.mark.parametrize("pattern", [r"PUT /%(new)s(\?|$)", r"PUT /%(old)s/_block/write", r"POST /_aliases", r"POST /%(old)s/_search", r"DELETE /%(old)s"])
def test_an_answer_is_lost(behind, proxy, pattern):
    proxy.rule("cut_after", on=pattern % {"old": behind.names[0], "new": behind.next[0]}, times=1)
    try:
        run(behind)
    except sqlite3.Error as error:
        assert "goes on from here" in str(error), error
        run(behind)
    behind.check_done((0,))
