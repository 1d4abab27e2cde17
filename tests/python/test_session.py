"""Settings, connections, the small commands, and what a user reads when the cluster cannot be reached."""
import base64
import json
import os
import shutil
import time

import pytest

from harness.paths import EXTENSION, ROOT
from harness.refusal import refusal
from harness.servers import HTML_PAGE, Listener, closed_port

PASSWORD = "S3cret-w0rd%xyz"


def member(answer, name):
    """A member of a command's answer, wherever it stands."""
    value = json.loads(answer) if isinstance(answer, str) else answer
    if name in value:
        return value[name]
    return value["response"][name]


# ---- settings -----------------------------------------------------------------------------------------------------
def test_order_of_settings(bare_box):
    read = "SELECT value, source FROM os_settings WHERE name = 'BATCH_SIZE';\n"
    assert bare_box.sql(read).out.strip() == "10000|default"
    bare_box.file(".env", "# a comment\nexport BATCH_SIZE=\"111\"\nLOG_LEVEL='WARNING'\n")
    assert bare_box.sql(read).out.strip() == "111|.env"
    assert bare_box.sql(read, env={"BATCH_SIZE": "222"}).out.strip() == "222|env"
    script = "SELECT os_config('BATCH_SIZE', 333) IS NOT NULL;\n" + read + "SELECT os_config('BATCH_SIZE');"
    assert bare_box.sql(script, env={"BATCH_SIZE": "222"}).lines == ["1", "333|session", "333"]
    other = bare_box.file("elsewhere/settings.env", "BATCH_SIZE=444\n")
    assert bare_box.sql(read, env={"OS_ENV_FILE": other}).out.strip() == "444|.env"


def test_defaults_are_those_of_the_contract(bare_box):
    rows = bare_box.sql("SELECT name, value FROM os_settings;").lines
    have = dict(line.split("|", 1) for line in rows)
    for name, value in {"LOAD_MODE": "auto", "BATCH_SIZE": "10000", "BATCH_BYTES": "8MiB", "MAX_WORKERS": "4",
                        "INDEX_RECREATE_THRESHOLD": "1000000", "DOCUMENT_COUNT_THRESHOLD": "100", "LOG_LEVEL": "INFO",
                        "LOG_FORMAT": "text", "VERIFY_SSL": "true", "VERIFY_HOSTNAME": "true", "HTTP_COMPRESS": "auto",
                        "REQUEST_TIMEOUT": "60", "MAX_RETRIES": "8"}.items():
        assert have[name] == value, name
    for name in ("OPENSEARCH_ENDPOINT", "OPENSEARCH_USERNAME", "OPENSEARCH_PASSWORD", "OPENSEARCH_AUTH", "AWS_REGION",
                 "OPENSEARCH_INDEX", "CA_BUNDLE", "MAX_RATE", "DLQ", "OUTPUT_BUCKET", "OS_LEDGER", "LOG_FILE"):
        assert name in have


def test_update_of_os_settings_sets(bare_box):
    out = bare_box.sql("UPDATE os_settings SET value = '77' WHERE name = 'BATCH_SIZE';\nSELECT os_config('BATCH_SIZE');").lines
    assert out[-1] == "77"


def test_alias_names_of_settings(bare_box):
    assert bare_box.sql("SELECT os_config('OPENSEARCH_ENDPOINT');", env={"OPENSEARCH_URL": "http://127.0.0.1:1234"}).out.strip() == "http://127.0.0.1:1234"


@pytest.mark.parametrize("name, value", [
    ("BATCH_SIZE", "many"), ("BATCH_SIZE", "0"), ("BATCH_SIZE", "-5"), ("BATCH_BYTES", "8 parsecs"), ("MAX_WORKERS", "0"),
    ("VERIFY_SSL", "perhaps"), ("REQUEST_TIMEOUT", "soon"), ("LOAD_MODE", "everything"), ("OPENSEARCH_ENDPOINT", "ftp://127.0.0.1"),
    ("OPENSEARCH_ENDPOINT", "127.0.0.1:9200"), ("LOG_LEVEL", "LOUD"), ("MAX_RATE", "fast"), ("OPENSEARCH_AUTH", "magic"), ("MAX_RETRIES", "x")])
def test_malformed_setting_is_refused_with_its_name(bare_box, name, value):
    bare_box.fails("SELECT os_config('%s', '%s');" % (name, value), name)
    bare_box.fails("SELECT os_ping();", name, env={name: value})
    bare_box.file(".env", "%s=%s\n" % (name, value))
    bare_box.fails("SELECT os_ping();", name)


def test_unknown_setting(bare_box):
    bare_box.fails("SELECT os_config('BATCH_SIZ', 5);", "BATCH_SIZ", "BATCH_SIZE")


def test_broken_env_file_names_file_and_line_not_content(bare_box):
    bare_box.file(".env", "BATCH_SIZE=5\nthis is no assignment %s\n" % PASSWORD)
    result = bare_box.fails("SELECT os_ping();", ".env", "2")
    assert PASSWORD not in result.err


def test_secrets_are_never_shown(bare_box, tmp_path):
    """In no table, result, error, log, ledger or connection."""
    with Listener(answer=(401, "application/json", b'{"error":"Unauthorized for %s"}' % PASSWORD.encode())) as server:
        env = {"OPENSEARCH_ENDPOINT": server.url, "OPENSEARCH_USERNAME": "loader", "OPENSEARCH_PASSWORD": PASSWORD,
               "LOG_LEVEL": "DEBUG", "LOG_FILE": tmp_path / "log.txt"}
        bare_box.file("a.ndjson", '{"a":1}\n')
        script = """SELECT * FROM os_settings; SELECT * FROM os_connections; SELECT os_debug(); SELECT os_config('OPENSEARCH_PASSWORD');
            SELECT os_connect('other', '{"endpoint":"%s","auth":"basic","username":"u","password":"%s"}');
            SELECT * FROM os_connections; SELECT os_ping(); SELECT os_ping('other'); SELECT os_bulk_load('a.ndjson', 'x');
            SELECT os_request('GET', '/'); SELECT * FROM os_jobs; SELECT * FROM os_audit;""" % (server.url, PASSWORD)
        result = bare_box.sql(script, env=env, bail=False, check=False)
        assert "********" in result.out
        assert any("Basic " in str(r[2]) for r in server.requests), "no credentials were ever sent"
        encoded = base64.b64encode(("loader:%s" % PASSWORD).encode()).decode()
        texts = {"stdout": result.out, "stderr": result.err}
        for path in [tmp_path / "log.txt", *bare_box.path.rglob("*")]:
            if path.is_file():
                texts[str(path)] = path.read_bytes().decode("latin-1")
        for where, text in texts.items():
            assert PASSWORD not in text and encoded not in text, "the password is in %s" % where


@pytest.mark.parametrize("how", ["env", "file", "netrc", "literal"])
def test_where_a_password_may_come_from(bare_box, how):
    env = {"OPENSEARCH_USERNAME": "loader"}
    if how == "env":
        env.update(OPENSEARCH_PASSWORD="env:MY_PASSWORD", MY_PASSWORD=PASSWORD)
    elif how == "file":
        secret = bare_box.file("secret", PASSWORD + "\n")
        os.chmod(secret, 0o600)
        env.update(OPENSEARCH_PASSWORD="file:%s" % secret)
    elif how == "netrc":
        env = {}
        netrc = bare_box.file(".netrc", "machine 127.0.0.1 login loader password %s\n" % PASSWORD)
        os.chmod(netrc, 0o600)
    else:
        env.update(OPENSEARCH_PASSWORD=PASSWORD)
    with Listener() as server:
        bare_box.sql("SELECT os_ping();", env={**env, "OPENSEARCH_ENDPOINT": server.url})
        expected = "Basic " + base64.b64encode(("loader:" + PASSWORD).encode()).decode()
        assert {r[2].get("Authorization") for r in server.requests} == {expected}


def test_secret_that_cannot_be_read(bare_box):
    env = {"OPENSEARCH_ENDPOINT": "http://127.0.0.1:%d" % closed_port(), "OPENSEARCH_USERNAME": "u"}
    bare_box.fails("SELECT os_ping();", "NOT_THERE", env={**env, "OPENSEARCH_PASSWORD": "env:NOT_THERE"})
    bare_box.fails("SELECT os_ping();", "/not/there", env={**env, "OPENSEARCH_PASSWORD": "file:/not/there"})


def test_password_in_the_url_is_refused_and_not_repeated(bare_box):
    for script, env in (("SELECT os_config('OPENSEARCH_ENDPOINT', 'http://u:%s@127.0.0.1:9200');" % PASSWORD, {}),
                        ("SELECT os_ping();", {"OPENSEARCH_ENDPOINT": "http://u:%s@127.0.0.1:9200" % PASSWORD})):
        result = bare_box.fails(script, "OPENSEARCH_PASSWORD", env=env)
        assert PASSWORD not in result.out
        assert PASSWORD not in "".join(line for line in result.err.splitlines() if "SELECT" not in line)


# ---- reaching a cluster ---------------------------------------------------------------------------------------------
def test_ping(box, plain):
    answer = box.one("SELECT os_ping()")
    assert member(answer, "distribution") == "opensearch" and member(answer, "version") == plain.version()


def test_no_endpoint(bare_box):
    bare_box.fails("SELECT os_ping();", "OPENSEARCH_ENDPOINT")


def test_unknown_host(bare_box):
    bare_box.fails("SELECT os_ping();", "no-such-host.invalid", env={"OPENSEARCH_ENDPOINT": "http://no-such-host.invalid:9200"}, timeout=40)


def test_wrong_port(bare_box):
    port = closed_port()
    started = time.monotonic()
    bare_box.fails("SELECT os_ping();", str(port), "refused", env={"OPENSEARCH_ENDPOINT": "http://127.0.0.1:%d" % port, "MAX_RETRIES": "1"})
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("status", [200, 404, 502])
def test_html_instead_of_json(bare_box, status):
    with Listener(answer=(status, "text/html", HTML_PAGE)) as server:
        result = bare_box.fails("SELECT os_ping();", "html", env={"OPENSEARCH_ENDPOINT": server.url, "MAX_RETRIES": "0"})
        if status != 200:
            assert str(status) in result.err


def test_json_that_is_not_opensearch(bare_box):
    with Listener(answer=(200, "application/json", b'{"hello":"world"}')) as server:
        bare_box.fails("SELECT os_ping();", "opensearch", env={"OPENSEARCH_ENDPOINT": server.url})


def test_garbage_instead_of_http(bare_box):
    import socket
    import threading
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                peer.recv(1000)
                peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                peer.close()
        threading.Thread(target=serve, daemon=True).start()
        port = server.getsockname()[1]
        bare_box.fails("SELECT os_ping();", "http", str(port), env={"OPENSEARCH_ENDPOINT": "http://127.0.0.1:%d" % port, "MAX_RETRIES": "0"})


def test_http_spoken_to_tls_and_tls_to_http(bare_box, certificates):
    with Listener(tls=certificates.server("s-tls")) as server:
        bare_box.fails("SELECT os_ping();", "https", env={"OPENSEARCH_ENDPOINT": server.url.replace("https", "http"), "MAX_RETRIES": "0"})
    with Listener() as server:
        bare_box.fails("SELECT os_ping();", "http", env={"OPENSEARCH_ENDPOINT": server.url.replace("http", "https"), "MAX_RETRIES": "0"})


def test_tls_with_own_ca(bare_box, certificates):
    with Listener(tls=certificates.server("s-good")) as server:
        for name in ("CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            bare_box.sql("SELECT os_ping();", env={"OPENSEARCH_ENDPOINT": server.url, name: certificates.ca})


@pytest.mark.parametrize("fault, words", [
    ("unknown", ["certificate", "CA_BUNDLE"]), ("expired", ["certificate", "expired"]), ("name", ["certificate", "name"])])
def test_bad_certificates(bare_box, certificates, fault, words):
    pair = certificates.server("s-" + fault, expired=fault == "expired", san="DNS:elsewhere.example" if fault == "name" else "IP:127.0.0.1")
    ca = certificates.other_ca if fault == "unknown" else certificates.ca
    with Listener(tls=pair) as server:
        env = {"OPENSEARCH_ENDPOINT": server.url, "CA_BUNDLE": ca, "OPENSEARCH_USERNAME": "u", "OPENSEARCH_PASSWORD": PASSWORD}
        bare_box.fails("SELECT os_ping();", *words, env=env)
        assert not server.requests, "a request was sent before the certificate was checked"
        result = bare_box.sql("SELECT os_ping();", env={**env, "VERIFY_SSL": "false"})
        assert "VERIFY_SSL" in result.err, "switching verification off must warn: %r" % result
        if fault == "name":
            bare_box.sql("SELECT os_ping();", env={**env, "VERIFY_HOSTNAME": "false"})
        else:
            bare_box.fails("SELECT os_ping();", "certificate", env={**env, "VERIFY_HOSTNAME": "false"})


def test_ca_file_that_is_missing(bare_box, certificates):
    with Listener(tls=certificates.server("s-noca")) as server:
        bare_box.fails("SELECT os_ping();", "/no/such/ca.pem", env={"OPENSEARCH_ENDPOINT": server.url, "CA_BUNDLE": "/no/such/ca.pem"})


def test_time_out(bare_box):
    with Listener(silent=True) as server:
        started = time.monotonic()
        bare_box.fails("SELECT os_ping();", "REQUEST_TIMEOUT", env={"OPENSEARCH_ENDPOINT": server.url, "REQUEST_TIMEOUT": "1", "MAX_RETRIES": "0"})
        assert time.monotonic() - started < 8


def test_proxy_from_the_environment_as_curl_does(bare_box, plain):
    """A forward proxy gets the request with the whole URL in its first line."""
    with Listener() as proxy:
        bare_box.sql("SELECT os_ping();", env={"OPENSEARCH_ENDPOINT": "http://cluster.example:9200", "http_proxy": proxy.url})
        assert proxy.requests and proxy.requests[0][1].startswith("http://cluster.example:9200/")
    with Listener() as proxy, Listener() as server:
        bare_box.sql("SELECT os_ping();", env={"OPENSEARCH_ENDPOINT": server.url, "http_proxy": proxy.url, "no_proxy": "127.0.0.1"})
        assert server.requests and not proxy.requests
    with Listener(answer=(503, "text/html", HTML_PAGE)) as proxy:
        bare_box.fails("SELECT os_ping();", "503", env={"OPENSEARCH_ENDPOINT": "http://cluster.example:9200", "http_proxy": proxy.url, "MAX_RETRIES": "0"})


def test_keep_alive_and_gzip_answers(bare_box):
    with Listener() as server:
        bare_box.sql("SELECT os_ping(); SELECT os_request('GET', '/a'); SELECT os_request('GET', '/b'); SELECT os_request('GET', '/c');",
                     env={"OPENSEARCH_ENDPOINT": server.url, "HTTP_COMPRESS": "true"})
        assert server.connections == 1, "a connection for each request"
        assert all("gzip" in r[2].get("Accept-Encoding", "") for r in server.requests)


def test_named_connections(box, plain, index):
    plain.create(index)
    db = box.db
    with Listener() as other:
        box.run("os_connect", "old", {"endpoint": other.url, "auth": "basic", "username": "u", "password": PASSWORD})
        assert member(box.one("SELECT os_ping('old')"), "version") == "2.19.4" and len(other.requests) >= 1
        rows = {row[0]: row for row in db.execute("SELECT * FROM os_connections")}
        assert {"main", "old"} <= set(rows)
        assert PASSWORD not in str([tuple(r) for r in rows.values()])
        seen = len(other.requests)
        assert box.one("SELECT os_count(?)", index) == 0
        assert len(other.requests) == seen, "main was asked for, old was called"
    with refusal("nowhere"):
        box.one("SELECT os_ping('nowhere')")
    with refusal("endpiont"):
        box.run("os_connect", "x", {"endpiont": "http://127.0.0.1"})


# ---- small commands ----------------------------------------------------------------------------------------------------
def test_index_commands(box, plain, index):
    made = box.run("os_create_index", index, {"settings": {"number_of_replicas": 0}, "mappings": {"properties": {"a": {"type": "keyword"}}}})
    assert made["status"] == "success" and index in made["message"] and made["job"] > 0
    assert plain.setting(index, "number_of_replicas") == "0"
    with refusal(index):
        box.run("os_create_index", index)
    plain.call("POST", "/%s/_doc" % index, {"a": "x"})
    box.run("os_refresh_index", index)
    assert box.one("SELECT os_count(?)", index) == 1
    assert box.one("SELECT os_count(?, ?)", index, '{"term":{"a":"y"}}') == 0
    with refusal(index):
        box.run("os_delete_index", index, index + "x")
    assert plain.exists(index)
    assert box.run("os_delete_index", index, index)["status"] == "success"
    assert not plain.exists(index)
    with refusal(index):
        box.run("os_delete_index", index, index)
    kinds = [r["kind"] for r in box.rows("SELECT kind FROM os_jobs ORDER BY job")]
    assert "create_index" in kinds and "delete_index" in kinds


@pytest.mark.parametrize("name", ["*", "t_*", "a,b", "", "_all", "UPPER", "a/b", "-x"])
def test_delete_index_wants_one_concrete_name(box, plain, index, name):
    plain.create(index)
    with refusal():
        box.run("os_delete_index", name, name)
    assert plain.exists(index)


def test_delete_index_behind_an_alias_is_refused(box, plain, index):
    plain.create(index, aliases={index + "_alias": {}})
    for name in (index, index + "_alias"):
        with refusal("alias"):
            box.run("os_delete_index", name, name)
    assert plain.exists(index)


def test_request(box, plain, index):
    answer = json.loads(box.one("SELECT os_request('PUT', ?, ?)", "/" + index, '{"settings":{"number_of_replicas":0}}'))
    assert answer["acknowledged"] is True and plain.exists(index)
    assert json.loads(box.one("SELECT json_object('x', os_request('GET', '/'))"))["x"]["version"]["number"] == plain.version()
    with refusal() as caught:
        box.one("SELECT os_request('GET', '/%s_none/_count')" % index)
    assert "404" in str(caught.value) and "no such index" in str(caught.value)
    with refusal():
        box.one("SELECT os_request('GET', 'no-slash')")


def test_versions_and_debug(box):
    assert box.one("SELECT os_version()") == (ROOT / "VERSION").read_text().strip()
    facts = json.loads(box.one("SELECT os_debug()"))
    text = json.dumps(facts).lower()
    for word in ("curl", "jansson", "sqlite", "openssl", "ledger"):
        assert word in text


def test_sleep(box):
    started = time.monotonic()
    box.one("SELECT os_sleep(0.4)")
    assert 0.35 < time.monotonic() - started < 3
    for bad in ("-1", "'soon'", "NULL"):
        with refusal("os_sleep"):
            box.one("SELECT os_sleep(%s)" % bad)


def test_options_are_checked(box, plain, index):
    plain.create(index)
    f = box.file("a.ndjson", '{"a":1}\n')
    text = box.load_fails(f, index, "modee", "mode", modee="append")
    for key in ("batch_size", "validate", "tune_index", "correlation_id", "on_partial", "timeout"):
        assert key in text, "legal key %s is not listed: %s" % (key, text)
    box.load_fails(f, index, "batch_size", batch_size="many")
    box.load_fails(f, index, "batch_size", batch_size=0)
    box.load_fails(f, index, "mode", "append", mode="everything")
    box.load_fails(f, index, "max_failed", max_failed="lots")
    with refusal("options"):
        box.one("SELECT os_bulk_load('a.ndjson', ?, '{not json')", index)
    with refusal("os_bulk_load"):
        box.one("SELECT os_bulk_load(NULL, ?)", index)
    with refusal(arguments=True):
        box.one("SELECT os_bulk_load()")
    assert plain.count(index) == 0


def test_one_statement_runs_a_command_once(box, plain, index):
    """SQLite flattens the subquery and evaluates the call twice; the second one gives the first one's answer."""
    sql = "SELECT r FROM (SELECT os_create_index('%s') AS r) WHERE r IS NOT NULL AND length(r) > 0" % index
    assert json.loads(box.one(sql))["status"] == "success"
    assert box.one("SELECT count(*) FROM os_jobs WHERE kind = 'create_index'") == 1
    statement = "SELECT os_delete_index(?1, ?1)"
    assert json.loads(box.one(statement, index))["status"] == "success"
    with refusal():  # a new execution is a new command
        box.one(statement, index)


# ---- loading the extension ------------------------------------------------------------------------------------------------
def test_load_twice_and_under_another_name(box, tmp_path):
    again = shutil.copy(EXTENSION, tmp_path / "renamed_by_somebody.so")
    out = box.sql(".load %s\nSELECT os_version() IS NOT NULL;\n" % EXTENSION).lines
    assert out == ["1"]
    out = box.sql(".load %s\nSELECT os_version() IS NOT NULL;\n" % again, load=False).lines
    assert out == ["1"]
    db = box.db
    box.one("SELECT os_config('BATCH_SIZE', 55)")
    db.load_extension(str(EXTENSION))
    assert str(box.one("SELECT os_config('BATCH_SIZE')")) == "55", "loading again forgot the session"


def test_nothing_is_made_by_load_or_select(box):
    box.sql("SELECT count(*) FROM os_jobs; SELECT count(*) FROM os_settings; SELECT count(*) FROM dlq_failures;")
    made = [str(p.relative_to(box.path)) for p in box.path.rglob("*") if p.is_file()]
    assert [m for m in made if "ledger" in m] == []


def test_many_connections_in_one_process(box):
    first, second = box.db, box.connect("b.db")
    first.execute("SELECT os_config('BATCH_SIZE', 1)").fetchall()
    assert str(second.execute("SELECT os_config('BATCH_SIZE')").fetchone()[0]) == "10000"
    first.execute("SELECT os_ping()").fetchall()
    second.execute("SELECT os_ping()").fetchall()
    second.close()
    first.execute("SELECT os_ping()").fetchall()


@pytest.mark.parametrize("form, line", [
    ("text", r"^\d{4}-\d\d-\d\dT[\d:.]+Z (DEBUG|INFO|WARNING|ERROR)"), ("json", r"^\{.*\}$"),
    ("%(levelname)s|%(name)s|%(message)s", r"^(DEBUG|INFO|WARNING|ERROR)\|[^|]+\|.")])
def test_log_forms(box, plain, index, form, line):
    import re
    plain.create(index)
    f = box.file("a.ndjson", '{"a":1}\n{"a":2}\n')
    log = box / "run.log"
    result = box.sql("SELECT os_bulk_load('%s', '%s', '{\"correlation_id\":\"run-77\"}');" % (f, index),
                     env={"LOG_FILE": log, "LOG_FORMAT": form, "LOG_LEVEL": "INFO"}).json()
    lines = log.read_text().splitlines()
    assert lines and all(re.match(line, text) for text in lines), lines[:5]
    if form == "json":
        entries = [json.loads(text) for text in lines]
        mine = [e for e in entries if e.get("job") == result["job"]]
        assert mine and all(e.get("correlation_id") == "run-77" for e in mine)
    if form == "text":
        assert any("job=%d" % result["job"] in text for text in lines)
    assert oct(log.stat().st_mode)[-2:] == "00", "others can read the log"
