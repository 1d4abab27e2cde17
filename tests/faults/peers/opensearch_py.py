#!/usr/bin/python3
"""opensearch_py.py parallel|stream URL INDEX FILE: NDJSON through a helper of opensearch-py with every retry it has on.

Prints one line of JSON: what it read, and what it says it has indexed and failed.
"""
import json
import sys

from opensearchpy import OpenSearch, helpers

read = 0


def actions(path, index):
    global read
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            document = json.loads(line)
            action = {"_index": index, "_source": document}
            if "_id" in document:
                action["_id"] = document.pop("_id")
            read += 1
            yield action


def main():
    mode, url, index, path = sys.argv[1:]
    client = OpenSearch(url, timeout=30, max_retries=10, retry_on_timeout=True, retry_on_status=(429, 502, 503, 504), pool_maxsize=8)
    how = {"chunk_size": 250, "raise_on_error": False, "raise_on_exception": False}
    if mode == "parallel":
        outcomes = helpers.parallel_bulk(client, actions(path, index), thread_count=4, **how)
    else:
        outcomes = helpers.streaming_bulk(client, actions(path, index), max_retries=10, initial_backoff=0.05, max_backoff=2, **how)
    said = [ok for ok, _ in outcomes]
    print(json.dumps({"read": read, "indexed": sum(said), "failed": len(said) - sum(said)}))


if __name__ == "__main__":
    main()
