"""Deterministic data with known content, and writers for every form a file may take.

    docs = products(1000)                        a list of documents; the same for the same arguments, always
    write(path, docs)                            the form follows from the name: .csv .tsv .json .ndjson .jsonl + .gz .zst
    write(path, docs, ids=True)                  with an `_id` in each record
    by_id(docs)                                  {id: document}, as an index should hold them

The values survive CSV: numbers are written so that they read back as the same number, and the mapping PRODUCTS (or the
content) says what is a number.
"""
import csv
import gzip
import io
import json
import random
import subprocess
from pathlib import Path

PRODUCTS = {
    "sku": {"type": "keyword"}, "title": {"type": "text"}, "price": {"type": "double"}, "stock": {"type": "long"},
    "active": {"type": "boolean"}, "added": {"type": "date"}, "maker": {"type": "keyword"}, "note": {"type": "text"},
}
WORDS = ("red", "blue", "green", "light", "heavy", "cotton", "steel", "running", "walking", "shoe", "lamp", "chair",
         "Tür", "日本", "naïve", "caffè", "smörgås", "😀")
NOTES = ("", "plain", 'with "quotes"', "a, comma", "two\nlines", "tab\there", "back\\slash", "  blanks  ", "ends with CRLF\r\nhere")


def products(count, seed=7, start=0):
    """`count` flat documents. Document i is the same whatever `count` is."""
    out = []
    for i in range(start, start + count):
        rng = random.Random(seed * 1000003 + i)
        out.append({
            "sku": "SKU-%07d" % i,
            "title": " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 6))),
            "price": rng.randint(1, 99999) / 100,
            "stock": rng.randint(0, 5000),
            "active": rng.random() < 0.5,
            "added": "20%02d-%02d-%02dT%02d:00:00Z" % (rng.randint(10, 26), rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23)),
            "maker": "maker %d" % rng.randint(1, 40),
            "note": rng.choice(NOTES) or None,
        })
    return out


def id_of(doc):
    return doc["sku"].lower()


def by_id(docs):
    return {id_of(d): d for d in docs}


def cell(value):
    if value is None:
        return ""
    if value is True:
        return "true"
    if value is False:
        return "false"
    return repr(value) if isinstance(value, float) else str(value)


def csv_text(docs, ids=False, delimiter=",", newline="\n", columns=None, header=True):
    columns = columns or list(docs[0])
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=newline)
    if header:
        writer.writerow((["_id"] if ids else []) + columns)
    for doc in docs:
        writer.writerow(([id_of(doc)] if ids else []) + [cell(doc.get(c)) for c in columns])
    return out.getvalue()


def _with_id(doc, ids):
    return {"_id": id_of(doc), **doc} if ids else doc


def ndjson_text(docs, ids=False):
    return "".join(json.dumps(_with_id(d, ids), ensure_ascii=False) + "\n" for d in docs)


def array_text(docs, ids=False, indent=None):
    return json.dumps([_with_id(d, ids) for d in docs], ensure_ascii=False, indent=indent)


def members_text(docs, indent=None):
    """An object of objects: the id is the member's name."""
    return json.dumps({id_of(d): d for d in docs}, ensure_ascii=False, indent=indent)


def compress(data, name):
    """The bytes as the suffix of the name asks: .gz, .zst or neither."""
    if name.endswith(".gz"):
        return gzip.compress(data, 6, mtime=0)
    if name.endswith(".zst"):
        return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def text_for(name, docs, ids=False):
    plain = name[:-3] if name.endswith(".gz") else name[:-4] if name.endswith(".zst") else name
    if plain.endswith(".csv"):
        return csv_text(docs, ids)
    if plain.endswith(".tsv"):
        return csv_text(docs, ids, delimiter="\t")
    if plain.endswith((".ndjson", ".jsonl")):
        return ndjson_text(docs, ids)
    if plain.endswith(".json"):
        return array_text(docs, ids)
    raise ValueError(name)


def write(path, docs, ids=False):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(compress(text_for(path.name, docs, ids).encode(), path.name))
    return path
