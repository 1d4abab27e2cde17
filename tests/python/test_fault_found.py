"""What the fault campaign found, each as the one sequence that matters."""
import json

import pytest


def versioned(box, name, versions):
    return box.file(name, "".join(json.dumps({"_id": key, "v": v, "n": v}) + "\n" for key, v in versions.items()))


@pytest.mark.parametrize("between", ["straight on", "emptied before"])
def test_fresh_with_versions_is_not_refused_by_what_it_deleted(box, plain, index, between):
    """The cluster remembers the version of a deleted document for a minute, and takes an equal one for older."""
    source = versioned(box, "v.ndjson", {"k%d" % i: 10 + i for i in range(50)})
    plain.create(index)
    assert box.load(source, index, mode="fresh", version_field="v")["response"]["created"] == 50
    if between == "emptied before":
        plain.call("POST", "/%s/_delete_by_query?refresh=true" % index, {"query": {"match_all": {}}})
        assert plain.count(index) == 0
    result = box.load(source, index, mode="fresh", version_field="v")
    assert result["status"] == "success" and result["response"]["created"] == 50, result
    assert plain.documents(index) == {"k%d" % i: {"v": 10 + i, "n": 10 + i} for i in range(50)}
    again = box.load(source, index, mode="upsert", version_field="v")["response"]
    assert (again["created"], again["skipped"]) == (0, 50), "versions still decide"
