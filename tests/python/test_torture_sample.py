"""A few runs of the fault campaign (tests/faults/README.md), chosen so that together they have every kind of load, format,
fault and end. The whole campaign: make torture."""
import pytest

from torture import one
from torture_plan import Plan

SEEDS = (2, 3, 17, 24, 30, 33, 34, 37, 46, 49, 75, 79, 86, 89, 117, 130)
DEATHS = (("kills", 1), ("kills", 2), ("kills", 3), ("power", 1), ("power", 2), ("power", 3))


@pytest.mark.parametrize("family,seed", [*(("faults", seed) for seed in SEEDS), *DEATHS])
def test_seed(family, seed, plain, extension):
    _, _, _, wrong = one(seed, plain.url, family=family)
    assert wrong is None, "%s\n%s" % (Plan(seed, family).describe(), wrong)


def test_a_seed_decides_everything(tmp_path):
    """Two plans of one seed are alike to the last byte of their files."""
    for seed in range(1, 40):
        a, b = Plan(seed), Plan(seed)
        assert a.describe() == b.describe() and a.records == b.records and a.changed == b.changed
        for name in a.files:
            assert a.text_of(name) == b.text_of(name)
