"""The files that `make bench` loads: the same bytes every time, made once and kept.

    log.ndjson       about 300 bytes a document, flat, with an `_id`
    articles.ndjson  about 2 KB a document, nested, long texts with escapes and other scripts, with an `_id`
    places.ndjson    20 members as in a gazetteer such as GeoNames, no id
    articles.json    the articles as a pretty-printed array
    products.json    an object of objects: key -> product
    products.csv     20 columns of several types, quotes, line breaks inside cells, no id

Each can be had in any size, whole documents from the start of the same sequence, and compressed.
"""
import csv
import io
import json
import os
import random
import re
import shutil
import subprocess

WORDS = """anchor basalt cedar dune ember fjord glacier hazel indigo juniper kelp lichen meadow nectar opal prairie
quarry reed slate tundra umber valley willow zinc cotton wool linen glass paper brick copper""".split()
OTHER = ["Größe", "crème", "東京", "Москва", "São Paulo", "Łódź", "Ελλάδα", "한국어", "🚀"]
COLUMNS = ("id sku name description brand category.main category.sub price price_old currency in_stock stock.qty "
           "weight_kg dims.w dims.h dims.d rating reviews created url").split()
COMPRESSORS = {"gz": ["gzip", "-6", "-n", "-c"], "zst": ["zstd", "-3", "-q", "-c"]}


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

    def place(self, number):
        draw = self.random
        return {"geonameid": number, "name": self.text(20), "asciiname": self.word(), "alternatenames": [draw.choice(OTHER) for _ in range(draw.randrange(4))],
                "latitude": round(draw.random() * 180 - 90, 5), "longitude": round(draw.random() * 360 - 180, 5), "feature_class": draw.choice("PHTSAL"),
                "feature_code": "PPL", "country_code": draw.choice(("DE", "FR", "US", "JP", "BR")), "cc2": None, "admin1_code": "%02d" % draw.randrange(50),
                "admin2_code": "%03d" % draw.randrange(500), "admin3_code": "", "admin4_code": "", "population": draw.randrange(10**6),
                "elevation": draw.randrange(3000), "dem": draw.randrange(4000), "timezone": "Europe/Berlin",
                "modification_date": "2024-0%d-1%d" % (draw.randrange(1, 10), draw.randrange(10)), "wiki": "https://places.example/%d" % number}

    def product(self, number):
        draw = self.random
        description = self.text()
        if draw.random() < 0.2:
            description = description[:60] + "\n" + description[60:]
        if draw.random() < 0.2:
            description = description[:30] + ' 12" ' + description[30:]
        return [number, "SKU-%08d" % number, self.text(40), description, self.word(), self.word(), self.word(),
                round(draw.random() * 500, 2), round(draw.random() * 700, 2) if draw.random() < 0.3 else None, "EUR",
                draw.random() < 0.8, draw.randrange(1000), round(draw.random() * 20, 3), draw.randrange(200),
                draw.randrange(200), draw.randrange(200), round(draw.random() * 5, 1), draw.randrange(5000),
                "20%02d-%02d-%02dT%02d:00:00Z" % (draw.randrange(15, 26), draw.randrange(1, 13), draw.randrange(1, 29), draw.randrange(24)),
                "https://shop.example.com/p/%d" % number]


# ---- one document as it stands in a file
def compact(document):
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def pretty(document):
    return "  " + json.dumps(document, ensure_ascii=False, indent=2).replace("\n", "\n  ")


def row(cells):
    line = io.StringIO()
    csv.writer(line).writerow([str(cell).lower() if isinstance(cell, bool) else cell for cell in cells])
    return line.getvalue()[:-2]


def nested(cells):
    document = {}
    for name, value in zip(COLUMNS, cells):
        outer, _, inner = name.partition(".")
        if inner:
            document.setdefault(outer, {})[inner] = value
        else:
            document[outer] = value
    return document


# ---- a format: what stands before, between and behind the documents. What is between stands nowhere inside a document.
class Format:
    def __init__(self, head, between, tail, text):
        self.head, self.between, self.tail, self.text = head.encode(), between.encode(), tail.encode(), text


FORMATS = {
    "log.ndjson": Format("", "\n", "\n", lambda source, n: compact(source.log(n))),
    "articles.ndjson": Format("", "\n", "\n", lambda source, n: compact(source.article(n))),
    "places.ndjson": Format("", "\n", "\n", lambda source, n: compact(source.place(n))),
    "articles.json": Format("[\n", ",\n  {\n", "\n]\n", lambda source, n: pretty(source.article(n))),
    "products.json": Format("{\n", ",\n", "\n}\n", lambda source, n: '"key-%d":%s' % (n, compact(nested(source.product(n))))),
    "products.csv": Format(",".join(COLUMNS) + "\r\n", "\r\n", "\r\n", lambda source, n: row(source.product(n))),
}
# the pretty array's mark reaches into the next document: only there is it unmistakable
OVERLAP = {"articles.json": len("  {\n")}


def generate(path, name, size):
    layout, source, number, written = FORMATS[name], Source(), 0, 0
    between = layout.between[:len(layout.between) - OVERLAP.get(name, 0)]
    with open(path, "wb") as out:
        written += out.write(layout.head)
        while written < size:
            written += out.write((between if number else b"") + layout.text(source, number).encode())
            number += 1
        out.write(layout.tail)
    return number


def shorten(path, whole, name, size):
    """The documents of the first `size` bytes of a larger file. Returns how many."""
    layout, step, keep = FORMATS[name], 1 << 20, len(FORMATS[name].between) - 1
    with open(whole, "rb") as file, open(path, "wb") as out:
        documents, end, last = 0, 0, file.read(len(layout.head))[-keep:] if keep else b""
        file.seek(len(layout.head))
        while file.tell() < size:  # a mark may lie across two pieces
            at = file.tell() - len(last)
            piece = last + file.read(min(step, size - file.tell()))
            documents += piece.count(layout.between)
            end = max(end, at + piece.rfind(layout.between)) if layout.between in piece else end
            last = piece[-keep:] if keep else b""
        file.seek(0)
        while out.tell() < end:
            out.write(file.read(min(step, end - out.tell())))
        out.write(layout.tail)
    return documents


def repeat(path, whole, size):
    """An NDJSON file several times over."""
    with open(path, "wb") as out:
        while out.tell() < size:
            with open(whole, "rb") as file:
                shutil.copyfileobj(file, out, 1 << 20)


class Folder:
    """Makes files on demand. What a file holds is remembered in figures.json beside it."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path, exist_ok=True)
        self.index = os.path.join(path, "figures.json")
        self.figures = {}
        if os.path.exists(self.index):
            with open(self.index, encoding="utf-8") as text:
                self.figures = json.load(text)

    def file(self, name, megabytes, compression=None):
        """(path, bytes before compression, documents) of `name`, made if it is not there."""
        stem, dot, suffix = name.partition(".")
        plain = "%s-%d%s%s" % (stem, megabytes, dot, suffix)
        self.make(plain, lambda path: self.documents(path, name, megabytes))
        size, documents = self.figures[plain]
        if not compression:
            return os.path.join(self.path, plain), size, documents
        packed = "%s.%s" % (plain, compression)
        self.make(packed, lambda path: self.compress(path, plain, compression))
        return os.path.join(self.path, packed), size, documents

    def make(self, key, maker):
        path = os.path.join(self.path, key)
        if key in self.figures and os.path.exists(path):
            return
        documents = maker(path + ".new")
        size = os.path.getsize(path + ".new")
        os.replace(path + ".new", path)
        self.figures[key] = [size, documents]
        with open(self.index + ".new", "w", encoding="utf-8") as text:
            json.dump(self.figures, text, indent=0)
        os.replace(self.index + ".new", self.index)

    def documents(self, path, name, megabytes):
        kin = re.compile(r"%s-\d+\.%s$" % tuple(name.split(".", 1)))  # not log-long-500.ndjson: what repeats has its ids again
        larger = [key for key in self.figures if kin.match(key)
                  and self.figures[key][0] >= megabytes * 1_000_000 + 100_000 and os.path.exists(os.path.join(self.path, key))]
        if larger:
            return shorten(path, os.path.join(self.path, min(larger)), name, megabytes * 1_000_000)
        return generate(path, name, megabytes * 1_000_000)

    def compress(self, path, plain, compression):
        with open(path, "wb") as out:
            subprocess.run([*COMPRESSORS[compression], os.path.join(self.path, plain)], stdout=out, check=True)
        return self.figures[plain][1]

    def long_log(self, megabytes, base):
        """log.ndjson of `base` megabytes repeated to any length; shorter ones are parts of it."""
        if megabytes <= base:
            return self.file("log.ndjson", megabytes)
        whole, size, documents = self.file("log.ndjson", base)
        key = "log-long-%d.ndjson" % megabytes

        def maker(path):
            repeat(path, whole, megabytes * 1_000_000)
            return os.path.getsize(path) // size * documents

        self.make(key, maker)
        return os.path.join(self.path, key), *self.figures[key]

    def many_files(self, count, lines):
        """A folder of `count` files of `lines` log lines each, 1,000 to a folder."""
        key = "many-%d-%d" % (count, lines)

        def maker(path):
            source = Source()
            for number in range(count):
                part = os.path.join(path, "%03d" % (number // 1000))
                os.makedirs(part, exist_ok=True)
                with open(os.path.join(part, "%05d.ndjson" % number), "w", encoding="utf-8") as out:
                    out.writelines(compact(source.log(number * lines + line)) + "\n" for line in range(lines))
            return count * lines

        shutil.rmtree(os.path.join(self.path, key + ".new"), ignore_errors=True)
        self.make(key, maker)
        folder = os.path.join(self.path, key)
        size = sum(entry.stat().st_size for part in os.scandir(folder) for entry in os.scandir(part))
        return folder, size, self.figures[key][1]
