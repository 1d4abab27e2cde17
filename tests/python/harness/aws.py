"""Starts and stops the servers that stand in for AWS, through scripts/aws-server. Each has a name of this process and a
free port, and is purged when it is stopped; what a killed test run left behind is stopped at the start of the next one."""
import json
import os
import re
import subprocess
import urllib.request

from .nodes import Unavailable
from .paths import ROOT
from .servers import closed_port

PREFIX = "test"
SCRIPT = str(ROOT / "scripts" / "aws-server")
MISSING = ("is not installed", "could not be installed", "does not run here")  # what the script says then

# the first two of tests/servers/keys.json
LONG_KEY = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
SESSION_KEY = {"AWS_ACCESS_KEY_ID": "ASIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "tempsecret/1+2=",
               "AWS_SESSION_TOKEN": "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQW=="}


class Server:
    """exports: what a client needs in its environment. run: the server's folder (log, data, decisions.jsonl)."""

    def __init__(self, name, port, run, exports, scheme):
        self.name, self.port, self.run, self.exports = name, port, run, exports
        self.url = "%s://127.0.0.1:%d" % (scheme, port)

    def control(self, path, method="POST"):
        """A control address of our own servers (tests/servers); gives its JSON."""
        with urllib.request.urlopen(urllib.request.Request(self.url + path, method=method), timeout=10) as answer:
            return json.load(answer)

    def decisions(self):
        """What a sigv4-proxy has decided so far, request by request."""
        with open(os.path.join(self.run, "decisions.jsonl")) as f:
            return [json.loads(line) for line in f]


class AwsServers:
    def __init__(self, environment):
        self.environment = environment  # as it was before the tests cleaned theirs
        self.running = {}

    def _command(self, *args, timeout=900):
        return subprocess.run([SCRIPT, *map(str, args)], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)

    def sweep(self):
        """Stop what a dead test process left behind."""
        for line in self._command("status").stdout.splitlines():
            found = re.match(r"(%s-(\d+)-\S+)" % PREFIX, line)
            if found and not os.path.exists("/proc/%s" % found.group(2)):
                self._command("stop", "--name", found.group(1), "--purge")

    def start(self, what, kind, *args):
        """what: a short name within this process; kind and args: as scripts/aws-server takes them. Nothing is installed
        here: it takes minutes, and scripts/setup --test has done it (but for minio) or said why not."""
        if self._command("prepared", kind).returncode:
            raise Unavailable("no %s on this machine (scripts/aws-server prepare %s)" % (kind, kind))
        name = "%s-%d-%s" % (PREFIX, os.getpid(), what)
        for attempt in range(3):
            port = closed_port()
            done = self._command("start", kind, "--name", name, "--port", port, *args)
            if done.returncode == 0:
                break
            if any(words in done.stderr for words in MISSING):
                raise Unavailable(done.stderr.strip().splitlines()[-1])
            if "in use" not in done.stderr or attempt == 2:
                raise RuntimeError("%s did not start: %s" % (name, done.stderr))
        run = self._command("where", "--name", name).stdout.strip()
        exports = dict(line.split("=", 1) for line in done.stdout.splitlines())
        self.running[what] = Server(name, port, run, exports, "https" if "--tls" in args else "http")
        return self.running[what]

    def proxy(self, what, upstream, service, *arguments):
        """A sigv4-proxy in front of `upstream`, arguments: of sigv4_proxy.py."""
        return self.start(what, "sigv4-proxy", "--upstream", upstream, "--", "--service", service, *arguments)

    def stop(self, what):
        server = self.running.pop(what, None)
        if server:
            self._command("stop", "--name", server.name, "--purge")

    def stop_all(self):
        for what in list(self.running):
            self.stop(what)
