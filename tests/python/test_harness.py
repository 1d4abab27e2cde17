"""The tests' own tools, proved without the extension: a check that cannot fail, or a proxy that does nothing, would
make every other test worthless."""
import gzip
import json
import time

import pytest

import datasets
from harness import signed
from harness.checker import assert_exactly_once
from harness.cluster import Cluster, HttpError
from harness.paths import TESTS
from harness.servers import Listener, closed_port
from proxy import Proxy


def bulk(cluster, index, docs, compressed=False, op="create"):
    body = "".join("%s\n%s\n" % (json.dumps({op: {"_id": k}}), json.dumps(d)) for k, d in docs.items()).encode()
    import urllib.request
    request = urllib.request.Request(cluster.url + "/%s/_bulk" % index, gzip.compress(body) if compressed else body, method="POST")
    request.add_header("content-type", "application/x-ndjson")
    if compressed:
        request.add_header("content-encoding", "gzip")
    with cluster.opener.open(request, timeout=20) as answer:
        return json.load(answer)


@pytest.fixture
def docs():
    return datasets.by_id(datasets.products(50))


def test_generator_is_deterministic():
    assert datasets.products(20) == datasets.products(40)[:20]
    assert datasets.products(5) != datasets.products(5, seed=8)


def test_checker_accepts_what_is_right_and_sees_every_kind_of_wrong(plain, index, docs):
    plain.create(index)
    plain.bulk_put(index, docs)
    assert_exactly_once(plain, index, docs)
    assert_exactly_once(plain, index, list(docs.values()))
    some = next(iter(docs))
    more = {**docs, "other": {"x": 1}}
    for expected in (more, list(more.values())):
        with pytest.raises(AssertionError, match="missing"):
            assert_exactly_once(plain, index, expected)
    fewer = {k: d for k, d in docs.items() if k != some}
    with pytest.raises(AssertionError, match="not of the source"):
        assert_exactly_once(plain, index, fewer)
    with pytest.raises(AssertionError, match="1 too many"):
        assert_exactly_once(plain, index, list(fewer.values()))
    with pytest.raises(AssertionError, match="other content"):
        assert_exactly_once(plain, index, {**docs, some: {**docs[some], "price": -1}})
    refused = [{"doc_id": "other", "document": json.dumps(more["other"]), "raw": None}]
    assert_exactly_once(plain, index, more, refused)
    assert_exactly_once(plain, index, list(more.values()), refused)
    with pytest.raises(AssertionError, match="both"):
        assert_exactly_once(plain, index, docs, [{"doc_id": some, "document": json.dumps(docs[some]), "raw": None}])


@pytest.mark.parametrize("compressed", [False, True])
def test_proxy_withholds_items(plain, index, proxy, docs, compressed):
    plain.create(index)
    proxy.rule("items", status=429, percent=30, times=1)
    answer = bulk(Cluster(proxy.url), index, docs, compressed)
    codes = [item["create"]["status"] for item in answer["items"]]
    assert answer["errors"] and len(codes) == len(docs) and set(codes) == {201, 429}
    assert plain.count(index) == codes.count(201)
    proxy.rule("items", status=503, match='"sku-0000003"', sent=True, times=1)
    answer = bulk(Cluster(proxy.url), index, {k + "x": d for k, d in docs.items()} | {"sku-0000003": {"a": 1}}, compressed)
    assert [i["create"]["status"] for i in answer["items"]].count(503) == 1


def test_proxy_cuts(plain, index, docs):
    plain.create(index)
    for fault, arrives in (("cut_before", 0), ("cut_request", 0), ("cut_after", 50), ("cut_answer", 50)):
        with Proxy(plain.url) as proxy:
            plain.call("POST", "/%s/_delete_by_query?refresh=true" % index, {"query": {"match_all": {}}})
            proxy.rule(fault, times=1)
            with pytest.raises(Exception):
                bulk(Cluster(proxy.url), index, docs)
            assert plain.count(index) == arrives, fault
            assert [e["fault"] for e in proxy.calls("bulk")] == [fault]


def test_proxy_answers_and_lies(plain, index, proxy, docs):
    plain.create(index)
    through = Cluster(proxy.url)
    for code in (429, 502, 503):
        proxy.rule("status", code=code, html=code == 502, times=1)
        with pytest.raises(Exception) as caught:
            bulk(through, index, docs)
        assert caught.value.code == code
    assert plain.count(index) == 0
    proxy.rule("lie", kind="short", times=1)
    assert len(bulk(through, index, docs)["items"]) == 49
    proxy.rule("lie", kind="truncated", times=1)
    with pytest.raises(ValueError):
        bulk(through, index, docs)
    proxy.rule("duplicate", times=1, answer="second")
    answer = bulk(through, index, {"only": {"a": 1}})
    assert answer["items"][0]["create"]["status"] == 409
    proxy.rule("delay", seconds=0.5, times=1)
    started = time.monotonic()
    bulk(through, index, docs, op="index")
    assert time.monotonic() - started >= 0.5


def test_proxy_refuses_for_a_while(plain, proxy):
    through = Cluster(proxy.url)
    assert through.version() == plain.version()
    proxy.refuse(0.5)
    with pytest.raises(Exception):
        through.version()
    time.sleep(0.8)
    assert through.version() == plain.version()


def test_proxy_repeats_with_the_same_seed(plain, index, docs):
    plain.create(index)
    seen = []
    for _ in range(2):
        with Proxy(plain.url, seed=42) as proxy:
            proxy.rule("status", code=503, share=0.4)
            for n in range(12):
                try:
                    bulk(Cluster(proxy.url), index, {"a%d" % n: {}})
                except Exception:
                    pass
            seen.append([e["fault"] for e in proxy.calls("bulk")])
    assert seen[0] == seen[1] and set(seen[0]) == {"status", "pass"}


def test_listener_counts(tmp_path):
    with Listener() as server:
        assert Cluster(server.url).version() == "2.19.4"
        assert [r[:2] for r in server.requests] == [("GET", "/")]
    assert closed_port() != server.port


def test_certificates(certificates):
    for name, options in (("good", {}), ("old", {"expired": True}), ("elsewhere", {"san": "DNS:elsewhere.example"})):
        with Listener(tls=certificates.server("h-" + name, **options)) as server:
            client = Cluster(server.url, ca=certificates.ca)
            if name == "good":
                assert client.version() == "2.19.4"
            else:
                with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
                    client.version()


def test_http_errors_are_raised(plain):
    with pytest.raises(HttpError) as caught:
        plain.get("/no_such_index_%d/_count" % time.time())
    assert caught.value.status == 404


def test_what_a_collection_lacks_names_tests():
    """A test that was renamed would silently be skipped no more."""
    for module, tests in signed.LACKING.items():
        text = (TESTS / "python" / (module + ".py")).read_text()
        for name in tests:
            assert "\ndef %s(" % name.split("[")[0] in text, "%s has no %s" % (module, name)
