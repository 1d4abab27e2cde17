"""What goes over the wire, and how often: retries, redirects, warnings, forms of an endpoint, and what is written down
about it. The servers are tiny ones that count."""
import json
import os
import socket
import threading
import time

import pytest

from harness.refusal import refusal
from harness.servers import HTML_PAGE, ROOT_ANSWER, Listener

PASSWORD = "S3cret-w0rd%xyz"


class Redirecting:
    """Answers every request with a redirect to another server."""

    def __init__(self, status, target):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.answer = ("HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % (status, target)).encode()
        self.requests = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            peer.recv(65536)
            self.requests += 1
            peer.sendall(self.answer)
            peer.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.close()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.server.getsockname()[1]


# ---- redirects and credentials ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_told_not_followed(bare_box, status):
    with Listener() as other, Redirecting(status, other.url + "/elsewhere") as server:
        env = {"OPENSEARCH_ENDPOINT": server.url, "OPENSEARCH_USERNAME": "u", "OPENSEARCH_PASSWORD": PASSWORD, "MAX_RETRIES": "0"}
        bare_box.fails("SELECT os_ping();", str(status), env=env)
        assert server.requests and not other.requests, "the login went to another server"


def test_a_password_over_http_to_another_machine_is_warned_about(bare_box):
    with Listener() as proxy:
        env = {"OPENSEARCH_USERNAME": "u", "OPENSEARCH_PASSWORD": PASSWORD, "http_proxy": proxy.url}
        far = bare_box.sql("SELECT os_ping(); SELECT os_ping();", env={**env, "OPENSEARCH_ENDPOINT": "http://cluster.example:9200"})
        assert "WARNING" in far.err and "http" in far.err and PASSWORD not in far.err
    with Listener() as server:
        here = bare_box.sql("SELECT os_ping();", env={**env, "OPENSEARCH_ENDPOINT": server.url, "http_proxy": None})
        assert "WARNING" not in here.err, "a warning about this very machine: %r" % here


def test_verify_ssl_false_warns_once_a_connection(bare_box, certificates):
    with Listener(tls=certificates.server("n-warn")) as server:
        result = bare_box.sql("SELECT os_ping(); SELECT os_ping(); SELECT os_request('GET', '/');",
                              env={"OPENSEARCH_ENDPOINT": server.url, "VERIFY_SSL": "false"})
        assert result.err.count("WARNING") == 1 and "VERIFY_SSL" in result.err


def test_a_secret_file_that_others_can_read_is_warned_about(bare_box):
    secret = bare_box.file("secret", PASSWORD + "\n")
    with Listener() as server:
        env = {"OPENSEARCH_ENDPOINT": server.url, "OPENSEARCH_USERNAME": "u", "OPENSEARCH_PASSWORD": "file:%s" % secret}
        os.chmod(secret, 0o644)
        result = bare_box.sql("SELECT os_ping();", env=env)
        assert "WARNING" in result.err and "secret" in result.err and PASSWORD not in result.err
        os.chmod(secret, 0o600)
        assert "WARNING" not in bare_box.sql("SELECT os_ping();", env=env).err


@pytest.mark.parametrize("env, words", [
    ({"OPENSEARCH_AUTH": "basic"}, ["OPENSEARCH_USERNAME"]), ({"OPENSEARCH_AUTH": "iam"}, ["iam"]),
    ({"OPENSEARCH_USERNAME": "u"}, ["OPENSEARCH_PASSWORD"])])
def test_half_a_login_is_refused_before_anything_is_sent(bare_box, env, words):
    with Listener() as server:
        bare_box.fails("SELECT os_ping();", *words, env={"OPENSEARCH_ENDPOINT": server.url, **env})
        assert not server.requests


def test_bad_names_of_connections(bare_box):
    db = bare_box.connect()
    for name in ("main", "", "x" * 65, "a b", "a/b"):
        with refusal("os_connect"):
            db.execute("SELECT os_connect(?, '{\"endpoint\":\"http://127.0.0.1:1\"}')", (name,)).fetchall()
    with refusal("endpoint"):
        db.execute("SELECT os_connect('x', '{}')").fetchall()
    db.execute("SELECT os_connect('x', '{\"endpoint\":\"http://127.0.0.1:1\"}')").fetchall()
    other = bare_box.connect("b.db")
    with refusal("x"):
        other.execute("SELECT os_ping('x')").fetchall()
    with Listener() as server:  # a second definition replaces the first
        db.execute("SELECT os_connect('x', ?)", (json.dumps({"endpoint": server.url}),)).fetchall()
        assert json.loads(db.execute("SELECT os_ping('x')").fetchone()[0])["status"] == "success"


# ---- how often -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_passing_faults_are_tried_max_retries_more_times(bare_box, status):
    with Listener(answer=(status, "application/json", b'{"error":"busy"}')) as server:
        bare_box.fails("SELECT os_ping();", str(status), env={"OPENSEARCH_ENDPOINT": server.url, "MAX_RETRIES": "2"})
        assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_lasting_faults_are_not_tried_again(bare_box, status):
    with Listener(answer=(status, "application/json", b'{"error":{"type":"x","reason":"no"},"status":%d}' % status)) as server:
        word = "user" if status == 401 else str(status)
        bare_box.fails("SELECT os_request('GET', '/x');", word, env={"OPENSEARCH_ENDPOINT": server.url})
        assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_may_change_something_is_sent_once(bare_box, method):
    with Listener(answer=(503, "text/html", HTML_PAGE)) as server:
        bare_box.fails("SELECT os_request('%s', '/x/_something');" % method, "503", env={"OPENSEARCH_ENDPOINT": server.url})
        assert [r[0] for r in server.requests].count(method) == 1


# ---- forms of an endpoint ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix, path", [("", "/"), ("/", "/"), ("/search", "/search/"), ("/search/", "/search/")])
def test_a_path_in_the_endpoint(bare_box, suffix, path):
    with Listener() as server:
        bare_box.sql("SELECT os_ping(); SELECT os_request('GET', '/a?b=c');", env={"OPENSEARCH_ENDPOINT": server.url + suffix})
        assert {r[1] for r in server.requests} == {path, path + "a?b=c"}


@pytest.mark.parametrize("url", ["http://", "http://:9200", "http://127.0.0.1:0x1", "http://127.0.0.1:99999", "file:///etc/passwd",
                                 "http://127.0.0.1/?q=1", "http://127.0.0.1/#f", "http://a b", "http://127.0.0.1\n"])
def test_endpoints_that_are_none(bare_box, url):
    db = bare_box.connect()
    with refusal("OPENSEARCH_ENDPOINT"):
        db.execute("SELECT os_config('OPENSEARCH_ENDPOINT', ?)", (url,)).fetchall()


# ---- what is written down ------------------------------------------------------------------------------------------------------
def test_reading_commands_make_no_ledger_and_changing_ones_do(bare_box):
    with Listener(answer=(200, "application/json", ROOT_ANSWER[:-1] + b',"count":3,"_shards":{"total":1,"successful":1,"failed":0}}')) as server:
        env = {"OPENSEARCH_ENDPOINT": server.url}
        bare_box.sql("SELECT os_ping(); SELECT os_count('x'); SELECT os_request('GET', '/'); SELECT os_request('POST', '/x/_search', '{}');"
                     "SELECT os_sleep(0); SELECT os_version(); SELECT os_debug(); SELECT os_config('BATCH_SIZE', 5);", env=env)
        assert not (bare_box / "app.db-ledger").exists()
        out = bare_box.sql("SELECT os_request('PUT', '/x/_doc/1', '{\"password\":\"%s\"}') IS NULL; SELECT kind, arguments FROM os_jobs;" % PASSWORD, env=env).lines
        assert out[1].startswith("request|") and PASSWORD not in out[1]
        for path in bare_box.path.glob("app.db-ledger*"):
            assert PASSWORD.encode() not in path.read_bytes(), "a body is in %s" % path.name


def test_an_answer_in_pieces_and_a_large_one(bare_box):
    body = json.dumps({"hits": ["x" * 1000] * 3000}).encode()

    def answer(handler):
        return (200, "application/json", ROOT_ANSWER if handler.path == "/" else body)
    with Listener(answer=answer) as server:
        out = bare_box.sql("SELECT length(os_request('GET', '/big'));", env={"OPENSEARCH_ENDPOINT": server.url}).lines
        assert out == [str(len(body))]


def test_a_change_without_an_answer_is_not_called_failed(bare_box):
    """REQUEST_TIMEOUT may be a fraction; whether the change was made is not known, and that is what is said."""
    with Listener(silent=True) as server:
        started = time.monotonic()
        bare_box.fails("SELECT os_request('PUT', '/x');", "not known", env={"OPENSEARCH_ENDPOINT": server.url, "REQUEST_TIMEOUT": "0.4"})
        assert time.monotonic() - started < 4 and [r[0] for r in server.requests].count("PUT") == 1
