"""A thin client for checking an index. It never goes through the extension, so that it can be believed."""
import base64
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid


class HttpError(Exception):
    def __init__(self, status, body, what):
        super().__init__("%s: %s %s" % (what, status, body[:500]))
        self.status, self.body = status, body


class Cluster:
    def __init__(self, url, username=None, password=None, ca=None):
        self.url, self.username, self.password, self.ca = url.rstrip("/"), username, password, ca
        self.context = ssl.create_default_context(cafile=ca) if url.startswith("https") else None
        # no proxy from the environment: everything is on the loopback interface
        handlers = [urllib.request.ProxyHandler({})]
        if self.context:
            handlers.append(urllib.request.HTTPSHandler(context=self.context))
        self.opener = urllib.request.build_opener(*handlers)

    def call(self, method, path, body=None, allowed=(), content_type="application/json", timeout=60):
        data = body if isinstance(body, (bytes, type(None))) else (body if isinstance(body, str) else json.dumps(body)).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        if data is not None:
            request.add_header("content-type", content_type)
        if self.username:
            token = base64.b64encode(("%s:%s" % (self.username, self.password)).encode()).decode()
            request.add_header("authorization", "Basic " + token)
        try:
            with self.opener.open(request, timeout=timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            text = error.read()
            if error.code not in allowed:
                raise HttpError(error.code, text.decode(errors="replace"), "%s %s" % (method, path)) from None
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text.decode(errors="replace")

    def get(self, path, **kw):
        return self.call("GET", path, **kw)

    def version(self):
        return self.get("/")["version"]["number"]

    # ---- indices -------------------------------------------------------------------------------------------
    def create(self, name, properties=None, settings=None, mappings=None, aliases=None, wait_for_active_shards=None):
        body = {"settings": {"number_of_shards": 1, "number_of_replicas": 0, **(settings or {})}}
        if properties is not None or mappings is not None:
            body["mappings"] = {**(mappings or {}), **({"properties": properties} if properties is not None else {})}
        if aliases:
            body["aliases"] = aliases
        query = "?wait_for_active_shards=%s" % wait_for_active_shards if wait_for_active_shards is not None else ""
        self.call("PUT", "/" + name + query, body)
        return name

    def delete(self, name):
        self.call("DELETE", "/" + name, allowed=(404,))

    def exists(self, name):
        return "error" not in (self.get("/%s/_settings" % name, allowed=(404,)) or {})

    def put(self, index, doc_id, doc):
        return self.call("PUT", "/%s/_doc/%s?refresh=true" % (index, urllib.parse.quote(doc_id, safe="")), doc)

    def doc(self, index, doc_id):
        found = self.get("/%s/_doc/%s" % (index, urllib.parse.quote(doc_id, safe="")), allowed=(404,))
        return found.get("_source") if found.get("found") else None

    def bulk_put(self, index, docs):
        """docs: {id: doc}"""
        lines = []
        for key, doc in docs.items():
            lines += [json.dumps({"index": {"_id": key}}), json.dumps(doc)]
        answer = self.call("POST", "/%s/_bulk?refresh=true" % index, "\n".join(lines) + "\n", content_type="application/x-ndjson")
        assert not answer["errors"], answer

    def count(self, index):
        self.call("POST", "/%s/_refresh" % index)
        return self.get("/%s/_count" % index)["count"]

    def setting(self, index, name):
        """An index setting as it is stored, None when it is not set."""
        settings = next(iter(self.get("/%s/_settings?flat_settings=true" % index).values()))["settings"]
        return settings.get("index." + name)

    def uuid(self, index):
        return self.setting(index, "uuid")

    def settle(self, name, wanted=("yellow", "green"), timeout=60):
        end = time.time() + timeout
        while True:
            status = self.get("/_cluster/health/%s" % name, allowed=(408,)).get("status")
            if status in wanted:
                return status
            if time.time() > end:
                raise TimeoutError("%s is %s, wanted one of %s" % (name, status, wanted))
            time.sleep(0.1)

    def read_all(self, index):
        """Every document: a list of (id, source, version). Scroll works in every version and is a snapshot."""
        self.call("POST", "/%s/_refresh" % index)
        out = []
        page = self.call("POST", "/%s/_search?scroll=2m" % index, {"size": 5000, "sort": ["_doc"], "version": True, "query": {"match_all": {}}})
        try:
            while page["hits"]["hits"]:
                assert page["_shards"]["failed"] == 0, page["_shards"]
                out += [(hit["_id"], hit.get("_source"), hit.get("_version")) for hit in page["hits"]["hits"]]
                page = self.call("POST", "/_search/scroll", {"scroll": "2m", "scroll_id": page["_scroll_id"]})
        finally:
            self.call("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]}, allowed=(404,))
        return out

    def documents(self, index):
        """{id: document}"""
        rows = self.read_all(index)
        out = {key: source for key, source, _ in rows}
        assert len(out) == len(rows), "an id came twice"
        return out


def unique(prefix="t"):
    return "%s_%s" % (prefix, uuid.uuid4().hex[:10])
