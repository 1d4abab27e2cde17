"""Promises about the session that the other modules do not look at: where settings and credentials come from, which of
two wins, that a secret stays one while everything works, and how the options of every command are checked."""
import base64
import json
import os
import re
import time

import pytest

from harness.refusal import refusal
from harness.servers import Listener, closed_port

PASSWORD = "S3cret-w0rd%xyz"
SECOND = "0ther-S3cret#abc"


def basic(user, password):
    return "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()


def netrc(box, text):
    os.chmod(box.file(".netrc", text), 0o600)


def authorizations(server):
    return {request[2].get("Authorization") for request in server.requests}


# ---- credentials ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tls", [False, True])
def test_netrc_with_and_without_tls(bare_box, certificates, tls):
    netrc(bare_box, "machine elsewhere.example login wrong password wrong\nmachine 127.0.0.1 login loader password %s\n" % PASSWORD)
    with Listener(tls=certificates.server("g-netrc") if tls else None) as server:
        env = {"OPENSEARCH_ENDPOINT": server.url, "CA_BUNDLE": certificates.ca}
        result = bare_box.sql("SELECT os_ping(); SELECT * FROM os_connections; SELECT os_debug();", env=env)
        assert authorizations(server) == {basic("loader", PASSWORD)}
        assert PASSWORD not in result.out + result.err


def test_netrc_is_for_the_hosts_it_names_and_gives_way_to_settings(bare_box):
    netrc(bare_box, "machine elsewhere.example login loader password %s\n" % PASSWORD)
    with Listener() as server:
        bare_box.sql("SELECT os_ping();", env={"OPENSEARCH_ENDPOINT": server.url})
        assert authorizations(server) == {None}, "another host's login was sent"
    netrc(bare_box, "machine 127.0.0.1 login loader password %s\n" % PASSWORD)
    with Listener() as server:
        bare_box.sql("SELECT os_ping();", env={"OPENSEARCH_ENDPOINT": server.url, "OPENSEARCH_AUTH": "none"})
        assert authorizations(server) == {None}, "OPENSEARCH_AUTH=none sent a login"
    with Listener() as server:
        bare_box.sql("SELECT os_ping();", env={"OPENSEARCH_ENDPOINT": server.url, "OPENSEARCH_USERNAME": "me", "OPENSEARCH_PASSWORD": SECOND})
        assert authorizations(server) == {basic("me", SECOND)}


def test_a_further_cluster_gets_no_login_of_main(bare_box):
    with Listener() as main, Listener() as other:
        env = {"OPENSEARCH_ENDPOINT": main.url, "OPENSEARCH_USERNAME": "me", "OPENSEARCH_PASSWORD": PASSWORD}
        bare_box.sql("SELECT os_connect('other', '{\"endpoint\":\"%s\"}'); SELECT os_ping('other'); SELECT os_ping();" % other.url, env=env)
        assert authorizations(main) == {basic("me", PASSWORD)} and authorizations(other) == {None}


def test_a_url_with_a_password_is_refused_wherever_it_is_given(bare_box):
    url = "http://u:%s@127.0.0.1:9200" % PASSWORD
    bare_box.file("args.sql", "SELECT os_connect('x', '{\"endpoint\":\"%s\"}');" % url)
    # with .read the shell's error message repeats no SQL text
    for script in ("args.sql",):
        db = bare_box.connect()
        with refusal("password") as caught:
            db.execute((bare_box / script).read_text()).fetchall()
        assert PASSWORD not in str(caught.value)
        with refusal("OPENSEARCH_ENDPOINT") as caught:
            db.execute("UPDATE os_settings SET value = ? WHERE name = 'OPENSEARCH_ENDPOINT'", (url,))
        assert PASSWORD not in str(caught.value)
    bare_box.file(".env", "OPENSEARCH_ENDPOINT=%s\n" % url)
    result = bare_box.fails("SELECT * FROM os_settings; SELECT os_debug(); SELECT os_ping();", "OPENSEARCH_ENDPOINT", bail=False)
    assert PASSWORD not in result.out + result.err


@pytest.mark.parametrize("how", ["env", "file"])
def test_a_password_that_works_is_shown_and_kept_nowhere(box, plain, index, how):
    """Loads, a refusal, a retry and a failure, with the log at DEBUG: then every byte that was written is searched."""
    os.chmod(box.file("../secret-of-%s" % how, PASSWORD + "\n"), 0o600)
    reference = "env:HIDDEN_WORD" if how == "env" else "file:%s" % (box.path.parent / ("secret-of-%s" % how))
    plain.create(index, {"a": {"type": "integer"}})
    box.file("a.ndjson", '{"_id":"1","a":1}\n{"_id":"2","a":"x"}\n')
    env = {"OPENSEARCH_USERNAME": "loader", "OPENSEARCH_PASSWORD": reference, "HIDDEN_WORD": PASSWORD,
           "LOG_LEVEL": "DEBUG", "LOG_FILE": box / "run.log", "LOG_FORMAT": "json"}
    result = box.sql("""
        SELECT os_connect('again', json_object('endpoint', os_config('OPENSEARCH_ENDPOINT'), 'username', 'u', 'password', '%s'));
        SELECT os_ping(); SELECT os_ping('again'); SELECT * FROM os_settings; SELECT * FROM os_connections; SELECT os_debug();
        SELECT os_config('OPENSEARCH_PASSWORD'); SELECT os_bulk_load('a.ndjson', '%s');
        SELECT os_bulk_load('a.ndjson', '%s', '{"connection":"again","mode":"upsert"}');
        SELECT os_retry_failures(); SELECT os_bulk_load('missing', '%s'); SELECT os_request('GET', '/no-such-path/x/y/z');
        SELECT * FROM os_jobs; SELECT * FROM os_audit; SELECT * FROM dlq_failures;""" % (SECOND, index, index, index), env=env, bail=False, check=False)
    assert plain.count(index) == 1 and (box / "run.log").stat().st_size > 500
    texts = {"stdout": result.out, "stderr": result.err.replace("'password', '%s'" % SECOND, "")}
    for path in box.path.rglob("*"):
        if path.is_file():
            texts[path.name] = path.read_bytes().decode("latin-1")
    assert "app.db-ledger" in texts and index in "".join(v for k, v in texts.items() if k.startswith("app.db-ledger"))
    for where, text in texts.items():
        for secret in (PASSWORD, SECOND, basic("loader", PASSWORD)[6:], basic("u", SECOND)[6:]):
            assert secret not in text, "a secret is in %s" % where


# ---- where a setting comes from -------------------------------------------------------------------------------------
def test_null_goes_back_to_what_was_given_before(bare_box):
    bare_box.file(".env", "BATCH_SIZE=111\nMAX_WORKERS=3\n")
    read = "SELECT value, source FROM os_settings WHERE name = '%s';\n"
    for name, env, expected in (("BATCH_SIZE", {"BATCH_SIZE": "222"}, "222|env"), ("BATCH_SIZE", {}, "111|.env"),
                                ("MAX_WORKERS", {}, "3|.env"), ("LOG_LEVEL", {}, "INFO|default")):
        value = "'DEBUG'" if name == "LOG_LEVEL" else "7"
        out = bare_box.sql("SELECT os_config('%s', %s) IS NULL;\n%sSELECT os_config('%s', NULL) IS NULL;\n%s" % (
            name, value, read % name, name, read % name), env=env).lines
        assert out[1] == value.strip("'") + "|session" and out[3] == expected
    out = bare_box.sql("UPDATE os_settings SET value = 9 WHERE name = 'BATCH_SIZE'; UPDATE os_settings SET value = NULL WHERE name = 'BATCH_SIZE';\n"
                       + read % "BATCH_SIZE").lines
    assert out[-1] == "111|.env"


def test_an_empty_os_env_file_reads_none_and_a_missing_one_is_told(bare_box):
    bare_box.file(".env", "BATCH_SIZE=111\n")
    assert bare_box.sql("SELECT os_config('BATCH_SIZE');", env={"OS_ENV_FILE": ""}).out.strip() == "10000"
    bare_box.fails("SELECT os_ping();", "nowhere.env", env={"OS_ENV_FILE": "nowhere.env", "OPENSEARCH_ENDPOINT": "http://127.0.0.1:1"})


def test_a_secret_named_by_env_may_stand_in_the_env_file(bare_box):
    with Listener() as server:
        bare_box.file(".env", "OPENSEARCH_ENDPOINT=%s\nOPENSEARCH_USERNAME=me\nOPENSEARCH_PASSWORD=env:WORD\nWORD='%s'\n" % (server.url, PASSWORD))
        bare_box.sql("SELECT os_ping();")
        assert authorizations(server) == {basic("me", PASSWORD)}


@pytest.mark.parametrize("good, bad, reached", [
    (["CA_BUNDLE"], ["CURL_CA_BUNDLE", "SSL_CERT_FILE"], True), (["CURL_CA_BUNDLE"], ["SSL_CERT_FILE"], True),
    (["CURL_CA_BUNDLE", "SSL_CERT_FILE"], ["CA_BUNDLE"], False), (["SSL_CERT_FILE"], ["CURL_CA_BUNDLE"], False)])
def test_order_of_authorities(bare_box, certificates, good, bad, reached):
    env = {**{name: certificates.ca for name in good}, **{name: certificates.other_ca for name in bad}}
    with Listener(tls=certificates.server("g-order")) as server:
        env["OPENSEARCH_ENDPOINT"] = server.url
        if reached:
            bare_box.sql("SELECT os_ping();", env=env)
        else:
            bare_box.fails("SELECT os_ping();", "certificate", env=env)
        assert bool(server.requests) == reached


def test_a_named_connection_has_its_own_authority(bare_box, certificates):
    with Listener(tls=certificates.server("g-named")) as server:
        options = {"endpoint": server.url, "ca_bundle": certificates.ca}
        script = "SELECT os_connect('x', '%s'); SELECT os_ping('x');"
        bare_box.sql(script % json.dumps(options))
        bare_box.fails(script % json.dumps({"endpoint": server.url, "ca_bundle": certificates.other_ca}), "certificate")
        bare_box.sql(script % json.dumps({"endpoint": server.url, "verify_ssl": False}))
        wrong_name = certificates.server("g-othername", san="DNS:elsewhere.example")
    with Listener(tls=wrong_name) as server:
        options["endpoint"] = server.url
        bare_box.fails(script % json.dumps(options), "certificate", "name")
        bare_box.sql(script % json.dumps({**options, "verify_hostname": False}))


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy", "ALL_PROXY"])
def test_names_of_proxies(bare_box, name):
    with Listener() as proxy:
        bare_box.sql("SELECT os_ping();", env={"OPENSEARCH_ENDPOINT": "http://cluster.example:9200", name: proxy.url})
        assert proxy.requests and proxy.requests[0][1].startswith("http://cluster.example:9200/")


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "10.0.0.1,127.0.0.1"])
def test_no_proxy(bare_box, exempt):
    with Listener() as proxy, Listener() as server:
        bare_box.sql("SELECT os_ping();", env={"OPENSEARCH_ENDPOINT": server.url, "http_proxy": proxy.url, "NO_PROXY": exempt})
        assert server.requests and not proxy.requests


def test_a_proxy_that_will_not_tunnel_is_named(bare_box, certificates):
    with Listener() as proxy:
        result = bare_box.fails("SELECT os_ping();", "proxy", env={
            "OPENSEARCH_ENDPOINT": "https://cluster.example:9200", "https_proxy": proxy.url, "MAX_RETRIES": "0"})
        assert "501" in result.err, "what the proxy answered is not told: %r" % result


# ---- options ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call, legal", [
    ("os_count('x', NULL, %s)", "timeout"), ("os_request('GET', '/', NULL, %s)", "connection"),
    ("os_create_index('x', NULL, %s)", "connection"), ("os_delete_index('x', 'x', %s)", "dry_run"),
    ("os_refresh_index('x', %s)", "connection"), ("os_cleanup('x', %s)", "dry_run"),
    ("os_retry_failures(NULL, %s)", "overwrite"), ("os_connect('x', %s)", "endpoint"),
    ("count(*) FROM os_preview('a.ndjson', %s)", "delimiter"), ("count(*) FROM os_load_plan('a.ndjson', 'x', %s)", "mode")])
def test_every_command_names_an_unknown_option_and_the_legal_ones(box, call, legal):
    box.file("a.ndjson", '{"a":1}\n')
    with refusal("zzz_option") as caught:
        box.one("SELECT " + call % "'{\"zzz_option\":1}'")
    assert legal in str(caught.value)
    for broken in ("'[1]'", "'{\"a\":'", "'text'"):
        with refusal("options"):
            box.one("SELECT " + call % broken)


def test_every_option_of_a_load_checks_its_value(box, plain, index):
    plain.create(index)
    f = box.file("a.csv", "a\n1\n")
    wrong = [("batch_bytes", -1), ("batch_bytes", "8 parsecs"), ("batch_bytes", 1.5), ("max_workers", 0), ("max_workers", 100000),
             ("header", "yes"), ("columns", "a"), ("columns", [1]), ("columns", ["a", "a"]), ("null_values", "x"), ("null_values", [None]),
             ("types", {"a": "blob"}), ("types", []), ("sample_rows", 0), ("nested_columns", "no"), ("source_field", 5),
             ("retry_on_conflict", 101), ("retry_on_conflict", -1), ("create", "yes"), ("create", 5), ("tune_index", "on"),
             ("validate", "all"), ("force_merge", "maybe"), ("on_changed", "ignore"), ("op", "delete"), ("timeout", 0),
             ("timeout", "soon"), ("timeout", -1), ("on_partial", "ignore"), ("connection", 5), ("connection", "nowhere"),
             ("correlation_id", 5), ("correlation_id", "x" * 300), ("progress", "loud"), ("delimiter", ";;"), ("delimiter", ""),
             ("quote", "''"), ("refresh", "now"), ("max_rate", "fast"), ("max_rate", 5), ("max_failed", -1), ("max_failed", "150%"),
             ("require_alias", "x"), ("allow_again", "x"), ("allow_live", 2), ("id_field", 5), ("routing_field", []),
             ("version_field", {}), ("unknown_fields", "drop"), ("exactly_once", None), ("trim", None), ("dry_run", "x"), ("pipeline", 1)]
    for key, value in wrong:
        with refusal() as caught:
            box.load(f, index, **{key: value})
        assert key in str(caught.value) or value == "nowhere" and value in str(caught.value), (key, value, str(caught.value))
    assert plain.count(index) == 0 and box.rows("SELECT * FROM os_jobs WHERE status = 'success'") == []


def test_true_and_false_may_be_1_and_0(box, plain, index):
    plain.create(index)
    box.file("a.csv", "a.b\n1\n")
    assert json.loads(box.one("SELECT os_bulk_load('a.csv', ?, json_object('nested_columns', 0 = 1, 'dry_run', 1 = 1))", index))["checks"]
    box.one("SELECT os_bulk_load('a.csv', ?, json_object('nested_columns', 0 = 1))", index)
    assert [doc for _, doc, _ in plain.read_all(index)] == [{"a.b": 1}]


def test_dry_run_of_every_command_that_has_it_gives_its_checks(box, plain, index):
    plain.create(index, {"a": {"type": "integer"}})
    box.load(box.file("a.ndjson", '{"a":1}\n{"a":"x"}\n'), index)
    before = (plain.count(index), len(box.dlq()))
    for function, arguments in (("os_cleanup", [index]), ("os_delete_index", [index, index]), ("os_retry_failures", [None]),
                                ("os_bulk_load", ["a.ndjson", index])):
        options = {"dry_run": True, "mode": "append", "allow_again": True} if function == "os_bulk_load" else {"dry_run": True}
        result = box.run(function, *arguments, options)
        assert result["checks"], function
        for check in result["checks"]:
            assert {"check", "verdict", "detail"} <= set(check) and check["verdict"] in ("pass", "fail", "unknown", "skip", "did"), function
    assert (plain.count(index), len(box.dlq())) == before and plain.exists(index)


def test_timeout_of_a_command_and_of_a_load(through, proxy, plain, index):
    plain.create(index)
    f = through.file("a.ndjson", '{"a":1}\n')
    through.one("SELECT os_config('MAX_RETRIES', 0)")
    proxy.rule("hang", on="any", seconds=20)
    started = time.monotonic()
    with refusal("timeout|timed out|0.5"):
        through.one("SELECT os_count(?, NULL, '{\"timeout\":0.5}')", index)
    assert time.monotonic() - started < 5
    proxy.clear()
    proxy.rule("hang", seconds=20)
    started = time.monotonic()
    through.load_fails(f, index, "time", timeout=0.7)
    assert time.monotonic() - started < 10
    assert through.dlq() == [] and through.job()["status"] == "failed"


@pytest.mark.parametrize("name", ["os_permissions('x')", "os_load_plan('a.ndjson', 'x')", "os_preview('a.ndjson')", "os_settings", "dlq_failures"])
def test_tables_that_reach_out_or_can_be_written_are_refused_in_views(box, name):
    box.file("a.ndjson", '{"a":1}\n')
    box.db.execute("CREATE VIEW v AS SELECT * FROM " + name)
    with refusal("unsafe use"):
        box.rows("SELECT * FROM v")


# ---- once, and with its number ----------------------------------------------------------------------------------------
def test_a_load_that_sqlite_evaluates_twice_runs_once(box, plain, index):
    plain.create(index)
    box.file("a.ndjson", '{"a":1}\n{"a":2}\n')
    sql = ("SELECT r FROM (SELECT os_bulk_load('a.ndjson', '%s', '{\"mode\":\"append\",\"allow_again\":true,\"exactly_once\":false}') AS r) "
           "WHERE r IS NOT NULL AND length(r) > 0" % index)
    assert json.loads(box.one(sql))["response"]["created"] == 2
    assert plain.count(index) == 2 and box.one("SELECT count(*) FROM os_jobs WHERE kind = 'bulk_load'") == 1
    box.one(sql)  # a new execution is a new load
    assert plain.count(index) == 4


def test_correlation_id_is_in_the_job_row_and_every_line(box, plain, index):
    plain.create(index)
    box.file("a.ndjson", '{"a":1}\n')
    result = box.sql("SELECT os_bulk_load('a.ndjson', '%s', '{\"correlation_id\":\"run-77\"}');" % index,
                     env={"LOG_FILE": "run.log", "LOG_LEVEL": "DEBUG",
                          "LOG_FORMAT": "%(asctime)s|%(levelname)s|%(job)s|%(correlation_id)s|%(message)s"}).json()
    lines = (box / "run.log").read_text().splitlines()
    mine = [line.split("|") for line in lines if "|%d|" % result["job"] in line]
    assert len(mine) >= 2 and all(parts[3] == "run-77" for parts in mine), lines
    assert box.job()["correlation_id"] == "run-77"


@pytest.mark.parametrize("form", ["text", "json", "%(asctime)s %(name)s %(levelname)s %(message)s"])
def test_each_line_of_a_load_has_the_jobs_number(box, plain, index, form):
    plain.create(index)
    box.file("a.ndjson", '{"a":1}\n')
    result = box.sql("SELECT os_bulk_load('a.ndjson', '%s');" % index, env={"LOG_FILE": "run.log", "LOG_FORMAT": form}).json()
    lines = (box / "run.log").read_text().splitlines()
    number = r"\b%d\b" % result["job"]
    with_job = [line for line in lines if re.search(r"job\W+" + number, line)]
    assert with_job and len(with_job) >= len(lines) - 1, lines


def test_log_goes_to_stderr_at_its_level(box, plain, index):
    plain.create(index)
    box.file("a.ndjson", '{"a":1}\n')
    load = "SELECT os_bulk_load('a.ndjson', '%s', '{\"mode\":\"fresh\"}');" % index
    assert "INFO" in box.sql(load).err
    for level in ("ERROR", "OFF"):
        assert box.sql(load, env={"LOG_LEVEL": level}).err == ""
    box.fails(load, "LOG_FILE", "/no/such/folder", env={"LOG_FILE": "/no/such/folder/run.log"})


def test_wrong_port_says_so_for_a_named_connection(bare_box):
    port = closed_port()
    result = bare_box.fails("SELECT os_connect('far', '{\"endpoint\":\"http://127.0.0.1:%d\",\"max_retries\":0}'); SELECT os_count('x', NULL, '{\"connection\":\"far\"}');" % port, str(port))
    assert "refused" in result.err
