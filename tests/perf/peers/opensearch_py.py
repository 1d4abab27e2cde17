#!/usr/bin/env python3
"""opensearch_py.py stream|parallel URL INDEX FILE: a load by the helpers of opensearch-py.

As a user would write it who knows the library: lines of NDJSON are passed on as text instead of being parsed and
written again, other formats are parsed by orjson (an array or object as a whole; the library has no streaming parser),
which also writes them, four threads send in the parallel mode, and answers are cut to what the helpers look at.
"""
import csv
import gzip
import io
import sys

import orjson
from opensearchpy import JSONSerializer, OpenSearch, helpers

ID_HEAD = '{"_id":"'
WHOLE, NUMBERS = {0, 11, 13, 14, 15, 17}, {7, 8, 12, 16}
TRUTH = {10}


class Serializer(JSONSerializer):
    def loads(self, text):
        return orjson.loads(text)

    def dumps(self, data):
        return data if isinstance(data, str) else orjson.dumps(data).decode()


def opened(path):
    if path.endswith(".gz"):
        return gzip.open(path), path[:-3]
    if path.endswith(".zst"):
        import zstandard
        return zstandard.open(path), path[:-4]
    return open(path, "rb"), path


def of_lines(stream):
    for line in io.TextIOWrapper(stream, encoding="utf-8", newline="\n"):
        if line.startswith(ID_HEAD):  # OpenSearch refuses _id inside a document
            end = line.index('"', len(ID_HEAD))
            yield {"_id": line[len(ID_HEAD):end], "_source": "{" + line[end + 2:-1]}
        else:
            yield {"_source": line[:-1]}


def of_json(stream):
    documents = orjson.loads(stream.read())
    if isinstance(documents, dict):
        for key, document in documents.items():
            yield {"_id": key, "_source": document}
        return
    for document in documents:
        yield {"_id": document.pop("_id"), "_source": document}


def converter(column):
    if column in WHOLE:
        return int
    if column in NUMBERS:
        return lambda cell: float(cell) if cell else None
    return (lambda cell: cell == "true") if column in TRUTH else None


def of_csv(stream):
    rows = csv.reader(io.TextIOWrapper(stream, encoding="utf-8", newline=""))
    places = [name.partition(".")[::2] for name in next(rows)]
    plan = [(column, outer, inner, converter(column)) for column, (outer, inner) in enumerate(places)]
    for row in rows:
        document = {}
        for column, outer, inner, convert in plan:
            value = convert(row[column]) if convert else row[column]
            if not inner:
                document[outer] = value
            elif outer in document:
                document[outer][inner] = value
            else:
                document[outer] = {inner: value}
        yield {"_source": document}


def actions(path):
    stream, name = opened(path)
    reader = of_csv if name.endswith(".csv") else of_json if name.endswith(".json") else of_lines
    with stream:
        yield from reader(stream)


def main():
    mode, url, index, path = sys.argv[1:]
    client = OpenSearch(url, timeout=120, http_compress=False, pool_maxsize=8, serializer=Serializer())
    how = {"chunk_size": 20000, "max_chunk_bytes": 5 << 20, "raise_on_error": False, "index": index,
           "params": {"filter_path": "took,errors,items.*.status,items.*.error"}}
    if mode == "parallel":
        outcomes = helpers.parallel_bulk(client, actions(path), thread_count=4, **how)
    else:
        outcomes = helpers.streaming_bulk(client, actions(path), **how)
    failed = sum(not ok for ok, _ in outcomes)
    sys.exit("%d documents were not taken" % failed if failed else 0)


if __name__ == "__main__":
    main()
