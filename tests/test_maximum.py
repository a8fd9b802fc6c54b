"""The maximum match, against Algorithm 1 on the activations and against the paper's theorems."""

import numpy as np
import pytest
from cases import EPSILONS, layers
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import Oracle, as_set

from spanmatch import GramMatrix, Match, is_match, match_profile, maximum_match

# Drawn layers are small, and one neuron near its own mean is a tenth of them.
pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")


@examples(240)
@given(pair=layers(), epsilon=EPSILONS)
def test_maximum_match_equals_algorithm_1(pair, epsilon):
    oracle, gram = Oracle(*pair), GramMatrix.from_activations(*pair)
    expected = oracle.maximum_match(epsilon)
    assume(oracle.decided())
    found = maximum_match(gram, epsilon=epsilon)
    assert as_set(found) == expected
    assert is_match(gram, found, epsilon=epsilon)


@examples(24)
@given(pair=layers(most=4), epsilon=EPSILONS)
def test_maximum_match_is_the_union_of_all_matches(pair, epsilon):
    oracle = Oracle(*pair)
    matches = oracle.all_matches(epsilon)
    assume(oracle.decided())
    found = maximum_match(GramMatrix.from_activations(*pair), epsilon=epsilon)
    assert as_set(found) == frozenset().union(*matches)


@examples(80)
@given(pair=layers(), epsilons=st.tuples(EPSILONS, EPSILONS))
def test_maximum_match_grows_with_epsilon(pair, epsilons):
    gram = GramMatrix.from_activations(*pair)
    small, large = sorted(epsilons)
    assert maximum_match(gram, epsilon=small) <= maximum_match(gram, epsilon=large)


@examples(80)
@given(pair=layers(), epsilon=EPSILONS, data=st.data())
def test_unions_of_matches_are_matches(pair, epsilon, data):
    """Lemma 2, on the maximum matches of random parts."""
    gram, oracle = GramMatrix.from_activations(*pair), Oracle(*pair)
    parts = []
    for _ in range(2):
        part = frozenset(n for n in sorted(oracle.everything) if data.draw(st.booleans()))
        match = oracle.maximum_match(epsilon, part)
        parts.append(Match([i for s, i in match if s == "x"], [i for s, i in match if s == "y"]))
    assume(oracle.decided())
    union = parts[0] | parts[1]
    assert is_match(gram, union, epsilon=epsilon)
    assert union <= maximum_match(gram, epsilon=epsilon)


@examples(80)
@given(pair=layers(), epsilon=EPSILONS, seed=st.integers(0, 2**32 - 1))
def test_maximum_match_ignores_rotation_scale_and_order(pair, epsilon, seed):
    rng = np.random.default_rng(seed)
    x, y = (side.astype(np.float64) for side in pair)
    oracle = Oracle(x, y)
    oracle.maximum_match(epsilon)
    assume(oracle.decided())
    expected = maximum_match(GramMatrix.from_activations(x, y), epsilon=epsilon)

    rotation = np.linalg.qr(rng.standard_normal((len(x), len(x))))[0]
    rotated = GramMatrix.from_activations(rotation @ x, rotation @ y)
    assert maximum_match(rotated, epsilon=epsilon) == expected

    factors = rng.choice([-1, 1], x.shape[1]) * 10.0 ** rng.uniform(-3, 3, x.shape[1])
    assert maximum_match(GramMatrix.from_activations(x * factors, y), epsilon=epsilon) == expected

    order_x, order_y = rng.permutation(x.shape[1]), rng.permutation(y.shape[1])
    permuted = maximum_match(GramMatrix.from_activations(x[:, order_x], y[:, order_y]), epsilon=epsilon)
    assert Match(order_x[permuted.x], order_y[permuted.y]) == expected

    swapped = maximum_match(GramMatrix.from_activations(y, x), epsilon=epsilon)
    assert Match(swapped.y, swapped.x) == expected


@examples(120)
@given(pair=layers(most=12))
def test_profile_and_algorithm_agree_at_and_beside_every_critical_epsilon(pair):
    gram = GramMatrix.from_activations(*pair)
    profile = match_profile(gram)
    for value in np.unique(np.concatenate((profile.x, profile.y))):
        for epsilon in (np.nextafter(value, 0), value, np.nextafter(value, 1)):
            if 0 <= epsilon < 1:
                assert profile.maximum_match(epsilon) == maximum_match(gram, epsilon=epsilon)


def test_bad_arguments_are_refused():
    gram = GramMatrix.from_activations(np.eye(4)[:, :2], np.eye(4)[:, :2])
    for epsilon in (1.0, -1e-9, float("nan")):
        with pytest.raises(ValueError, match="`epsilon` must be at least 0 and below 1"):
            maximum_match(gram, epsilon=epsilon)
    with pytest.raises(ValueError, match="`gram` must hold at least one sample, got none"), pytest.warns():
        maximum_match(GramMatrix.zeros(2, 2), epsilon=0.3)
