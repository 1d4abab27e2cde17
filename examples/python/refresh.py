#!/usr/bin/env python3
"""Load new data under an alias from Python, and go on where an earlier run stopped.

    /usr/bin/python3 examples/python/refresh.py DATABASE ALIAS PRIMARY SECONDARY PATH

The cluster and the login come from the environment (OPENSEARCH_ENDPOINT, ...) or from .env. Prints each step with its
seconds. Exit status: 0 the alias serves the new data, 2 it does and some records were refused, 1 it serves the old.
"""
import json
import os
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
EXTENSION = os.environ.get("OPENSEARCH_EXTENSION", os.path.normpath(os.path.join(HERE, "..", "..", "build", "opensearch")))


def main(arguments):
    if len(arguments) != 5:
        print(__doc__, file=sys.stderr)
        return 1
    db = sqlite3.connect(arguments[0], isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    db.enable_load_extension(False)
    options = {"create": True, "resume": "auto"}
    try:
        row = db.execute("SELECT os_refresh_data(?, ?, ?, ?, ?)", (*arguments[1:], json.dumps(options))).fetchone()
    except sqlite3.OperationalError as error:  # the text says which step, why, and what serves meanwhile
        print(error, file=sys.stderr)
        return 1
    result = json.loads(row[0])
    for step in result["response"]["steps"]:
        print("%-13s %7.3f s  job %d" % (step["step"], step["seconds"], step["job"]))
    print(result["message"])
    return 0 if result["status"] == "success" else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
