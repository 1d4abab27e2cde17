#!/usr/bin/python3
"""A fault-injecting HTTP proxy that stands between the extension and a real node.

Every request is read whole, given a number and a class, and shown to the rules in order; the first rule that
fires decides what happens to it. What was decided is kept in `log`, so that a run can be read back and repeated
with the same seed. Standard library only.

Classes
    bulk    the path ends in /_bulk
    read    any other GET or HEAD
    write   everything else

A rule is a dict (or keyword arguments of Proxy.rule()):
    on       class, "any", or a regular expression for "METHOD path" when it contains a blank   (default "bulk")
    fault    what to do, see faults.py                                                      (required)
    share    probability that it fires for a request that matches                          (default 1.0)
    times    how often it may fire in all                                                   (default: no limit)
    skip     how many matching requests pass before it may fire                             (default 0)
    ...      the fault's own parameters

Refuse connections for a while: Proxy.refuse(seconds). TLS: Proxy(..., tls=(certificate, key)); Proxy.certificate(pair)
shows another one from the next handshake on. As a program: proxy.py --help (rules and log over HTTP on the control port).
"""
import argparse
import json
import random
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse

from faults import FAULTS, Exchange
from wire import Cut, Message, Wire


class Proxy:
    """Proxy(upstream, seed).start(); .url; .rule(...); .log; .stop(). Also a context manager."""

    def __init__(self, upstream, port=0, seed=1, rules=(), keep_bodies=False, log_file=None, tls=None, oldest=None):
        parts = urllib.parse.urlsplit(upstream)
        if parts.scheme != "http":
            raise ValueError("only http:// upstreams: %s" % upstream)
        self.upstream = (parts.hostname, parts.port or 80)
        self.port, self.seed, self.keep_bodies, self.log_file = port, seed, keep_bodies, log_file
        self.rng = random.Random(seed)
        self.lock = threading.Lock()
        self.rules, self.log = [], []
        self.stopping = threading.Event()
        self.listener = self.reserved = None
        self.clients = set()
        self.pool = []
        self.busy = 0  # requests on their way to the node
        self.started = time.time()
        self.context = None
        self.oldest = oldest  # True: no TLS newer than 1.2
        if tls:
            self.certificate(tls)
        for rule in rules:
            self.rule(**rule)

    # ---- life ---------------------------------------------------------------------------------------------
    def _bound(self):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for _ in range(200):
            try:
                sock.bind(("127.0.0.1", self.port))
                return sock
            except OSError:  # somebody's connection has it as its own end for the moment
                time.sleep(0.05)
        raise OSError("port %d is taken" % self.port)

    def _listen(self):
        listener, self.reserved = self.reserved or self._bound(), None
        listener.listen(128)
        self.port = listener.getsockname()[1]
        self.listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def start(self):
        self._listen()
        return self

    def certificate(self, pair, drop=False):
        """The (certificate, key) shown from the next handshake on; drop: all connections end now."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.oldest:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*pair)
        self.context = context
        if drop:
            self._drop_clients()

    def _close_all(self):
        listener, self.listener = self.listener, None
        if listener:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        self._drop_clients()
        with self.lock:
            pool, self.pool = self.pool, []
        for wire in pool:
            wire.close()

    def _drop_clients(self):
        with self.lock:
            clients, self.clients = self.clients, set()
        for wire in clients:
            try:
                socket.socket.shutdown(wire.sock, socket.SHUT_RDWR)  # the one of SSLSocket forgets its state under the reader
            except OSError:
                pass
            wire.close(reset=True)

    def stop(self):
        self.stopping.set()
        self._close_all()
        if self.reserved:
            self.reserved.close()

    __enter__ = start

    def __exit__(self, *exc):
        self.stop()

    @property
    def url(self):
        return "%s://127.0.0.1:%d" % ("https" if self.context else "http", self.port)

    def wait(self, seconds):
        self.stopping.wait(float(seconds))

    def refuse(self, seconds=None):
        """Drop every connection and listen no more: "connection refused". With seconds: listen again afterwards."""
        self._close_all()
        self.reserved = self._bound()  # without listening: refused, and nobody else gets the port
        if seconds is not None:
            def again():
                self.wait(seconds)
                if not self.stopping.is_set():
                    self._listen()
            threading.Thread(target=again, daemon=True).start()

    def accept_again(self):
        self._listen()

    # ---- programming --------------------------------------------------------------------------------------
    def rule(self, fault, on="bulk", **parameters):
        if fault not in FAULTS:
            raise ValueError("unknown fault %r; known: %s" % (fault, ", ".join(sorted(FAULTS))))
        rule = {"fault": fault, "on": on, "seen": 0, "fired": 0, **parameters}
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        with self.lock:
            self.rules = []

    def fired(self):
        """How often a rule did."""
        with self.lock:
            return sum(rule["fired"] for rule in self.rules)

    def calls(self, kind=None):
        """Log entries, of one class when asked."""
        with self.lock:
            return [e for e in self.log if kind is None or e["class"] == kind]

    def wait_for(self, count, kind="bulk", timeout=30.0):
        """Wait until `count` requests of the class were decided."""
        end = time.time() + timeout
        while len(self.calls(kind)) < count:
            if time.time() > end:
                raise TimeoutError("only %d of %d %s requests came within %s s" % (len(self.calls(kind)), count, kind, timeout))
            time.sleep(0.01)

    @staticmethod
    def kind(method, path):
        return "bulk" if path.split("?")[0].endswith("/_bulk") else "read" if method in ("GET", "HEAD") else "write"

    def _matches(self, rule, kind, method, path):
        on = rule["on"]
        if " " in on:
            return re.search(on, "%s %s" % (method, path)) is not None
        return on in (kind, "any")

    def _decide(self, kind, method, path, length=0):
        """Under the lock: the rule that fires, and a generator of its own for the exchange."""
        for rule in self.rules:
            if not self._matches(rule, kind, method, path):
                continue
            rule["seen"] += 1
            if rule["fault"] == "limit" and length <= int(rule["bytes"]):
                continue
            if rule["seen"] <= rule.get("skip", 0) or rule["fired"] >= rule.get("times", float("inf")):
                continue
            if self.rng.random() >= rule.get("share", 1.0):
                continue
            rule["fired"] += 1
            return rule
        return None

    # ---- serving ------------------------------------------------------------------------------------------
    def _accept(self, listener):
        while not self.stopping.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        if self.context:
            try:
                sock.settimeout(10)
                sock = self.context.wrap_socket(sock, server_side=True)
                sock.settimeout(None)
            except (OSError, ValueError):  # a client that refuses the certificate
                sock.close()
                return
        wire = Wire(sock)
        with self.lock:
            self.clients.add(wire)
        try:
            while not self.stopping.is_set():
                self._one(wire)
        except Cut:
            wire.close(reset=True)
        except (ConnectionError, OSError, ValueError):
            wire.close()
        except Exception as error:  # a bug of a test's rule: keep it in the log, drop the connection
            self._note({"class": "proxy", "fault": "error", "error": repr(error)})
            wire.close(reset=True)
        finally:
            with self.lock:
                self.clients.discard(wire)

    def _one(self, wire):
        first, headers = wire.read_head()
        method, path = first.split(" ")[:2]
        kind = self.kind(method, path)
        if any(k.lower() == "expect" for k, v in headers):
            wire.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        get = {k.lower(): v for k, v in headers}
        with self.lock:
            rule = self._decide(kind, method, path, int(get.get("content-length", 0)))
            number = len(self.log) + 1
            entry = {"n": number, "at": round(time.time() - self.started, 3), "class": kind, "method": method,
                     "path": path, "fault": rule["fault"] if rule else "pass"}
            self.log.append(entry)
        if rule and rule["fault"] == "cut_request":
            wire.read_exactly(int(int(get.get("content-length", 0)) * rule.get("part", 0.5)))
            self._note(entry)
            raise Cut
        request = Message(first, headers, wire.read_body(headers))
        entry["bytes"] = len(request.body)
        entry["headers"] = get
        if "authorization" in get:
            entry["headers"] = {**get, "authorization": "********"}
        if self.keep_bodies:
            entry["body"] = request.plain_body()
        exchange = Exchange(self, wire, request, number, kind, random.Random("%s/%s" % (self.seed, number)))
        try:
            FAULTS[rule["fault"] if rule else "pass"](exchange, rule or {})
        finally:
            entry.update(exchange.detail)
            self._note(entry)
        if (get.get("connection") or "").lower() == "close":
            raise ConnectionError("client asked for it")

    def _note(self, entry):
        if "n" not in entry:
            with self.lock:
                self.log.append(entry)
        if self.log_file:
            line = json.dumps({k: v for k, v in entry.items() if k not in ("body", "headers")}) + "\n"
            with self.lock, open(self.log_file, "a") as out:
                out.write(line)

    def forward(self, request):
        """Send to the node and give its answer back, on a pooled connection (once more when that one had died)."""
        with self.lock:
            self.busy += 1
        try:
            return self._forward(request)
        finally:
            with self.lock:
                self.busy -= 1

    def _forward(self, request):
        request = Message(request.first, [h for h in request.headers if h[0].lower() not in ("expect", "connection")], request.body)
        head_only = request.first.startswith("HEAD ")
        while True:
            with self.lock:
                wire = self.pool.pop() if self.pool else None
            fresh = wire is None
            if fresh:
                wire = Wire(socket.create_connection(self.upstream))
            got = False
            try:
                wire.send(request)
                first, headers = wire.read_head()
                got = True
                status = int(first.split(" ")[1])
                body = wire.read_body(headers, head_only or status in (204, 304))
                break
            except (ConnectionError, OSError):
                wire.close()
                if fresh or got:
                    raise
        answer = Message(first, [h for h in headers if h[0].lower() not in ("connection", "keep-alive")], body)
        if (answer.header("connection") or "").lower() == "close":
            wire.close()
        else:
            with self.lock:
                self.pool.append(wire)
        return answer


def serve_control(proxy, port):
    """GET /log, GET /rules, POST /rules (a JSON array replaces them), POST /refuse?seconds=N."""
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        def _give(self, value):
            text = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self):
            if self.path == "/log":
                self._give([{k: v for k, v in e.items() if k != "body"} for e in proxy.calls()])
            else:
                self._give(proxy.rules)

        def do_POST(self):
            parts = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if parts.path == "/refuse":
                proxy.refuse(float(urllib.parse.parse_qs(parts.query).get("seconds", ["5"])[0]))
            else:
                proxy.clear()
                for rule in json.loads(body):
                    proxy.rule(**rule)
            self._give(proxy.rules)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main():
    parser = argparse.ArgumentParser(description="fault-injecting proxy in front of one OpenSearch node")
    parser.add_argument("--upstream", default="http://127.0.0.1:9200")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control", type=int, default=0, help="port for rules and log")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rules", default="[]", help="JSON array of rules")
    parser.add_argument("--log", help="write each decision as a JSON line to this file")
    args = parser.parse_args()
    proxy = Proxy(args.upstream, args.port, args.seed, json.loads(args.rules), log_file=args.log).start()
    control = serve_control(proxy, args.control)
    print("proxy %s control http://127.0.0.1:%d" % (proxy.url, control.server_address[1]), flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        proxy.stop()
        sys.exit(0)


if __name__ == "__main__":
    main()
