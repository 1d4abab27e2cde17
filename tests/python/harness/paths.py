"""Where things are. OS_TEST_EXTENSION names another build of the extension (a sanitizer build, for example)."""
import os
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
ROOT = TESTS.parent
EXTENSION = Path(os.environ.get("OS_TEST_EXTENSION", ROOT / "build" / "opensearch.so")).resolve()
SQLITE3 = os.environ.get("OS_TEST_SQLITE3", "sqlite3")


def node_script():
    """scripts/opensearch-node, or the one that OPENSEARCH_NODE_SCRIPT names."""
    script = ROOT / "scripts" / "opensearch-node"
    if script.exists():
        return str(script)
    return os.environ.get("OPENSEARCH_NODE_SCRIPT")
