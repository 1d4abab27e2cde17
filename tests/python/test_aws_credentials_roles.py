"""Keys of roles: on top of other keys, in chains of profiles, for a token of another issuer; and an STS that is out of order.
The servers verify what they are asked with."""
import urllib.parse

import pytest

from harness.aws import LONG_KEY
from harness.credentials import PING, ROLE, config, container, ini, instance, issued, no_secrets, refused, signed, works
from proxy import Proxy


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


def test_what_is_asked_of_the_token_service(box, es_of_open_sts, open_sts):
    config(box, "[profile base]\n%s[profile r]\nrole_arn = %s\nsource_profile = base\nrole_session_name = told\nexternal_id = e/1 +2\n"
                "duration_seconds = 1800\n" % (ini(LONG_KEY), ROLE))
    with Proxy(open_sts.url, keep_bodies=True) as proxy:
        works(signed(box, es_of_open_sts, AWS_ENDPOINT_URL_STS=proxy.url), AWS_PROFILE="r")
        asked, = [urllib.parse.parse_qs(call["body"].decode()) for call in proxy.calls()]
    assert asked == {"Action": ["AssumeRole"], "Version": ["2011-06-15"], "RoleArn": [ROLE], "RoleSessionName": ["told"],
                     "ExternalId": ["e/1 +2"], "DurationSeconds": ["1800"]}


@pytest.mark.parametrize("place, path, env", [
    ("EcsContainer", "/ecs/creds", container),
    ("Ec2InstanceMetadata", "/latest/meta-data/iam/security-credentials/ingest-role", instance),
])
def test_a_role_with_the_keys_of_a_platform(box, es_of_open_sts, open_sts, creds, place, path, env):
    config(box, "[profile r]\nrole_arn = %s\ncredential_source = %s\n" % (ROLE, place))
    before = issued(creds, path)
    works(signed(box, es_of_open_sts, AWS_ENDPOINT_URL_STS=open_sts.url), AWS_PROFILE="r", **env(creds))
    assert issued(creds, path) == before + 1
    assert es_of_open_sts.decisions()[-1]["key"].startswith("ASIA")


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


def test_variables_before_the_profile_of_a_web_identity(box, es_of_open_sts, open_sts):
    """Each of the three on its own, unless the profile was given to the session."""
    box.file("token", "header.payload.signature\n")
    config(box, "[profile bare]\nweb_identity_token_file = ~/token\n[profile whole]\nrole_arn = %s-profile\nweb_identity_token_file = ~/token\n"
                "role_session_name = profile-name\n[profile gone]\nrole_arn = %s-profile\nweb_identity_token_file = /nonexistent\n"
                "role_session_name = profile-name\n" % (ROLE, ROLE))
    with Proxy(open_sts.url, keep_bodies=True) as proxy:
        def asked(role, name, script=PING, **env):
            seen = len(proxy.calls())
            result = box.sql(script, env=env)
            assert result.lines[-1] == "success", result
            bodies = [call["body"].decode() for call in proxy.calls()[seen:]]
            assert len(bodies) == 1 and "Action=AssumeRoleWithWebIdentity" in bodies[0], bodies
            assert "RoleArn=%s&" % urllib.parse.quote(role, safe="") in bodies[0], bodies
            assert "RoleSessionName=%s" % name in bodies[0], bodies

        signed(box, es_of_open_sts, AWS_ENDPOINT_URL_STS=proxy.url)
        asked(ROLE, "sqlite-opensearch-", AWS_PROFILE="bare", AWS_ROLE_ARN=ROLE)
        asked(ROLE, "told&", AWS_PROFILE="whole", AWS_ROLE_ARN=ROLE, AWS_ROLE_SESSION_NAME="told")
        asked(ROLE + "-profile", "told&", AWS_PROFILE="whole", AWS_ROLE_SESSION_NAME="told")
        asked(ROLE + "-profile", "profile-name&", AWS_PROFILE="whole")
        asked(ROLE + "-profile", "profile-name&", AWS_PROFILE="gone", AWS_WEB_IDENTITY_TOKEN_FILE=box / "token")
        given = "SELECT os_config('AWS_PROFILE', 'whole') IS NOT NULL; " + PING
        asked(ROLE + "-profile", "profile-name&", given, AWS_ROLE_SESSION_NAME="told")
    refused(box, "profile 'bare' has web_identity_token_file, but no role_arn", AWS_PROFILE="bare")


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


# ---- what stands in between breaks ---------------------------------------------------------------------------------------------
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


def test_a_token_service_that_is_out_of_order(box, es_of_open_sts, open_sts):
    """The role's trust is no matter then."""
    box.file("token", "header.payload.signature\n")
    with Proxy(open_sts.url) as proxy:
        proxy.rule(on="any", fault="status", code=500)
        signed(box, es_of_open_sts, AWS_ENDPOINT_URL_STS=proxy.url, MAX_RETRIES="0")
        result = refused(box, "STS answered 500", "try again later", AWS_WEB_IDENTITY_TOKEN_FILE=box / "token", AWS_ROLE_ARN=ROLE)
        assert "trust" not in result.err


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
