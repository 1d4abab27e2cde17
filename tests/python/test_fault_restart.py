"""A server that is killed in the middle of a load and comes back with what its disk has: the load waits for it and goes on."""
import json
import os
import signal

import pytest

import datasets
from harness import nodes as node_control
from harness.checker import assert_exactly_once
from harness.cluster import Cluster
from proxy import Proxy

DOCS = datasets.products(2500)


@pytest.mark.slow
@pytest.mark.limit(300)
@pytest.mark.parametrize("ids", [False, True] if os.environ.get("OS_TEST_SWEEP") else [False], ids=lambda own: "own ids" if own else "computed ids")
def test_the_server_is_killed_and_comes_back(bare_box, node_pool, index, ids):
    try:
        node = node_pool.start("restart", "--heap", "512m")
    except node_control.Unavailable as reason:
        pytest.skip(str(reason))
    try:
        cluster = Cluster(node.url)
        cluster.create(index, datasets.PRODUCTS)
        datasets.write(bare_box / "p.ndjson", DOCS, ids)
        options = json.dumps({"mode": "upsert" if ids else "append", "batch_size": 50, "max_workers": 4})
        env = {"OPENSEARCH_ENDPOINT": "", "MAX_RETRIES": "100", "LOG_LEVEL": "OFF"}
        with Proxy(node.url, seed=5) as proxy:
            proxy.rule("delay_answer", seconds=0.05)
            running = bare_box.start("SELECT os_bulk_load('p.ndjson', '%s', '%s');" % (index, options), env={**env, "OPENSEARCH_ENDPOINT": proxy.url})
            proxy.wait_for(15)
            with open(os.path.join(node.run, "pid"), encoding="ascii") as text:
                os.kill(int(text.read()), signal.SIGKILL)
            node_pool.stop("restart", purge=False)
            assert running.process.poll() is None, "it did not wait: %r" % running.finish(5)
            node = node_pool.start("restart", "--heap", "512m")
            proxy.upstream = ("127.0.0.1", node.port)
            result = running.finish(150)
        assert result.code == 0 and result.json()["status"] == "success", result
        assert_exactly_once(Cluster(node.url), index, datasets.by_id(DOCS) if ids else DOCS)
        job = result.json()["response"]
        assert job["retries"] > 0 and job["documents_read"] == 2500 == job["created"] + job["updated"] + job["already"] and job["verified"] is not None
    finally:
        node_pool.stop("restart")
