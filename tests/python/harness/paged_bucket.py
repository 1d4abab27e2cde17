"""A bucket of very many small objects that exist only as far as they are asked for, and whose pages can be held back or fail.
It verifies no signatures: it is there for how a list goes, not for who may see it."""
import hashlib
import re
import threading
import urllib.parse
from xml.sax.saxutils import escape

from .servers import Listener

PAGE = 1000
DATE = "Sun, 22 Nov 2026 00:00:00 GMT"


def fault(code, text):
    return ("<Error><Code>%s</Code><Message>%s</Message></Error>" % (code, text)).encode()


class PagedBucket(Listener):
    """objects: {key: bytes}, listed in order of keys. pages: the (prefix, number from 1 on) of each list request, as it came."""

    def __init__(self, objects, name="keys"):
        self.name, self.objects, self.pages = name, {}, []
        self.held, self.faults = {}, {}  # by page
        self.put(objects)
        super().__init__(self.answer)

    def put(self, objects):
        self.objects.update(objects)
        self.keys = sorted(self.objects, key=str.encode)

    def hold(self, page):
        """Page `page` of any list is not answered before the event that is returned is set."""
        self.held[page] = threading.Event()
        return self.held[page]

    def settings(self):
        return {"AWS_ENDPOINT_URL_S3": self.url, "AWS_REGION": "us-east-1"}

    def answer(self, handler):
        path, _, query = handler.path.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        bucket, _, key = urllib.parse.unquote(path[1:]).partition("/")
        if bucket != self.name:
            return 404, "application/xml", fault("NoSuchBucket", "no such bucket")
        return self.page(asked) if "list-type" in asked else self.object(key, handler.headers.get("range"))

    def page(self, asked):
        prefix, start = asked.get("prefix", ""), int(asked.get("continuation-token", 0))
        number = start // PAGE + 1
        self.pages.append((prefix, number))
        if number in self.held:
            self.held[number].wait(60)
        if number in self.faults:
            status, code, text = self.faults[number]
            return status, "application/xml", fault(code, text)
        keys = [key for key in self.keys if key.startswith(prefix)]
        more = len(keys) > start + PAGE
        entries = "".join("<Contents><Key>%s</Key><LastModified>2026-11-22T00:00:00.000Z</LastModified><ETag>&quot;%s&quot;</ETag><Size>%d</Size></Contents>" % (
            escape(urllib.parse.quote(key)), self.etag(key), len(self.objects[key])) for key in keys[start:start + PAGE])
        token = "<NextContinuationToken>%d</NextContinuationToken>" % (start + PAGE) if more else ""
        return 200, "application/xml", ("<ListBucketResult><IsTruncated>%s</IsTruncated><EncodingType>url</EncodingType>%s%s</ListBucketResult>" % (
            str(more).lower(), token, entries)).encode()

    def etag(self, key):
        return hashlib.md5(self.objects[key]).hexdigest()

    def object(self, key, span):
        if key not in self.objects:
            return 404, "application/xml", fault("NoSuchKey", "no such key")
        body, about = self.objects[key], {"etag": '"%s"' % self.etag(key), "last-modified": DATE}
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", span).groups()) if span else (0, len(body) - 1)
        last = min(last, len(body) - 1)
        if first > last:
            return 416, "application/xml", fault("InvalidRange", "no such bytes")
        if not span:
            return 200, "binary/octet-stream", body, about
        return 206, "binary/octet-stream", body[first:last + 1], {**about, "content-range": "bytes %d-%d/%d" % (first, last, len(body))}
