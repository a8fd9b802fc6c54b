"""What the searches of covers try in one matrix, against least squares and against the searches by spans."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from test_span import least_squares, unit_gram

from spanmatch import GramMatrix, maximum_match
from spanmatch.matching.scaled import scale
from spanmatch.matching.searches import Searches
from spanmatch.matching.simple import cover
from spanmatch.matching.tableau import Tableau

EPSILON = 0.4


def entangled(rng, n_x, n_y, noise):
    causes = rng.standard_normal((80, 4))
    mixed = causes @ rng.standard_normal((4, n_x + n_y))
    return mixed + noise * np.linalg.norm(mixed, axis=0) / 9 * rng.standard_normal((80, n_x + n_y))


def maximum(activations, epsilon):
    gram = GramMatrix.from_activations(*np.hsplit(activations, 2))
    whole = scale(gram)
    return whole.restrict(whole.labels(maximum_match(gram, epsilon=epsilon)))


def fresh(unit, n_x, alive):
    """Squared residuals of all labels in play by least squares, -1 for the others."""
    squared = np.full(unit.shape[1], -1.0)
    alive = np.asarray(sorted(alive), dtype=np.int64)
    for own, other in ((alive[alive < n_x], alive[alive >= n_x]), (alive[alive >= n_x], alive[alive < n_x])):
        squared[own] = least_squares(unit, other, own)[0] if other.size else 1.0
    return squared


@examples(60)
@given(
    n_x=st.integers(1, 9),
    n_y=st.integers(1, 9),
    noise=st.sampled_from([0.05, 0.3, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_left_and_who_falls_are_those_of_least_squares(n_x, n_y, noise, seed):
    """To the last removal, of one or several at once."""
    rng = np.random.default_rng(seed)
    gram, unit = unit_gram(entangled(rng, n_x, n_y, noise))
    tableau = Tableau(gram, n_x, EPSILON)
    assert tableau.independent
    alive = set(range(n_x + n_y))
    while alive:
        is_match = fresh(unit, n_x, alive).max() <= EPSILON**2 - 1e-6
        falls = tableau.falls()
        for label in alive if is_match else ():  # of what is no match nobody asks
            expected = fresh(unit, n_x, alive - {label})
            clear = np.abs(expected - EPSILON**2) > 1e-6
            np.testing.assert_array_equal(falls[label][clear], (expected > EPSILON**2)[clear])
        leaving = rng.choice(sorted(alive), min(len(alive), int(rng.integers(1, 4))), replace=False)
        without = tableau.without(np.sort(leaving))
        alive -= set(leaving.tolist())
        np.testing.assert_allclose(without.squared, fresh(unit, n_x, alive), atol=1e-9)
        tableau.remove(without)
        assert set(tableau.alive.nonzero()[0].tolist()) == alive


def test_near_twins_leave_no_errors_behind():
    """Updates alone leave 2e-13 here: where cancellation leaves too much, all is factorised afresh."""
    rng = np.random.default_rng(43)
    half = rng.standard_normal((200, 12))
    twins = half + 0.025 * rng.standard_normal(half.shape)
    gram, _ = unit_gram(np.hstack((half, twins, half @ rng.standard_normal((12, 5)))))
    tableau = Tableau(gram, 24, EPSILON)
    assert tableau.independent
    for leaver in rng.permutation(24)[:-1]:
        tableau.remove(tableau.without(np.array([leaver])))
        rest = tableau.alive.nonzero()[0]
        anew = Tableau(gram[np.ix_(rest, rest)], rest.size - 5, EPSILON)
        nobody = np.empty(0, dtype=np.int64)
        errors = anew.without(nobody).squared - tableau.without(nobody).squared[rest]
        assert np.abs(errors).max() < 5e-14


@pytest.mark.parametrize("twin", [0.0, 1e-5, 1e-3])
def test_sides_with_neurons_that_others_nearly_span_are_left_to_spans(twin):
    rng = np.random.default_rng(0)
    vectors = entangled(rng, 4, 4, 0.3)
    vectors[:, 1] = vectors[:, 0] + twin * vectors[:, 1]
    assert not Tableau(unit_gram(vectors)[0], 4, EPSILON).independent


@examples(30)
@given(
    n=st.integers(2, 10),
    noise=st.sampled_from([0.1, 0.3]),
    epsilon=st.sampled_from([0.1, 0.3, 0.5]),
    seed=st.integers(0, 2**32 - 1),
)
def test_covers_are_those_of_searches_by_spans(n, noise, epsilon, seed):
    rng = np.random.default_rng(seed)
    inside = maximum(entangled(rng, n, n, noise), epsilon)
    for order in (None, rng.permutation(inside.size)):
        found = cover(Searches(inside, epsilon), order)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Tableau, "_fit", lambda _: False)
            assert cover(Searches(inside, epsilon), order) == found


def test_what_is_remembered_is_what_a_new_search_finds():
    rng = np.random.default_rng(3)
    inside = maximum(entangled(rng, 20, 20, 0.3), 0.5)
    searches = Searches(inside, 0.5)
    for order in (None, rng.permutation(inside.size), None):
        for label in range(inside.size):
            remembered = searches.around(label, None, order)
            for one, other in zip(remembered, Searches(inside, 0.5).around(label, None, order), strict=True):
                np.testing.assert_array_equal(one, other)
