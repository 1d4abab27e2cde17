"""The tests once more, behind a server that verifies signatures as AWS does: OS_TEST_SIGNED=es puts it before the node as the service
does before a domain; aoss as before a collection, where the node has none of what a collection lacks."""
import os

import pytest
from proxy import Proxy

SERVICE = os.environ.get("OS_TEST_SIGNED")

# seconds until a search finds what was written: more than any refresh_interval that a test sets
DELAY = "9"

PROBE = "/_bulk?require_alias=true"  # asks whether ids are taken; nothing is written, and no test means it by "a bulk request"

HEALTH = "a collection has no health"
MERGE = "a collection merges by itself"
TUNE = "settings of a collection are its own"
COUNT = "what a search of a collection does not find may come later: a count that is too small is unknown, no error"
ANEW = "an index of a collection is emptied, never made anew"
DELETES = "a collection is emptied by bulk requests, which the test counts among those of the load"

# module: {test (with its parameters, when only that case): why it cannot be passed before a collection}
LACKING = {
    "test_contract_gaps_load": {
        "test_force_merge[True-append-True]": MERGE,
        "test_force_merge[auto-fresh-True]": MERGE,
        "test_a_force_merge_that_fails_never_fails_the_load": MERGE,
        "test_counts_that_do_not_fit_are_an_error_that_validate_none_leaves_out": COUNT,
        "test_sizes_of_batches_from_settings": DELETES,
    },
    "test_exactly_once": {"test_counts_are_checked_against_the_index": COUNT},
    "test_fault_found": {"test_fresh_with_versions_is_not_refused_by_what_it_deleted": ANEW},
    "test_fault_meanwhile": {"test_a_document_of_others_between_the_first_readings[fresh]":
                             "what others write while a collection is emptied is seen later, and an error"},
    "test_guards": {"test_red_index_is_refused": HEALTH, "test_yellow_index_passes_with_a_note": HEALTH},
    "test_ledger": {
        "test_tune_index_is_restored": TUNE,
        "test_tune_index_is_restored_after_kill_by_the_next_command": TUNE,
        "test_tune_index_shared_by_two_loads": TUNE,
    },
    "test_load_modes": {
        "test_force_merge_after_fresh": MERGE,
        "test_what_has_arrived_is_made_searchable_beside_the_last_requests": "a collection is not refreshed",
        "test_fresh_recreates_from_the_threshold_on": ANEW,
    },
    "test_order_across_loads": {"test_settings_that_could_not_be_restored_are_tried_again": TUNE},
}


class Places:
    """Where the servers of this session are started, and what they stand in front of."""
    servers = node = None


def _server(name, upstream):
    more = ["--strict-aoss"] if SERVICE == "aoss" else []
    return Places.servers.proxy(name, upstream, SERVICE, *more)


def environment(aws_servers, node):
    """Starts the server; what a box needs to reach the node through it."""
    Places.servers, Places.node = aws_servers, node
    settings = {**_server("front", node).exports, "OPENSEARCH_AUTH": "iam"}
    if SERVICE == "aoss":
        settings.update(OPENSEARCH_SERVERLESS="true", OPENSEARCH_SERVERLESS_DELAY=DELAY)
    return settings


def skip_what_is_lacking(items):
    for item in items if SERVICE == "aoss" else ():
        reasons = LACKING.get(item.module.__name__, {})
        reason = reasons.get(item.name) or reasons.get(item.originalname)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


# ---- the fault proxy, which stands between the extension and that server -----------------------------------------------------
def _behind(proxy):
    """A second proxy, where signatures have been verified already: proxy -> a server of its own -> this one -> the node."""
    if not getattr(proxy, "behind", None):
        proxy.behind = Proxy(Places.node, seed=proxy.seed).start()
        proxy.behind.server = "behind-%d" % proxy.behind.port
        with proxy.lock:
            proxy.upstream, proxy.pool = ("127.0.0.1", _server(proxy.behind.server, proxy.behind.url).port), []
    return proxy.behind


def adapt_the_proxy():
    """What changes a body on its way is what a signature is there to find: such a fault happens behind the server."""
    rule, clear, fired, stop, kind = Proxy.rule, Proxy.clear, Proxy.fired, Proxy.stop, Proxy.kind

    def both(self):
        return [proxy for proxy in (self, getattr(self, "behind", None)) if proxy]

    def rule_in_its_place(self, fault, *args, **parameters):
        return rule(_behind(self) if fault == "items" else self, fault, *args, **parameters)

    def clear_both(self):
        for proxy in both(self):
            clear(proxy)

    def fired_in_both(self):
        return sum(fired(proxy) for proxy in both(self))

    def stop_both(self):
        stop(self)
        if getattr(self, "behind", None):
            Places.servers.stop(self.behind.server)
            stop(self.behind)

    if SERVICE:
        Proxy.rule, Proxy.clear, Proxy.fired, Proxy.stop = rule_in_its_place, clear_both, fired_in_both, stop_both
    if SERVICE == "aoss":
        Proxy.kind = staticmethod(lambda method, path: "write" if path.endswith(PROBE) else kind(method, path))
