"""Where the keys that sign come from: each source of the chain, against a server that recomputes the signature, so that a ping
which succeeds proves the keys. The home folder of a box is its own; nothing is read from the user's."""
import datetime
import hashlib
import json
import os
import re
import stat
import time

import pytest

import datasets
from harness.aws import LONG_KEY, SESSION_KEY
from harness.checker import assert_exactly_once
from proxy import Proxy

ROLE = "arn:aws:iam::123456789012:role/ingest-role"
SECRETS = (LONG_KEY["AWS_SECRET_ACCESS_KEY"], SESSION_KEY["AWS_SECRET_ACCESS_KEY"], SESSION_KEY["AWS_SESSION_TOKEN"], "container-secret",
           "sso-access-token", "sso-refresh-token")
PING = "SELECT os_ping()->>'status';"


@pytest.fixture(scope="module")
def es(plain, aws_servers):
    yield aws_servers.proxy("keys-es", plain.url, "es")
    aws_servers.stop("keys-es")


@pytest.fixture(scope="module")
def places(aws_servers):
    yield aws_servers.start("places", "creds")
    aws_servers.stop("places")


@pytest.fixture
def creds(places):
    yield places
    for change in ("ttl?s=3600", "fail?n=0", "imds?mode=on"):
        places.control("/__creds/" + change)


@pytest.fixture(scope="module")
def sts(aws_servers):
    """STS that verifies signatures and policies."""
    yield aws_servers.start("sts", "moto", "--auth")
    aws_servers.stop("sts")


@pytest.fixture(scope="module")
def es_of_sts(plain, aws_servers, sts):
    yield aws_servers.proxy("sts-es", plain.url, "es", "--moto", sts.url)
    aws_servers.stop("sts-es")


@pytest.fixture(scope="module")
def open_sts(aws_servers):
    """STS for requests without a signature, which the other refuses."""
    yield aws_servers.start("open-sts", "moto")
    aws_servers.stop("open-sts")


@pytest.fixture(scope="module")
def es_of_open_sts(plain, aws_servers, open_sts):
    yield aws_servers.proxy("open-sts-es", plain.url, "es", "--moto", open_sts.url)
    aws_servers.stop("open-sts-es")


def signed(box, es, **env):
    settings = {"OPENSEARCH_ENDPOINT": es.url, "OPENSEARCH_AUTH": "iam", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
                "LOG_LEVEL": "DEBUG", **env}
    box.env.update(settings)
    box.shell.env.update(settings)
    return box


def works(box, **env):
    result = box.sql(PING, env=env)
    assert result.lines[-1] == "success"
    no_secrets(result)
    return result


def refused(box, *words, **env):
    result = box.fails(PING, *words, env=env)
    no_secrets(result)
    return result


def no_secrets(result):
    for secret in SECRETS:
        assert secret not in result.out + result.err, "a secret is shown: %r" % result


def config(box, text, name="config"):
    return box.file(".aws/" + name, text)


def ini(keys):
    return "".join("%s = %s\n" % (name.lower(), value) for name, value in keys.items())


def from_now(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def program(box, body, name="keys.sh"):
    path = box.file(name, "#!/bin/sh\n" + body)
    path.chmod(0o700)
    return path


def printed(keys, **more):
    names = {"AWS_ACCESS_KEY_ID": "AccessKeyId", "AWS_SECRET_ACCESS_KEY": "SecretAccessKey", "AWS_SESSION_TOKEN": "SessionToken"}
    return json.dumps({"Version": 1, **{names[k]: v for k, v in keys.items()}, **more})


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
])
def test_what_is_wrong_in_a_profile(box, es, text, words):
    config(box, text)
    result = refused(signed(box, es), *words)
    assert re.search("error.*; ", result.err, re.I), "nothing is said about what to do: %r" % result


def test_a_region_that_is_none(box, es):
    config(box, "[default]\nregion = us east\n" + ini(LONG_KEY))
    refused(signed(box, es, AWS_REGION=None), "region of the profile", "'us east' is not the name of a region")


def test_a_missing_profile(box, es):
    refused(signed(box, es), "no profile 'absent'", ".aws/config", "AWS_PROFILE", AWS_PROFILE="absent", **LONG_KEY)


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
def container(creds, **more):
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": creds.url + "/ecs/creds", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-secret", **more}


def instance(creds, **more):
    return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": creds.url, "AWS_EC2_METADATA_DISABLED": None, **more}


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


def test_nothing_anywhere(box, es):
    refused(signed(box, es), "environment (AWS_ACCESS_KEY_ID is not set)", "profile 'default' (not in", "container", "AWS_EC2_METADATA_DISABLED",
            "set AWS_ACCESS_KEY_ID and")


def test_expired_keys_of_a_healthy_instance_are_used(box, es, creds):
    """The service gives what it has when it cannot reach its own source; AWS may take the keys all the same."""
    creds.control("/__creds/ttl?s=-5")
    refused(signed(box, es), "expired", **instance(creds))  # by the server that verifies, not by us
    assert any("security-credentials/ingest-role" in entry["path"] for entry in creds.control("/__creds/log", "GET"))
    assert es.decisions()[-1]["ok"] is False


# ---- roles ----------------------------------------------------------------------------------------------------------------
def of_sts(sts, *names):
    return {name: sts.exports[name] for name in names or ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}


def test_a_role_on_top(box, es_of_sts, sts):
    signed(box, es_of_sts, AWS_ENDPOINT_URL_STS=sts.url)
    works(box, AWS_ROLE_ARN=ROLE, **of_sts(sts))
    result = box.sql("SELECT os_config('AWS_ROLE_ARN', '%s') IS NOT NULL; %s" % (ROLE, PING), env=of_sts(sts))
    assert result.lines[-1] == "success"
    assert es_of_sts.decisions()[-1]["key"].startswith("ASIA")


def test_roles_of_profiles(box, es_of_sts, sts):
    config(box, "[profile base]\n%s[profile r]\nrole_arn = %s\nsource_profile = base\nrole_session_name = told\nexternal_id = e1\n"
                "duration_seconds = 900\n[profile env]\nrole_arn = %s\ncredential_source = Environment\n[profile self]\nrole_arn = %s\n"
                "source_profile = self\n%s[profile chain]\nrole_arn = %s\nsource_profile = r\n"
           % (ini(of_sts(sts)), ROLE, ROLE, ROLE, ini(of_sts(sts)), ROLE))
    signed(box, es_of_sts, AWS_ENDPOINT_URL_STS=sts.url)
    for profile, env in (("r", {}), ("self", {}), ("env", None)):
        if env is None:  # variables with keys come before the profile's role, unless it is given to the session
            script = "SELECT os_config('AWS_PROFILE', 'env') IS NOT NULL; " + PING
            assert box.sql(script, env=of_sts(sts)).lines[-1] == "success"
        else:
            works(box, AWS_PROFILE=profile)
        assert es_of_sts.decisions()[-1]["key"].startswith("ASIA")
    # the second role of the chain is asked for with the keys of the first, which this server's policy does not let pass
    refused(box, "profile 'chain'", "AccessDenied", "assumed-role/ingest-role/told", "sts:AssumeRole", AWS_PROFILE="chain")


def test_a_chain_of_roles(box, es_of_open_sts, open_sts):
    config(box, "[profile base]\n%s[profile one]\nrole_arn = %s\nsource_profile = base\n[profile two]\nrole_arn = %s-2\nsource_profile = one\n"
           % (ini(LONG_KEY), ROLE, ROLE))
    works(signed(box, es_of_open_sts, AWS_ENDPOINT_URL_STS=open_sts.url), AWS_PROFILE="two")


def test_a_role_that_is_refused(box, es_of_sts, sts):
    signed(box, es_of_sts, AWS_ENDPOINT_URL_STS=sts.url, AWS_ROLE_ARN=ROLE)
    refused(box, ROLE, "SignatureDoesNotMatch", "check access key id",
            AWS_ACCESS_KEY_ID=sts.exports["AWS_ACCESS_KEY_ID"], AWS_SECRET_ACCESS_KEY="wrong")
    refused(box, ROLE, "cannot reach", AWS_ENDPOINT_URL_STS="http://127.0.0.1:9", **of_sts(sts))
    refused(box, "AWS_ROLE_ARN", "is not such an ARN", AWS_ROLE_ARN="arn:aws:sqs:us-east-1:1:q", **of_sts(sts))


def test_a_web_identity(box, es_of_open_sts, open_sts):
    box.file("token", "header.payload.signature\n")
    signed(box, es_of_open_sts, AWS_ENDPOINT_URL_STS=open_sts.url)
    works(box, AWS_WEB_IDENTITY_TOKEN_FILE=box / "token", AWS_ROLE_ARN=ROLE, AWS_ROLE_SESSION_NAME="told")
    config(box, "[profile w]\nrole_arn = %s\nweb_identity_token_file = ~/token\n[profile r]\nrole_arn = %s-2\nsource_profile = w\n" % (ROLE, ROLE))
    works(box, AWS_PROFILE="w")
    works(box, AWS_PROFILE="r")
    refused(box, "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not", AWS_WEB_IDENTITY_TOKEN_FILE=box / "token")
    refused(box, "is not there", "/nonexistent", AWS_WEB_IDENTITY_TOKEN_FILE="/nonexistent", AWS_ROLE_ARN=ROLE)
    box.file("token", "\n")
    refused(box, "is empty", AWS_WEB_IDENTITY_TOKEN_FILE=box / "token", AWS_ROLE_ARN=ROLE)


@pytest.fixture(scope="module")
def minio(aws_servers, tmp_path_factory):
    """S3 and STS that verify the token of a web identity, and an issuer of such tokens. A bucket is a folder."""
    data = tmp_path_factory.mktemp("minio")
    (data / "bucket").mkdir()
    issuer = aws_servers.start("issuer", "oidc")
    openid = {"MINIO_IDENTITY_OPENID_CONFIG_URL": issuer.url + "/.well-known/openid-configuration",
              "MINIO_IDENTITY_OPENID_CLIENT_ID": "sts.amazonaws.com", "MINIO_IDENTITY_OPENID_CLAIM_NAME": "policy"}
    before = aws_servers.environment
    aws_servers.environment = {**before, **openid}
    try:
        yield aws_servers.start("minio", "minio", "--data", data), issuer.exports["AWS_WEB_IDENTITY_TOKEN_FILE"]
    finally:
        aws_servers.environment = before
        aws_servers.stop("minio")
        aws_servers.stop("issuer")


def test_a_web_identity_that_is_verified(box, plain, index, minio):
    """The bucket is empty: to be told so takes keys that it accepts."""
    server, token = minio
    plain.create(index)
    listing = "SELECT os_bulk_load('s3://bucket/p/', '%s', '{\"mode\":\"append\"}');" % index
    env = {"OPENSEARCH_ENDPOINT": plain.url, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": server.url, "AWS_EC2_METADATA_DISABLED": "true",
           "AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": token}
    no_secrets(box.fails(listing, "s3://bucket/p/", "no", "object", env=env))
    good = open(token).read().strip()
    box.file("bad", good[:-12] + "xxxxxxxxxxxx")
    result = box.fails(listing, ROLE, "STS answered 400", "must trust the issuer", env={**env, "AWS_WEB_IDENTITY_TOKEN_FILE": box / "bad"})
    assert good[-60:-12] not in result.err
    # an assumed role of that server, on top of long-term keys
    keys = {"AWS_ACCESS_KEY_ID": server.exports["AWS_ACCESS_KEY_ID"], "AWS_SECRET_ACCESS_KEY": server.exports["AWS_SECRET_ACCESS_KEY"]}
    box.fails(listing, "s3://bucket/p/", "no", "object", env={**env, "AWS_WEB_IDENTITY_TOKEN_FILE": None, **keys})


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


@pytest.mark.parametrize("fault, words", [
    ({"fault": "lie", "kind": "html"}, ["without keys", "AWS_ENDPOINT_URL_STS"]),
    ({"fault": "lie", "kind": "truncated"}, ["without keys"]),
    ({"fault": "status", "code": 503, "html": True}, ["STS answered 503", "no reason that can be read"]),
    ({"fault": "cut_head"}, ["role/ingest-role", "STS"]),
])
def test_garbage_instead_of_a_role(box, es_of_open_sts, open_sts, fault, words):
    with Proxy(open_sts.url) as proxy:
        proxy.rule(on="any", **fault)
        refused(signed(box, es_of_open_sts, AWS_ENDPOINT_URL_STS=proxy.url), *words, AWS_ROLE_ARN=ROLE, **LONG_KEY)


def test_certificates_of_the_token_service_are_always_checked(box, es_of_open_sts, open_sts, certificates):
    """VERIFY_SSL=false is said of the cluster; the tokens that go to STS open more."""
    with Proxy(open_sts.url, tls=certificates.server("sts")) as proxy:
        signed(box, es_of_open_sts, AWS_ENDPOINT_URL_STS=proxy.url, AWS_ROLE_ARN=ROLE, **LONG_KEY)
        refused(box, "certificate")
        refused(box, "certificate", VERIFY_SSL="false")
        works(box, AWS_CA_BUNDLE=certificates.ca)
        works(box, CA_BUNDLE=certificates.ca)
        config(box, "[default]\nca_bundle = %s\n" % certificates.ca)
        works(box)


def test_a_token_service_that_is_busy_for_a_moment(box, es_of_open_sts, open_sts):
    with Proxy(open_sts.url) as proxy:
        proxy.rule(on="any", fault="status", code=503, times=1)
        proxy.rule(on="any", fault="status", code=400, times=1, headers={"Content-Type": "text/xml"},
                   body="<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>")
        works(signed(box, es_of_open_sts, AWS_ENDPOINT_URL_STS=proxy.url), AWS_ROLE_ARN=ROLE, **LONG_KEY)


# ---- logins ---------------------------------------------------------------------------------------------------------------
START_URL = "https://d-1.awsapps.com/start"
SSO = "sso_account_id = 123456789012\nsso_role_name = R\n"
SESSION = "[sso-session corp]\nsso_start_url = %s\nsso_region = us-east-1\n[profile p]\nsso_session = corp\n%s" % (START_URL, SSO)
LEGACY = "[profile p]\nsso_start_url = %s\nsso_region = us-east-1\n%s" % (START_URL, SSO)


def token_file(box, name, **token):
    path = ".aws/sso/cache/%s.json" % hashlib.sha1(name.encode()).hexdigest()
    return box.file(path, json.dumps({"startUrl": START_URL, "region": "us-east-1", **token}))


def with_portal(box, es, creds):
    return signed(box, es, AWS_PROFILE="p", AWS_ENDPOINT_URL_SSO=creds.url, AWS_ENDPOINT_URL_SSO_OIDC=creds.url)


RENEWABLE = {"clientId": "cid", "clientSecret": "cs", "registrationExpiresAt": "2099-01-01T00:00:00Z", "refreshToken": "sso-refresh-token"}


def test_a_login(box, es, creds):
    with_portal(box, es, creds)
    config(box, LEGACY)
    refused(box, "nobody has logged in", "aws sso login --profile p")
    token_file(box, START_URL, accessToken="sso-access-token", expiresAt=from_now(3600).replace("Z", "UTC"))
    works(box)
    config(box, SESSION)
    refused(box, "nobody has logged in")
    token_file(box, "corp", accessToken="sso-access-token", expiresAt=from_now(3600))
    works(box)


def test_a_login_that_has_ended(box, es, creds):
    with_portal(box, es, creds)
    config(box, LEGACY)
    token_file(box, START_URL, accessToken="sso-access-token", expiresAt=from_now(-60), **RENEWABLE)
    refused(box, "has expired", "aws sso login --profile p")  # one of the old kind is not renewed
    token_file(box, START_URL, accessToken="unknown", expiresAt=from_now(3600))
    refused(box, "not valid any more", "aws sso login --profile p")
    token_file(box, START_URL, accessToken="a\nX-Other: b", expiresAt=from_now(3600))
    refused(box, "damaged")
    box.file(".aws/sso/cache/%s.json" % hashlib.sha1(START_URL.encode()).hexdigest(), "{sso-access-token")
    refused(box, "no JSON object", ".aws/sso/cache", "log in")


def test_a_login_is_renewed(box, es, creds):
    """The file is replaced, with what else stands in it, and is its owner's alone."""
    with_portal(box, es, creds)
    config(box, SESSION)
    path = token_file(box, "corp", accessToken="gone", expiresAt=from_now(-60), kept="as it was", **RENEWABLE)
    path.chmod(0o644)
    works(box)
    after = json.loads(path.read_text())
    assert after["accessToken"].startswith("sso-") and after["kept"] == "as it was" and after["expiresAt"] > from_now(3000)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", after["expiresAt"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_login_that_cannot_be_renewed(box, es, creds):
    with_portal(box, es, creds)
    config(box, SESSION)
    token_file(box, "corp", accessToken="sso-access-token", expiresAt=from_now(300), **{**RENEWABLE, "refreshToken": "no"})
    works(box)  # the old token is good for some minutes
    token_file(box, "corp", accessToken="sso-access-token", expiresAt=from_now(-300), **{**RENEWABLE, "refreshToken": "no"})
    refused(box, "not renewed", "aws sso login --profile p")
    token_file(box, "corp", accessToken="sso-access-token", expiresAt=from_now(-300), **{**RENEWABLE, "registrationExpiresAt": "2020-01-01T00:00:00Z"})
    refused(box, "has expired", "aws sso login --profile p")


def test_keys_of_aws_login(box, es):
    name = "arn:aws:iam::123456789012:user/me"
    config(box, "[profile p]\nlogin_session = %s\n" % name)
    signed(box, es, AWS_PROFILE="p")
    refused(box, "nobody has logged in", "aws login --profile p")
    names = {"AWS_ACCESS_KEY_ID": "accessKeyId", "AWS_SECRET_ACCESS_KEY": "secretAccessKey", "AWS_SESSION_TOKEN": "sessionToken"}
    keys = {names[k]: v for k, v in SESSION_KEY.items()}
    path = ".aws/login/cache/%s.json" % hashlib.sha256(name.encode()).hexdigest()
    box.file(path, json.dumps({"accessToken": {**keys, "expiresAt": from_now(900)}}))
    works(box)
    box.file(path, json.dumps({"accessToken": {**keys, "expiresAt": from_now(-1)}}))
    refused(box, "has expired", "aws login --profile p")


# ---- a load that outlives its keys --------------------------------------------------------------------------------------------
DOCS = [{"_id": "d%d" % i, "n": i, "text": "x" * 200} for i in range(6000)]
BY_ID = {doc["_id"]: {k: v for k, v in doc.items() if k != "_id"} for doc in DOCS}


def load_slowly(box, plain, index, env, seconds=8):
    """So slowly that keys of three seconds are renewed several times."""
    datasets.write(box / "docs.ndjson", DOCS)
    script = "SELECT os_bulk_load('docs.ndjson', '%s', '{\"create\":true,\"batch_size\":50,\"max_rate\":\"%d/s\"}');" % (index, len(DOCS) // seconds)
    result = box.sql(script, env=env, timeout=90)
    no_secrets(result)
    assert_exactly_once(plain, index, BY_ID)
    return result


def issued(creds, path):
    return sum(entry["status"] == 200 and entry["path"] == path for entry in creds.control("/__creds/log", "GET"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["container", "instance"])
def test_keys_are_renewed_while_a_load_runs(box, es, plain, index, creds, kind):
    path = "/ecs/creds" if kind == "container" else "/latest/meta-data/iam/security-credentials/ingest-role"
    creds.control("/__creds/ttl?s=4")
    before, stats = issued(creds, path), es.control("/__sigv4/stats", "GET")["rejected"]
    load_slowly(signed(box, es), plain, index, container(creds) if kind == "container" else instance(creds))
    assert issued(creds, path) - before >= 3
    assert es.control("/__sigv4/stats", "GET")["rejected"] == stats  # renewed before they ended, not because they had


@pytest.mark.slow
def test_a_slow_program_does_not_hold_up_a_load(box, es, plain, index):
    """Keys of five seconds from a program that takes one: it begins early enough for nobody to wait."""
    program(box, "echo >>runs; [ $(wc -l <runs) = 1 ] || sleep 1\nuntil=$(date -u -d '5 seconds' +%%FT%%TZ)\ncat <<E\n%s\nE\n"
            % printed(SESSION_KEY, Expiration="$until"))
    config(box, "[default]\ncredential_process = %s\n" % (box / "keys.sh"))
    load_slowly(signed(box, es), plain, index, {})
    assert len((box / "runs").read_text().splitlines()) >= 2


@pytest.mark.slow
def test_renewal_that_fails_now_and_then(box, es, plain, index, creds):
    creds.control("/__creds/ttl?s=5")
    creds.control("/__creds/fail?n=0")
    datasets.write(box / "docs.ndjson", DOCS)
    env = signed(box, es).env | container(creds)
    running = box.start("SELECT os_bulk_load('docs.ndjson', '%s', '{\"create\":true,\"batch_size\":50,\"max_rate\":\"600/s\"}');" % index, env=env)
    until = time.monotonic() + 9
    while time.monotonic() < until:
        time.sleep(1.5)
        creds.control("/__creds/fail?n=1")
    result = running.finish(60)
    assert result.code == 0, result
    no_secrets(result)
    assert_exactly_once(plain, index, BY_ID)


@pytest.mark.slow
def test_keys_that_a_server_calls_expired(box, es, plain, index, creds):
    """Taken back before their time: others are fetched, and the batch goes again."""
    datasets.write(box / "docs.ndjson", DOCS)
    env = signed(box, es).env | container(creds)
    before = issued(creds, "/ecs/creds")
    running = box.start("SELECT os_bulk_load('docs.ndjson', '%s', '{\"create\":true,\"batch_size\":50,\"max_rate\":\"1000/s\"}');" % index, env=env)
    until = time.monotonic() + 20
    while time.monotonic() < until and (not plain.exists(index) or not plain.count(index)):
        time.sleep(0.1)
    key = [entry for entry in es.decisions() if entry["ok"]][-1]["key"]
    es.control("/__sigv4/expire?key=%s&n=100000" % key)
    result = running.finish(60)
    assert result.code == 0, result
    assert_exactly_once(plain, index, BY_ID)
    assert issued(creds, "/ecs/creds") - before == 2
    es.control("/__sigv4/reset")


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
