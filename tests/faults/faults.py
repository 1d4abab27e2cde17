"""What a proxy can do to a request, each by its name in a rule: fault_NAME(exchange, rule).

    pass                                    forward untouched (ends the search for a rule)
    cut_before                              read the request, forward nothing, drop the connection
    cut_request  part (0.5)                 drop the connection when so much of the body was read
    cut_after                               forward, wait for the answer, then drop the connection: answer lost
    cut_answer                              forward, send half of the answer's body, drop the connection
    cut_head                                forward, send half of the answer's head, drop the connection
    drip        seconds, pieces (20)        forward, then give the answer in small pieces over so many seconds
    chunked     cut (False)                 forward, answer in chunks; cut: without the last of them
    stale                                   do not forward, and give the last bulk answer of this connection once more
    answer_twice  seconds (0)               forward, give the answer, and after a while give it once more, unasked
    status      code, body, headers         answer with this status without forwarding; 429, 502, 503 … have bodies
                                            as OpenSearch, or a load balancer (html=True), sends them
    status_after  the same                  forward first (the work is done), then answer with this status
    delay       seconds                     wait, then forward
    delay_answer  seconds                   forward, wait, then answer
    call        do                          call this function (of a test in the same process), then forward
    hang        seconds (60)                forward nothing, stay silent, then drop the connection
    duplicate   answer ("first"/"second")   forward twice, one after the other, and give one of the answers
    limit       bytes                       413 for a body that is longer, as a server with a limit does; else forward
    items       status, percent or match,   some items of a _bulk come back with `status`. sent=False: they are not
                sent (False), error,        forwarded; sent=True: they were indexed all the same. statuses: a list,
                seconds (0)                 one drawn for each. It waits for `seconds` before, when any is chosen
    lie         kind                        a complete answer that is wrong: short, long, empty, html, text,
                                            truncated, array, no_items, object, no_status, binary, bad_gzip,
                                            foreign_type, headers (bytes: 2 MB), bomb and gigantic (bytes: 200 MB)
    renegotiate                             with TLS: ask the client for new keys, then answer
"""
import gzip
import json
import re
import ssl

from wire import Cut, Message, made_answer

HTML_502 = (b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1>"
            b"</center>\r\n<hr><center>balancer</center>\r\n</body>\r\n</html>\r\n")
ITEM_ERRORS = {
    429: ("opensearch_rejected_execution_exception", "rejected execution of coordinating operation [fault injected]"),
    503: ("unavailable_shards_exception", "[fault injected] primary shard is not active"),
    400: ("mapper_parsing_exception", "failed to parse field [fault injected]"),
    403: ("cluster_block_exception", "index blocked by: [FORBIDDEN/8/index write (api)]; fault injected"),
}


def parse_bulk(body):
    """[(action line, source line or None)] of an NDJSON bulk body."""
    out, lines, i = [], body.split(b"\n"), 0
    while i < len(lines):
        line = lines[i]
        i += 1
        if not line.strip():
            continue
        if line.lstrip().startswith(b'{"delete"'):
            out.append((line, None))
        else:
            out.append((line, lines[i] if i < len(lines) else b""))
            i += 1
    return out


def join_bulk(items):
    return b"".join(a + b"\n" + (s + b"\n" if s is not None else b"") for a, s in items)


def action_of(line):
    name, meta = next(iter(json.loads(line).items()))
    return name, meta or {}


class Exchange:
    """One request under way: what the faults work with."""

    def __init__(self, proxy, client, request, number, kind, rng):
        self.proxy, self.client, self.request, self.number, self.kind, self.rng = proxy, client, request, number, kind, rng
        self.method, self.path = request.first.split(" ")[:2]
        self.detail = {}

    def forward(self, request=None):
        return self.proxy.forward(request or self.request)

    def answer(self, message, body=None, body_len=None):
        if self.method == "HEAD":
            body, body_len = b"", body_len if body_len is not None else len(message.body)
        self.detail["status"] = int(message.first.split(" ")[1])
        mark = self.request.header("x-opaque-id")
        if mark and not message.header("x-opaque-id") and "json" in (message.header("content-type") or ""):
            message.headers.append(("X-Opaque-Id", mark))  # as OpenSearch does
        self.client.send(message, body, body_len)
        if self.kind == "bulk":
            self.client.last = message


def status_answer(rule):
    code = int(rule.get("code", 503))
    headers = list((rule.get("headers") or {}).items())
    if rule.get("html"):
        return made_answer(code, HTML_502, "text/html", headers)
    if rule.get("body") is not None:
        body = rule["body"]
        return made_answer(code, body.encode() if isinstance(body, str) else body, rule.get("content_type", "application/json"), headers)
    kind, reason = ITEM_ERRORS.get(code, ("fault_injected_exception", "fault injected"))
    text = {"error": {"root_cause": [{"type": kind, "reason": reason}], "type": kind, "reason": reason}, "status": code}
    return made_answer(code, json.dumps(text).encode(), headers=headers)


# ---- the faults: fault(exchange, rule) ------------------------------------------------------------------------
def fault_pass(x, rule):
    x.answer(x.forward())


def fault_cut_before(x, rule):
    raise Cut


def fault_cut_after(x, rule):
    x.detail["upstream_status"] = x.forward().first.split(" ")[1]
    raise Cut


def fault_cut_answer(x, rule):
    message = x.forward()
    x.answer(message, message.body[:max(1, len(message.body) // 2)], len(message.body) or 10)
    raise Cut


def fault_status(x, rule):
    x.answer(status_answer(rule))


def fault_status_after(x, rule):
    x.forward()
    x.answer(status_answer(rule))


def fault_limit(x, rule):
    x.answer(status_answer({"code": 413}) if len(x.request.body) > int(rule["bytes"]) else x.forward())


def fault_delay(x, rule):
    x.proxy.wait(rule.get("seconds", 1))
    x.answer(x.forward())


def fault_call(x, rule):
    rule["do"]()
    x.answer(x.forward())


def fault_delay_answer(x, rule):
    message = x.forward()
    x.proxy.wait(rule.get("seconds", 1))
    x.answer(message)


def fault_cut_head(x, rule):
    message = x.forward()
    head = message.bytes()
    x.client.sock.sendall(head[:len(head) // 2])
    raise Cut


def fault_drip(x, rule):
    message = x.forward()
    data = message.bytes() + (message.body if x.method != "HEAD" else b"")
    size = max(1, len(data) // int(rule.get("pieces", 20)))
    for at in range(0, len(data), size):
        x.client.sock.sendall(data[at:at + size])
        x.proxy.wait(float(rule.get("seconds", 1)) / int(rule.get("pieces", 20)))


def fault_chunked(x, rule):
    message = x.forward()
    x.detail["status"] = int(message.first.split(" ")[1])
    if x.method == "HEAD" or x.detail["status"] in (204, 304):
        x.answer(message)
        return
    head = [message.first] + ["%s: %s" % h for h in message.headers if h[0].lower() not in ("content-length", "transfer-encoding")]
    x.client.sock.sendall(("\r\n".join(head + ["transfer-encoding: chunked"]) + "\r\n\r\n").encode("latin-1"))
    at = 0
    while at < len(message.body):
        piece = message.body[at:at + x.rng.randint(1, 4000)]
        x.client.sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        at += len(piece)
    if rule.get("cut"):
        raise Cut
    x.client.sock.sendall(b"0\r\n\r\n")


def fault_answer_twice(x, rule):
    message = x.forward()
    x.answer(message)
    x.proxy.wait(rule.get("seconds", 0))
    x.answer(message)


def fault_stale(x, rule):
    x.answer(x.client.last or x.forward())


def fault_renegotiate(x, rule):
    if isinstance(x.client.sock, ssl.SSLSocket):
        x.client.renew_keys()
    x.answer(x.forward())


def fault_hang(x, rule):
    x.proxy.wait(rule.get("seconds", 60))
    raise Cut


def fault_duplicate(x, rule):
    first = x.forward()
    second = x.forward()
    x.answer(second if rule.get("answer", "first") == "second" else first)


def fault_items(x, rule):
    """Give some items back as failed. Positions stay, as in a real answer."""
    statuses = rule.get("statuses") or [int(rule.get("status", 429))]
    items = parse_bulk(x.request.plain_body())
    pattern = re.compile(rule["match"].encode()) if rule.get("match") else None
    chosen = set()
    for i, (action, source) in enumerate(items):
        if pattern.search((action + b"\n" + (source or b""))) if pattern else x.rng.random() * 100 < float(rule.get("percent", 10)):
            chosen.add(i)
    x.detail.update(items=len(items), chosen=len(chosen))
    if not chosen:
        x.answer(x.forward())
        return
    x.proxy.wait(rule.get("seconds", 0))
    kept = items if rule.get("sent") else [it for i, it in enumerate(items) if i not in chosen]
    took, answered = 1, []
    if kept:
        request = Message(x.request.first, list(x.request.headers), b"")
        request.set_body(join_bulk(kept))
        upstream = x.forward(request)
        if not upstream.first.split(" ")[1].startswith("2"):
            x.answer(upstream)
            return
        tree = json.loads(upstream.plain_body())
        took, answered = tree.get("took", 1), tree.get("items")
        if answered is None:
            raise RuntimeError("the answer has no items: filter_path leaves them out, items cannot be rewritten")
    out, given = [], iter(answered)
    for i, (action, _) in enumerate(items):
        entry = next(given) if (rule.get("sent") or i not in chosen) else None
        if i in chosen:
            name, meta = action_of(action)
            status = x.rng.choice(statuses)
            kind, reason = ITEM_ERRORS.get(status, ("fault_injected_exception", "fault injected"))
            kind = rule.get("error", kind)
            value = {"_index": meta.get("_index", "x"), "status": status, "error": {"type": kind, "reason": reason}}
            if "_id" in meta:
                value["_id"] = meta["_id"]
            entry = {name: value}
        out.append(entry)
    x.answer(made_answer(200, json.dumps({"took": took, "errors": True, "items": out}).encode()))


def fault_lie(x, rule):
    kind = rule.get("kind", "short")
    x.detail["kind"] = kind
    message = x.forward()
    body = message.plain_body()
    if kind in ("short", "long"):
        tree = json.loads(body)
        items = tree.get("items", [])
        tree["items"] = items[:-1] if kind == "short" else items + items[-1:]
        message.set_body(json.dumps(tree).encode())
    elif kind == "empty":
        message.set_body(b"")
    elif kind == "html":
        message.set_body(HTML_502, "text/html")
    elif kind == "text":
        message.set_body(body, "text/plain")
    elif kind == "truncated":
        message.set_body(body[:max(1, len(body) * 2 // 3)])
    elif kind == "array":
        message.set_body(b"[]")
    elif kind == "no_items":
        message.set_body(b'{"took":1,"errors":false}')
    elif kind == "object":
        message.set_body(b'{"acknowledged":true}')
    elif kind == "no_status":
        tree = json.loads(body)
        for item in tree.get("items", [])[-1:]:
            next(iter(item.values())).pop("status", None)
        message.set_body(json.dumps(tree).encode())
    elif kind == "binary":
        message.set_body(x.rng.randbytes(len(body) + 1))
    elif kind == "bad_gzip":
        message.set_body(b"\x1f\x8b\x08\x00" + x.rng.randbytes(200))
        message.headers.append(("content-encoding", "gzip"))
    elif kind == "foreign_type":
        message.set_body(body, "application/octet-stream")
    elif kind == "headers":
        message.headers += [("x-noise-%d" % n, "y" * 1000) for n in range(int(rule.get("bytes", 2 << 20)) // 1000)]
    elif kind == "bomb":
        message.set_body(gzip.compress(body.rstrip()[:-1] + b',"padding":"' + b"x" * int(rule.get("bytes", 200 << 20)) + b'"}', 1))
        message.headers.append(("content-encoding", "gzip"))
    elif kind == "gigantic":
        size = int(rule.get("bytes", 200 << 20))
        head = body.rstrip()[:-1] + b',"padding":"'
        message.set_body(b"")
        x.client.sock.sendall(message.bytes(size))
        x.client.sock.sendall(head)
        block, left = b"x" * (1 << 20), size - len(head) - 2
        while left > 0:
            x.client.sock.sendall(block[:left])
            left -= len(block)
        x.client.sock.sendall(b'"}')
        return
    else:
        raise ValueError("unknown lie: %s" % kind)
    x.answer(message)


FAULTS = {name[6:]: fn for name, fn in list(globals().items()) if name.startswith("fault_")}
FAULTS["cut_request"] = fault_cut_before  # recognised while reading; see Proxy._one
