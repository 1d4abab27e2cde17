"""Where the keys that sign come from: each source of the chain but roles and logins, which have files of their own. Nothing is
read from the home folder of whoever runs the tests."""
import json
import os
import re
import time

import pytest

from harness.aws import LONG_KEY, SESSION_KEY
from harness.credentials import PING, ROLE, config, container, ini, instance, issued, printed, program, refused, signed, works
from proxy import Proxy


# ---- variables and files --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("keys", [LONG_KEY, SESSION_KEY], ids=["long-term", "session"])
def test_variables(box, es, keys):
    works(signed(box, es), **keys)


def test_keys_in_env_file(box, es):
    """All from one place: a token of the process does not go with keys of .env's."""
    box.file(".env", "".join("%s='%s'\n" % pair for pair in SESSION_KEY.items()))
    works(signed(box, es), OS_ENV_FILE=".env")
    works(box, OS_ENV_FILE=".env", **LONG_KEY)  # and its token is not taken along


def test_an_env_file_names_no_files_and_no_programs(box, es):
    """A .env that came with somebody's folder must not have a program of his started, nor a file of ours sent to him."""
    program(box, "touch started\necho '%s'\n" % printed(LONG_KEY))
    config(box, "[default]\ncredential_process = %s\n" % (box / "keys.sh"), "other")
    box.file(".env", "AWS_CONFIG_FILE=%s\nAWS_SHARED_CREDENTIALS_FILE=%s\nAWS_WEB_IDENTITY_TOKEN_FILE=%s\n"
                     "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:9/\n" % ((box / ".aws/other",) * 3))
    refused(signed(box, es), "AWS_WEB_IDENTITY_TOKEN_FILE is not set", "AWS_CONTAINER_CREDENTIALS_… is not set", OS_ENV_FILE=".env")
    assert not (box / "started").exists()
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        box.fails("SELECT os_config('%s', 'x');" % name, "AWS_CONFIG_FILE" if "CONFIG" in name else "CREDENTIALS")


@pytest.mark.parametrize("file, section", [("credentials", "default"), ("credentials", "x"), ("config", "default"), ("config", "profile x"),
                                           ("config", 'profile "x"')])
def test_keys_in_files(box, es, file, section):
    config(box, "\ufeff# mine\r\n[%s]\r\n%s" % (section, ini(SESSION_KEY).replace("\n", "\r\n")), file)
    works(signed(box, es), **({"AWS_PROFILE": "x"} if "x" in section else {}))


def test_files_named_elsewhere(box, es):
    box.file("c1", "[x]\n" + ini(LONG_KEY))
    box.file("c2", "[profile x]\nregion = us-east-1\n")
    works(signed(box, es, AWS_REGION=None), AWS_SHARED_CREDENTIALS_FILE=box / "c1", AWS_CONFIG_FILE="~/c2", AWS_PROFILE="x")


def test_which_wins(box, es):
    """Variables with keys, unless a profile was given to the session; the credentials file over the config file."""
    wrong = {**LONG_KEY, "AWS_SECRET_ACCESS_KEY": "wrong"}
    config(box, "[x]\n" + ini(LONG_KEY), "credentials")
    config(box, "[profile x]\n%s[profile y]\n%s" % (ini(wrong), ini(wrong)))
    signed(box, es)
    works(box, AWS_PROFILE="x")
    works(box, AWS_PROFILE="y", **LONG_KEY)
    refused(box, "signature", AWS_PROFILE="x", **wrong)
    result = box.sql("SELECT os_config('AWS_PROFILE', 'x') IS NOT NULL; " + PING, env=wrong)
    assert result.lines[-1] == "success"
    connected = "SELECT os_connect('c', '%s') IS NOT NULL; SELECT os_ping('c')->>'status';" % json.dumps(
        {"endpoint": es.url, "auth": "iam", "aws_profile": "x"})
    assert box.sql(connected, env=wrong).lines[-1] == "success"


def test_keys_are_fetched_once_for_a_session(box, es, creds):
    before = len(creds.control("/__creds/log", "GET"))
    result = box.sql(PING * 5 + "SELECT count(*) FROM os_aliases;", env=signed(box, es).env | container(creds))
    assert result.lines.count("success") == 5
    assert len(creds.control("/__creds/log", "GET")) - before == 1


@pytest.mark.parametrize("text, words", [
    ("[default]\naws_access_key_id = AKIDEXAMPLE\n", ["profile 'default'", "has aws_access_key_id, but no aws_secret_access_key"]),
    ("[default]\naws_secret_access_key = tempsecret/1+2=\n", ["profile 'default'", "has aws_secret_access_key, but no aws_access_key_id"]),
    ("[default]\nregion = us-east-1\nno sign\n", ["config", "line 3"]),
    ("aws_access_key_id = A\n", ["config", "line 1", "before the first section"]),
    ("[default\n", ["config", "line 1"]),
    ("[default]\nendpoint_url = ftp://x\n" + ini(LONG_KEY), ["endpoint_url of the profile", "http"]),
    ("[default]\ncredential_process = /bin/x 'y\n", ["credential_process", "never closed"]),
    ("[default]\nrole_arn = %s\n" % ROLE, ["neither source_profile nor credential_source"]),
    ("[default]\nrole_arn = %s\nsource_profile = a\ncredential_source = Environment\n" % ROLE, ["both source_profile and"]),
    ("[default]\nrole_arn = %s\nsource_profile = absent\n" % ROLE, ["'absent'", "does not exist"]),
    ("[default]\nrole_arn = %s\nsource_profile = a\n[profile a]\nregion = us-east-1\n" % ROLE, ["'a'", "has no keys"]),
    ("[default]\nrole_arn = %s\nsource_profile = a\n[a]\nregion = us-east-1\n" % ROLE, ["'a'", "does not exist", "write [profile a] instead of [a] in"]),
    ("[default]\nrole_arn = %s\nsource_profile = a\n[profile a]\nsso_start_url = u\n" % ROLE,
     ["'a'", "has no keys", "its login lacks sso_account_id and sso_role_name"]),
    ("[default]\nrole_arn = %s\ncredential_source = Moon\n" % ROLE, ["Moon", "EcsContainer"]),
    ("[default]\nrole_arn = %s\ncredential_source = Environment\n" % ROLE, ["Environment", "there are none"]),
    ("[default]\nrole_arn = %s\nsource_profile = b\nmfa_serial = m\n[profile b]\n%s" % (ROLE, ini(LONG_KEY)), ["mfa_serial", "by hand"]),
    ("[default]\nrole_arn = %s\nsource_profile = default\n" % ROLE, ["in a circle", "'default'"]),
    ("[default]\nrole_arn = %s\nsource_profile = a\n[profile a]\nrole_arn = %s\nsource_profile = b\n[profile b]\nrole_arn = %s\n"
     "source_profile = a\n" % (ROLE, ROLE, ROLE), ["in a circle", "'a'", "'b'"]),
    ("[default]\nrole_arn = x\nsource_profile = b\n[profile b]\n" + ini(LONG_KEY), ["role_arn is not an ARN"]),
    ("[default]\nrole_arn = %s\nduration_seconds = 60\nsource_profile = b\n[profile b]\n%s" % (ROLE, ini(LONG_KEY)), ["900 to 43200"]),
    ("[default]\nweb_identity_token_file = /x\n", ["role_arn"]),
    ("[default]\nsso_account_id = 1\nsso_role_name = R\n", ["sso_start_url"]),
    ("[default]\nsso_account_id = 1\nsso_role_name = R\nsso_session = s\n", ["sso-session 's'"]),
    ("[default]\nsso_account_id = 1\nsso_session = s\n[sso-session s]\nsso_region = r\n", ["sso_role_name"]),
    ("[default]\nsso_account_id = 1\nsso_role_name = R\nsso_session = s\nsso_region = q\n[sso-session s]\nsso_region = r\nsso_start_url = u\n",
     ["different values for sso_region"]),
    ("[default]\nsso_account_id = 1\nsso_role_name = R\nsso_start_url = u\nsso_region = us east\n",
     ["sso_region", "'us east' is not the name of a region", "eu-west-1"]),
    ("[default]\nregion = us-east-1\n\0", ["config", "NUL byte", "AWS_CONFIG_FILE"]),
    ("[default]\nsso_session = s\n[sso-session s]\nsso_region = us-east-1\nsso_start_url = u\n",
     ["profile 'default'", "its login lacks sso_account_id and sso_role_name"]),
    ("[default]\nsso_start_url = u\nsso_region = us-east-1\n", ["profile 'default'", "its login lacks sso_account_id and sso_role_name"]),
])
def test_what_is_wrong_in_a_profile(box, es, text, words):
    config(box, text)
    result = refused(signed(box, es), *words)
    assert re.search("error.*; ", result.err, re.I), "nothing is said about what to do: %r" % result


def test_a_region_that_is_none(box, es):
    config(box, "[default]\nregion = us east\n" + ini(LONG_KEY))
    refused(signed(box, es, AWS_REGION=None), "region of the profile", "'us east' is not the name of a region")


def test_a_missing_profile(box, es):
    refused(signed(box, es), "no profile 'absent'", ".aws/config", ".aws/credentials", "AWS_PROFILE", AWS_PROFILE="absent", **LONG_KEY)
    refused(box, "no profile 'absent' in /nonexistent/config or /nonexistent/credentials", AWS_PROFILE="absent",
            AWS_CONFIG_FILE="/nonexistent/config", AWS_SHARED_CREDENTIALS_FILE="/nonexistent/credentials")


def test_a_profile_whose_section_is_called_as_in_the_other_file(box, es):
    config(box, "[t]\n" + ini(LONG_KEY))
    refused(signed(box, es), "no profile 't'", "write [profile t] instead of [t] in", ".aws/config", AWS_PROFILE="t")


def test_a_folder_instead_of_a_file(box, es):
    (box / ".aws/config").mkdir(parents=True)
    refused(signed(box, es), "no profile 't'", ".aws/config (which is a folder)", AWS_PROFILE="t")
    refused(box, "there are no AWS keys", ".aws/config (which is a folder)")
    works(box, **LONG_KEY)


@pytest.mark.parametrize("env, text, words", [
    ({"AWS_METADATA_SERVICE_TIMEOUT": "abc"}, "", ["AWS_METADATA_SERVICE_TIMEOUT: 'abc' is not a number from 0 to 60", "unset it"]),
    ({}, "[default]\nmetadata_service_num_attempts = 99\n",
     ["metadata_service_num_attempts of profile 'default': '99' is not a number from 1 to 10", "; write"]),
])
def test_numbers_that_are_none(box, es, env, text, words):
    config(box, text)
    refused(signed(box, es), *words, AWS_EC2_METADATA_DISABLED=None, **env)


def test_a_file_that_may_not_be_read(box, es):
    if os.geteuid() == 0:
        config(box, "x", "credentials").unlink()
        os.mkfifo(box / ".aws/credentials")  # root may read everything; a pipe must not hold anybody up
    else:
        config(box, "x", "credentials").chmod(0)
    refused(signed(box, es), "cannot read", ".aws/credentials", "AWS_SHARED_CREDENTIALS_FILE")


def test_keys_with_something_around_them(box, es):
    refused(signed(box, es), "the secret access key from the environment", **{**LONG_KEY, "AWS_SECRET_ACCESS_KEY": "tempsecret/1+2= "})


# ---- programs -------------------------------------------------------------------------------------------------------------
def test_a_program(box, es):
    program(box, '[ "$1" = "a b" ] && [ "$2" = "$HOME" ] && exit 1\n[ "$2" = \'$HOME\' ] && echo \'%s\'\n' % printed(SESSION_KEY))
    config(box, "[default]\ncredential_process = %s \"a b\" $HOME\n" % (box / "keys.sh"))
    works(signed(box, es))


@pytest.mark.parametrize("body, words", [
    ("echo 'no such role' >&2; exit 3", ["profile 'default'", "status 3", "no such role"]),
    ("kill -9 $$", ["signal 9"]),
    ("echo tempsecret/1+2=", ["no JSON object"]),
    ("exit 0", ["no JSON object"]),
    ("echo '%s'" % printed(LONG_KEY).replace('"Version": 1', '"Version": 2'), ["Version 1"]),
    ("echo '%s'" % printed(LONG_KEY, Expiration="2020-01-01T00:00:00Z"), ["had expired when they came"]),
    ("head -c 300000 /dev/zero | tr '\\0' x", ["no JSON object"]),
])
def test_a_program_that_fails(box, es, body, words):
    program(box, body + "\n")
    config(box, "[default]\ncredential_process = %s\n" % (box / "keys.sh"))
    refused(signed(box, es), *words)


def test_a_program_that_is_not_there(box, es):
    config(box, "[default]\ncredential_process = /nonexistent/keys x\n")
    refused(signed(box, es), "/nonexistent/keys", "cannot be started", "No such file")


def test_a_slow_program_and_an_interruption(box, es):
    """It is waited for; Ctrl-C does not wait, and no process is left behind."""
    program(box, "echo $$ >pid; sleep 2; echo '%s'\n" % printed(LONG_KEY))
    config(box, "[default]\ncredential_process = %s\n" % (box / "keys.sh"))
    assert works(signed(box, es)).seconds > 2
    (box / "pid").unlink()
    program(box, "echo $$ >pid; exec sleep 50\n")
    running = box.start(PING, env=box.env)
    until = time.monotonic() + 10
    while not (box / "pid").exists() and time.monotonic() < until:
        time.sleep(0.05)
    started = time.monotonic()
    running.interrupt()
    result = running.finish(20)
    assert result.code != 0 and time.monotonic() - started < 3, result
    assert not os.path.exists("/proc/%s" % (box / "pid").read_text().strip())


# ---- containers and instances -----------------------------------------------------------------------------------------------
def test_a_container(box, es, creds):
    works(signed(box, es), **container(creds))
    box.file("token", "container-secret\n")
    works(box, **container(creds, AWS_CONTAINER_AUTHORIZATION_TOKEN="wrong", AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=box / "token"))


def test_a_container_that_gives_nothing(box, es, creds):
    """Set but failing is an error: the instance is not asked instead."""
    signed(box, es)
    refused(box, "answered 401", "invalid token", **container(creds, AWS_CONTAINER_AUTHORIZATION_TOKEN="wrong"), **instance(creds))
    refused(box, "no file", **container(creds, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="/nonexistent"))
    refused(box, "line break", **container(creds, AWS_CONTAINER_AUTHORIZATION_TOKEN="a\nX-Other: b"))
    refused(box, "not asked for at this address", **container(creds, AWS_CONTAINER_CREDENTIALS_FULL_URI="http://192.0.2.1/x"))
    refused(box, "cannot reach", AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:9/x")
    creds.control("/__creds/fail?n=9")
    refused(box, "answered 500", **container(creds))


def test_a_container_that_is_out_of_order_for_a_moment(box, es, creds):
    creds.control("/__creds/fail?n=2")
    works(signed(box, es), **container(creds))


def test_an_instance(box, es, creds):
    """Its role's keys; its region, when nothing else names one; never through a proxy."""
    works(signed(box, es), **instance(creds, http_proxy="http://127.0.0.1:9", NO_PROXY=re.sub("https?://", "", es.url).split(":")[0]))
    works(signed(box, es, AWS_REGION=None), **instance(creds))


@pytest.mark.parametrize("mode, words", [("off", "answered 403"), ("noprofile", "no role"), ("hang", "no answer from")])
def test_an_instance_that_gives_nothing(box, es, creds, mode, words):
    creds.control("/__creds/imds?mode=" + mode)
    result = refused(signed(box, es), "environment", "web identity", "profile 'default'", "container", "instance", words, "AWS_PROFILE",
                     **instance(creds))
    assert result.seconds < 3, "the instance was waited for too long: %r" % result


@pytest.mark.parametrize("script, profile, region", [
    ("SELECT * FROM os_preview('s3://bucket/x.ndjson');", "r", None),
    ("SELECT * FROM os_preview('s3://bucket/x.ndjson');", "default", "us-east-1"),
    ("SELECT os_dlq_receive();", "r", "us-east-1"),
])
def test_an_instance_that_never_answers_is_asked_once(box, creds, script, profile, region):
    """For its region and for its keys: whoever waits for S3 or a queue is not made to wait for each try of theirs."""
    config(box, "[profile r]\nrole_arn = %s\ncredential_source = Ec2InstanceMetadata\n" % ROLE)
    creds.control("/__creds/imds?mode=hang")
    box.env.update(instance(creds, AWS_REGION=region, AWS_PROFILE=profile, AWS_METADATA_SERVICE_TIMEOUT="2",
                            AWS_ENDPOINT_URL="http://127.0.0.1:9", SQS_DLQ_ARN="arn:aws:sqs:us-east-1:123456789012:q"))
    result = box.fails(script, "no answer from " + creds.url, env=box.env, timeout=60)
    assert result.seconds < 3.8, "the instance was waited for too long: %r" % result


def test_keys_that_are_refused_are_traced_back(box, s3_server):
    """To where they come from, which may be none of the variables that one thinks of first."""
    config(box, "[profile p]\n%s" % ini({**LONG_KEY, "AWS_SECRET_ACCESS_KEY": "wrong"}))
    env = {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_S3": s3_server.url, "AWS_PROFILE": "p"}
    box.fails("SELECT * FROM os_preview('s3://bucket/x.ndjson');", "was answered with 403", "the keys come from profile 'p' in", ".aws/config",
              env=env)


def test_nothing_anywhere(box, es):
    refused(signed(box, es), "environment (AWS_ACCESS_KEY_ID is not set)", "profile 'default' (not in", "container", "AWS_EC2_METADATA_DISABLED",
            "set AWS_ACCESS_KEY_ID and")


def test_expired_keys_of_a_healthy_instance_are_used(box, es, creds):
    """The service gives what it has when it cannot reach its own source; AWS may take the keys all the same."""
    creds.control("/__creds/ttl?s=-5")
    refused(signed(box, es), "expired", **instance(creds))  # by the server that verifies, not by us
    assert any("security-credentials/ingest-role" in entry["path"] for entry in creds.control("/__creds/log", "GET"))
    assert es.decisions()[-1]["ok"] is False


def test_the_address_of_a_service_in_the_profile(box, plain, index):
    plain.create(index)
    config(box, "[default]\n%sservices = v\n[services v]\ns3 =\n  endpoint_url = http://127.0.0.1:9/\n" % ini(LONG_KEY))
    env = {"OPENSEARCH_ENDPOINT": plain.url, "AWS_REGION": "us-east-1", "MAX_RETRIES": "0"}
    listing = "SELECT os_bulk_load('s3://bucket/p/', '%s', '{\"mode\":\"append\"}');" % index
    box.fails(listing, "cannot reach http://127.0.0.1:9", "endpoint_url of the profile", env=env)


# ---- what stands in between breaks ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fault, words", [
    ({"fault": "lie", "kind": "html"}, ["no JSON object"]),
    ({"fault": "lie", "kind": "empty"}, ["no JSON object"]),
    ({"fault": "lie", "kind": "truncated"}, ["no JSON object"]),
    ({"fault": "lie", "kind": "array"}, ["no JSON object"]),
    ({"fault": "lie", "kind": "binary"}, ["no JSON object"]),
    ({"fault": "lie", "kind": "gigantic", "bytes": 3000000}, ["container's agent", "1048576"]),
    ({"fault": "cut_answer"}, ["container's agent"]),
    ({"fault": "status", "code": 429}, ["answered 429"]),
    ({"fault": "hang"}, ["no answer from", "within 2 s"]),
])
def test_garbage_instead_of_keys(box, es, creds, fault, words):
    with Proxy(creds.url) as proxy:
        proxy.rule(on="any", **fault)
        refused(signed(box, es), *words, **container(creds, AWS_CONTAINER_CREDENTIALS_FULL_URI=proxy.url + "/ecs/creds"))


def test_a_child_of_fork_fetches_for_itself(box, es, creds):
    """The thread that fetched stayed with the parent; keys that have ended are renewed by both, each with a thread of its own."""
    creds.control("/__creds/ttl?s=3")
    code = """
db = connect()
ping = lambda: db.execute("SELECT os_ping()->>'status'").fetchone()[0]
assert ping() == 'success'
pid = os.fork()
time.sleep(3)
assert ping() == 'success'
if pid == 0:
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
print('both')
"""
    before = issued(creds, "/ecs/creds")
    assert box.python(code, env=signed(box, es).env | container(creds)).lines == ["both"]
    assert issued(creds, "/ecs/creds") - before == 3


def test_a_place_that_hangs_does_not_hold_up_an_interruption(box, es, creds):
    with Proxy(creds.url) as proxy:
        proxy.rule(on="any", fault="hang")
        running = box.start(PING, env=signed(box, es).env | container(creds, AWS_CONTAINER_CREDENTIALS_FULL_URI=proxy.url + "/ecs/creds"))
        time.sleep(1)
        started = time.monotonic()
        running.interrupt()
        result = running.finish(20)
        assert result.code != 0 and time.monotonic() - started < 3, result
