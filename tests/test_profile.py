"""Critical epsilons, against a peeling with fresh least squares."""

import numpy as np
import pytest
from cases import EPSILONS, layers
from examples import examples
from hypothesis import assume, given
from oracle import Oracle

from spanmatch import GramMatrix, match_profile
from spanmatch.matching import span

# Drawn layers are small, and one neuron near its own mean is a tenth of them.
pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")


def by_neuron(profile):
    sides = (("x", profile.x), ("y", profile.y))
    return {(side, i): value for side, values in sides for i, value in enumerate(values)}


@examples(160)
@given(pair=layers())
def test_critical_epsilons_equal_those_of_least_squares(pair):
    oracle = Oracle(*pair)
    expected = oracle.critical_epsilons()
    assume(oracle.decided())
    found = by_neuron(match_profile(GramMatrix.from_activations(*pair)))
    assert found.keys() == expected.keys()
    for neuron, value in expected.items():
        assert found[neuron] == pytest.approx(value, abs=1e-6)


@examples(80)
@given(pair=layers(), epsilon=EPSILONS)
def test_similarity_is_the_matched_share_and_the_curve_its_steps(pair, epsilon):
    profile = match_profile(GramMatrix.from_activations(*pair))
    total = pair[0].shape[1] + pair[1].shape[1]
    assert profile.similarity(epsilon) == profile.maximum_match(epsilon).size / total
    epsilons, similarities = profile.curve()
    assert np.all(np.diff(epsilons) > 0)
    assert np.all(np.diff(similarities) > 0)
    assert [profile.similarity(step) for step in epsilons] == similarities.tolist()
    step = np.searchsorted(epsilons, epsilon, side="right") - 1
    assert profile.similarity(epsilon) == (similarities[step] if step >= 0 else 0)


@pytest.mark.parametrize("n_y", [1, 6])
def test_one_neuron_against_many(n_y):
    rng = np.random.default_rng(n_y)
    x, y = rng.standard_normal((50, 1)), rng.standard_normal((50, n_y))
    y[:, 0] = 0.9 * x[:, 0]
    profile = match_profile(GramMatrix.from_activations(x, y))
    assert profile.x.tolist() == [0]
    assert profile.y[0] == 0
    assert np.all(profile.y[1:] > 0.5)


@pytest.mark.parametrize("noise", [1e-4, 1e-5, 1e-7, 1e-9])
def test_near_duplicates_do_not_spoil_the_profile(noise):
    """Both sides hold every direction twice, nearly: the worst conditioning that is not rank deficiency."""
    rng = np.random.default_rng(3)
    common = rng.standard_normal((300, 12))
    x = common @ rng.standard_normal((12, 12)) + 0.2 * rng.standard_normal((300, 12))
    y = common @ rng.standard_normal((12, 12)) + 0.2 * rng.standard_normal((300, 12))
    x = np.hstack((x, x + noise * rng.standard_normal(x.shape)))
    y = np.hstack((y, y + noise * rng.standard_normal(y.shape)))
    found = by_neuron(match_profile(GramMatrix.from_activations(x, y)))
    expected = Oracle(x, y).critical_epsilons()
    # A Gram matrix knows a direction of length `noise` to 1e-15 / noise²; near-duplicates may swap places.
    allowed = 1e-7 + (2e-15 / noise**2 if noise > 1e-6 else 3 * noise)
    np.testing.assert_allclose(sorted(found.values()), sorted(expected.values()), rtol=0, atol=allowed)


def test_the_profile_is_read_only():
    profile = match_profile(GramMatrix.from_activations(np.eye(4)[:, :2], np.eye(4)[:, 1:3]))
    with pytest.raises(ValueError):
        profile.x[0] = 0.5


def test_bad_arguments_are_refused():
    profile = match_profile(GramMatrix.from_activations(np.eye(4)[:, :2], np.eye(4)[:, 1:3]))
    for question in (profile.similarity, profile.maximum_match):
        with pytest.raises(ValueError, match=r"`epsilon` must be at least 0 and below 1.*got 1\.5"):
            question(1.5)
    with pytest.raises(ValueError, match="`gram` must hold at least one sample, got none"), pytest.warns():
        match_profile(GramMatrix.zeros(2, 2))


def test_a_whole_peeling_is_accurate_to_the_last_removal(monkeypatch):
    """Near-duplicates leave first; what their conditioning left in the updates is noticed and removed."""
    cases = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        leavers, shared = rng.standard_normal((300, 20)), rng.standard_normal((300, 12))
        x = np.hstack((leavers, leavers + 1e-5 * rng.standard_normal(leavers.shape), shared))
        y = shared @ rng.standard_normal((12, 12)) + 0.5 * rng.standard_normal((300, 12))
        cases.append((GramMatrix.from_activations(x, y), peeled_afresh(x, y)))

    def error():
        profiles = [(match_profile(gram), expected) for gram, expected in cases]
        return max(np.abs(np.append(profile.x, profile.y) - values).max() for profile, values in profiles)

    assert error() < 1e-12
    monkeypatch.setattr(span, "DRIFT_BOUND", np.inf)
    assert error() > 1e-9


def peeled_afresh(x, y):
    """Critical epsilons by least squares on the activations, afresh for every removal."""
    sides, critical, level = [x, y], np.empty(x.shape[1] + y.shape[1]), 1.0
    alive = [np.arange(x.shape[1]), np.arange(y.shape[1])]
    while alive[0].size + alive[1].size:
        residuals = []
        for this, other in ((0, 1), (1, 0)):
            targets, onto = sides[this][:, alive[this]], sides[other][:, alive[other]]
            left = targets - onto @ np.linalg.lstsq(onto, targets)[0]
            residuals.append(np.linalg.norm(left, axis=0) / np.linalg.norm(targets, axis=0))
        side = int(max(residuals[1], default=0) > max(residuals[0], default=0))
        place = int(np.argmax(residuals[side]))
        level = min(level, residuals[side][place])
        critical[alive[side][place] + side * x.shape[1]] = level
        alive[side] = np.delete(alive[side], place)
    return critical
