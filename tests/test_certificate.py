"""Error bounds: never violated by least squares, and all that is not flagged is decided rightly."""

from fractions import Fraction

import numpy as np
import pytest
from cases import EPSILONS, layers
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import CUT, Oracle, as_set
from test_profile import by_neuron

from spanmatch import GramMatrix, Match, match_profile, maximum_match, relative_residuals, residual_bounds
from spanmatch.matching import span as span_module
from spanmatch.matching.certificate import entry_error
from spanmatch.matching.certified import CertifiedSpan

# What least squares itself may err by.
# Drawn layers are small, and one neuron near its own mean is a tenth of them.
pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")

ORACLE_ERROR = 1e-14


def intervals(profile):
    sides = (("x", profile.x_bounds), ("y", profile.y_bounds))
    return {(side, i): tuple(ends) for side, bounds in sides for i, ends in enumerate(bounds.tolist())}


@examples(700)
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


@pytest.mark.draws
@examples(500)
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


@examples(300)
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
    x = np.hstack((half, half + 1e-4 * difference))
    y = np.hstack((half, half + difference))  # on x, with regression weights of 1e4
    profile = match_profile(GramMatrix.from_activations(x, y))
    assert profile.similarity_interval(1e-4)[0] < profile.similarity_interval(1e-4)[1]
    assert 1e-4 < profile.smallest_epsilon < 0.1
    assert not profile.uncertain(profile.smallest_epsilon)


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


def summed(columns, samples, chunk):
    """Gram matrix of so many samples, equal chunk after equal chunk; `columns` is two rows, repeated."""
    rows = np.resize(columns, (chunk, columns.shape[1]))
    part = GramMatrix.from_activations(*np.hsplit(rows, 2))
    total = part
    for _ in range(samples // chunk - 1):
        total = total + part
    return total


@pytest.mark.parametrize(
    ("chunk", "samples"),
    [
        *((1, samples) for samples in (1, 7, 60, 5_000)),
        *(pytest.param(chunk, 5_000 * chunk, marks=pytest.mark.draws) for chunk in (2, 8, 10)),
        pytest.param(200, 1_000_000, marks=pytest.mark.draws),
        *((chunk, 1_000_000) for chunk in (384, 1000, 8192, 1_000_000)),
    ],
)
@pytest.mark.parametrize("sign", [1, -1], ids=["constant", "alternating"])
def test_sums_of_equal_chunks_err_no_more_than_is_said(chunk, samples, sign):
    """All their rounding errors have one sign: no sums err more."""
    drawn = np.random.default_rng(chunk).uniform(0.5, 2, (6 if chunk > 1 else 2, 2))
    v, w = np.vstack((drawn, (1.9314638547413545, 1.2071911680810012))).T
    row = np.hstack((v, w))
    gram = summed(np.vstack((row, sign * row)), samples, chunk)
    bound = entry_error(gram.roundings)
    for found, ones, others in ((gram.xx, v, v), (gram.xy, v, w), (gram.yy, w, w)):
        for (i, j), value in np.ndenumerate(found):
            exact = Fraction(ones[i]) * Fraction(others[j]) * gram.n_samples
            assert abs(Fraction(float(value)) / exact - 1) <= bound


def test_updates_and_merges_count_the_additions_that_a_product_goes_through():
    ones = np.ones((100, 1))
    gram = GramMatrix.from_activations(ones, ones)
    alone = gram.roundings
    assert 100 < alone < 120
    merge = (gram + gram).roundings - alone
    assert 0 < merge < 10
    assert ((gram + gram) + (gram + gram)).roundings == alone + 2 * merge  # a tree is not deep
    for _ in range(5):
        gram.update(ones, ones)
    assert gram.roundings == alone + 5 * merge
    assert GramMatrix.from_activations(*np.ones((2, 10_000, 1))).roundings < 384 + 100
    kept = GramMatrix.from_parts(gram.matrix, gram.sums, gram.n_samples, gram.n_x)
    assert kept.roundings == 600  # as if one sample had come after the other


@pytest.mark.parametrize(
    "chunk", [*(pytest.param(each, marks=pytest.mark.draws) for each in (4, 8)), 200, 8192]
)
def test_a_neuron_in_the_span_is_not_certified_outside_of_it_by_equal_chunks(chunk):
    """Constant columns and signs: rounding goes one way, and the regression weights are 5e4."""
    v, w, samples = 1.9314638547413545, 1.2071911680810012, 100_000 if chunk < 10 else 1_000_000
    sign = np.array([[1.0], [-1.0]])
    x, y = np.hstack((v * sign**2, w + sign * w / 5e4)), np.hstack((sign, v * sign**2))
    rows = [np.resize(side, (max(chunk, 2), 2)) for side in (x, y)]
    gram = GramMatrix.zeros(2, 2)
    for start in range(0, samples, chunk):
        gram.update(*(side[start % 2 : start % 2 + chunk] for side in rows))
    profile = match_profile(gram)
    assert not profile.x_bounds[:, 0].any()
    assert not profile.y_bounds[:, 0].any()
    uncertain = as_set(profile.uncertain(0.001))
    assert as_set(profile.maximum_match(0.001)) | uncertain == {("x", 0), ("x", 1), ("y", 0), ("y", 1)}


def with_hidden_direction(size):
    """x spans a, and the first sample by a direction of length `size` alone; y holds that sample."""
    rng = np.random.default_rng(243)
    a = np.maximum(rng.standard_normal((60, 3)), 0)
    moved = a.copy()
    moved[0] += size * rng.standard_normal(3)
    return np.hstack((a, moved)), np.hstack((a @ rng.standard_normal((3, 3)), np.eye(60)[:, :1]))


@pytest.mark.parametrize("size", [1e-6, 3e-6, 5e-6, 9e-6, 3e-5])
def test_what_hangs_on_an_unclear_rank_is_uncertain(size):
    x, y = with_hidden_direction(size)
    values = np.linalg.svd(x / np.linalg.norm(x, axis=0))[1]
    assert ((values > CUT / 10) & (values < 10 * CUT)).any()
    gram = GramMatrix.from_activations(x, y)
    profile = match_profile(gram)
    assert profile.uncertain(0.5) == Match([], [3])
    assert profile.similarity_interval(0.5) == (0.9, 1)
    low, high = profile.y_bounds[3]
    assert low == 0
    assert high > 0.97
    bound = residual_bounds(gram, onto="x")[3]
    residual = relative_residuals(gram, onto="x")[3]
    assert residual - bound <= 0
    assert residual + bound >= 0.97


@pytest.mark.parametrize(("size", "expected"), [(1e-9, 0.97374), (1e-3, 0)])
def test_what_hangs_on_a_clear_rank_is_certain(size, expected):
    profile = match_profile(GramMatrix.from_activations(*with_hidden_direction(size)))
    assert not profile.uncertain(0.5)
    assert profile.y[3] == pytest.approx(expected, abs=1e-4)
    assert np.diff(profile.y_bounds[3]) < 0.01


@pytest.mark.parametrize(
    ("twins", "size", "kept", "counted"), [(1, 1.2e-6, True, False), (8, 0.8e-6, False, True)]
)
def test_the_cut_by_pivots_is_not_that_by_singular_values(twins, size, kept, counted):
    """docs/theory.md: as many at e1 as near it; whether e2 is in the span depends on whom one asks."""
    one, two = np.eye(40)[:, :1], np.eye(40)[:, 1:2]
    x = np.hstack((np.repeat(one, twins, axis=1), np.repeat(one + size * two, twins, axis=1)))
    y = np.hstack((two, one))
    gram = GramMatrix.from_activations(x, y)
    assert (Oracle(x, y).residual(("y", 0), [("x", i) for i in range(2 * twins)]) == 0) == counted
    assert (relative_residuals(gram, onto="x")[0] < 0.01) == kept
    assert residual_bounds(gram, onto="x")[0] > 0.9
    assert ("y", 0) in match_profile(gram).uncertain(0.5)


def test_where_no_epsilon_is_trustworthy_the_smallest_is_1_and_may_be_asked_for():
    rng = np.random.default_rng(2)
    half, difference = rng.standard_normal((2, 200, 3))
    dead = np.zeros((200, 1))
    x = np.hstack((half, half + 1e-5 * difference, dead))
    profile = match_profile(GramMatrix.from_activations(x, np.hstack((half, half + difference))))
    assert profile.smallest_epsilon == 1
    assert len(profile.uncertain(np.nextafter(1, 0))) == 12
    assert not profile.uncertain(1)
    assert profile.similarity_interval(1) == (12 / 13, 12 / 13)
    with pytest.raises(ValueError, match=r"at most 1 .*got 1\.5"):
        profile.uncertain(1.5)


def test_bounds_stay_narrow_after_an_exchange_of_basis():
    """Redundant neurons take the places of those they are sums with; weights are those of the new basis."""
    rng = np.random.default_rng(5)
    causes = rng.standard_normal((1000, 30))
    x, y = (
        np.maximum(causes @ rng.standard_normal((30, 60)) + 0.05 * rng.standard_normal((1000, 60)), 0)
        for _ in "xy"
    )
    x[:, -1], x[:, -2] = x[:, :2].sum(axis=1), x[:, 2:4].sum(axis=1)
    y[:, 0], y[:, 1] = y[:, 10:12].sum(axis=1), y[:, 12:14].sum(axis=1)
    profile = match_profile(GramMatrix.from_activations(x, y))
    assert np.diff(np.vstack((profile.x_bounds, profile.y_bounds))).max() < 5e-6


@pytest.mark.parametrize(("neurons", "dead"), [(8, 1), (32, 8), (64, 40), (96, 3)])
def test_an_invertible_mix_of_a_layer_with_dead_neurons_matches_for_certain(neurons, dead):
    rng = np.random.default_rng(neurons)
    x = np.maximum(rng.standard_normal((1000, neurons)) + 0.3 * rng.standard_normal((1000, 1)), 0)
    x[:, :dead] = 0
    profile = match_profile(GramMatrix.from_activations(x, x @ rng.standard_normal((neurons, neurons))))
    matched = 1 - dead / (2 * neurons)
    assert profile.similarity_interval(1e-4) == (matched, matched)


def drift(noise, removals=30):
    """Errors of the residuals after near-duplicates have left, and the bounds given for them."""
    rng = np.random.default_rng(0)
    half, targets = rng.standard_normal((300, 20)), rng.standard_normal((300, 10))
    vectors = np.hstack((half, half + noise * rng.standard_normal(half.shape), targets))
    vectors /= np.linalg.norm(vectors, axis=0)
    is_member = np.arange(50) < 40
    span = CertifiedSpan(vectors.T @ vectors, is_member, ~is_member, entry_error(300))
    for leaver in range(removals):
        span.remove(np.array([leaver]))
    left = np.linalg.qr(vectors[:, removals:40])[0]
    expected = np.linalg.norm(vectors[:, 40:] - left @ (left.T @ vectors[:, 40:]), axis=0)
    found = np.sqrt(span.squared[40:])
    targets = np.arange(40, 50)
    low, high = span.lower_bounds(targets), span.upper_bounds(targets)
    assert np.all(low <= expected)
    assert np.all(expected <= high)
    return np.abs(found - expected).max(), (high - low).max()


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
        with pytest.raises(ValueError, match=r"`epsilon` must be at least 0 and at most 1.*got -1"):
            question(-1)
    with pytest.raises(ValueError, match='`onto` must be "x" or "y", got \'z\''):
        residual_bounds(gram, onto="z")
    with pytest.raises(IndexError, match="`subset` must hold indices from 0 to 1, got 2"):
        residual_bounds(gram, onto="y", subset=[2])
    with pytest.raises(ValueError, match="`gram` must hold at least one sample"):
        residual_bounds(GramMatrix.zeros(2, 2), onto="x")
