"""Tiny servers for what no real node does: they count requests, answer nonsense, or speak TLS with odd certificates."""
import http.server
import socket
import ssl
import subprocess
import threading

ROOT_ANSWER = (b'{"name":"x","cluster_name":"tiny","cluster_uuid":"u","version":{"distribution":"opensearch",'
               b'"number":"2.19.4"},"tagline":"The OpenSearch Project: https://opensearch.org/"}')


class Listener:
    """Counts the connections and requests that reach it. answer: (status, content type, body), or with a mapping of further
    headers, or a function of the handler that gives one."""

    def __init__(self, answer=(200, "application/json", ROOT_ANSWER), tls=None, silent=False):
        self.requests, self.connections, self.silent = [], 0, silent
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                outer.connections += 1
                super().setup()

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                outer.requests.append((self.command, self.path, dict(self.headers), body))
                if outer.silent:
                    outer.stopping.wait(60)
                    self.close_connection = True
                    return
                status, kind, text, *more = answer(self) if callable(answer) else answer
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(text)))
                for name, value in more[0].items() if more else ():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256  # connections that come at once

            def handle_error(self, request, address):
                pass  # a client that refuses our certificate is what some tests want

        self.stopping = threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.scheme = "https" if tls else "http"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server.server_address[1]

    @property
    def url(self):
        return "%s://127.0.0.1:%d" % (self.scheme, self.port)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()


def closed_port():
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Certificates:
    """A CA and server certificates made with the openssl program: good, expired, for another name."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = self._ca("ca")
        self.other_ca = self._ca("other-ca")

    def _openssl(self, *args, stdin=None):
        subprocess.run(["openssl", *map(str, args)], check=True, cwd=self.folder, input=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _ca(self, name):
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=test %s" % name,
                      "-keyout", name + ".key", "-out", name + ".pem", "-addext", "basicConstraints=critical,CA:TRUE")
        return str(self.folder / (name + ".pem"))

    def server(self, name, san="IP:127.0.0.1,DNS:localhost", expired=False):
        """(certificate, key) files signed by the CA. An expired one ended yesterday's year."""
        folder = self.folder
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=%s" % name, "-keyout", name + ".key", "-out", name + ".csr")
        (folder / "index.txt").write_text("")
        (folder / "serial").write_text("%04x\n" % (abs(hash(name)) % 60000 + 1))
        (folder / (name + ".cnf")).write_text(
            "[ca]\ndefault_ca=c\n[c]\nnew_certs_dir=.\ndatabase=index.txt\nserial=serial\ndefault_md=sha256\npolicy=p\n"
            "x509_extensions=e\nunique_subject=no\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=%s\nbasicConstraints=CA:FALSE\n" % san)
        dates = ("20200101000000Z", "20210101000000Z") if expired else ("20200101000000Z", "20491231000000Z")
        self._openssl("ca", "-batch", "-config", name + ".cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", name + ".csr",
                      "-out", name + ".pem", "-startdate", dates[0], "-enddate", dates[1], "-notext")
        return str(folder / (name + ".pem")), str(folder / (name + ".key"))


HTML_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>"
