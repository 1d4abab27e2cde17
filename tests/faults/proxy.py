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
    fault    what to do, see FAULTS                                                         (required)
    share    probability that it fires for a request that matches                          (default 1.0)
    times    how often it may fire in all                                                   (default: no limit)
    skip     how many matching requests pass before it may fire                             (default 0)
    ...      the fault's own parameters

FAULTS
    pass                                    forward untouched (ends the search for a rule)
    cut_before                              read the request, forward nothing, drop the connection
    cut_request  part (0.5)                 drop the connection when so much of the body was read
    cut_after                               forward, wait for the answer, then drop the connection: answer lost
    cut_answer                              forward, send half of the answer's body, drop the connection
    cut_head                                forward, send half of the answer's head, drop the connection
    drip        seconds, pieces (20)        forward, then give the answer in small pieces over so many seconds
    chunked     cut (False)                 forward, answer in chunks; cut: without the last of them
    stale                                   do not forward, and give the last bulk answer of this connection once more
    answer_twice  seconds (0)               forward, give the answer, and after a while give it once more, unasked
    status      code, body, headers         answer with this status without forwarding; 429, 502, 503 … have bodies
                                            as OpenSearch, or a load balancer (html=True), sends them
    status_after  the same                  forward first (the work is done), then answer with this status
    delay       seconds                     wait, then forward
    delay_answer  seconds                   forward, wait, then answer
    call        do                          call this function (of a test in the same process), then forward
    hang        seconds (60)                forward nothing, stay silent, then drop the connection
    duplicate   answer ("first"/"second")   forward twice, one after the other, and give one of the answers
    limit       bytes                       413 for a body that is longer, as a server with a limit does; else forward
    items       status, percent or match,   some items of a _bulk come back with `status`. sent=False: they are not
                sent (False), error         forwarded; sent=True: they were indexed all the same. statuses: a list,
                                            one drawn for each
    lie         kind                        a complete answer that is wrong: short, long, empty, html, text,
                                            truncated, array, no_items, object, no_status, binary, bad_gzip,
                                            foreign_type, headers (bytes: 2 MB), bomb and gigantic (bytes: 200 MB)
    renegotiate                             with TLS: ask the client for new keys, then answer

Refuse connections for a while: Proxy.refuse(seconds). TLS: Proxy(..., tls=(certificate, key)); Proxy.certificate(pair)
shows another one from the next handshake on. As a program: proxy.py --help (rules and log over HTTP on the control port).
"""
import argparse
import ctypes
import gzip
import json
import random
import re
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
import zlib

HTML_502 = (b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1>"
            b"</center>\r\n<hr><center>balancer</center>\r\n</body>\r\n</html>\r\n")
REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 413: "Request Entity Too Large",
           429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
           503: "Service Unavailable", 504: "Gateway Timeout"}
ITEM_ERRORS = {
    429: ("opensearch_rejected_execution_exception", "rejected execution of coordinating operation [fault injected]"),
    503: ("unavailable_shards_exception", "[fault injected] primary shard is not active"),
    400: ("mapper_parsing_exception", "failed to parse field [fault injected]"),
    403: ("cluster_block_exception", "index blocked by: [FORBIDDEN/8/index write (api)]; fault injected"),
}


class Cut(Exception):
    """The connection to the client is to be dropped now."""


def parse_bulk(body):
    """[(action line, source line or None)] of an NDJSON bulk body."""
    out, lines, i = [], body.split(b"\n"), 0
    while i < len(lines):
        line = lines[i]
        i += 1
        if not line.strip():
            continue
        if line.lstrip().startswith(b'{"delete"'):
            out.append((line, None))
        else:
            out.append((line, lines[i] if i < len(lines) else b""))
            i += 1
    return out


def join_bulk(items):
    return b"".join(a + b"\n" + (s + b"\n" if s is not None else b"") for a, s in items)


def action_of(line):
    name, meta = next(iter(json.loads(line).items()))
    return name, meta or {}


class Message:
    """One HTTP request or answer: first line, headers in order, body as it was on the wire (not chunked)."""

    def __init__(self, first, headers, body):
        self.first, self.headers, self.body = first, headers, body

    def header(self, name, fallback=None):
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return fallback

    def drop(self, *names):
        self.headers = [(k, v) for k, v in self.headers if k.lower() not in names]

    def plain_body(self):
        encoding = (self.header("content-encoding") or "").lower()
        if encoding == "gzip":
            return gzip.decompress(self.body)
        if encoding == "deflate":
            return zlib.decompress(self.body)
        return self.body

    def set_body(self, body, content_type=None):
        self.drop("content-encoding", "content-length", "transfer-encoding")
        if content_type:
            self.drop("content-type")
            self.headers.append(("content-type", content_type))
        self.body = body

    def bytes(self, body_len=None):
        head = [self.first] + ["%s: %s" % h for h in self.headers if h[0].lower() not in ("content-length", "transfer-encoding")]
        head.append("content-length: %d" % (len(self.body) if body_len is None else body_len))
        return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")


class Wire:
    """Reads and writes HTTP messages on one socket."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.last = None  # the answer of the last bulk request

    def _more(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise ConnectionError("closed")
        return data

    def read_head(self):
        while b"\r\n\r\n" not in self.rest:
            self.rest += self._more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = [(k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:])]
        return lines[0], headers

    def read_exactly(self, size):
        parts, have = [self.rest[:size]], min(len(self.rest), size)
        self.rest = self.rest[size:]
        while have < size:
            data = self._more()
            take = data[:size - have]
            self.rest = data[len(take):]
            parts.append(take)
            have += len(take)
        return b"".join(parts)

    def _read_line(self):
        while b"\r\n" not in self.rest:
            self.rest += self._more()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def read_chunked(self):
        parts = []
        while True:
            size = int(self._read_line().split(b";")[0], 16)
            if size == 0:
                while self._read_line():
                    pass
                return b"".join(parts)
            parts.append(self.read_exactly(size))
            self._read_line()

    def read_body(self, headers, head_only=False):
        get = {k.lower(): v for k, v in headers}
        if head_only:
            return b""
        if "chunked" in get.get("transfer-encoding", "").lower():
            return self.read_chunked()
        return self.read_exactly(int(get.get("content-length", 0)))

    def send(self, message, body=None, body_len=None):
        self.sock.sendall(message.bytes(body_len))
        body = message.body if body is None else body
        if body:
            self.sock.sendall(body)

    def renew_keys(self):
        """TLS 1.3: new keys in both directions; 1.2: a renegotiation. Python's module has neither, so libssl is asked; the
        pointer to its object follows the head of ours and one reference (CPython 3.11, Modules/_ssl.c, PySSLSocket)."""
        library = ctypes.CDLL("libssl.so.3")
        state = self.sock._sslobj  # kept until the calls are through
        if state is None:
            raise ConnectionError("closed")
        handle = ctypes.c_void_p(ctypes.c_void_p.from_address(id(state) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)).value)
        if self.sock.version() == "TLSv1.3":
            asked = library.SSL_key_update(handle, 1)  # SSL_KEY_UPDATE_REQUESTED
        else:
            asked = library.SSL_renegotiate(handle)
        if asked != 1 or library.SSL_do_handshake(handle) != 1:
            raise ConnectionError("no new keys")

    def close(self, reset=False):
        try:
            if reset:  # RST instead of FIN, as a crashed peer or a firewall does
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()
        except OSError:
            pass


class Exchange:
    """One request under way: what the faults work with."""

    def __init__(self, proxy, client, request, number, kind, rng):
        self.proxy, self.client, self.request, self.number, self.kind, self.rng = proxy, client, request, number, kind, rng
        self.method, self.path = request.first.split(" ")[:2]
        self.detail = {}

    def forward(self, request=None):
        return self.proxy.forward(request or self.request)

    def answer(self, message, body=None, body_len=None):
        if self.method == "HEAD":
            body, body_len = b"", body_len if body_len is not None else len(message.body)
        self.detail["status"] = int(message.first.split(" ")[1])
        mark = self.request.header("x-opaque-id")
        if mark and not message.header("x-opaque-id") and "json" in (message.header("content-type") or ""):
            message.headers.append(("X-Opaque-Id", mark))  # as OpenSearch does
        self.client.send(message, body, body_len)
        if self.kind == "bulk":
            self.client.last = message


def made_answer(code, body, content_type="application/json; charset=UTF-8", headers=()):
    return Message("HTTP/1.1 %d %s" % (code, REASONS.get(code, "Status")), [("content-type", content_type), *headers], body)


def status_answer(rule):
    code = int(rule.get("code", 503))
    headers = list((rule.get("headers") or {}).items())
    if rule.get("html"):
        return made_answer(code, HTML_502, "text/html", headers)
    if rule.get("body") is not None:
        body = rule["body"]
        return made_answer(code, body.encode() if isinstance(body, str) else body, rule.get("content_type", "application/json"), headers)
    kind, reason = ITEM_ERRORS.get(code, ("fault_injected_exception", "fault injected"))
    text = {"error": {"root_cause": [{"type": kind, "reason": reason}], "type": kind, "reason": reason}, "status": code}
    return made_answer(code, json.dumps(text).encode(), headers=headers)


# ---- the faults: fault(exchange, rule) ------------------------------------------------------------------------
def fault_pass(x, rule):
    x.answer(x.forward())


def fault_cut_before(x, rule):
    raise Cut


def fault_cut_after(x, rule):
    x.detail["upstream_status"] = x.forward().first.split(" ")[1]
    raise Cut


def fault_cut_answer(x, rule):
    message = x.forward()
    x.answer(message, message.body[:max(1, len(message.body) // 2)], len(message.body) or 10)
    raise Cut


def fault_status(x, rule):
    x.answer(status_answer(rule))


def fault_status_after(x, rule):
    x.forward()
    x.answer(status_answer(rule))


def fault_limit(x, rule):
    x.answer(status_answer({"code": 413}) if len(x.request.body) > int(rule["bytes"]) else x.forward())


def fault_delay(x, rule):
    x.proxy.wait(rule.get("seconds", 1))
    x.answer(x.forward())


def fault_call(x, rule):
    rule["do"]()
    x.answer(x.forward())


def fault_delay_answer(x, rule):
    message = x.forward()
    x.proxy.wait(rule.get("seconds", 1))
    x.answer(message)


def fault_cut_head(x, rule):
    message = x.forward()
    head = message.bytes()
    x.client.sock.sendall(head[:len(head) // 2])
    raise Cut


def fault_drip(x, rule):
    message = x.forward()
    data = message.bytes() + (message.body if x.method != "HEAD" else b"")
    size = max(1, len(data) // int(rule.get("pieces", 20)))
    for at in range(0, len(data), size):
        x.client.sock.sendall(data[at:at + size])
        x.proxy.wait(float(rule.get("seconds", 1)) / int(rule.get("pieces", 20)))


def fault_chunked(x, rule):
    message = x.forward()
    x.detail["status"] = int(message.first.split(" ")[1])
    if x.method == "HEAD" or x.detail["status"] in (204, 304):
        x.answer(message)
        return
    head = [message.first] + ["%s: %s" % h for h in message.headers if h[0].lower() not in ("content-length", "transfer-encoding")]
    x.client.sock.sendall(("\r\n".join(head + ["transfer-encoding: chunked"]) + "\r\n\r\n").encode("latin-1"))
    at = 0
    while at < len(message.body):
        piece = message.body[at:at + x.rng.randint(1, 4000)]
        x.client.sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        at += len(piece)
    if rule.get("cut"):
        raise Cut
    x.client.sock.sendall(b"0\r\n\r\n")


def fault_answer_twice(x, rule):
    message = x.forward()
    x.answer(message)
    x.proxy.wait(rule.get("seconds", 0))
    x.answer(message)


def fault_stale(x, rule):
    x.answer(x.client.last or x.forward())


def fault_renegotiate(x, rule):
    if isinstance(x.client.sock, ssl.SSLSocket):
        x.client.renew_keys()
    x.answer(x.forward())


def fault_hang(x, rule):
    x.proxy.wait(rule.get("seconds", 60))
    raise Cut


def fault_duplicate(x, rule):
    first = x.forward()
    second = x.forward()
    x.answer(second if rule.get("answer", "first") == "second" else first)


def fault_items(x, rule):
    """Give some items back as failed. Positions stay, as in a real answer."""
    statuses = rule.get("statuses") or [int(rule.get("status", 429))]
    items = parse_bulk(x.request.plain_body())
    pattern = re.compile(rule["match"].encode()) if rule.get("match") else None
    chosen = set()
    for i, (action, source) in enumerate(items):
        if pattern.search((action + b"\n" + (source or b""))) if pattern else x.rng.random() * 100 < float(rule.get("percent", 10)):
            chosen.add(i)
    x.detail.update(items=len(items), chosen=len(chosen))
    if not chosen:
        x.answer(x.forward())
        return
    kept = items if rule.get("sent") else [it for i, it in enumerate(items) if i not in chosen]
    took, answered = 1, []
    if kept:
        request = Message(x.request.first, list(x.request.headers), b"")
        request.set_body(join_bulk(kept))
        upstream = x.forward(request)
        if not upstream.first.split(" ")[1].startswith("2"):
            x.answer(upstream)
            return
        tree = json.loads(upstream.plain_body())
        took, answered = tree.get("took", 1), tree.get("items")
        if answered is None:
            raise RuntimeError("the answer has no items: filter_path leaves them out, items cannot be rewritten")
    out, given = [], iter(answered)
    for i, (action, _) in enumerate(items):
        entry = next(given) if (rule.get("sent") or i not in chosen) else None
        if i in chosen:
            name, meta = action_of(action)
            status = x.rng.choice(statuses)
            kind, reason = ITEM_ERRORS.get(status, ("fault_injected_exception", "fault injected"))
            kind = rule.get("error", kind)
            value = {"_index": meta.get("_index", "x"), "status": status, "error": {"type": kind, "reason": reason}}
            if "_id" in meta:
                value["_id"] = meta["_id"]
            entry = {name: value}
        out.append(entry)
    x.answer(made_answer(200, json.dumps({"took": took, "errors": True, "items": out}).encode()))


def fault_lie(x, rule):
    kind = rule.get("kind", "short")
    x.detail["kind"] = kind
    message = x.forward()
    body = message.plain_body()
    if kind in ("short", "long"):
        tree = json.loads(body)
        items = tree.get("items", [])
        tree["items"] = items[:-1] if kind == "short" else items + items[-1:]
        message.set_body(json.dumps(tree).encode())
    elif kind == "empty":
        message.set_body(b"")
    elif kind == "html":
        message.set_body(HTML_502, "text/html")
    elif kind == "text":
        message.set_body(body, "text/plain")
    elif kind == "truncated":
        message.set_body(body[:max(1, len(body) * 2 // 3)])
    elif kind == "array":
        message.set_body(b"[]")
    elif kind == "no_items":
        message.set_body(b'{"took":1,"errors":false}')
    elif kind == "object":
        message.set_body(b'{"acknowledged":true}')
    elif kind == "no_status":
        tree = json.loads(body)
        for item in tree.get("items", [])[-1:]:
            next(iter(item.values())).pop("status", None)
        message.set_body(json.dumps(tree).encode())
    elif kind == "binary":
        message.set_body(x.rng.randbytes(len(body) + 1))
    elif kind == "bad_gzip":
        message.set_body(b"\x1f\x8b\x08\x00" + x.rng.randbytes(200))
        message.headers.append(("content-encoding", "gzip"))
    elif kind == "foreign_type":
        message.set_body(body, "application/octet-stream")
    elif kind == "headers":
        message.headers += [("x-noise-%d" % n, "y" * 1000) for n in range(int(rule.get("bytes", 2 << 20)) // 1000)]
    elif kind == "bomb":
        message.set_body(gzip.compress(body.rstrip()[:-1] + b',"padding":"' + b"x" * int(rule.get("bytes", 200 << 20)) + b'"}', 1))
        message.headers.append(("content-encoding", "gzip"))
    elif kind == "gigantic":
        size = int(rule.get("bytes", 200 << 20))
        head = body.rstrip()[:-1] + b',"padding":"'
        message.set_body(b"")
        x.client.sock.sendall(message.bytes(size))
        x.client.sock.sendall(head)
        block, left = b"x" * (1 << 20), size - len(head) - 2
        while left > 0:
            x.client.sock.sendall(block[:left])
            left -= len(block)
        x.client.sock.sendall(b'"}')
        return
    else:
        raise ValueError("unknown lie: %s" % kind)
    x.answer(message)


FAULTS = {name[6:]: fn for name, fn in list(globals().items()) if name.startswith("fault_")}
FAULTS["cut_request"] = fault_cut_before  # recognised while reading; see Proxy._serve


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
        kind = "bulk" if path.split("?")[0].endswith("/_bulk") else "read" if method in ("GET", "HEAD") else "write"
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
