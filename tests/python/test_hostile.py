"""A database file from somebody else: opening it, reading it and writing to its tables must send nothing and change no
setting. A tiny server counts what reaches it. (SQLite 3.40 runs a DIRECTONLY function inside a CHECK constraint.)"""
import sqlite3

import pytest

from harness.servers import Listener

COMMANDS = {
    "os_bulk_load": "os_bulk_load('a.ndjson', 'stolen', '{\"create\":true}')", "os_request": "os_request('DELETE', '/victim')",
    "os_delete_index": "os_delete_index('victim', 'victim')", "os_create_index": "os_create_index('made')",
    "os_cleanup": "os_cleanup('victim')", "os_refresh_index": "os_refresh_index('victim')",
    "os_config": "os_config('OPENSEARCH_ENDPOINT', 'http://127.0.0.1:1')", "os_connect": "os_connect('main', '{\"endpoint\":\"http://127.0.0.1:1\"}')",
    "os_retry_failures": "os_retry_failures()", "os_ledger_prune": "os_ledger_prune('2100-01-01')", "os_cancel": "os_cancel(1)",
    "os_pause": "os_pause(1)", "os_sleep": "os_sleep(5)",
}


@pytest.fixture
def watched(bare_box):
    """A box whose cluster is a server that only counts; `made(sql)` writes the hostile file with the extension loaded."""
    with Listener() as server:
        bare_box.env["OPENSEARCH_ENDPOINT"] = bare_box.shell.env["OPENSEARCH_ENDPOINT"] = server.url
        bare_box.server = server
        bare_box.file("a.ndjson", '{"a":1}\n')

        def made(*statements):
            db = bare_box.connect("hostile.db")
            try:
                for statement in statements:
                    db.execute(statement)
                return True
            except sqlite3.Error:
                return False  # refused already when it was made: better still
            finally:
                db.close()
        bare_box.made = made
        known = set(bare_box.sql("SELECT DISTINCT name FROM pragma_function_list;").lines)
        assert set(COMMANDS) <= known, "not built in, so nothing is proved: %s" % (set(COMMANDS) - known)
        yield bare_box


def nothing_happened(box, endpoint=True):
    assert [r[:2] for r in box.server.requests] == []
    assert not [p for p in box.path.rglob("*ledger*") if p.is_file() and "hostile" in p.name], "a job was begun"


def attack(box, *scripts):
    """Run each statement in the shell on the hostile file; it may fail, it may not crash. Gives the endpoint afterwards."""
    script = "\n".join(scripts) + "\nSELECT 'endpoint ' || value FROM os_settings WHERE name = 'OPENSEARCH_ENDPOINT';\n"
    result = box.sql(script, database="hostile.db", bail=False, check=False, timeout=30)
    assert result.code in (0, 1), result
    assert result.seconds < 4, "os_sleep ran: %r" % result
    assert [line for line in result.lines if line.startswith("endpoint ")] == ["endpoint " + box.server.url], result
    return result


@pytest.mark.parametrize("name", COMMANDS)
def test_check_constraint(watched, name):
    if not watched.made("CREATE TABLE t(x, CHECK(%s IS NOT NULL OR 1))" % COMMANDS[name]):
        assert sqlite3.sqlite_version_info >= (3, 41), "SQLite 3.40 takes such a constraint"
    attack(watched, "INSERT INTO t VALUES(1);", "UPDATE t SET x = 2;", "INSERT INTO t SELECT value FROM json_each('[1,2,3]');")
    nothing_happened(watched)


@pytest.mark.parametrize("name", COMMANDS)
def test_check_constraint_with_the_name_hidden_in_the_users_statement(watched, name):
    """The user's own statement mentions the name as text or in a comment only: that is not a call."""
    watched.made("CREATE TABLE t(x, CHECK(%s IS NOT NULL OR 1))" % COMMANDS[name])
    attack(watched, "INSERT INTO t VALUES('%s') /* %s(1) */; -- %s" % (name, name, name))
    nothing_happened(watched)


@pytest.mark.parametrize("name", COMMANDS)
def test_trigger_and_view(watched, name):
    watched.made("CREATE TABLE t(x)", "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT %s; END" % COMMANDS[name])
    watched.made("CREATE VIEW v AS SELECT %s AS r" % COMMANDS[name])
    watched.made("CREATE TABLE d(x, y DEFAULT (%s))" % COMMANDS[name])
    attack(watched, "INSERT INTO t VALUES(1);", "SELECT * FROM v;", "SELECT count(*) FROM v WHERE r IS NOT NULL;", "INSERT INTO d(x) VALUES(1);")
    nothing_happened(watched)


@pytest.mark.parametrize("statement", [
    "UPDATE os_settings SET value = 'http://127.0.0.1:1' WHERE name = 'OPENSEARCH_ENDPOINT'",
    "DELETE FROM dlq_failures", "UPDATE dlq_failures SET document = '{}'"])
def test_trigger_that_writes_our_tables(watched, statement):
    watched.made("CREATE TABLE t(x)", "CREATE TRIGGER tr AFTER INSERT ON t BEGIN %s; END" % statement)
    result = attack(watched, "INSERT INTO t VALUES(1);")
    assert "unsafe" in result.err or "qualified" in result.err or result.err, "the trigger was not refused: %r" % result
    nothing_happened(watched)


def test_view_over_settings_shows_no_secret(watched):
    watched.made("CREATE VIEW v AS SELECT * FROM os_settings")
    result = watched.sql("SELECT os_config('OPENSEARCH_PASSWORD', 'hunter2-secret') IS NULL;\nSELECT * FROM v;\n", database="hostile.db", bail=False, check=False)
    assert "hunter2-secret" not in result.out


def test_user_calling_it_himself_still_works(watched):
    """The guard tells a call of the user's from one of the schema's."""
    out = watched.sql("CREATE TEMP TABLE x AS SELECT os_request('GET', '/mine') AS r;\nSELECT r IS NOT NULL FROM x;\n"
                      "WITH q AS (SELECT os_request('GET', '/again') AS r) SELECT r IS NOT NULL FROM q;\n"
                      "SELECT OS_REQUEST('GET', '/loud') IS NOT NULL;\nSELECT \"os_request\"('GET', '/quoted') IS NOT NULL;\n").lines
    assert out == ["1", "1", "1", "1"]
    assert [r[1] for r in watched.server.requests if r[1] != "/"] == ["/mine", "/again", "/loud", "/quoted"]


def test_temp_trigger_of_the_user_works(watched):
    out = watched.sql("CREATE TABLE t(x);\nCREATE TEMP TRIGGER tr AFTER INSERT ON t BEGIN SELECT os_config('BATCH_SIZE', new.x); END;\n"
                      "INSERT INTO t SELECT 5 WHERE os_config('BATCH_SIZE') IS NOT NULL;\nSELECT os_config('BATCH_SIZE');\n", bail=False, check=False)
    assert out.lines[-1] in ("5", "10000"), out


def test_a_settings_file_beside_a_hostile_database_is_the_users_affair(watched):
    """.env counts from the working directory alone, not from the database's folder."""
    watched.file("elsewhere/.env", "OPENSEARCH_ENDPOINT=http://127.0.0.1:1\n")
    sqlite3.connect(watched / "elsewhere/hostile.db").execute("CREATE TABLE t(x)").connection.close()
    out = watched.sql("SELECT value FROM os_settings WHERE name = 'OPENSEARCH_ENDPOINT';", database="elsewhere/hostile.db").out.strip()
    assert out == watched.server.url


def test_trusted_schema_off(watched):
    out = watched.sql("PRAGMA trusted_schema = OFF;\nSELECT os_version() IS NOT NULL;\nSELECT count(*) >= 0 FROM os_jobs;\n").lines
    assert out[-2:] == ["1", "1"]
