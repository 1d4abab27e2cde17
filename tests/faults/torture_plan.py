"""What one run of the fault campaign does, decided by its seed alone: the records and their files, the loads, the faults,
the kills. Nothing here talks to a server.

    plan = Plan(seed)          .describe() prints it
    plan.write(folder)         the files of all steps

A record is a Record: which file, where in it, its id (None: computed), the document that the index should hold, and
whether it is bad (refused by the server's mapping, or not even well formed). Every record has a tag, #000123#, in its
document, so that it can be told from every other wherever its bytes turn up.
"""
import csv
import io
import json
import random
from collections import namedtuple
from pathlib import Path

import datasets

PROPERTIES = {"tag": {"type": "keyword"}, "n": {"type": "long"}, "t": {"type": "text"}, "stock": {"type": "long"},
              "f0": {"type": "keyword"}, "f1": {"type": "keyword"}, "f2": {"type": "keyword"}}
WORDS = ("red", "Tür", "日本", 'with "quotes"', "a, comma", "two\nlines", "tab\there", "back\\slash", "😀", "ends\r\nhere")
COLUMNS = ("tag", "n", "t", "stock", "f0", "f1", "f2")

Record = namedtuple("Record", "file tag id doc bad")
Kill = namedtuple("Kill", "when amount signal")   # when: "bulk" (so many requests seen) or "ms" (after the start)
Step = namedtuple("Step", "mode options files kills again")

# (share of plans, the rule); numbers in [a, b] are drawn from that range
BULK_FAULTS = (
    (3, dict(fault="cut_before")), (3, dict(fault="cut_request")), (6, dict(fault="cut_after")), (4, dict(fault="cut_answer")),
    (3, dict(fault="status", code=429)), (1, dict(fault="status", code=429, headers={"Retry-After": "1"})),
    (3, dict(fault="status", code=503)), (1, dict(fault="status", code=500)), (2, dict(fault="status", code=502, html=True)),
    (2, dict(fault="status_after", code=504)), (2, dict(fault="status_after", code=429)), (2, dict(fault="status_after", code=503)),
    (1, dict(fault="status", code=400)), (1, dict(fault="status", code=413)),
    (3, dict(fault="delay_answer", seconds=[0.1, 0.4])), (3, dict(fault="delay_answer", seconds=[1.3, 1.6], slow=True)),
    (2, dict(fault="hang", seconds=[1.3, 1.6], slow=True)), (4, dict(fault="duplicate", answer="first")), (4, dict(fault="duplicate", answer="second")),
    (5, dict(fault="items", status=429, percent=[5, 60])), (4, dict(fault="items", status=503, percent=[5, 60])),
    (3, dict(fault="items", status=429, percent=[5, 60], sent=True)), (3, dict(fault="items", status=503, percent=[5, 60], sent=True)),
    (3, dict(fault="items", status=400, percent=[1, 8])), (1, dict(fault="items", status=403, percent=[5, 60], error="cluster_block_exception")),
    *((2, dict(fault="lie", kind=kind)) for kind in ("short", "long", "empty", "html", "text", "truncated", "array", "no_items")),
    (1, dict(fault="lie", kind="gigantic", bytes=70 << 20)),
)
OTHER_FAULTS = (
    (3, dict(fault="cut_before")), (4, dict(fault="cut_after")), (3, dict(fault="cut_answer")), (3, dict(fault="status", code=503)),
    (2, dict(fault="status", code=429)), (2, dict(fault="status", code=502, html=True)), (2, dict(fault="status_after", code=504)),
    (2, dict(fault="delay_answer", seconds=[0.1, 0.4])), (1, dict(fault="hang", seconds=[1.3, 1.6], slow=True)),
    (1, dict(fault="lie", kind="html")), (1, dict(fault="lie", kind="empty")), (1, dict(fault="lie", kind="truncated")),
)


def pick(rng, weighted):
    return rng.choices([x for _, x in weighted], [w for w, _ in weighted])[0]


class Plan:
    def __init__(self, seed):
        self.seed = seed
        rng = random.Random("torture %d" % seed)
        self.ids = pick(rng, ((4, "computed"), (1, "none"), (3, "own"), (2, "mixed"), (5, "repeated")))
        self.op = "index" if self.ids in ("computed", "none") else pick(rng, ((6, "index"), (2, "create"), (2, "update" if self.ids != "mixed" else "index")))
        self.story = self._story(rng)
        self.files = self._names(rng)
        self.records = self._records(rng)
        self.foreign = rng.choice((0, 0, 7, 300))  # documents that are there before
        self.foreign_under_own_ids = self.ids in ("own", "repeated") and rng.random() < 0.3
        self.create = not self.foreign and rng.random() < 0.2
        self.tuned = rng.random() < 0.2
        self.environment = {"MAX_RETRIES": rng.choice((0, 1, 2, 5, 10, 30)), "REQUEST_TIMEOUT": 20}
        if rng.random() < 0.3:
            self.environment["HTTP_COMPRESS"] = "true"
        if rng.random() < 0.5:
            self.environment["INDEX_RECREATE_THRESHOLD"] = 100
        self.steps = self._steps(rng)
        self.rules = self._rules(rng)
        self.refusals = [(rng.randint(1, 20), round(rng.uniform(0.3, 2), 2)) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        self.retry = rng.random() < 0.4
        self.faulty_lives = rng.randint(2, 6)

    # ---- what is loaded how -----------------------------------------------------------------------------------
    def _story(self, rng):
        """The modes of the loads, one after the other. grow: the second one finds more files in the folder."""
        if self.op == "update" or self.ids == "own" and rng.random() < 0.5:
            return rng.choice((("upsert",), ("upsert", "upsert"), ("upsert", "grow")))
        stories = [(3, ("append",)), (2, ("fresh",)), (1, ("append", "grow")), (1, ("fresh", "fresh")), (1, ("append", "fresh"))]
        if self.ids in ("own", "repeated"):
            stories += [(3, ("upsert",)), (2, ("upsert", "upsert")), (1, ("upsert", "grow"))]
        elif self.ids in ("computed", "none"):
            stories += [(1, ("append", "again"))]
        return pick(rng, stories)

    def _names(self, rng):
        count = 3 if self.ids == "repeated" else rng.randint(2 if "grow" in self.story else 1, 4)
        kinds = ["csv", "ndjson", "json", "members"] if rng.random() < 0.5 else [rng.choice(("csv", "ndjson", "json", "members"))]
        if self.op == "update":
            kinds = ["ndjson"]
        out = []
        for letter in "abcd"[:count]:
            kind = rng.choice(kinds)
            out.append("%s.%s%s" % (letter, "members.json" if kind == "members" else kind, rng.choice(("", "", ".gz", ".zst"))))
        self.by_key = self.ids in ("own", "repeated") and all(".members." in name for name in out)
        return out

    def _id(self, rng, n):
        if self.ids == "own" or self.ids == "mixed" and rng.random() < 0.5:
            return "own %d" % n
        if self.ids == "repeated":
            return "key-%d" % rng.randrange(self.distinct)
        return None

    def _records(self, rng):
        total = rng.choice((300, 500, 800, 1500, 3000))
        # creates and updates of one id wait for one another, a request each
        self.distinct = rng.choice((5, 20, 100, 400)) if self.op == "index" else rng.choice((50, 100, 400))
        bad_share = rng.choice((0, 0, 0.003, 0.02))
        self.pad = rng.choice((0, 30, 300, 2000))
        weights = [rng.random() + 0.1 for _ in self.files]
        out = []
        for name, weight in zip(self.files, weights):
            for _ in range(max(2, int(total * weight / sum(weights)))):
                n = len(out)
                tag = "#%06d#" % n
                doc = {"tag": tag, "n": n, "t": rng.choice(WORDS) + "x" * rng.randint(0, self.pad), "stock": rng.randint(0, 99)}
                if self.op == "update":
                    for member in rng.sample(("f0", "f1", "f2"), rng.randint(1, 2)):
                        doc[member] = "%s of %d" % (member, n)
                bad = None
                if rng.random() < bad_share:
                    bad = rng.choice(("server", "parser")) if name.startswith(tuple("abcd")) and (".ndjson" in name or ".csv" in name) else "server"
                if bad == "server":
                    doc["stock"] = "many"
                out.append(Record(name, tag, self._id(rng, n), doc, bad))
        return out

    # ---- the files ----------------------------------------------------------------------------------------------
    def of_file(self, name):
        return [r for r in self.records if r.file == name]

    def _csv(self, records):
        with_ids = any(r.id for r in records)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        columns = [c for c in COLUMNS if any(c in r.doc for r in records)]
        writer.writerow((["_id"] if with_ids else []) + columns)
        for r in records:
            if r.bad == "parser":  # a cell too many
                writer.writerow([r.tag] * (len(columns) + 4))
            else:
                writer.writerow(([r.id or ""] if with_ids else []) + [r.doc.get(c, "") for c in columns])
        return out.getvalue()

    def _json(self, r, rng):
        if r.bad == "parser":
            return '{"tag":"%s", broken' % r.tag
        doc = dict(r.doc)
        if r.id is not None and not self.by_key:
            doc = {"_id": r.id, **doc}
        return json.dumps(doc, ensure_ascii=rng.random() < 0.5)

    def text_of(self, name):
        records, rng = self.of_file(name), random.Random("%d %s" % (self.seed, name))
        if ".csv" in name:
            return self._csv(records)
        if ".ndjson" in name:
            return "".join(self._json(r, rng) + "\n" for r in records)
        gap = rng.choice(("", "\n", " \n  "))
        if ".members." in name:
            return "{" + ("," + gap).join("%s:%s" % (json.dumps(r.id if self.by_key else "m" + r.tag), self._json(r, rng)) for r in records) + "}"
        return "[" + gap + ("," + gap).join(self._json(r, rng) for r in records) + "]\n"

    def write(self, folder, names):
        for name in names:
            target = Path(folder) / name
            if not target.exists():
                target.write_bytes(datasets.compress(self.text_of(name).encode(), name))

    # ---- loads, kills, faults -------------------------------------------------------------------------------------
    def _kills(self, rng):
        if rng.random() < 0.45:
            return ()
        out = []
        for _ in range(rng.randint(1, 4)):
            name = pick(rng, ((6, "SIGKILL"), (1, "SIGTERM"), (2, "SIGINT")))
            out.append(Kill("bulk", rng.randint(1, 25), name) if rng.random() < 0.8 else Kill("ms", rng.randint(40, 700), name))
        return tuple(out)

    def _steps(self, rng):
        options = {"batch_size": rng.choice((7, 20, 50, 100, 250, 1000)), "max_workers": rng.choice((1, 2, 4, 8))}
        if rng.random() < 0.4:
            options["batch_bytes"] = rng.choice((2000, 10000, 50000))
        if len(self.records) / options["batch_size"] > 120:
            options["batch_size"] = 50
        if self.op != "index":
            options["op"] = self.op
        if self.ids == "none":
            options["id_field"] = None
        if self.by_key:
            options["id_field"] = "@key"
            options["json_root"] = "members"
        if self.tuned:
            options["tune_index"] = True
        if rng.random() < 0.2:
            options["validate"] = "ids"
        if self.create:
            options["create"] = {"mappings": {"properties": PROPERTIES}, "settings": {"number_of_replicas": 0, "number_of_shards": 1}}
        out = []
        for i, mode in enumerate(self.story):
            grows = i + 1 < len(self.story) and self.story[i + 1] == "grow"
            files = self.files[:max(1, len(self.files) // 2)] if grows else self.files
            mine = dict(options, mode={"grow": "resume", "again": "append"}.get(mode, mode))
            if mode == "again":
                mine["allow_again"] = True
            # the first of two loads mostly goes through, so that the second has something behind it
            kills = () if len(self.story) > 1 and i == 0 and rng.random() < 0.7 else self._kills(rng)
            out.append(Step(mode, mine, files, kills, rng.random() < 0.3))
        return out

    def _drawn(self, rng, rule, kind):
        rule = dict(rule, on=kind)
        for key, value in rule.items():
            if isinstance(value, list):
                rule[key] = round(rng.uniform(*value), 2)
        if rule.pop("slow", False):
            self.environment["REQUEST_TIMEOUT"] = 1
            rule.update(times=rng.randint(1, 2))
        gentle = rule["fault"] in ("items", "duplicate", "delay_answer")
        rule.setdefault("times", 1 if rule.get("kind") == "gigantic" else rng.randint(1, 40 if gentle else 8))
        rule["share"] = round(rng.uniform(0.05, 0.6), 2)
        rule["skip"] = rng.choice((0, 0, 0, rng.randint(1, 20)))
        return rule

    def _rules(self, rng):
        rules = []
        if rng.random() < 0.25:
            rules.append(dict(fault="limit", on="bulk", bytes=rng.choice((1500, 4000, 20000))))
        for _ in range(rng.choice((0, 1, 1, 2, 3, 4))):
            rule = self._drawn(rng, pick(rng, BULK_FAULTS), "bulk")
            # a record that is refused by chance can be in a later load of the same files
            if rule.get("status") == 400 or rule.get("code") in (400, 413):
                if len(self.steps) > 1:
                    continue
            rules.append(rule)
        for kind in ("read", "write"):
            if rng.random() < 0.3:
                rules.append(self._drawn(rng, pick(rng, OTHER_FAULTS), kind))
        if any(step.kills for step in self.steps) or rng.random() < 0.3:
            rules.append(dict(fault="delay_answer", on="bulk", seconds=round(rng.uniform(0.005, 0.06), 3)))
        return rules

    def may_refuse(self, status):
        """Was a fault planned that makes the server refuse a record with this status by chance?"""
        if status == 413:
            return any(r["fault"] == "limit" or r.get("code") == 413 for r in self.rules)
        return any(r.get("status") == status or r.get("code") == status for r in self.rules)

    def describe(self):
        lines = ["seed %d: ids %s, op %s, loads %s" % (self.seed, self.ids, self.op, ", ".join(self.story)),
                 "  records %d in %s%s" % (len(self.records), ", ".join("%s (%d)" % (f, len(self.of_file(f))) for f in self.files),
                                           ", %d ids" % len({r.id for r in self.records}) if self.ids == "repeated" else ""),
                 "  bad %s; there before: %d%s%s%s" % ({b: sum(r.bad == b for r in self.records) for b in ("server", "parser")}, self.foreign,
                                                      " and some under the ids of the files" if self.foreign_under_own_ids else "",
                                                      "; index created by the load" if self.create else "", "; retried at the end" if self.retry else ""),
                 "  environment %s" % self.environment]
        lines += ["  load %s %s kills %s%s" % (s.mode, json.dumps(s.options), [tuple(k) for k in s.kills], " (may run again instead of resume)" if s.again else "")
                  for s in self.steps]
        lines += ["  fault %s" % json.dumps(r) for r in self.rules]
        lines += ["  connection refused from request %d on for %s s" % r for r in self.refusals]
        lines += ["  after %d lives the faults end" % self.faulty_lives]
        return "\n".join(lines)
