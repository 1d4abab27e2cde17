#!/usr/bin/env python3
"""elasticdump_lines.py FILE OUT: NDJSON as the lines that elasticdump reads, {"_id":…,"_source":…}.

It takes nothing else. Making them is not part of what is measured.
"""
import json
import sys


def main():
    path, target = sys.argv[1:]
    with open(path, encoding="utf-8") as lines, open(target, "w", encoding="utf-8") as out:
        for line in lines:
            document = json.loads(line)
            identity = document.pop("_id", None)
            wrapped = {"_source": document} if identity is None else {"_id": identity, "_source": document}
            out.write(json.dumps(wrapped, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
