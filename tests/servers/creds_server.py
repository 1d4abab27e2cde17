#!/usr/bin/env python3
"""The places where keys come from, strict, on 127.0.0.1: instance metadata (version 2; version 1 is refused), container
credentials (ECS, EKS Pod Identity), the SSO portal with the renewal of its token.

Each answer has a fresh key with a token and an expiry, which is also added to --keys, so that sigv4_proxy.py accepts it
until then. Tests may ask and change:
    GET  /__creds/log            the requests so far: [{"method", "path", "status"}]
    POST /__creds/ttl?s=N        seconds that keys live from now on
    POST /__creds/fail?n=N       the next N requests are answered 500
    POST /__creds/imds?mode=M    on | off (403) | noprofile (no role on this instance) | hang (never answers)
"""
import argparse
import json
import secrets
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from key_table import add_key, iso

ROLES = "/latest/meta-data/iam/security-credentials"
IDENTITY = {"region": "us-east-1", "accountId": "123456789012", "instanceId": "i-0123456789abcdef0", "version": "2017-09-30"}
REFRESH_TOKEN = "sso-refresh-token"


class State:
    def __init__(self, options):
        self.options, self.ttl, self.fail, self.imds = options, options.ttl, options.fail, "on"
        self.metadata_tokens, self.sso_tokens = {}, {options.sso_token}
        self.log, self.lock = [], threading.Lock()

    def issue(self, kind):
        """A new key, known from now on; those of the same kind that ended ten minutes ago are forgotten."""
        now = time.time()
        key = {"access_key": "ASIA" + kind + secrets.token_hex(6).upper(), "secret_key": secrets.token_urlsafe(30),
               "token": "FwoG" + secrets.token_urlsafe(120) + "//+==", "expires": iso(now + self.ttl)}
        with self.lock:
            add_key(self.options.keys, key, lambda old: old["access_key"].startswith("ASIA" + kind) and
                    old.get("expires", "9") < iso(now - 600))
        return key, now


class Handler(BaseHTTPRequestHandler):
    protocol_version, server_version, sys_version = "HTTP/1.1", "EC2ws", ""
    state = None

    def log_message(self, *args):
        pass

    def answer(self, status, content="", headers=()):
        plain = isinstance(content, str)
        data = (content if plain else json.dumps(content, indent=2)).encode()
        with self.state.lock:
            self.state.log.append({"method": self.command, "path": self.path, "status": status})
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if plain else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def handle_any(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        path, query = url.path, dict(urllib.parse.parse_qsl(url.query))
        if path.startswith("/__creds/"):
            return self.control(path[len("/__creds/"):], query)
        if self.state.fail > 0:
            self.state.fail -= 1
            return self.answer(500, "try again")
        if path.startswith("/latest/"):
            return self.metadata(path)
        if path == "/ecs/creds":
            return self.container()
        if path == "/federation/credentials" and self.command == "GET":
            return self.sso_portal(query)
        if path == "/token" and self.command == "POST":
            return self.sso_renewal()
        return self.answer(404, "Not Found")

    do_GET = do_PUT = do_POST = do_HEAD = handle_any

    def control(self, what, query):
        state, content = self.state, {}
        if what == "log":
            content = state.log[-200:]
        elif what == "ttl":
            state.ttl = int(query["s"])
        elif what == "fail":
            state.fail = int(query["n"])
        elif what == "imds":
            state.imds = query["mode"]
        data = json.dumps(content).encode()  # not through answer(): the log is of the clients
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    # ---- instance metadata
    def metadata(self, path):
        if self.state.imds == "hang":
            time.sleep(60)
            self.close_connection = True
            return None
        if self.state.imds == "off":
            return self.answer(403, "Forbidden")
        if path == "/latest/api/token":
            return self.metadata_token()
        if self.command != "GET":
            return self.answer(405)
        if self.state.metadata_tokens.get(self.headers.get("X-aws-ec2-metadata-token") or "", 0) < time.time():
            return self.answer(401, "Unauthorized")
        if path in (ROLES, ROLES + "/"):
            return self.answer(404, "Not Found") if self.state.imds == "noprofile" else self.answer(200, self.state.options.role)
        if path == ROLES + "/" + self.state.options.role:
            key, now = self.state.issue("IMDS")
            return self.answer(200, {"Code": "Success", "LastUpdated": iso(now), "Type": "AWS-HMAC", "AccessKeyId": key["access_key"],
                                     "SecretAccessKey": key["secret_key"], "Token": key["token"], "Expiration": key["expires"]})
        if path == "/latest/meta-data/placement/region":
            return self.answer(200, IDENTITY["region"])
        if path.rstrip("/") == "/latest/meta-data/placement/availability-zone":
            return self.answer(200, IDENTITY["region"] + "a")
        if path == "/latest/dynamic/instance-identity/document":
            return self.answer(200, IDENTITY)
        return self.answer(404, "Not Found")

    def metadata_token(self):
        if self.command != "PUT":
            return self.answer(405, "Method Not Allowed", [("Allow", "OPTIONS, PUT")])
        if self.headers.get("X-Forwarded-For"):
            return self.answer(403, "Forbidden")
        lifetime = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        if lifetime is None or not lifetime.isdigit() or not 1 <= int(lifetime) <= 21600:
            return self.answer(400, "Bad Request")
        token = secrets.token_urlsafe(40) + "=="
        self.state.metadata_tokens[token] = time.time() + int(lifetime)
        return self.answer(200, token, [("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", lifetime)])

    # ---- containers
    def container(self):
        if self.headers.get("Authorization") != self.state.options.container_token:
            return self.answer(401, {"code": "Unauthorized", "message": "invalid token"})
        key, _ = self.state.issue("ECSC")
        return self.answer(200, {"RoleArn": "arn:aws:iam::123456789012:role/" + self.state.options.role, "AccessKeyId": key["access_key"],
                                 "SecretAccessKey": key["secret_key"], "Token": key["token"], "Expiration": key["expires"]})

    # ---- SSO
    def sso_portal(self, query):
        if self.headers.get("x-amz-sso_bearer_token") not in self.state.sso_tokens:
            return self.answer(401, {"__type": "com.amazonaws.switchboard.portal#UnauthorizedException",
                                     "message": "Session token not found or invalid"}, [("x-amzn-ErrorType", "UnauthorizedException")])
        if not query.get("role_name") or not query.get("account_id"):
            return self.answer(400, {"message": "role_name and account_id are required"}, [("x-amzn-ErrorType", "InvalidRequestException")])
        key, now = self.state.issue("SSOC")
        return self.answer(200, {"roleCredentials": {"accessKeyId": key["access_key"], "secretAccessKey": key["secret_key"],
                                                     "sessionToken": key["token"], "expiration": int((now + self.state.ttl) * 1000)}})

    def sso_renewal(self):
        asked = json.loads(self.body)
        known = asked.get("grantType") == "refresh_token" and asked.get("refreshToken") == REFRESH_TOKEN
        if not known or not asked.get("clientId") or not asked.get("clientSecret"):
            return self.answer(400, {"error": "invalid_grant", "error_description": "Invalid refresh token provided"},
                               [("x-amzn-ErrorType", "InvalidGrantException")])
        token = "sso-" + secrets.token_urlsafe(20)
        self.state.sso_tokens.add(token)
        return self.answer(200, {"accessToken": token, "tokenType": "Bearer", "expiresIn": self.state.ttl, "refreshToken": REFRESH_TOKEN})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9490)
    parser.add_argument("--keys", required=True, help="table of known keys (key_table.py)")
    parser.add_argument("--ttl", type=int, default=3600, help="seconds that keys live")
    parser.add_argument("--fail", type=int, default=0, help="so many first requests are answered 500")
    parser.add_argument("--role", default="ingest-role")
    parser.add_argument("--container-token", default="container-secret")
    parser.add_argument("--sso-token", default="sso-access-token")
    options = parser.parse_args()
    Handler.state = State(options)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
