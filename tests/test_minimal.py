"""Minimal and simple matches, against Algorithm 2 on the activations and brute force over all subsets."""

import numpy as np
import pytest
from cases import EPSILONS, layers
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import Oracle, as_set, minimal_ones

from spanmatch import (
    GramMatrix,
    Match,
    is_match,
    match_profile,
    maximum_match,
    minimal_match,
    simple_matches,
)

# Drawn layers are small, and one neuron near its own mean is a tenth of them.
pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")


@examples(160)
@given(pair=layers(), epsilon=EPSILONS, data=st.data())
def test_minimal_match_equals_algorithm_2_for_any_order(pair, epsilon, data):
    x, y = pair
    oracle, gram = Oracle(x, y), GramMatrix.from_activations(x, y)
    neurons = [("x", i) for i in range(x.shape[1])] + [("y", j) for j in range(y.shape[1])]
    order = data.draw(st.permutations(neurons))
    cut = data.draw(st.integers(0, len(order)))
    given_order = order[:cut]
    full_order = given_order + [n for n in neurons if n not in given_order]
    neuron = data.draw(st.sampled_from(sorted(oracle.maximum_match(epsilon)) or neurons))
    expected = oracle.minimal_match(neuron, epsilon, full_order)
    assume(oracle.decided())
    found = minimal_match(gram, neuron, epsilon=epsilon, order=given_order)
    assert (None if found is None else as_set(found)) == expected


@examples(24)
@given(pair=layers(most=5), epsilon=EPSILONS)
def test_minimal_and_simple_matches_are_minimal_by_brute_force(pair, epsilon):
    assume(pair[0].shape[1] + pair[1].shape[1] <= 9)
    oracle, gram = Oracle(*pair), GramMatrix.from_activations(*pair)
    matches = oracle.all_matches(epsilon)
    assume(oracle.decided())
    everything = frozenset().union(*matches)
    minimal = {neuron: minimal_ones(matches, neuron) for neuron in everything}
    for neuron in everything:
        assert as_set(minimal_match(gram, neuron, epsilon=epsilon)) in minimal[neuron]
    simple = simple_matches(gram, epsilon=epsilon)
    found = {as_set(one.match) for one in simple}
    assert len(found) == len(simple)
    for one in simple:
        assert as_set(one.match) in minimal[one.neuron]
    for neuron in everything:
        assert found & set(minimal[neuron])


@examples(80)
@given(pair=layers(most=12), epsilon=EPSILONS)
def test_simple_matches_cover_the_maximum_match(pair, epsilon):
    """Theorem 5, for the maximum match."""
    gram = GramMatrix.from_activations(*pair)
    simple = simple_matches(gram, epsilon=epsilon)
    union = Match([], [])
    for one in simple:
        assert one.neuron in one.match
        assert is_match(gram, one.match, epsilon=epsilon)
        union |= one.match
    assert union == maximum_match(gram, epsilon=epsilon)
    assert simple_matches(gram, epsilon=epsilon, profile=match_profile(gram)) == simple


@examples(30)
@given(pair=layers(most=12, kinds=("planted", "relu", "random")), epsilon=st.sampled_from([0.15, 0.3, 0.5]))
def test_simple_matches_survive_no_removal(pair, epsilon):
    """Minimal by Algorithm 1: without any one other neuron, the neuron is in no match inside."""
    oracle = Oracle(*pair)
    simple = simple_matches(GramMatrix.from_activations(*pair), epsilon=epsilon)
    for one in simple[:5]:
        neurons = as_set(one.match)
        rests = [oracle.maximum_match(epsilon, neurons - {other}) for other in neurons - {one.neuron}]
        assume(oracle.decided())
        assert all(one.neuron not in rest for rest in rests)


def test_independent_layers_have_no_simple_match():
    rng = np.random.default_rng(0)
    gram = GramMatrix.from_activations(rng.standard_normal((900, 5)), rng.standard_normal((900, 4)))
    assert simple_matches(gram, epsilon=0.5) == ()
    assert minimal_match(gram, ("y", 3), epsilon=0.5) is None


def test_a_simple_match_inside_another_is_found_too():
    """x0 = e1 + e2 needs both e1 and e2, but x1 = e1 only its twin."""
    x = np.array([[1, 1, 0, 0], [1, 0, 0, 0]]).T
    y = np.array([[1, 0, 0, 0], [0, 1, 0, 0]]).T
    simple = simple_matches(GramMatrix.from_activations(x, y), epsilon=0)
    assert [(one.neuron, one.match) for one in simple] == [
        (("x", 0), Match([0, 1], [0, 1])),
        (("x", 1), Match([1], [0])),
    ]


def test_planted_blocks_are_found():
    rng = np.random.default_rng(1)
    x, y, blocks = [], [], []
    for block in range(10):
        causes = rng.standard_normal((2000, 3))
        x.append(np.linalg.qr(causes)[0] @ np.linalg.qr(rng.standard_normal((3, 3)))[0])
        y.append(np.linalg.qr(causes)[0] @ np.linalg.qr(rng.standard_normal((3, 3)))[0])
        blocks.append(Match(range(3 * block, 3 * block + 3), range(3 * block, 3 * block + 3)))
    gram = GramMatrix.from_activations(np.hstack(x), np.hstack(y))
    assert [one.match for one in simple_matches(gram, epsilon=0.01)] == blocks
    assert minimal_match(gram, ("y", 4), epsilon=0.01) == blocks[1]


def test_bad_arguments_are_refused():
    gram = GramMatrix.from_activations(np.eye(5)[:, :2], np.eye(5)[:, :3])
    with pytest.raises(IndexError, match="`neuron` must have an index from 0 to 1 on side 'x', got 2"):
        minimal_match(gram, ("x", 2), epsilon=0.3)
    with pytest.raises(IndexError, match="`neuron` must have an index from 0 to 2 on side 'y', got -1"):
        minimal_match(gram, ("y", -1), epsilon=0.3)
    with pytest.raises(ValueError, match='`neuron` must name the side "x" or "y", got \'z\''):
        minimal_match(gram, ("z", 0), epsilon=0.3)
    for neuron in (3, "x3", ("x", 0.5), ("x", 0, 0)):
        with pytest.raises(TypeError, match="`neuron` must be a pair of a side and an index"):
            minimal_match(gram, neuron, epsilon=0.3)
    with pytest.raises(IndexError, match="`order` must have an index from 0 to 2 on side 'y', got 3"):
        minimal_match(gram, ("x", 0), epsilon=0.3, order=[("y", 3)])
    for search in (lambda: minimal_match(gram, ("x", 0), epsilon=1), lambda: simple_matches(gram, epsilon=1)):
        with pytest.raises(ValueError, match=r"`epsilon` must be at least 0 and below 1.*got 1;"):
            search()
    other = match_profile(GramMatrix.from_activations(np.eye(5)[:, :3], np.eye(5)[:, :3]))
    with pytest.raises(ValueError, match=r"`profile` must be that of `gram`, 2 \+ 3 neurons, got 3 \+ 3"):
        simple_matches(gram, epsilon=0.3, profile=other)
