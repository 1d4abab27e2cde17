"""What is measured: which files, how large, how often, into what. `full` fits into 25 minutes, `quick` into two."""
from dataclasses import dataclass, field

NAMES = ["log.ndjson", "articles.ndjson", "places.ndjson", "articles.json", "products.json", "products.csv"]
TITLES = {"log.ndjson": "NDJSON, 300 bytes", "articles.ndjson": "NDJSON, 2 KB", "places.ndjson": "NDJSON, gazetteer",
          "articles.json": "JSON array, pretty", "products.json": "JSON object of objects", "products.csv": "CSV, 20 columns, types"}
HAS_IDS = {"log.ndjson", "articles.ndjson", "articles.json", "products.json"}
PARSERS = {"log.ndjson": "json_scan_bench", "articles.ndjson": "json_scan_bench", "products.csv": "csv_bench"}


@dataclass
class File:
    """One file of the bench in one size and compression."""
    name: str
    path: str
    plain: str  # the same, not compressed
    size: int  # of that
    documents: int
    compression: str = ""

    @property
    def has_ids(self):
        return self.name in HAS_IDS

    @property
    def document_bytes(self):
        return self.size // self.documents


@dataclass
class Plan:
    sink: list  # (file name, compression)
    node: list
    sink_mb: int
    node_mb: int
    rounds: int
    curve: list = field(default_factory=list)  # megabytes
    many: tuple = ()  # files, records a file
    tuning: list = field(default_factory=lambda: ["places.ndjson", "articles.ndjson"])
    watched_mb: int = 0  # length of the load during which os_jobs is asked


def full(megabytes, rounds):
    return Plan([(name, compression) for compression in ("", "gz", "zst") for name in NAMES], [(name, "") for name in NAMES],
                megabytes, max(1, megabytes // 2), rounds, [10, 30, 100, 300, 1000, 4000], (100_000, 4), watched_mb=2000)


def quick(megabytes, rounds):
    return Plan([("log.ndjson", ""), ("products.csv", ""), ("log.ndjson", "gz")], [("places.ndjson", "")],
                megabytes, max(1, megabytes // 2), rounds, watched_mb=500)


def file_of(data, name, megabytes, compression=""):
    plain, size, documents = data.file(name, megabytes)
    path = data.file(name, megabytes, compression)[0] if compression else plain
    return File(name, path, plain, size, documents, compression)
