#!/usr/bin/env python3
"""bench_data.py FOLDER [MEGABYTES]: the files that `make bench` loads; the same bytes every time.

    log.ndjson        about 300 bytes a document, flat, with an `_id`
    articles.ndjson   about 2 KB a document, nested, long texts with escapes and other scripts
    products.csv      20 columns, quotes, line breaks inside cells, other scripts
A file that is there already with the right size is kept.
"""
import csv
import io
import json
import os
import random
import sys

WORDS = """anchor basalt cedar dune ember fjord glacier hazel indigo juniper kelp lichen meadow nectar opal prairie
quarry reed slate tundra umber valley willow zinc cotton wool linen glass paper brick copper""".split()
OTHER = ["Größe", "crème", "東京", "Москва", "São Paulo", "Łódź", "Ελλάδα", "한국어", "🚀"]
COLUMNS = ("id sku name description brand category.main category.sub price price_old currency in_stock stock.qty "
           "weight_kg dims.w dims.h dims.d rating reviews created url").split()


class Source:
    """Everything drawn from one seeded generator; texts come from a pool, which is much faster than making each."""

    def __init__(self):
        self.random = random.Random(20261120)
        self.pool = [self.sentence(self.random.randrange(25, 70)) for _ in range(2000)]

    def sentence(self, words):
        return " ".join(self.random.choice(OTHER if self.random.random() < 0.05 else WORDS) for _ in range(words))

    def text(self, limit=None):
        return self.random.choice(self.pool)[:limit]

    def word(self):
        return self.random.choice(WORDS)

    def log(self, number):
        draw = self.random
        return {"_id": "%016x" % draw.getrandbits(64), "ts": 1700000000 + number, "level": draw.choice(("info", "warn", "error")),
                "host": "web-%03d" % draw.randrange(200), "path": "/api/v1/%s/%d" % (self.word(), draw.randrange(100000)),
                "status": draw.choice((200, 200, 200, 404, 500)), "ms": round(draw.random() * 900, 3), "msg": self.text(90),
                "ok": draw.random() < 0.9, "tags": [self.word(), self.word()]}

    def article(self, number):
        draw = self.random
        return {"_id": "a-%d" % number, "title": self.text(80), "body": '%s\n"%s"\t\\ %s %s' % tuple(self.text() for _ in range(4)),
                "author": {"name": self.text(20), "place": {"lat": round(draw.random() * 180 - 90, 6), "lon": round(draw.random() * 360 - 180, 6)}},
                "tags": [self.word() for _ in range(8)], "n": draw.randrange(1 << 40), "scores": [round(draw.random(), 4) for _ in range(10)],
                "published": True, "withdrawn": None, "summary": self.text(200), "versions": [{"n": 1, "by": {}}, {"n": 2, "by": []}]}

    def product(self, number):
        draw = self.random
        description = self.text()
        if draw.random() < 0.2:
            description = description[:60] + "\n" + description[60:]
        if draw.random() < 0.2:
            description = description[:30] + ' 12" ' + description[30:]
        return [number, "SKU-%08d" % number, self.text(40), description, self.word(), self.word(), self.word(),
                round(draw.random() * 500, 2), round(draw.random() * 700, 2) if draw.random() < 0.3 else "", "EUR",
                "true" if draw.random() < 0.8 else "false", draw.randrange(1000), round(draw.random() * 20, 3), draw.randrange(200),
                draw.randrange(200), draw.randrange(200), round(draw.random() * 5, 1), draw.randrange(5000),
                "20%02d-%02d-%02dT%02d:00:00Z" % (draw.randrange(15, 26), draw.randrange(1, 13), draw.randrange(1, 29), draw.randrange(24)),
                "https://shop.example.com/p/%d" % number]


def json_lines(method):
    def lines(source, number):
        return json.dumps(method(source, number), ensure_ascii=False, separators=(",", ":")) + "\n"
    return lines


def csv_line(source, number):
    line = io.StringIO()
    csv.writer(line).writerow(source.product(number))
    return line.getvalue()


FILES = {"log.ndjson": ("", json_lines(Source.log)), "articles.ndjson": ("", json_lines(Source.article)),
         "products.csv": (",".join(COLUMNS) + "\r\n", csv_line)}


def write(path, size, head, line_of):
    if os.path.exists(path) and size <= os.path.getsize(path) < size + 100_000:
        return
    source, number, written = Source(), 0, len(head)
    with open(path + ".new", "w", encoding="utf-8", newline="") as out:
        out.write(head)
        while written < size:
            line = line_of(source, number)
            written += len(line.encode())
            number += 1
            out.write(line)
    os.replace(path + ".new", path)
    print("%s: %d documents, %d bytes" % (path, number, written))


def main():
    folder, size = sys.argv[1], int(sys.argv[2] if len(sys.argv) > 2 else 64) * 1_000_000
    os.makedirs(folder, exist_ok=True)
    for name, (head, line_of) in FILES.items():
        write(os.path.join(folder, name), size, head, line_of)


if __name__ == "__main__":
    main()
