"""Error bounds: never violated by least squares, and all that is not flagged is decided rightly."""

import numpy as np
import pytest
from cases import EPSILONS, layers
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import Oracle, as_set
from test_profile import by_neuron

from spanmatch import GramMatrix, Match, match_profile, maximum_match, relative_residuals, residual_bounds
from spanmatch.matching import span as span_module
from spanmatch.matching.certificate import entry_error
from spanmatch.matching.span import Span

# What least squares itself may err by.
ORACLE_ERROR = 1e-14


def intervals(profile):
    sides = (("x", profile.x_bounds), ("y", profile.y_bounds))
    return {(side, i): tuple(ends) for side, bounds in sides for i, ends in enumerate(bounds.tolist())}


@settings(deadline=None, max_examples=700)
@given(pair=layers(most=9), samples=st.sampled_from([12, 30, 60]), data=st.data())
def test_residual_bounds_are_never_violated(pair, samples, data):
    x, y = pair[0][:samples], pair[1][:samples]
    oracle, gram = Oracle(x, y), GramMatrix.from_activations(x, y)
    onto, side, others, count = data.draw(
        st.sampled_from([("y", "x", x, y.shape[1]), ("x", "y", y, x.shape[1])])
    )
    subset = data.draw(st.one_of(st.none(), st.lists(st.integers(0, count - 1))))
    members = range(count) if subset is None else subset
    span = {(onto, j) for j in members} & oracle.everything
    neurons = [(side, i) for i in range(others.shape[1])]
    expected = np.array([oracle.residual(n, span) if n in oracle.everything else 0 for n in neurons])
    assume(not oracle.near_cut)
    found = relative_residuals(gram, onto=onto, subset=subset)
    bounds = residual_bounds(gram, onto=onto, subset=subset)
    assert np.all(np.abs(found - expected) <= bounds + ORACLE_ERROR)
    assert np.all(bounds <= 1)


@settings(deadline=None, max_examples=500)
@given(pair=layers(), epsilon=EPSILONS)
def test_what_is_certain_is_right(pair, epsilon):
    oracle = Oracle(*pair)
    expected = oracle.critical_epsilons()
    assume(not oracle.near_cut)
    profile = match_profile(GramMatrix.from_activations(*pair))
    found, certified = by_neuron(profile), intervals(profile)
    for neuron, value in expected.items():
        low, high = certified[neuron]
        assert low <= found[neuron] <= high
        assert low - ORACLE_ERROR <= value <= high + ORACLE_ERROR
    total = len(expected)
    at_critical = [value for value in found.values() if value < 1]
    for bound in (epsilon, *at_critical, *(np.nextafter(value, 0) for value in at_critical if value > 0)):
        uncertain = as_set(profile.uncertain(bound))
        wanted = oracle.maximum_match(bound)
        assume(not oracle.near_cut)
        assert as_set(profile.maximum_match(bound)) ^ wanted <= uncertain
        low, high = profile.similarity_interval(bound)
        assert low <= profile.similarity(bound) <= high
        assert low <= len(wanted) / total <= high
        assert high - low == pytest.approx(len(uncertain) / total)


@settings(deadline=None, max_examples=300)
@given(pair=layers(), epsilon=EPSILONS)
def test_algorithm_1_agrees_wherever_nothing_is_uncertain(pair, epsilon):
    oracle, gram = Oracle(*pair), GramMatrix.from_activations(*pair)
    expected = oracle.maximum_match(epsilon)
    assume(not oracle.near_cut)
    uncertain = as_set(match_profile(gram).uncertain(epsilon))
    assert as_set(maximum_match(gram, epsilon=epsilon)) ^ expected <= uncertain


def test_bounds_are_tight_where_activations_are_independent():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((1000, 30)), rng.standard_normal((1000, 20))
    gram = GramMatrix.from_activations(x + y[:, :1], y)
    profile = match_profile(gram)
    assert residual_bounds(gram, onto="y").max() < 1e-12
    assert np.diff(profile.x_bounds).max() < 1e-11
    assert profile.smallest_epsilon == 1e-6
    assert not any(profile.uncertain(epsilon) for epsilon in np.arange(0, 1, 0.05))
    assert profile.similarity_interval(0.9) == (profile.similarity(0.9),) * 2


def test_a_residual_given_as_zero_may_be_anything_up_to_the_resolution():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((100, 1))
    gram = GramMatrix.from_activations(x, x + 5e-7 * rng.standard_normal((100, 1)))
    assert relative_residuals(gram, onto="y").tolist() == [0]
    assert 5e-7 < residual_bounds(gram, onto="y")[0] < 2e-6


def test_ill_conditioned_layers_say_how_small_an_epsilon_may_be():
    rng = np.random.default_rng(2)
    half, difference = rng.standard_normal((2, 200, 3))
    x = np.hstack((half, half + 1e-5 * difference))
    y = np.hstack((half, half + difference))  # on x, with regression weights of 1e5
    profile = match_profile(GramMatrix.from_activations(x, y))
    assert profile.similarity_interval(1e-4)[0] < profile.similarity_interval(1e-4)[1]
    assert 1e-4 < profile.smallest_epsilon < 0.1
    assert not profile.uncertain(profile.smallest_epsilon)


@pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")
def test_neurons_that_fall_with_an_uncertain_one_are_uncertain():
    """x0 is the farthest; without it the y neurons, clear of epsilon themselves, lose what spans them."""
    x = np.array([[1, 1, 0.5], [1, -1, 0.1]]).T
    y = np.array([[1, 0, 0], [0, 1, 0]]).T.astype(float)
    gram = GramMatrix.from_activations(x, y)
    epsilon = float(relative_residuals(gram, onto="y")[0])
    others = (*relative_residuals(gram, onto="x"), relative_residuals(gram, onto="y")[1])
    assert max(others) < epsilon - 0.01
    profile = match_profile(gram)
    assert profile.uncertain(epsilon) == Match([0, 1], [0, 1])
    assert profile.similarity_interval(epsilon) == (0, 1)
    assert not profile.uncertain(epsilon + 1e-12)
    assert not profile.uncertain(epsilon - 1e-12)


def test_columns_that_are_constant_err_most_and_are_covered():
    """All rounding errors of their inner products have one sign."""
    for samples in (60, 1000, 20_000):
        for value in (0.1, 0.7, 1.3):
            gram = GramMatrix.from_activations(np.full((samples, 1), value), np.full((samples, 1), value / 3))
            cosine = gram.xy[0, 0] / np.sqrt(gram.xx[0, 0] * gram.yy[0, 0])
            assert abs(cosine - 1) <= entry_error(samples)


def drift(noise, removals=30):
    """Errors of the residuals after near-duplicates have left, and the bounds given for them."""
    rng = np.random.default_rng(0)
    half, targets = rng.standard_normal((300, 20)), rng.standard_normal((300, 10))
    vectors = np.hstack((half, half + noise * rng.standard_normal(half.shape), targets))
    vectors /= np.linalg.norm(vectors, axis=0)
    is_member = np.arange(50) < 40
    span = Span(vectors.T @ vectors, is_member, ~is_member)
    for leaver in range(removals):
        span.remove(np.array([leaver]))
    left = np.linalg.qr(vectors[:, removals:40])[0]
    expected = np.linalg.norm(vectors[:, 40:] - left @ (left.T @ vectors[:, 40:]), axis=0)
    found = np.sqrt(span.squared[40:])
    low, high = span.intervals(entry_error(300))
    assert np.all(low[40:] <= expected)
    assert np.all(expected <= high[40:])
    return np.abs(found - expected).max(), (high - low)[40:].max()


@pytest.mark.parametrize("noise", [1e-3, 1e-4, 1e-5])
def test_peeling_stays_accurate_since_drift_is_removed(noise, monkeypatch):
    error, width = drift(noise)
    assert error < 1e-10
    assert width < 1e-7
    monkeypatch.setattr(span_module, "DRIFT_BOUND", np.inf)
    error_without, width_without = drift(noise)
    assert width_without > 100 * width
    if noise == 1e-5:
        assert error_without > max(1e-8, 100 * error)


def test_bad_arguments_are_refused():
    gram = GramMatrix.from_activations(np.eye(4)[:, :2], np.eye(4)[:, 1:3])
    profile = match_profile(gram)
    for question in (profile.uncertain, profile.similarity_interval):
        with pytest.raises(ValueError, match=r"`epsilon` must be at least 0 and below 1.*got -1"):
            question(-1)
    with pytest.raises(ValueError, match='`onto` must be "x" or "y", got \'z\''):
        residual_bounds(gram, onto="z")
    with pytest.raises(IndexError, match="`subset` must hold indices from 0 to 1, got 2"):
        residual_bounds(gram, onto="y", subset=[2])
    with pytest.raises(ValueError, match="`gram` must hold at least one sample"):
        residual_bounds(GramMatrix.zeros(2, 2), onto="x")
