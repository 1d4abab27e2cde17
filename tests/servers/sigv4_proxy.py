#!/usr/bin/env python3
"""A reverse proxy that verifies SigV4 signatures as AWS does (sigv4_verify.py), mimics OpenSearch Serverless for the
service aoss (serverless.py), and passes the rest on to --upstream without the signature.

Every decision is a line of JSON in --log: {"ok", "reason", "method", "target", "service", …}. Tests may ask and change,
unsigned:
    GET  /__sigv4/stats              {"accepted", "rejected", "reasons", "services", "lacking"}; lacking: what was asked
                                     for that a collection has not
    POST /__sigv4/reset              forget the counts, set the clock right
    POST /__sigv4/skew?seconds=N     move the proxy's clock, also the one in its header Date
    POST /__sigv4/expire?key=A&n=N   the next N requests with that key are answered as expired
"""
import argparse
import datetime
import email.utils
import http.client
import json
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

import serverless
from key_table import KeyTable
from sigv4_verify import Reject, verify

HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "transfer-encoding",
              "upgrade", "content-length", "expect"}
S3_CODES = {"InvalidSignatureException": "SignatureDoesNotMatch", "ExpiredTokenException": "ExpiredToken", "UnrecognizedClientException": "InvalidAccessKeyId"}
SIGNATURE = {"x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "authorization"}


class State:
    """What the proxy has seen, and what tests told it."""

    def __init__(self, options):
        self.options, self.keys = options, KeyTable(options.keys, options.moto)
        self.upstream = urllib.parse.urlsplit(options.upstream)
        self.log = open(options.log, "a") if options.log else (sys.stderr if options.verbose else None)
        self.lock, self.local = threading.Lock(), threading.local()
        self.reset()

    def reset(self):
        self.counts = {"accepted": 0, "rejected": 0, "reasons": {}, "services": {}, "lacking": []}
        self.clock, self.expire = 0.0, {}

    def now(self):
        return time.time() + self.clock

    def note(self, **decision):
        with self.lock:
            self.counts["accepted" if decision["ok"] else "rejected"] += 1
            table, name = ("services", decision["service"]) if decision["ok"] else ("reasons", decision["kind"])
            self.counts[table][name] = self.counts[table].get(name, 0) + 1
            if self.log:
                print(json.dumps(decision), file=self.log, flush=True)

    def check_expiry(self, access_key):
        with self.lock:
            left = self.expire.get(access_key, 0)
            if left:
                self.expire[access_key] = left - 1
        if left:
            raise Reject(403, "ExpiredTokenException", "The security token included in the request is expired")


class Handler(BaseHTTPRequestHandler):
    protocol_version, server_version, sys_version = "HTTP/1.1", "sigv4-proxy", ""
    disable_nagle_algorithm, wbufsize = True, 1 << 16
    state = None

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(self.state.now() if timestamp is None else timestamp, usegmt=True)

    def read_body(self):
        if (self.headers.get("Transfer-Encoding") or "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            if size == 0:
                break
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def answer(self, status, content=None, headers=()):
        data = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def control(self, target):
        what, _, query = target[len("/__sigv4/"):].partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        if what == "reset":
            self.state.reset()
        elif what == "skew":
            self.state.clock = float(query["seconds"])
        elif what == "expire":
            self.state.expire[query["key"]] = int(query["n"])
        elif what != "stats":
            return self.answer(404, {})
        return self.answer(200, self.state.counts)

    def refuse_as_s3(self, why):
        """S3 has its own codes, in XML (Amazon S3 API Reference, "Error responses")."""
        code = "RequestTimeTooSkewed" if why.message.startswith(("Signature expired", "Signature not yet current")) else S3_CODES.get(why.kind, "AccessDenied")
        data = ("<Error><Code>%s</Code><Message>%s</Message></Error>" % (code, escape(why.message))).encode()
        self.send_response(400 if code == "ExpiredToken" else 403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def refuse(self, service, why):
        if service == "s3":
            return self.refuse_as_s3(why)
        if service != "aoss":
            body = {"message": why.message}
            if service == "sqs":  # its JSON protocol has the type in the body
                body["__type"] = "com.amazon.coral.service#" + why.kind
            return self.answer(why.status, body, [("x-amzn-ErrorType", why.kind)])
        reason = re.sub(r"[\r\n]+", " | ", why.message)[:2000]
        return self.answer(403, {"status": 403, "request-id": str(uuid.uuid4()), "error": {"reason": "403 Forbidden", "type": "Forbidden"}},
                           [("x-aoss-response-hint", "X01:gw-helper-deny"), ("x-sigv4-proxy-reason", reason)])

    def claimed_service(self):
        found = re.search(r"Credential=[^,]*/[^/,]+/([a-z0-9-]+)/aws4_request", self.headers.get("Authorization") or "")
        return found[1] if found else self.state.options.services[0]

    def handle_any(self):
        target = self.requestline.split(" ")[1]  # byte by byte: http.server squeezes a leading '//' in self.path
        body = self.read_body()
        if target.startswith("/__sigv4/"):
            return self.control(target)
        state, service = self.state, self.claimed_service()
        now = datetime.datetime.fromtimestamp(state.now(), datetime.timezone.utc).replace(tzinfo=None)
        try:
            service, key, warnings = verify(state.options, state.keys, self.command, target, self.headers, body, now)
            state.check_expiry(key)
        except Reject as why:
            state.note(ok=False, kind=why.kind, reason=why.message, method=self.command, target=target, status=why.status)
            return self.refuse(service, why)
        state.note(ok=True, method=self.command, target=target, service=service, key=key, bytes=len(body), warnings=warnings,
                   date=self.headers.get("X-Amz-Date"), action=self.headers.get("X-Amz-Target"))
        slots = None
        if service == "aoss":
            verdict = serverless.gate(state.options.collection, self.command, target, self.headers, body)
            if verdict and verdict[0] == "bulk":
                body, slots = verdict[1], verdict[2]
            elif verdict:
                if verdict[0] == 404:
                    with state.lock:
                        state.counts["lacking"].append("%s %s" % (self.command, target))
                hint = [("x-aoss-response-hint", "X01:not-supported")] if verdict[0] == 404 else []
                return self.answer(verdict[0], verdict[1], hint)
        return self.forward(target, body, slots)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = handle_any

    # ---- passing on
    def upstream_connection(self):
        made = getattr(self.state.local, "connection", None)
        if made is None:
            upstream = self.state.upstream
            made = self.state.local.connection = http.client.HTTPConnection(upstream.hostname, upstream.port or 80, timeout=self.state.options.timeout)
            made.connect()
            made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def drop_connection(self):
        made = getattr(self.state.local, "connection", None)
        if made is not None:
            made.close()
        self.state.local.connection = None

    def exchange(self, target, body, headers):
        """(answer, its body) of the upstream server."""
        connection = self.upstream_connection()
        connection.putrequest(self.command, target, skip_accept_encoding=True, skip_host=True)
        connection.putheader("Host", self.headers.get("Host") if self.state.options.keep_host else self.state.upstream.netloc)
        for name, value in headers:
            connection.putheader(name, value)
        if body or self.command in ("POST", "PUT"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        reply = connection.getresponse()
        data = reply.read()
        if reply.will_close:
            self.drop_connection()
        return reply, data

    def forward(self, target, body, slots):
        left_out = HOP_BY_HOP | SIGNATURE | {"host"} | ({"content-encoding", "accept-encoding"} if slots is not None else set())
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in left_out]
        for attempt in (1, 2):  # a kept connection may have been closed meanwhile
            try:
                reply, data = self.exchange(target, body, headers)
                break
            except (http.client.HTTPException, OSError) as reason:
                self.drop_connection()
                if attempt == 2:
                    return self.answer(502, {"message": "upstream: %s" % reason})
        if slots is not None and reply.status == 200:
            data = serverless.merge(data, slots)
        self.send_response_only(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in HOP_BY_HOP | {"date"} and not (name.lower() == "content-encoding" and slots is not None):
                self.send_header(name, value)
        self.send_header("Date", self.date_time_string())
        length = reply.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size, allow_reuse_address = True, 256, True


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9280)
    parser.add_argument("--upstream", default="http://127.0.0.1:9200")
    parser.add_argument("--service", default="es,aoss", help="services that a signature may be for")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--keys", help="table of known keys (key_table.py)")
    parser.add_argument("--moto", help="a moto server whose keys are known too")
    parser.add_argument("--collection", default="search", choices=["search", "timeseries", "vectorsearch"])
    parser.add_argument("--skew", type=int, default=300, help="seconds that clocks may differ")
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    parser.add_argument("--log", help="file for the decisions")
    parser.add_argument("-v", "--verbose", action="store_true", help="decisions on standard error")
    parser.add_argument("--lenient-query", action="store_true", help="allow '+' in queries")
    parser.add_argument("--allow-unsigned", action="store_true", help="allow UNSIGNED-PAYLOAD")
    parser.add_argument("--strict-aoss", action="store_true", help="aoss: refuse a signed Content-Length")
    parser.add_argument("--keep-host", action="store_true", help="pass the client's Host on")
    parser.add_argument("--timeout", type=float, default=300)
    options = parser.parse_args()
    options.services = options.service.split(",")
    return options


def main():
    options = read_options()
    Handler.state = State(options)
    server = Server(("127.0.0.1", options.port), Handler)
    if options.tls_cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls_cert, options.tls_key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()
