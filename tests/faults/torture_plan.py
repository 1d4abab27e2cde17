"""What one run of the fault campaign does, decided by its seed alone: the records and their files, the loads, the faults,
the kills. Nothing here talks to a server.

    plan = Plan(seed)          .describe() prints it
    plan.write(folder, step)   the files of a step
    Plan(seed, "kills")        another family of runs: no faults of the network, but a process that dies again and again
    Plan(seed, "power")        the same, and each death is a power cut

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

PROPERTIES = {"tag": {"type": "keyword"}, "n": {"type": "long"}, "v": {"type": "long"}, "t": {"type": "text"}, "stock": {"type": "long"},
              "f0": {"type": "keyword"}, "f1": {"type": "keyword"}, "f2": {"type": "keyword"}}
WORDS = ("red", "Tür", "日本", 'with "quotes"', "a, comma", "two\nlines", "tab\there", "back\\slash", "😀", "ends\r\nhere")
COLUMNS = ("tag", "n", "v", "t", "stock", "f0", "f1", "f2")

Record = namedtuple("Record", "file tag id doc bad")
# when: "bulk", "any" (so many requests of the kind seen) or "ms" (after the start); signal: also POWER, after which the ledger
# holds what a disk might hold
Kill = namedtuple("Kill", "when amount signal")
Step = namedtuple("Step", "mode options files kills again")   # mode: what the load comes to, options["mode"]: what it is told

# (share of plans, the rule); numbers in [a, b] are drawn from that range
BULK_FAULTS = (
    (3, dict(fault="cut_before")), (4, dict(fault="cut_request", part=[0, 1])), (6, dict(fault="cut_after")), (4, dict(fault="cut_answer")),
    (2, dict(fault="cut_head")), (2, dict(fault="chunked")), (2, dict(fault="chunked", cut=True)), (2, dict(fault="drip", seconds=[0.1, 0.5])),
    (3, dict(fault="answer_twice", seconds=[0, 0.02])), (3, dict(fault="stale")),
    (3, dict(fault="status", code=429)), (1, dict(fault="status", code=429, headers={"Retry-After": "1"})),
    (3, dict(fault="status", code=503)), (1, dict(fault="status", code=500)), (2, dict(fault="status", code=502, html=True)),
    (2, dict(fault="status_after", code=504)), (2, dict(fault="status_after", code=429)), (2, dict(fault="status_after", code=503)),
    (1, dict(fault="status", code=400)), (1, dict(fault="status", code=413)),
    (3, dict(fault="delay_answer", seconds=[0.1, 0.4])), (3, dict(fault="delay_answer", seconds=[1.3, 1.6], slow=True)),
    (2, dict(fault="hang", seconds=[1.3, 1.6], slow=True)), (4, dict(fault="duplicate", answer="first")), (4, dict(fault="duplicate", answer="second")),
    (5, dict(fault="items", status=429, percent=[5, 60])), (4, dict(fault="items", status=503, percent=[5, 60])),
    (3, dict(fault="items", status=429, percent=[5, 60], sent=True)), (3, dict(fault="items", status=503, percent=[5, 60], sent=True)),
    (3, dict(fault="items", status=400, percent=[1, 8])), (1, dict(fault="items", status=403, percent=[5, 60], error="cluster_block_exception")),
    (4, dict(fault="items", statuses=[429, 503], percent=[5, 60])), (3, dict(fault="items", statuses=[429, 429, 503, 503, 400], percent=[2, 20])),
    *((2, dict(fault="lie", kind=kind)) for kind in ("short", "long", "empty", "html", "text", "truncated", "array", "no_items")),
    *((1, dict(fault="lie", kind=kind)) for kind in ("object", "no_status", "binary", "bad_gzip", "foreign_type", "headers")),
    (1, dict(fault="lie", kind="gigantic", bytes=70 << 20)), (1, dict(fault="lie", kind="bomb", bytes=70 << 20)),
)
OTHER_FAULTS = (
    (3, dict(fault="cut_before")), (4, dict(fault="cut_after")), (3, dict(fault="cut_answer")), (3, dict(fault="status", code=503)),
    (2, dict(fault="status", code=429)), (2, dict(fault="status", code=502, html=True)), (2, dict(fault="status_after", code=504)),
    (2, dict(fault="delay_answer", seconds=[0.1, 0.4])), (1, dict(fault="hang", seconds=[1.3, 1.6], slow=True)),
    (2, dict(fault="cut_head")), (2, dict(fault="chunked")), (1, dict(fault="chunked", cut=True)), (1, dict(fault="drip", seconds=[0.1, 0.3])),
    (1, dict(fault="answer_twice", seconds=[0, 0.02])),
    *((1, dict(fault="lie", kind=kind)) for kind in ("html", "empty", "truncated", "binary", "bad_gzip", "headers")),
)
KINDS = ("csv", "ndjson", "json", "members", "csv", "ndjson", "tsv", "jsonl", "pretty")


def pick(rng, weighted):
    return rng.choices([x for _, x in weighted], [w for w, _ in weighted])[0]


class Plan:
    def __init__(self, seed, family="faults"):
        self.seed, self.family = seed, family
        rng = random.Random("%s %d" % (family, seed))
        self.ids = pick(rng, ((4, "computed"), (1, "none"), (3, "own"), (2, "mixed"), (5, "repeated")))
        self.op = "index" if self.ids in ("computed", "none") else pick(rng, ((6, "index"), (2, "create"), (2, "update" if self.ids != "mixed" else "index")))
        self.story = self._story(rng)
        self.versions = self.ids == "repeated" and self.op == "index" and not set(self.story) & {"append"} and rng.random() < 0.3
        self.files = self._names(rng)
        self.records = self._records(rng)
        self.foreign = rng.choice((0, 0, 7, 300))  # documents that are there before
        self.foreign_under_own_ids = self.ids in ("own", "repeated") and rng.random() < 0.3
        self.create = not self.foreign and rng.random() < 0.2
        self.auto = rng.random() < 0.3 and self._auto_means() == self.story[0]
        self.tuned = rng.random() < (0.2 if family == "faults" else 0.7)
        self.path = rng.choice(("folder", "folder", "glob", "array"))
        self.environment = {"MAX_RETRIES": rng.choice((0, 1, 2, 5, 10, 30)), "REQUEST_TIMEOUT": 20}
        if rng.random() < 0.3:
            self.environment["HTTP_COMPRESS"] = "true"
        if rng.random() < 0.5:
            self.environment["INDEX_RECREATE_THRESHOLD"] = 100
        self.steps = self._steps(rng)
        self.rules = self._rules(rng)
        self.refusals = [(rng.randint(1, 20), round(rng.uniform(0.3, 2), 2)) for _ in range(rng.choice((0, 0, 0, 1, 2)))] if family == "faults" else []
        self._machine(rng)
        self.retry = rng.random() < 0.4
        self.faulty_lives = rng.randint(2, 6)

    def _machine(self, rng):
        """What happens around the process: TLS whose certificate changes, names that do not resolve, a clock that is set."""
        self.tls = self.dns = self.clock = None
        self.certificates = []
        if self.family != "faults":
            return
        if rng.random() < 0.12:
            self.tls = rng.choice(("1.2", "1.3"))
            self.certificates = [(rng.randint(1, 15), rng.choice(("renew", "expire", "stranger")), round(rng.uniform(0.2, 1.2), 2))
                                 for _ in range(rng.randint(0, 3))]
            for kind in ("bulk", "any"):
                self.rules.insert(0, dict(fault="renegotiate", on=kind, share=round(rng.uniform(0.05, 0.5), 2), times=rng.randint(1, 20)))
        if rng.random() < 0.1:
            self.dns = rng.choice((10, 30, 60))
        if not self.tls and rng.random() < 0.12:
            self.clock = ",".join("%d:%d" % (rng.randint(0, 700), rng.choice((-86400, -3600, -5, 2, 70, 3600, 90000, 40000000)))
                                  for _ in range(rng.randint(1, 4)))

    def _auto_means(self):
        if self.ids in ("own", "repeated") and not self.by_key:  # told by the first record of each file
            return None if any(self.of_file(name)[0].bad == "parser" for name in self.files) else "upsert"
        return "fresh" if self.ids in ("computed", "none") and not self.foreign else None

    # ---- what is loaded how -----------------------------------------------------------------------------------
    def _story(self, rng):
        """The modes of the loads, one after the other. grow: the second one finds more files in the folder."""
        if self.op == "update" or self.ids == "own" and rng.random() < 0.5:
            return rng.choice((("upsert",), ("upsert", "upsert"), ("upsert", "grow")))
        stories = [(3, ("append",)), (2, ("fresh",)), (1, ("append", "grow")), (1, ("fresh", "fresh")), (1, ("append", "fresh"))]
        if self.ids in ("own", "repeated"):
            stories += [(3, ("upsert",)), (2, ("upsert", "upsert")), (1, ("upsert", "grow"))]
        elif self.ids in ("computed", "none"):
            stories += [(1, ("append", "again")), (3, ("append", "changed"))]
        return pick(rng, stories)

    def _names(self, rng):
        count = 3 if self.ids == "repeated" else rng.randint(2 if "grow" in self.story else 1, 4)
        kinds = KINDS if rng.random() < 0.5 else [rng.choice(KINDS)]
        if self.op == "update":
            kinds = ["ndjson", "jsonl"]
        out = []
        for letter in "abcd"[:count]:
            kind = rng.choice(kinds)
            out.append("%s.%s%s" % (letter, kind + ".json" if kind in ("members", "pretty") else kind, rng.choice(("", "", ".gz", ".zst"))))
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
        if "changed" in self.story:  # a record that is refused before and after the change is two for dlq_failures
            bad_share, self.pad = 0, min(self.pad, 300)
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
                    bad = rng.choice(("server", "parser")) if any(kind in name for kind in (".ndjson", ".jsonl", ".csv", ".tsv")) else "server"
                if bad == "server":
                    doc["stock"] = "many"
                out.append(Record(name, tag, self._id(rng, n), doc, bad))
        if self.versions:
            for r, version in zip(out, rng.sample(range(10, 10 + len(out)), len(out))):
                r.doc["v"] = version
        return out

    def _changed(self, rng):
        """{file: its records after somebody worked on it}: a row corrected, some removed, some added."""
        out, fresh = {}, 500000
        for name in rng.sample(self.files, rng.randint(1, len(self.files))):
            records = self.of_file(name)
            for what in rng.sample(("correct", "shorten", "lengthen"), rng.randint(1, 2)):
                if what == "shorten" and len(records) > 2:
                    del records[rng.randint(1, len(records) - 1):]
                for _ in range({"correct": 1, "lengthen": rng.randint(1, 50)}.get(what, 0)):
                    tag, at = "#%06d#" % fresh, rng.randrange(len(records)) if what == "correct" else len(records)
                    fresh += 1
                    records[at:at + (what == "correct")] = [Record(name, tag, None, {"tag": tag, "n": fresh, "t": "changed", "stock": 1}, None)]
            out[name] = records
        return out

    # ---- the files ----------------------------------------------------------------------------------------------
    def of_file(self, name):
        return [r for r in self.records if r.file == name]

    def _csv(self, records, delimiter, line_end):
        with_ids = any(r.id for r in records)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator=line_end, delimiter=delimiter)
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

    def text_of(self, name, changed=False):
        records, rng = self.changed[name] if changed else self.of_file(name), random.Random("%d %s" % (self.seed, name))
        line_end = rng.choice(("\n", "\n", "\r\n"))
        if ".csv" in name or ".tsv" in name:
            return rng.choice(("", "\ufeff")) + self._csv(records, "\t" if ".tsv" in name else ",", line_end)
        if ".ndjson" in name or ".jsonl" in name:
            return "".join(self._json(r, rng) + line_end for r in records)
        if ".pretty." in name:
            return json.dumps([{**({} if r.id is None else {"_id": r.id}), **r.doc} for r in records], indent=rng.choice((1, 4)))
        gap = rng.choice(("", "\n", " \n  "))
        if ".members." in name:
            return "{" + ("," + gap).join("%s:%s" % (json.dumps(r.id if self.by_key else "m" + r.tag), self._json(r, rng)) for r in records) + "}"
        return "[" + gap + ("," + gap).join(self._json(r, rng) for r in records) + "]\n"

    def write(self, folder, step):
        for name in step.files:
            target, changed = Path(folder) / name, step.mode == "changed" and name in self.changed
            if changed or not target.exists():
                target.write_bytes(datasets.compress(self.text_of(name, changed).encode(), name))

    def source(self, step):
        """The first argument of the load."""
        if self.path == "glob":
            return "data/*"
        return json.dumps(["data/" + name for name in sorted(step.files)]) if self.path == "array" else "data"

    # ---- loads, kills, faults -------------------------------------------------------------------------------------
    def _kills(self, rng):
        if self.family == "faults" and rng.random() < 0.45:
            return ()
        out = []
        for _ in range(rng.randint(1, 4 if self.family == "faults" else 6)):
            name = "POWER" if self.family == "power" else pick(rng, ((6, "SIGKILL"), (1, "SIGTERM"), (2, "SIGINT"), (1, "POWER")))
            out.append(pick(rng, ((6, Kill("bulk", rng.randint(1, 25), name)), (2, Kill("any", rng.randint(1, 50), name)),
                                  (2, Kill("ms", rng.randint(40, 900), name)))))
        return tuple(out)

    def _steps(self, rng):
        options = {"batch_size": rng.choice((7, 20, 50, 100, 250, 1000)), "max_workers": rng.choice((1, 2, 4, 8))}
        if rng.random() < 0.4:
            options["batch_bytes"] = rng.choice((2000, 10000, 50000))
        if len(self.records) / options["batch_size"] > 120:
            options["batch_size"] = 50
        if self.op != "index":
            options["op"] = self.op
        if self.versions:
            options["version_field"] = "v"
            options["version_type"] = rng.choice(("external", "external_gte"))
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
            mine = dict(options, mode={"grow": "resume", "again": "append", "changed": "resume"}.get(mode, mode))
            if mode == "changed":
                mine["on_changed"] = rng.choice(("replace", "replace", "append"))
            if self.auto and i == 0:
                mine["mode"] = "auto"
            if mode == "again":
                mine["allow_again"] = True
            # the first of two loads mostly goes through, so that the second has something behind it
            kills = () if len(self.story) > 1 and i == 0 and rng.random() < 0.7 else self._kills(rng)
            out.append(Step(mode, mine, files, kills, rng.random() < 0.3 and mine["mode"] != "auto"))
        self.changed = self._changed(rng) if "changed" in self.story else {}
        return out

    def _drawn(self, rng, rule, kind):
        rule = dict(rule, on=kind)
        for key, value in rule.items():
            if isinstance(value, list) and key != "statuses":
                rule[key] = round(rng.uniform(*value), 2)
        if rule.pop("slow", False):
            self.environment["REQUEST_TIMEOUT"] = 1
            rule.update(times=rng.randint(1, 2))
        gentle = rule["fault"] in ("items", "duplicate", "delay_answer")
        rule.setdefault("times", 1 if rule.get("kind") == "gigantic" else rng.randint(1, 40 if gentle else 8))
        if rule.get("code") == 413:  # each halves all that comes after it
            rule["times"] = min(rule["times"], 3)
        rule["share"] = round(rng.uniform(0.05, 0.6), 2)
        rule["skip"] = rng.choice((0, 0, 0, rng.randint(1, 20)))
        return rule

    def _rules(self, rng):
        rules = []
        if self.family != "faults":
            return [dict(fault="delay_answer", on="bulk", seconds=round(rng.uniform(0.005, 0.06), 3))]
        if rng.random() < 0.25:
            rules.append(dict(fault="limit", on="bulk", bytes=rng.choice((1500, 4000, 20000))))
        for _ in range(rng.choice((0, 1, 1, 2, 3, 4))):
            rule = self._drawn(rng, pick(rng, BULK_FAULTS), "bulk")
            # a record that is refused by chance can be in a later load of the same files
            if rule.get("status") == 400 or 400 in rule.get("statuses", ()) or rule.get("code") in (400, 413):
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
        return any(status in (r.get("status"), r.get("code"), *r.get("statuses", ())) for r in self.rules)

    def describe(self):
        lines = ["%sseed %d: ids %s, op %s, loads %s" % ("" if self.family == "faults" else self.family + " ", self.seed, self.ids, self.op,
                                                         ", ".join(self.story)),
                 "  records %d in %s%s" % (len(self.records), ", ".join("%s (%d)" % (f, len(self.of_file(f))) for f in self.files),
                                           ", %d ids" % len({r.id for r in self.records}) if self.ids == "repeated" else ""),
                 "  bad %s; there before: %d%s%s%s" % ({b: sum(r.bad == b for r in self.records) for b in ("server", "parser")}, self.foreign,
                                                      " and some under the ids of the files" if self.foreign_under_own_ids else "",
                                                      "; index created by the load" if self.create else "", "; retried at the end" if self.retry else ""),
                 "  path: a %s; environment %s" % (self.path, self.environment)]
        if self.changed:
            lines.append("  changed: %s" % ", ".join("%s (%d records)" % (name, len(records)) for name, records in sorted(self.changed.items())))
        for what, value in (("TLS", self.tls), ("lookups that fail, per cent", self.dns), ("clock, ms:seconds", self.clock)):
            lines += ["  %s: %s" % (what, value)] if value else []
        lines += ["  certificate at request %d: %s, for %s s" % event for event in self.certificates]
        lines += ["  load %s %s kills %s%s" % (s.mode, json.dumps(s.options), [tuple(k) for k in s.kills], " (may run again instead of resume)" if s.again else "")
                  for s in self.steps]
        lines += ["  fault %s" % json.dumps(r) for r in self.rules]
        lines += ["  connection refused from request %d on for %s s" % r for r in self.refusals]
        lines += ["  after %d lives the faults end" % self.faulty_lives]
        return "\n".join(lines)
