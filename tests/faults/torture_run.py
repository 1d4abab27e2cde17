"""One run of the fault campaign: the loads of a plan through the faulty proxy, killed and gone on with until they are done,
then the whole index held against what the files say.

A load is a life of an sqlite3 process. It may end well, end in an error (only while there are faults), or be killed;
then the next life goes on with mode resume, as the documentation tells a user to, or begins again where no file of the
load had been begun. The last life has no faults and must end well.
"""
import collections
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from harness.checker import canonical
from harness.cluster import Cluster
from harness.paths import EXTENSION, SQLITE3
from harness.shell import Running, clean_environment, sql_text
from harness.servers import Certificates
from proxy import Proxy
import powercut
import shim

LIFE_SECONDS = 90
NAME = "torture.test"
FIGURES = ("created", "updated", "noop", "already", "failed", "skipped")


class Violation(Exception):
    """Something that must never be."""


class Authority:
    """Certificates for the proxy, made once for a whole campaign."""
    _made, _lock = None, threading.Lock()

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="torture-tls-")
        maker = Certificates(Path(self.folder.name))
        self.ca, san = maker.ca, "IP:127.0.0.1,DNS:" + NAME
        self.good, self.renew = maker.server("good", san), maker.server("renewed", san)
        self.expire = maker.server("old", san, expired=True)
        self.stranger = (maker.other_ca, maker.other_ca.replace(".pem", ".key"))

    @classmethod
    def get(cls):
        with cls._lock:
            cls._made = cls._made or cls()
            return cls._made


class Run:
    def __init__(self, plan, endpoint, keep=None, say=None):
        self.plan, self.plain = plan, Cluster(endpoint)
        self.index = "torture-%d-%d" % (plan.seed, os.getpid())  # several campaigns may share a cluster
        self.say = say or (lambda text: None)
        self.keep = keep
        self.folder = None
        self.lives = self.processes = 0

    def run(self):
        """Violation when something is wrong. Gives the number of lives that it took."""
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            self.folder = Path(self.keep or folder)
            (self.folder / "data").mkdir(parents=True, exist_ok=True)
            self._clear()
            try:
                pair = Authority.get().good if self.plan.tls else None
                with Proxy(self.plain.url, seed=self.plan.seed, rules=self.plan.rules, tls=pair, oldest=self.plan.tls == "1.2") as self.proxy:
                    self._loads()
            finally:
                if not self.keep:
                    self._clear()
        return self.lives

    def _clear(self):
        self.plain.call("DELETE", "/%s,%s-*?ignore_unavailable=true" % (self.index, self.index), allowed=(404,))

    # ---- the process ------------------------------------------------------------------------------------------
    def _machine(self, power=False):
        """What the plan wants of the machine, as variables of a process."""
        plan, faults, env = self.plan, {}, {}
        self.processes += 1
        if plan.dns:
            percent = 0 if self.faults_end.is_set() else plan.dns
            faults["dns"] = "%s:%d:%d" % (NAME, percent, plan.seed * 131 + self.processes)
        if plan.clock:
            faults["clock"] = plan.clock
        if power:
            faults["oplog"] = "%s:app.db-ledger" % (self.folder / "oplog")
        if plan.tls:
            env["CA_BUNDLE"] = Authority.get().ca
        return {**env, **shim.environment(**faults)}

    def _start_behind(self, script, power=False):
        """A process that sees the cluster through the proxy."""
        endpoint = self.proxy.url.replace("127.0.0.1", NAME) if self.plan.dns else self.proxy.url
        return self._start(script, endpoint, self._machine(power))

    def _start(self, script, endpoint, machine=None):
        env = clean_environment(self.folder, {"OPENSEARCH_ENDPOINT": endpoint, "LOG_LEVEL": "OFF", **self.plan.environment, **(machine or {})})
        argv = [SQLITE3, "-batch", "-bail", "-cmd", ".load %s" % EXTENSION, "app.db"]
        return Running(argv, script, str(self.folder), env)

    def query(self, sql):
        """Rows as dicts, from a process of its own."""
        result = self._start(".mode json\n%s;\n" % sql, self.plain.url).finish(30)
        if result.code != 0:
            raise Violation("the ledger cannot be read: %r" % result)
        return json.loads(result.out) if result.out.strip() else []

    # ---- loads --------------------------------------------------------------------------------------------------
    def _loads(self):
        plan = self.plan
        self._prepare()
        self._refuse_now_and_then()
        self.state = collections.OrderedDict(self.before)  # own id, or tag: what the index should hold
        self.chance = {}  # the same of records that a fault refused although an earlier request may have brought them
        for step in plan.steps:
            self.first_job = self.counted_from = self._newest_job()
            plan.write(self.folder / "data", step)
            job = self._finish_load(step)
            self._check_job(step, job)
            self._check(step)
        if plan.retry:
            self._retry()

    def _prepare(self):
        plan, self.before, self.created = self.plan, {}, False
        if plan.create:
            return
        from torture_plan import PROPERTIES
        settings = {"number_of_replicas": 1, "refresh_interval": "7s"} if plan.tuned else {}
        self.plain.create(self.index, PROPERTIES, settings=settings)
        keys = [("foreign %d" % n) for n in range(plan.foreign)]
        if plan.foreign_under_own_ids:
            keys += sorted({r.id for r in plan.records if r.id})[:5]
        self.before = {key: {"tag": "before " + key, "stock": n} for n, key in enumerate(keys)}
        if self.before:
            self.plain.bulk_put(self.index, self.before)

    def _refuse_now_and_then(self):
        def watch():
            events = [(count, "refuse", seconds) for count, seconds in self.plan.refusals] + self.plan.certificates
            for count, what, seconds in sorted(events):
                while len(self.proxy.calls("bulk")) < count and not self.faults_end.is_set():
                    if self.proxy.stopping.wait(0.02):
                        return
                if self.faults_end.is_set():
                    return
                if what == "refuse":
                    self.proxy.refuse()
                    self.proxy.wait(seconds)
                    if not self.proxy.stopping.is_set():
                        self.proxy.accept_again()
                    continue
                self.proxy.certificate(getattr(Authority.get(), what), drop=True)
                if what != "renew":
                    self.proxy.wait(seconds)
                    self.proxy.certificate(Authority.get().good)
        self.faults_end = threading.Event()
        self.watcher = threading.Thread(target=watch, daemon=True)
        self.watcher.start()

    def _newest_job(self):
        rows = self.query("SELECT max(job) AS job FROM os_jobs")
        return rows[0]["job"] or 0 if rows else 0

    def _command(self, step, life):
        """The first life runs the load; later ones go on with what was begun, or begin anew where nothing was."""
        options = dict(step.options)
        if life and not self.from_the_start:
            begun = self.query("SELECT count(*) AS n FROM os_job_files WHERE job > %d AND status <> 'skipped'" % self.first_job)[0]["n"]
            if begun and not (step.again and step.mode in ("upsert", "fresh")):
                options["mode"] = "resume"
                options.pop("allow_again", None)
        return "SELECT os_bulk_load(%s, %s, %s);" % (sql_text(self.plan.source(step)), sql_text(self.index), sql_text(options))

    def _finish_load(self, step):
        """Lives until one ends well; gives the row of its job."""
        plan, kills = self.plan, list(step.kills)
        self.from_the_start = False
        for life in range(plan.faulty_lives + 3):
            last = life >= plan.faulty_lives
            if last:
                self._end_faults()
            script = self._command(step, life)
            if step.mode == "fresh" and '"resume"' not in script:
                self.counted_from = self._newest_job()  # what an earlier life created is deleted
            self.lives += 1
            result = self._live(script, None if last or not kills else kills.pop(0))
            self.say("life %d: %s\n  exit %s after %.1f s, %d bulk requests so far\n  %s" % (
                life, script, result.code, result.seconds, len(self.proxy.calls("bulk")), (result.out + result.err).strip()[:600]))
            # what a fresh was emptying when it died is told, and nobody guesses what the rest of the index is
            self.from_the_start = step.options["mode"] in ("fresh", "auto") and "load with mode fresh once more" in result.err
            if self.from_the_start:
                step.options["mode"] = "fresh"
            self._check_end(result, last and not self.from_the_start)
            if result.code == 0:
                rows = self.query("SELECT * FROM os_jobs WHERE kind = 'bulk_load' ORDER BY job DESC LIMIT 1")
                return rows[0]
        raise Violation("without faults the load does not end well: %r" % result)

    def _end_faults(self):
        self.faults_end.set()
        self.proxy.clear()
        while self.proxy.listener is None:
            time.sleep(0.05)
        if self.plan.tls:
            self.watcher.join()
            self.proxy.certificate(Authority.get().good)

    def _live(self, script, kill):
        power = kill is not None and kill.signal == "POWER"
        ledger = [self.folder / ("app.db-ledger" + end) for end in ("", "-wal", "-journal")]
        before = powercut.snapshot(ledger) if power else None
        running = self._start_behind(script, power)
        if kill is None:
            return self._end_of(running)
        kind = "bulk" if kill.when == "bulk" else None
        seen, started = len(self.proxy.calls(kind)), time.monotonic()
        while running.process.poll() is None and time.monotonic() - started < LIFE_SECONDS:
            if kill.when != "ms" and len(self.proxy.calls(kind)) - seen >= kill.amount:
                break
            if kill.when == "ms" and (time.monotonic() - started) * 1000 >= kill.amount:
                break
            time.sleep(0.003)
        if running.process.poll() is None:
            self.say("%s after %d requests" % (kill.signal, len(self.proxy.calls(kind)) - seen))
            running.process.send_signal(signal.SIGKILL if power else getattr(signal, kill.signal))
        try:
            result = running.finish(15)
        except AssertionError as error:
            raise Violation("no end after %s: %s" % (kill.signal, error)) from None
        result.killed = True
        if power and result.code == -signal.SIGKILL:
            lost = powercut.cut(self.folder / "oplog", before, "%s %s" % (self.plan.seed, self.lives))
            self.say("the power was cut: %d writes to the ledger are lost" % lost)
        (self.folder / "oplog").unlink(missing_ok=True)
        # what a dead process had sent may still be carried out; no client can hinder a server from that
        while self.proxy.busy:
            time.sleep(0.01)
        return result

    def _end_of(self, running):
        """A load is slow as long as it sends requests, and hangs when it does nothing any more."""
        seen, since = len(self.proxy.calls()), time.monotonic()
        while running.process.poll() is None and time.monotonic() - since < LIFE_SECONDS and time.monotonic() - running.started < 6 * LIFE_SECONDS:
            time.sleep(0.01)
            if len(self.proxy.calls()) > seen:
                seen, since = len(self.proxy.calls()), time.monotonic()
        try:
            return running.finish(1)
        except AssertionError as error:
            raise Violation("a load hangs: %s" % error) from None

    def _check_end(self, result, last):
        if result.code < 0 and not getattr(result, "killed", False):
            raise Violation("the process died: %r" % result)
        if result.code < 0 and -result.code not in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            raise Violation("the process crashed: %r" % result)
        if result.code > 0 and not result.err.strip():
            raise Violation("an error without a word: %r" % result)
        if result.code > 0 and re.search(r"no such (function|table)|out of memory|INTERNAL|internal error", result.err):
            raise Violation("an error that must not be: %r" % result)
        # an error by design, with every file done: what was left of the load were records that an append refuses
        only_refused = "were refused and none is in" in result.err
        if result.code > 0 and last and not only_refused and not getattr(result, "killed", False):
            raise Violation("without faults the load fails: %r" % result)
        left = self.query("SELECT job, kind FROM os_jobs WHERE status = 'running'")
        if left:
            raise Violation("jobs are running for ever: %s" % left)

    # ---- the invariant ------------------------------------------------------------------------------------------
    def _check_job(self, step, job):
        parts = sum(job["documents_" + k] for k in FIGURES)
        if job["documents_read"] != parts:
            raise Violation("job %s: %s read, %s accounted for" % (job["job"], job["documents_read"], parts))
        if job["status"] not in ("success", "partial") or (job["status"] == "partial") != (job["documents_failed"] > 0):
            raise Violation("job %s is %s with %s refused" % (job["job"], job["status"], job["documents_failed"]))
        if job["files_done"] != job["files"]:
            raise Violation("job %s: %s of %s files done" % (job["job"], job["files_done"], job["files"]))
        rows = self.query("SELECT sum(documents_created) AS created, sum(documents_already) AS already FROM os_jobs WHERE job > %d" % self.counted_from)
        most = sum(map(len, self.plan.changed.values())) if step.mode == "changed" else len(self.plan.records)
        if self.plan.ids in ("computed", "none") and not step.again and (rows[0]["created"] or 0) > most:
            raise Violation("more created (%s) than there are records" % rows[0]["created"])
        status = self.query("SELECT file, status, error FROM os_job_files WHERE job = %s AND status NOT IN ('success', 'partial', 'skipped')" % job["job"])
        if status:
            raise Violation("files are not done: %s" % status)
        if self.plan.tuned:
            have = {n: self.plain.setting(self.index, n) for n in ("refresh_interval", "number_of_replicas")}
            want = {"refresh_interval": None, "number_of_replicas": "0"} if self.plan.create else {"refresh_interval": "7s", "number_of_replicas": "1"}
            if have != want:
                raise Violation("settings of the index are left changed: %s, they were %s" % (have, want))
        left = [i["index"] for i in self.plain.get("/_cat/indices/%s-*?format=json" % self.index)]
        if left:
            raise Violation("indices are left behind: %s" % left)
        if self.plain.setting(self.index, "blocks.write") not in (None, "false"):
            raise Violation("the index is left with a write block")

    def dead(self):
        """{tag: row} of the refused records that are not in the index."""
        rows = self.query("SELECT job, file, line, byte_offset, doc_id, op, status, error_type, error_reason, document, CAST(raw AS TEXT) AS raw, superseded "
                          "FROM dlq_failures WHERE resolved_at IS NULL OR superseded")
        out = {}
        for row in rows:
            tags = re.findall(r"#\d{6}#", (row["document"] or "") + (row["raw"] or ""))
            if not tags:
                raise Violation("a refused record cannot be told: %s" % row)
            if tags[0] in out:
                raise Violation("two rows in dlq_failures for %s: %s" % (tags[0], [out[tags[0]], row]))
            out[tags[0]] = row
        return out

    def _why(self, record, row, creates, state):
        """None, or why the refusal of this record is not right."""
        status, plan = row["status"], self.plan
        if row["superseded"] or record.bad == "server" and status == 400 or record.bad == "parser" and status == 0:
            return None
        if status == 0 and row["error_type"] == "id_missing" and record.id is None:
            return None
        if status == 0 and row["error_type"] == "later_record_waits":  # only os_retry_failures says so, and has looked
            return None
        if status == 409 and creates and (record.id in state or record.id in self.chance):
            return None
        if status in (400, 413) and plan.may_refuse(status):
            return None
        return "refused for no reason: %s" % {k: row[k] for k in ("status", "error_type", "error_reason", "doc_id")}

    def _check(self, step):
        """Go through the records in their order and hold the index against what comes of it."""
        plan, state = self.plan, self.state
        dead = {tag: row for tag, row in self.dead().items() if row["job"] > self.first_job}
        creates = plan.op == "create" or plan.op == "index" and any(s.mode == "append" for s in plan.steps)
        copies, names = 2 if step.mode == "again" else 1, step.files
        if step.mode == "fresh":
            state.clear()
        if step.mode == "grow":
            names = [n for n in step.files if n not in plan.steps[0].files]
        step_creates = plan.op == "create" or step.options["mode"] == "append" and plan.op == "index"
        if step.mode == "grow" and plan.op == "index":
            step_creates = False
        trouble = []
        if step.mode == "changed":
            self._check_changed(step)
            names = ()
        last = {r.id: r.tag for name in sorted(names) for r in plan.of_file(name)}
        for r in (r for name in sorted(names) for r in plan.of_file(name)):
            row = dead.get(r.tag)
            if row:
                why = self._why(r, row, creates, state)
                if why:
                    trouble.append("%s (%s): %s" % (r.tag, r.id, why))
                elif not r.bad and row["status"] in (400, 413):
                    self.chance[r.id or r.tag] = {**state.get(r.id, {}), **r.doc} if plan.op == "update" else r.doc
                continue
            if r.bad == "server" and r.id and plan.op == "index" and last[r.id] != r.tag:
                continue  # turned away for a while, and a newer one got in meanwhile: left out
            if r.bad:
                trouble.append("%s is bad and not in dlq_failures" % r.tag)
                continue
            self.chance.pop(r.id, None)
            if r.id is None:
                state[r.tag] = (r.doc, copies)
            elif plan.versions:
                if state.get(r.id, {}).get("v", 0) < r.doc["v"]:
                    state[r.id] = r.doc
            elif step_creates and r.id in state and state[r.id] != r.doc:
                trouble.append("%s: neither created (%s is %s) nor in dlq_failures" % (r.tag, r.id, state[r.id].get("tag")))
            elif plan.op == "update":
                state[r.id] = {**state.get(r.id, {}), **r.doc}
            else:
                state[r.id] = r.doc
        trouble += self._compare()
        if trouble:
            raise Violation("%d things are wrong:\n  %s" % (len(trouble), "\n  ".join(trouble[:8])))

    def _check_changed(self, step):
        """What a file had brought is gone (replace) or stays (append), and what stands in it now is there."""
        for name, records in self.plan.changed.items():
            for r in self.plan.of_file(name):
                if step.options["on_changed"] == "replace":
                    self.state.pop(r.tag)
            for r in records:
                self.state[r.tag] = (r.doc, self.state[r.tag][1] + 1 if r.tag in self.state else 1)

    def _compare(self):
        trouble, seen = [], collections.Counter()
        for key, source, version in self.plain.read_all(self.index):
            name = key if key in self.state or key in self.chance else source.get("tag")
            want = self.state.get(name)
            if isinstance(want, tuple):
                want = want[0]
            seen[name] += 1
            chance = self.chance.get(name)
            if chance is not None and canonical(source) == canonical(chance):
                seen[name] = 1 if want is None else seen[name]
                continue
            if want is None:
                trouble.append("%s (%s) is in the index and should not" % (key, source.get("tag")))
            elif canonical(source) != canonical(want):
                trouble.append("%s (version %s) holds %s, expected %s" % (key, version, str(source)[:160], str(want)[:160]))
        for name, want in self.state.items():
            count = want[1] if isinstance(want, tuple) else 1
            if seen[name] != count:
                trouble.append("%s is in the index %d times, expected %d" % (name, seen[name], count))
        return trouble

    # ---- dead letters sent again ----------------------------------------------------------------------------------
    def _retry(self):
        """Without faults, what was refused by chance gets in; what was overtaken does not."""
        self._end_faults()
        before = self.dead()
        if not before:
            return
        result = self._start_behind("SELECT os_retry_failures();").finish(LIFE_SECONDS)
        self.say("retry of %d: %r" % (len(before), result))
        if result.code < 0 or result.code > 0 and "refused" not in result.err:
            raise Violation("os_retry_failures failed: %r" % result)
        self.state = collections.OrderedDict(self.before)
        # several loads, then the dead letters: only the last load's view can be told again
        steps = self.plan.steps
        if len(steps) > 1:
            return
        self._check(steps[0])
