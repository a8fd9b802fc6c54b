"""Dead neurons: in no match, as the authors have it, or in every maximum match, as Definition 1 has it."""

import numpy as np
import pytest
from cases import EPSILONS, layers
from examples import examples
from hypothesis import given

from spanmatch import (
    GramMatrix,
    Match,
    MinimalMatches,
    SimpleMatch,
    decompose,
    is_match,
    match_profile,
    maximum_match,
    minimal_match,
    minimal_matches,
    minimum_match,
    simple_matches,
)

# Drawn layers are small, and one neuron near its own mean is a tenth of them.
pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")


@pytest.fixture
def gram():
    """x1 and y0 are dead, x0 and y1 the same line, x2 matches nothing."""
    x = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]], dtype=float).T
    y = np.array([[0, 0, 0, 0], [2, 2, 0, 0]], dtype=float).T
    return GramMatrix.from_activations(x, y)


def test_gram_names_the_dead(gram):
    assert gram.dead == Match([1], [0])


def test_by_default_dead_neurons_are_in_no_match(gram):
    assert maximum_match(gram, epsilon=0.3) == Match([0], [1])
    assert minimal_match(gram, ("x", 1), epsilon=0.3) is None
    assert not is_match(gram, Match([1], []), epsilon=0.3)
    assert [simple.match for simple in simple_matches(gram, epsilon=0.3)] == [Match([0], [1])]
    profile = match_profile(gram)
    assert profile.x_bounds[1].tolist() == profile.y_bounds[0].tolist() == [np.inf, np.inf]
    assert profile.similarity_interval(0.3) == (0.4, 0.4)


def test_by_the_letter_dead_neurons_are_in_every_maximum_match(gram):
    assert maximum_match(gram, epsilon=0, dead="match") == Match([0, 1], [0, 1])
    profile = match_profile(gram, dead="match")
    assert profile.maximum_match(0) == Match([0, 1], [0, 1])
    assert profile.similarity_interval(0) == (0.8, 0.8)
    assert (profile.x.tolist(), profile.y.tolist()) == ([0, 0, 1], [0, 0])
    assert profile.x_bounds[1].tolist() == profile.y_bounds[0].tolist() == [0, 0]


def test_by_the_letter_a_dead_neuron_is_a_match_by_itself(gram):
    assert is_match(gram, Match([1], []), epsilon=0, dead="match")
    assert is_match(gram, Match([0, 1], [0, 1]), epsilon=0, dead="match")
    assert not is_match(gram, Match([1, 2], [0]), epsilon=0.3, dead="match")
    assert minimal_match(gram, ("x", 1), epsilon=0, dead="match") == Match([1], [])
    assert minimal_match(gram, ("y", 0), epsilon=0, dead="match") == Match([], [0])
    assert minimal_match(gram, ("x", 0), epsilon=0, dead="match") == Match([0], [1])
    assert minimal_match(gram, ("x", 2), epsilon=0, dead="match") is None
    expected = (
        SimpleMatch(("x", 0), Match([0], [1])),
        SimpleMatch(("x", 1), Match([1], [])),
        SimpleMatch(("y", 0), Match([], [0])),
    )
    assert simple_matches(gram, epsilon=0, dead="match") == expected
    assert decompose(gram, Match([0, 1], [0, 1]), epsilon=0, dead="match") == expected
    assert decompose(gram, Match([1], []), epsilon=0, dead="match") == expected[1:2]
    for neuron, found in (("x", 1), Match([1], [])), (("x", 0), Match([0], [1])):
        assert minimal_matches(gram, neuron, epsilon=0, dead="match") == MinimalMatches(
            (found,), complete=True
        )
    for profile in (match_profile(gram), match_profile(gram, dead="match")):
        assert simple_matches(gram, epsilon=0, dead="match", profile=profile) == expected
        assert len(simple_matches(gram, epsilon=0, profile=profile)) == 1


def test_by_the_letter_a_dead_neuron_is_its_own_minimum_match(gram):
    assert minimum_match(gram, ("x", 1), dead="match") == Match([1], [])
    assert minimum_match(gram, ("x", 0), dead="match") == Match([0], [1])
    assert minimum_match(gram, ("x", 1)) is None


def test_by_default_nothing_is_decomposed_that_holds_a_dead_neuron(gram):
    with pytest.raises(ValueError, match="`match` must be an ε-match"):
        decompose(gram, Match([0, 1], [0, 1]), epsilon=0)
    assert not minimal_matches(gram, ("x", 1), epsilon=0)


def test_simple_matches_of_dead_neurons_come_in_the_order_of_neurons():
    gram = GramMatrix.from_activations([[0.0, 1], [0, 1], [0, 0]], [[1.0], [1], [0]])
    found = simple_matches(gram, epsilon=0, dead="match")
    assert [simple.neuron for simple in found] == [("x", 0), ("x", 1)]


@examples(120)
@given(pair=layers(), epsilon=EPSILONS)
def test_the_conventions_differ_by_the_dead_neurons_only(pair, epsilon):
    gram = GramMatrix.from_activations(*pair)
    dead = Match(*(np.flatnonzero(~side.any(axis=0)) for side in pair))
    assert gram.dead == dead
    whole = maximum_match(gram, epsilon=epsilon, dead="match")
    assert whole == maximum_match(gram, epsilon=epsilon) | dead
    assert whole == match_profile(gram, dead="match").maximum_match(epsilon)
    assert is_match(gram, whole, epsilon=epsilon, dead="match")
    assert is_match(gram, whole, epsilon=epsilon) == (not dead)
    simple = simple_matches(gram, epsilon=epsilon, dead="match")
    union = Match([], [])
    for one in simple:
        assert minimal_match(gram, one.neuron, epsilon=epsilon, dead="match") is not None
        union |= one.match
    assert union == whole
    assert len(simple) == len(simple_matches(gram, epsilon=epsilon)) + dead.size


def test_other_words_are_refused(gram):
    for search in (
        lambda: match_profile(gram, dead="keep"),
        lambda: maximum_match(gram, epsilon=0, dead="keep"),
        lambda: is_match(gram, Match([], []), epsilon=0, dead="keep"),
        lambda: minimal_match(gram, ("x", 0), epsilon=0, dead="keep"),
        lambda: simple_matches(gram, epsilon=0, dead="keep"),
        lambda: minimal_matches(gram, ("x", 0), epsilon=0, dead="keep"),
        lambda: minimum_match(gram, ("x", 0), dead="keep"),
        lambda: decompose(gram, Match([], []), epsilon=0, dead="keep"),
    ):
        with pytest.raises(ValueError, match=r'`dead` must be "exclude" or "match", got \'keep\''):
            search()
