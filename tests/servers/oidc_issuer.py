#!/usr/bin/env python3
"""A small OpenID issuer on 127.0.0.1 with a real RSA key, for servers that verify the token of a web identity.

    oidc_issuer.py PORT TOKEN_FILE [subject] [lifetime in seconds]

writes a signed token to TOKEN_FILE and serves discovery and keys; POST /token?sub=…&ttl=… answers with a new token.
"""
import base64
import json
import os
import sys
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

AUDIENCE = "sts.amazonaws.com"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    def __init__(self, url, subject, lifetime):
        self.url, self.subject, self.lifetime = url, subject, lifetime
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(self, subject=None, lifetime=None):
        now = int(time.time())
        head = {"alg": "RS256", "typ": "JWT", "kid": "k1"}
        claims = {"iss": self.url, "aud": AUDIENCE, "azp": AUDIENCE, "sub": subject or self.subject, "iat": now, "nbf": now,
                  "exp": now + int(self.lifetime if lifetime is None else lifetime), "policy": "readwrite"}
        signed = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
        return signed + "." + base64url(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))

    def discovery(self):
        return {"issuer": self.url, "jwks_uri": self.url + "/jwks", "authorization_endpoint": self.url + "/auth",
                "token_endpoint": self.url + "/token", "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid"]}

    def public_keys(self):
        numbers = self.key.public_key().public_numbers()
        n, e = (base64url(v.to_bytes((v.bit_length() + 7) // 8, "big")) for v in (numbers.n, numbers.e))
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": n, "e": e}]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    issuer = None

    def log_message(self, *args):
        pass

    def answer(self, status, content):
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/.well-known/openid-configuration":
            return self.answer(200, self.issuer.discovery())
        if self.path == "/jwks":
            return self.answer(200, self.issuer.public_keys())
        return self.answer(404, {})

    def do_POST(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.answer(200, self.issuer.token(query.get("sub"), query.get("ttl")))


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    port, token_file = int(sys.argv[1]), sys.argv[2]
    subject = sys.argv[3] if len(sys.argv) > 3 else "system:serviceaccount:default:ingester"
    lifetime = int(sys.argv[4]) if len(sys.argv) > 4 else 3600
    Handler.issuer = Issuer("http://127.0.0.1:%d" % port, subject, lifetime)
    with open(os.open(token_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write(Handler.issuer.token())
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
