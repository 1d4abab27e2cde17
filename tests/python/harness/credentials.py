"""What the tests of keys have in common: servers that give keys or ask for them, and a box whose pings are signed. A ping
through a server that recomputes the signature proves the keys. The home folder of a box is its own."""
import datetime
import json

import pytest

from .aws import LONG_KEY, SESSION_KEY

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


def container(creds, **more):
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": creds.url + "/ecs/creds", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-secret", **more}


def instance(creds, **more):
    return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": creds.url, "AWS_EC2_METADATA_DISABLED": None, **more}


def issued(creds, path):
    return sum(entry["status"] == 200 and entry["path"] == path for entry in creds.control("/__creds/log", "GET"))
