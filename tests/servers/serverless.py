"""What OpenSearch Serverless lets through: its page "Supported operations and plugins" as a list; anything else is a 404.

Collections of time series and of vectors take no ids of the client's own: such requests are refused, in a _bulk item by
item, as the service does.
"""
import gzip
import json
import re

INDEX = r"[^/_][^/]*"
NO_ID = "Document ID is not supported in create/index operation request"
OPERATIONS = """
    PUT DELETE HEAD GET         /{i}
    GET                         /{i}/_(mapping|mappings)(/.*)?
    PUT POST                    /{i}/_(mapping|mappings)
    GET                         /{i}/_(setting|settings)(/.*)?
    PUT POST                    /{i}/_(setting|settings)
    GET                         /_(mapping|mappings|setting|settings)
    PUT POST                    /_(mapping|setting)
    GET                         /_cat/(indices|aliases|templates)(/.*)?
    GET                         /_resolve/index/[^/]+
    POST                        (/{i})?/_bulk
    POST                        /{i}/_doc
    PUT GET HEAD DELETE         /{i}/_doc/[^/]+
    PUT POST                    /{i}/_create/[^/]+
    POST                        /{i}/_update/[^/]+
    GET POST                    (/{i})?/_(analyze|search|msearch|field_caps|mget|count)
    GET POST                    /{i}/_explain/[^/]+
    GET HEAD                    /{i}/_source/[^/]+
    GET POST                    /{i}/_(rank_eval|validate/query)
    POST                        /_aliases
    GET HEAD                    (/{i})?/_alias(/.*)?
    PUT POST DELETE             /{i}/_(alias|aliases)/[^/]+
    GET HEAD PUT POST DELETE    /_(index_template|component_template)(/.*)?
    POST                        /_index_template/_simulate(_index)?(/.*)?
    GET PUT DELETE POST         /_ingest/pipeline(/.*)?
    GET PUT DELETE POST         /_search/pipeline(/.*)?
    POST                        /{i}/_search/point_in_time
    GET DELETE                  /_search/point_in_time(/_all)?
"""


def _rules():
    for line in OPERATIONS.strip().splitlines():
        *methods, path = line.split()
        pattern = re.compile("^" + path.replace("{i}", INDEX) + "$")
        for method in methods:
            yield method, pattern


RULES = list(_rules())


def refusal():
    error = {"type": "illegal_argument_exception", "reason": NO_ID}
    return {"error": {"root_cause": [error], **error}, "status": 400}


def split_bulk(path, body):
    """(what may go on, an answer for each item that may not, None for those that may); None: not readable, let the
    node say what is wrong."""
    lines, kept, slots, i = body.split(b"\n"), [], [], 0
    while i < len(lines):
        if not lines[i].strip():
            i += 1
            continue
        try:
            action = json.loads(lines[i])
        except ValueError:
            return None
        op = next(iter(action), None)
        meta, length = action.get(op) or {}, 1 if op == "delete" else 2
        if op == "update" or (op in ("index", "create") and meta.get("_id") is not None):
            slots.append({op: {"_index": meta.get("_index") or path.split("/")[1], "_id": meta.get("_id"), "status": 400,
                               "error": {"type": "illegal_argument_exception", "reason": NO_ID}}})
        else:
            slots.append(None)
            kept += lines[i:i + length]
        i += length
    return b"".join(line + b"\n" for line in kept), slots


def gate(collection, method, target, headers, body):
    """None: pass it on as it is. (status, answer): answer so. ("bulk", body, slots): pass the shorter body on and put
    the items of slots that are not None into its answer."""
    path, _, query = target.partition("?")
    path = path.rstrip("/") or "/"
    if not any(method == allowed and rule.match(path) for allowed, rule in RULES) or re.search(r"(^|&)scroll=", query):
        return 404, None
    if collection == "search":
        return None
    if re.match(r"^/%s/_(create|update)/[^/]+$" % INDEX, path) or (method == "PUT" and re.match(r"^/%s/_doc/[^/]+$" % INDEX, path)):
        return 400, refusal()
    if not path.endswith("/_bulk"):
        return None
    if (headers.get("Content-Encoding") or "") == "gzip":
        body = gzip.decompress(body)
    split = split_bulk(path, body)
    if split is None or all(slot is None for slot in split[1]):
        return None
    kept, slots = split
    if not kept:
        return 200, {"took": 0, "errors": True, "items": slots}
    return "bulk", kept, slots


def merge(answer, slots):
    """The answer to the shorter _bulk, with the refused items in their places."""
    data = json.loads(answer)
    items = iter(data["items"])
    data["items"] = [slot or next(items) for slot in slots]
    data["errors"] = True
    return json.dumps(data).encode()
