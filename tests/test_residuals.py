"""Residuals and Definition 1, against least squares on the activations."""

import numpy as np
import pytest
from cases import EPSILONS, layers
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import Oracle, as_set

from spanmatch import (
    GramMatrix,
    Match,
    is_match,
    match_profile,
    maximum_match,
    minimal_match,
    relative_residuals,
)


@pytest.fixture
def gram():
    rng = np.random.default_rng(0)
    return GramMatrix.from_activations(rng.standard_normal((30, 4)), rng.standard_normal((30, 3)))


@examples(180)
@given(pair=layers(), data=st.data())
def test_residuals_equal_least_squares_onto_any_subset(pair, data):
    x, y = pair
    oracle, gram = Oracle(x, y), GramMatrix.from_activations(x, y)
    subset = data.draw(st.lists(st.integers(0, y.shape[1] - 1)))
    for onto, others, members in (("y", x, subset), ("y", x, range(y.shape[1])), ("x", y, range(x.shape[1]))):
        side = "x" if onto == "y" else "y"
        span = {(onto, j) for j in members if (onto, j) in oracle.everything}
        neurons = [(side, i) for i in range(others.shape[1])]
        expected = [oracle.residual(n, span) if n in oracle.everything else 0 for n in neurons]
        assume(oracle.decided())
        chosen = list(members) if len(members) < y.shape[1] or onto == "y" else None
        found = relative_residuals(gram, onto=onto, subset=chosen)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_residual_of_a_neuron_at_a_known_angle():
    gram = GramMatrix.from_activations([[3.0], [4.0], [0.0]], [[1.0, 0], [0, 0], [0, 1]])
    np.testing.assert_allclose(relative_residuals(gram, onto="y"), [0.8], rtol=1e-15)
    np.testing.assert_allclose(relative_residuals(gram, onto="x"), [0.8, 1], rtol=1e-15)


def test_what_cannot_be_told_from_zero_is_zero():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((100, 1))
    for noise, zero in ((1e-8, True), (1e-4, False)):
        gram = GramMatrix.from_activations(x, x + noise * rng.standard_normal((100, 1)))
        assert (relative_residuals(gram, onto="y")[0] == 0) == zero


def test_residual_onto_nothing_is_one_and_of_a_dead_neuron_zero():
    gram = GramMatrix.from_activations([[1, 0], [1, 0]], [[0], [0]])
    assert relative_residuals(gram, onto="y").tolist() == [1, 0]
    assert relative_residuals(gram, onto="x").tolist() == [0]
    assert relative_residuals(gram, onto="x", subset=[]).tolist() == [0]
    assert relative_residuals(gram, onto="y", subset=[]).tolist() == [1, 0]


@examples(180)
@given(pair=layers(), epsilon=EPSILONS, data=st.data())
def test_is_match_follows_the_definition(pair, epsilon, data):
    x, y = pair
    match = Match(
        data.draw(st.lists(st.integers(0, x.shape[1] - 1))),
        data.draw(st.lists(st.integers(0, y.shape[1] - 1))),
    )
    oracle = Oracle(x, y)
    expected = as_set(match) <= oracle.everything and oracle.is_match(as_set(match), epsilon)
    assume(oracle.decided())
    assert is_match(GramMatrix.from_activations(x, y), match, epsilon=epsilon) == expected


def test_the_empty_match_is_a_match_and_half_a_match_is_none(gram):
    assert is_match(gram, Match([], []), epsilon=0)
    assert not is_match(gram, Match([0], []), epsilon=0.99)


def test_bad_arguments_are_refused(gram):
    with pytest.raises(ValueError, match='`onto` must be "x" or "y", got \'z\''):
        relative_residuals(gram, onto="z")
    with pytest.raises(IndexError, match="`subset` must hold indices from 0 to 2, got 3"):
        relative_residuals(gram, onto="y", subset=[0, 3])
    with pytest.raises(IndexError, match="`subset` must hold indices from 0 to 3, got -1"):
        relative_residuals(gram, onto="x", subset=[-1])
    with pytest.raises(TypeError, match="`subset` must hold integers, got dtype bool"):
        relative_residuals(gram, onto="x", subset=[True, False])
    with pytest.raises(ValueError, match=r"`subset` must be one-dimensional, got shape \(1, 1\)"):
        relative_residuals(gram, onto="x", subset=[[1]])
    with pytest.raises(IndexError, match="`match` must hold indices below 4 on side 'x', got 4"):
        is_match(gram, Match([4], []), epsilon=0)
    with pytest.raises(ValueError, match="`gram` must hold at least one sample"):
        relative_residuals(GramMatrix.zeros(2, 2), onto="x")


@pytest.mark.parametrize("epsilon", [-0.1, 1, 2, float("nan"), float("inf")])
def test_epsilon_outside_its_range_is_refused(gram, epsilon):
    with pytest.raises(ValueError, match="`epsilon` must be at least 0 and below 1"):
        is_match(gram, Match([], []), epsilon=epsilon)


@pytest.mark.parametrize("epsilon", ["small", None, [0.3]])
def test_epsilon_must_be_a_number(gram, epsilon):
    with pytest.raises(TypeError, match="`epsilon` must be a number"):
        maximum_match(gram, epsilon=epsilon)


def test_arrays_are_no_gram_matrix():
    array = np.eye(3)
    for call in (
        lambda: match_profile(array),
        lambda: minimal_match(array, ("x", 0), epsilon=0.3),
        lambda: relative_residuals(array, onto="x"),
        lambda: is_match(array, Match([], []), epsilon=0.3),
    ):
        with pytest.raises(TypeError, match="`gram` must be a GramMatrix, got ndarray; make one"):
            call()


def test_matches_are_sets():
    match = Match([3, 1, 1], [0])
    assert match == Match(np.array([1, 3]), [0])
    assert hash(match) == hash(Match([1, 3], [0]))
    assert match != Match([1], [0, 3])
    assert match != "match"
    assert match.neurons() == (("x", 1), ("x", 3), ("y", 0)) == tuple(match)
    assert match.size == len(match) == 3
    assert ("x", 3) in match
    assert ("y", 3) not in match
    assert match | Match([0], [2]) == Match([0, 1, 3], [0, 2])
    assert Match([1], []) < match
    assert match <= match
    assert not match < match
    assert not Match([], [])
    assert repr(match) == "Match(x=[1, 3], y=[0])"
    with pytest.raises(ValueError):
        match.x[0] = 5
    with pytest.raises(TypeError, match="`x` must hold integers, got dtype float64"):
        Match([0.5], [])
    with pytest.raises(ValueError, match="`y` must hold indices of at least 0, got -1"):
        Match([], [-1])
    with pytest.raises(ValueError, match=r"`y` must be one-dimensional, got shape \(\)"):
        Match([], 3)
