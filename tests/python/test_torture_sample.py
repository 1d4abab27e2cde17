"""A few runs of the fault campaign (tests/faults/README.md), chosen so that together they have every kind of load, ids and
end. The whole campaign: make torture."""
import pytest

from torture import one
from torture_plan import Plan

SEEDS = (2, 15, 18, 21, 30, 33, 38, 44, 59, 91)


@pytest.mark.parametrize("seed", SEEDS)
def test_seed(seed, plain, extension):
    _, _, _, wrong = one(seed, plain.url)
    assert wrong is None, "%s\n%s" % (Plan(seed).describe(), wrong)


def test_a_seed_decides_everything(tmp_path):
    """Two plans of one seed are alike to the last byte of their files."""
    for seed in range(1, 40):
        a, b = Plan(seed), Plan(seed)
        assert a.describe() == b.describe() and a.records == b.records
        for name in a.files:
            assert a.text_of(name) == b.text_of(name)
