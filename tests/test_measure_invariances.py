"""What leaves each measure as it is, exactly as docs/measures.md has it, and that all else changes it."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from spanmatch import GramMatrix, match_profile
from spanmatch.measures import MEASURES, Evidence, evaluate

pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")
SEEDS = st.integers(0, 2**32 - 1)


def rotation(rng, n):
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def invertible(rng, n):
    return rotation(rng, n) * rng.uniform(0.3, 3, n) @ rotation(rng, n)


def factors(rng, n):
    return rng.uniform(0.2, 5, n)


# What is done to a side; x has 4 neurons and y has 5.
CHANGES = {
    "negate one": lambda rng, side: side * np.where(np.arange(side.shape[1]) == 0, -1, 1),
    "scale all": lambda rng, side: side * rng.uniform(0.2, 5),
    "scale each": lambda rng, side: side * factors(rng, side.shape[1]),
    "shift each": lambda rng, side: side + 5 * rng.standard_normal(side.shape[1]),
    "rotate": lambda rng, side: side @ rotation(rng, side.shape[1]),
    "map": lambda rng, side: side @ invertible(rng, side.shape[1]),
}
NEURONS = {"negate one", "scale all", "scale each"}
ROTATIONS = {"negate one", "scale all", "shift each", "rotate"}
POSITIVE = {"scale all", "scale each", "shift each"}
EACH = {*NEURONS, "shift each"}
ALL = set(CHANGES)

# Of each measure, what may be done to x, and what to y.
UNCHANGED_BY = {
    "maximum-match": (NEURONS, NEURONS),
    "mean-critical-epsilon": (NEURONS, NEURONS),
    "similarity-area": (NEURONS, NEURONS),
    "linear-cka": (ROTATIONS, ROTATIONS),
    "debiased-cka": (ROTATIONS, ROTATIONS),
    "rv": (ROTATIONS, ROTATIONS),
    "cca-mean": (ALL, ALL),
    "cca-mean-squared": (ALL, ALL),
    "svcca": (ROTATIONS, ROTATIONS),
    "pwcca": ({"negate one", "scale all", "shift each"}, ALL),  # x is the smaller
    "principal-angle": (ALL, ALL),
    "procrustes": (ROTATIONS, ROTATIONS),
    "predictivity-of-y": (ALL, EACH),
    "predictivity-of-x": (EACH, ALL),
    "one-to-one-correlation": (POSITIVE, POSITIVE),
    "one-to-one-share": (POSITIVE, POSITIVE),
}


def layers(seed):
    """Two layers with means, of 4 and 5 neurons, that have common causes and noise of their own."""
    rng = np.random.default_rng(seed)
    causes = rng.standard_normal((100, 3))
    x, y = (
        (causes @ rng.standard_normal((3, n)) + 0.5 * rng.standard_normal((100, n))) * factors(rng, n)
        + 0.5 * rng.standard_normal(n)
        for n in (4, 5)
    )
    return x, y, rng


def values(x, y):
    gram = GramMatrix.from_activations(x, y, rows=True)
    evidence = Evidence(gram, match_profile(gram))
    return {name: evaluate(m, evidence, 0.5 if m.parameter else None) for name, m in MEASURES.items()}


def changed(seed):
    """Return by change and side the values of all measures before and after."""
    x, y, rng = layers(seed)
    before = values(x, y)
    for name, change in CHANGES.items():
        yield name, 0, before, values(change(rng, x), y)
        yield name, 1, before, values(x, change(rng, y))


def test_every_measure_has_a_row():
    assert UNCHANGED_BY.keys() == MEASURES.keys()


@examples(25)
@given(seed=SEEDS)
def test_what_a_measure_does_not_see_changes_nothing(seed):
    for change, side, before, after in changed(seed):
        for name, unseen in UNCHANGED_BY.items():
            if change in unseen[side]:
                assert after[name] == pytest.approx(before[name], abs=1e-8), (name, change, "xy"[side])


def test_all_else_changes_it():
    most = {}
    for seed in range(20):
        for change, side, before, after in changed(seed):
            for name, unseen in UNCHANGED_BY.items():
                if change not in unseen[side]:
                    key = name, change, side
                    most[key] = max(most.get(key, 0), abs(after[name] - before[name]))
    assert min(most.values()) > 1e-3, min(most, key=most.get)


def test_the_sides_of_symmetric_measures_alone_may_be_exchanged():
    # both of 4 neurons: of two spans, projection weighted CCA takes the smaller one, whichever side it is
    for name, measure in MEASURES.items():
        apart = [
            abs(values(x, y[:, :4])[name] - values(y[:, :4], x)[name]) for x, y, _ in map(layers, range(3))
        ]
        assert (max(apart) < 1e-9) == measure.symmetric, name


@examples(20)
@given(seed=SEEDS, scale=st.sampled_from([1e-100, 1e-20, 1e20, 1e100]))
def test_units_of_any_size_change_nothing(seed, scale):
    """But for the debiased measure, which says so: it has products of four activations."""
    x, y, _ = layers(seed)
    gram, other = GramMatrix.from_activations(x, y), GramMatrix.from_activations(scale * x, y / scale)
    for name, measure in MEASURES.items():
        if measure.needs == {"comoments"}:
            assert evaluate(measure, Evidence(other)) == pytest.approx(
                evaluate(measure, Evidence(gram)), abs=1e-9
            ), name


@examples(20)
@given(seed=SEEDS)
def test_an_offset_of_a_million_costs_no_digits(seed):
    x, y, _ = layers(seed)
    x, y = (np.round(side * 2**20) / 2**20 for side in (x, y))  # which an offset leaves as they are
    before, after = values(x, y), values(x + 2.0**20, y - 2.0**20)
    for name in MEASURES:
        if not MEASURES[name].depends_on_centre:
            assert after[name] == pytest.approx(before[name], abs=1e-12), name


def test_neurons_that_copy_others_or_are_constant_change_no_span():
    x, y, _ = layers(0)
    more = np.hstack((x, 3 * x[:, :2], x.sum(axis=1, keepdims=True) + 7, np.full((100, 1), 0.1)))
    before, after = values(x, y), values(more, y)
    for name in ("cca-mean", "cca-mean-squared", "principal-angle", "predictivity-of-y"):
        assert after[name] == pytest.approx(before[name], abs=1e-10), name
