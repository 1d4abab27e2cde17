"""The keys that the servers here know: a JSON file, read again whenever it changed.

    [{"access_key": "…", "secret_key": "…", "token": null, "expires": "2026-01-01T00:00:00Z"}, …]

creds_server.py adds the keys that it gives out, so that sigv4_proxy.py, given the same file, accepts them until they
expire. A proxy may also look keys up in a moto server, which issues them through IAM and STS.
"""
import datetime
import fcntl
import json
import os
import re
import sys
import threading
import urllib.request


def iso(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text):
    """moto writes fractions of a second and sometimes a blank; UTC in every case."""
    plain = re.sub(r"\.\d+", "", str(text)).rstrip("Z").replace(" ", "T")[:19]
    return datetime.datetime.strptime(plain, "%Y-%m-%dT%H:%M:%S")


class KeyTable:
    def __init__(self, path, moto=None):
        self.path, self.moto = path, moto
        self.seen, self.table, self.lock = 0, {}, threading.Lock()

    def find(self, access_key):
        with self.lock:
            if self.path and os.path.exists(self.path):
                changed = os.stat(self.path).st_mtime_ns
                if changed != self.seen:
                    with open(self.path) as f:
                        self.table = {entry["access_key"]: entry for entry in json.load(f)}
                    self.seen = changed
            entry = self.table.get(access_key)
        return entry or (self._ask_moto(access_key) if self.moto else None)

    def _ask_moto(self, access_key):
        try:
            with urllib.request.urlopen(self.moto + "/moto-api/data.json", timeout=10) as answer:
                data = json.load(answer)
        except OSError as reason:
            print("moto lookup: %s" % reason, file=sys.stderr)
            return None
        for kind in ("AssumedRole", "Token"):
            for row in data.get("sts", {}).get(kind, []):
                if row.get("access_key_id") == access_key:
                    return {"access_key": access_key, "secret_key": row["secret_access_key"],
                            "token": row["session_token"], "expires": row.get("expiration")}
        for rows in data.get("iam", {}).values():
            for row in rows if isinstance(rows, list) else []:
                if isinstance(row, dict) and row.get("access_key_id") == access_key:
                    return {"access_key": access_key, "secret_key": row["secret_access_key"], "token": None}
        return None


def add_key(path, entry, forget=lambda old: False):
    """Add a key to the file, leaving out old ones for which forget(old) is true; several processes may do so."""
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open(path) as f:
                table = json.load(f)
        except FileNotFoundError:
            table = []
        table = [old for old in table if not forget(old)] + [entry]
        new = path + ".new"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            json.dump(table, f, indent=1)
        os.replace(new, path)
