#!/usr/bin/env python3
"""Load files into an OpenSearch index from Python.

    /usr/bin/python3 examples/python/load.py DATABASE PATH INDEX [OPTIONS]

DATABASE is any SQLite file; the job history is kept beside it. OPTIONS is the JSON object that os_bulk_load() takes.
The cluster and the login come from the environment (OPENSEARCH_ENDPOINT, ...) or from .env. Exit status: 0 everything
is in, 2 some records were refused and kept, 1 the load failed.

Use the distribution's Python: others are often built without loadable extensions.
"""
import json
import os
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
EXTENSION = os.environ.get("OPENSEARCH_EXTENSION", os.path.normpath(os.path.join(HERE, "..", "..", "build", "opensearch")))


def connect(database):
    db = sqlite3.connect(database, isolation_level=None)
    db.row_factory = sqlite3.Row
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    db.enable_load_extension(False)  # SQL may not load anything else
    return db


def main(arguments):
    if len(arguments) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 1
    database, path, index = arguments[:3]
    options = arguments[3] if len(arguments) == 4 else '{"create":true}'
    db = connect(database)
    try:
        row = db.execute("SELECT os_bulk_load(?, ?, ?)", (path, index, options)).fetchone()
    except sqlite3.OperationalError as error:  # the text says what happened and what to do
        print(error, file=sys.stderr)
        return 1
    result = json.loads(row[0])
    print(result["message"])
    if result["status"] == "success":
        return 0
    for failure in db.execute(
        "SELECT file, line, error_reason FROM dlq_failures WHERE job = ? ORDER BY file, line LIMIT 10", (result["job"],)
    ):
        print("%s:%d: %s" % (failure["file"], failure["line"], failure["error_reason"]), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
