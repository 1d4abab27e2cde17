#!/usr/bin/env python3
"""peer_opensearch_py.py stream|parallel URL INDEX FILE: a load by opensearch-py's helpers, as its guide shows them."""
import csv
import json
import sys

from opensearchpy import OpenSearch, helpers

mode, url, index, path = sys.argv[1:]
LIMITS = {"chunk_size": 5000, "max_chunk_bytes": 8 << 20, "raise_on_error": False}


def actions():
    if path.endswith(".csv"):
        with open(path, newline="", encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                yield {"_index": index, "_id": row["id"], "_source": row}
        return
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            document = json.loads(line)
            yield {"_index": index, "_id": document.pop("_id"), "_source": document}


client = OpenSearch(url, timeout=120, http_compress=False, pool_maxsize=8)
if mode == "parallel":
    outcomes = helpers.parallel_bulk(client, actions(), thread_count=4, **LIMITS)
else:
    outcomes = helpers.streaming_bulk(client, actions(), **LIMITS)
failed = sum(not ok for ok, _ in outcomes)
sys.exit("%d documents failed" % failed if failed else 0)
