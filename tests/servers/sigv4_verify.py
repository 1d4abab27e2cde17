"""Verifying a SigV4 request as AWS's services do, with botocore as the reference for the signature itself.

verify() takes what arrived byte by byte and raises Reject, with the status, error type and words of the service, or
gives the service, the access key and warnings about what AWS would tolerate today but does not promise.
"""
import datetime
import hashlib
import hmac
import re
import urllib.parse

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from key_table import parse_time

SCHEME = "AWS4-HMAC-SHA256"
ONCE = ("x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "host")
MISMATCH = ("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
            "and signing method. Consult the service documentation for details.\n\nThe Canonical String for this request "
            "should have been\n'%s'\n\nThe String-to-Sign should have been\n'%s'\n")


class Reject(Exception):
    def __init__(self, status, kind, message):
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


def incomplete(message, status=403):
    return Reject(status, "IncompleteSignatureException", message)


def invalid(message):
    return Reject(403, "InvalidSignatureException", message)


def encoded(part):
    return urllib.parse.quote(urllib.parse.unquote_to_bytes(part.replace("+", "%20")), safe="-_.~")


class Reference(SigV4Auth):
    """botocore's signer, made to sign exactly the headers that the client says it signed."""

    def __init__(self, credentials, service, region, names):
        super().__init__(credentials, service, region)
        self.names = names

    def headers_to_sign(self, request):
        signed = type(super().headers_to_sign(request))()
        for name in self.names:
            for value in request.headers.get_all(name) or []:
                signed[name] = value
        return signed

    def canonical_query_string(self, request):
        """Each part decoded and encoded again (RFC 3986), as the services do; botocore takes them as they are."""
        query = request.url.partition("?")[2]
        parts = (part.partition("=") for part in query.split("&") if part)
        return "&".join("%s=%s" % pair for pair in sorted((encoded(name), encoded(value)) for name, _, value in parts))

    def canonical_request(self, request):
        """With the path of the request line, not what urlsplit makes of one with ';' or '#' in it."""
        path = "/" + request.url.partition("?")[0].split("://", 1)[1].partition("/")[2]
        headers = self.headers_to_sign(request)
        return "\n".join([request.method.upper(), self._normalize_url_path(path), self.canonical_query_string(request),
                          self.canonical_headers(headers) + "\n", self.signed_headers(headers),
                          request.headers.get("x-amz-content-sha256") or self.payload(request)])


def authorization(headers, target):
    """The three parts of the header Authorization."""
    lines = headers.get_all("Authorization") or []
    if not lines:
        if "X-Amz-Signature=" in target:
            raise incomplete("presigned URLs are not supported by this proxy")
        raise Reject(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    if len(lines) > 1:
        raise incomplete("more than one Authorization header", 400)
    scheme, _, rest = lines[0].partition(" ")
    if scheme != SCHEME:
        raise incomplete("Unsupported authorization scheme '%s'" % scheme)
    parts = {}
    for item in rest.split(","):
        name, equals, value = item.strip().partition("=")
        if not equals or name in parts:
            raise incomplete("'%s' not a valid key=value pair (missing equal-sign) in Authorization header: '%s'." % (item, lines[0]))
        parts[name] = value
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not parts.get(name):
            raise incomplete("Authorization header requires '%s' parameter. Authorization=%s" % (name, lines[0].split(",")[0]))
    return parts


def credential_scope(credential, options):
    """(access key, date, region, service)"""
    scope = credential.split("/")
    if len(scope) < 5:
        raise incomplete("Credential must have at least 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'" % credential)
    date, region, service, term = scope[-4:]
    if term != "aws4_request":
        raise invalid("Credential should be scoped with a valid terminator: 'aws4_request', not '%s'." % term)
    if service not in options.services:
        raise invalid("Credential should be scoped to correct service: '%s'. " % options.services[0])
    if region != options.region:
        raise invalid("Credential should be scoped to a valid region. ")
    return "/".join(scope[:-4]), date, region, service


def check_time(headers, date, now, limit):
    """The stamp of the request, which must be within `limit` seconds of the service's clock."""
    stamp = headers.get("X-Amz-Date")
    if stamp is None:
        raise incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    try:
        signed_at = datetime.datetime.strptime(stamp, SIGV4_TIMESTAMP)
    except ValueError:
        raise incomplete("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601" % stamp) from None
    if date != stamp[:8]:
        raise invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'."
                      % (date, stamp[:8], stamp))

    def text(time):
        return time.strftime(SIGV4_TIMESTAMP)

    span = datetime.timedelta(seconds=limit)
    if signed_at < now - span:
        raise invalid("Signature expired: %s is now earlier than %s (%s - %d min.)" % (text(signed_at), text(now - span), text(now), limit // 60))
    if signed_at > now + span:
        raise invalid("Signature not yet current: %s is still later than %s (%s + %d min.)" % (text(signed_at), text(now + span), text(now), limit // 60))
    return stamp


def check_key(keys, access_key, headers, now):
    key = keys.find(access_key)
    unknown = Reject(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
    if not key or (key.get("token") or None) != (headers.get("X-Amz-Security-Token") or None):
        raise unknown
    if key.get("expires") and parse_time(key["expires"]) < now:
        raise Reject(403, "ExpiredTokenException", "The security token included in the request is expired")
    return key


def check_signed_headers(value, headers):
    names = value.split(";")
    if names != sorted(set(names)) or value != value.lower():
        raise invalid("SignedHeaders must be lower case, sorted and without repeats: '%s'" % value)
    for name in names:
        if name not in headers:
            raise invalid("SignedHeaders names '%s', which the request does not have" % name)
    must = {"host"} | {name.lower() for name in headers.keys() if name.lower().startswith("x-amz-")}
    missing = sorted(must - set(names))
    if missing:
        raise invalid("'Host' or ':authority' and every 'x-amz-*' header must be a 'SignedHeader' in the AWS Authorization; missing: %s"
                      % ", ".join(missing))
    return names


def check_body(service, headers, body, options):
    claimed = headers.get("X-Amz-Content-SHA256")
    if service == "aoss" and not claimed:
        raise Reject(403, "Forbidden", "aoss: x-amz-content-sha256 is required")
    if claimed == "UNSIGNED-PAYLOAD":
        if not options.allow_unsigned:
            raise invalid("UNSIGNED-PAYLOAD is not accepted for this service")
    elif claimed and claimed != hashlib.sha256(body).hexdigest():
        raise invalid("x-amz-content-sha256 does not match the body")


def verify(options, keys, method, target, headers, body, now):
    """headers: an email.message.Message; target: the request line's, untouched. (service, access key, warnings)"""
    warnings = []
    parts = authorization(headers, target)
    access_key, date, region, service = credential_scope(parts["Credential"], options)
    for name in ONCE:
        if len(headers.get_all(name) or []) > 1:
            raise incomplete("%s given more than once" % name, 400)
    stamp = check_time(headers, date, now, options.skew)
    key = check_key(keys, access_key, headers, now)
    names = check_signed_headers(parts["SignedHeaders"], headers)
    if service == "aoss" and "content-length" in names:
        # the service's documentation says not to; opensearch-py's signer for requests does it all the same
        if options.strict_aoss:
            raise invalid("aoss: Content-Length must not be a signed header")
        warnings.append("aoss: content-length is a signed header")
    check_body(service, headers, body, options)
    if "+" in target.partition("?")[2]:
        if not options.lenient_query:
            raise invalid("strict: '+' in the query string is ambiguous in SigV4; send %20 or %2B (--lenient-query allows it)")
        warnings.append("'+' in the query: ambiguous, send %20 or %2B")
    if re.search(r"[^\x21-\x7e]", target):
        raise Reject(400, "ValidationException", "the request target has raw spaces, control or non-ASCII bytes")

    request = AWSRequest(method=method, url="http://" + (headers.get("Host") or "") + target, data=body)
    for name, value in headers.items():
        request.headers[name] = value
    del request.headers["Authorization"]
    reference = Reference(Credentials(access_key, key["secret_key"], key.get("token")), service, region, names)
    request.context["timestamp"] = stamp
    canonical = reference.canonical_request(request)
    to_sign = reference.string_to_sign(request, canonical)
    if not hmac.compare_digest(reference.signature(to_sign, request), parts["Signature"]):
        raise invalid(MISMATCH % (canonical, to_sign))
    return service, access_key, warnings
