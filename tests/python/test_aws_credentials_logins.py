"""Keys of those who have logged in: aws sso login, with tokens that are renewed, and aws login."""
import hashlib
import json
import re
import stat

from harness.aws import SESSION_KEY
from harness.credentials import config, from_now, refused, signed, works

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
