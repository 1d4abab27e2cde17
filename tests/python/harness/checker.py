"""The invariant of every load: each record of the source is in the index once, or in dlq_failures, and nothing else is there.

Documents are compared as values; a member that is null and one that is absent count as the same (a CSV cell that is
empty may be sent either way).
"""
import json
from collections import Counter


def canonical(doc):
    if isinstance(doc, dict):
        return {k: canonical(v) for k, v in doc.items() if v is not None}
    if isinstance(doc, list):
        return [canonical(v) for v in doc]
    return doc


def key_of(doc):
    # 1 and 1.0 are the same number, true and 1 are not
    return json.dumps(canonical(doc), sort_keys=True, ensure_ascii=False)


def refused_documents(dlq_rows):
    """The documents of dlq rows (mappings with `document` or `raw`), as values."""
    out = []
    for row in dlq_rows:
        text = row["document"] if row["document"] is not None else row["raw"]
        out.append(json.loads(text))
    return out


def _first(counter, n=3):
    return ["%d x %s" % (c, k[:300]) for k, c in list(counter.items())[:n]]


def assert_exactly_once(cluster, index, expected, dlq_rows=()):
    """expected: {id: doc}, or a list of docs whose ids are of no interest. dlq_rows: unresolved rows of dlq_failures."""
    rows = cluster.read_all(index)
    refused = refused_documents(dlq_rows)
    if isinstance(expected, dict):
        have = {key: source for key, source, _ in rows}
        assert len(have) == len(rows), "an id came twice in %s" % index
        refused_ids = {row["doc_id"] for row in dlq_rows}
        missing = [k for k in expected if k not in have and k not in refused_ids]
        foreign = [k for k in have if k not in expected]
        both = [k for k in refused_ids if k in have and k in expected and key_of(have[k]) == key_of(expected[k])]
        wrong = [k for k in have if k in expected and k not in refused_ids and key_of(have[k]) != key_of(expected[k])]
        assert not missing, "%d missing in %s, e.g. %s" % (len(missing), index, missing[:5])
        assert not foreign, "%d not of the source in %s, e.g. %s" % (len(foreign), index, foreign[:5])
        assert not both, "%d both indexed and refused, e.g. %s" % (len(both), both[:5])
        assert not wrong, "%d with other content, e.g. %s: %s, expected %s" % (
            len(wrong), wrong[0], have[wrong[0]], expected[wrong[0]])
        return rows
    want = Counter(key_of(d) for d in expected)
    have = Counter(key_of(source) for _, source, _ in rows)
    have.update(key_of(d) for d in refused)
    missing, surplus = want - have, have - want
    assert not missing and not surplus, "%s: %d missing %s; %d too many %s (in the index %d, refused %d, expected %d)" % (
        index, sum(missing.values()), _first(missing), sum(surplus.values()), _first(surplus), len(rows), len(refused), sum(want.values()))
    return rows
