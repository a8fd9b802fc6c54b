"""Covers found in several random orders."""

import numpy as np
import pytest

from spanmatch import GramMatrix, Match, cover_freedom, match_profile, maximum_match, simple_matches
from spanmatch.matching.freedom import _order
from spanmatch.matching.scaled import scale
from spanmatch.matching.searches import Searches
from spanmatch.matching.simple import cover

pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")


def entangled(n=14, seed=0):
    rng = np.random.default_rng(seed)
    causes = rng.standard_normal((400, 4)) + 0.5
    sides = (causes @ rng.standard_normal((4, n)) + 0.3 * rng.standard_normal((400, n)) for _ in "xy")
    return GramMatrix.from_activations(*(np.maximum(side, 0) for side in sides))


def blocks():
    """Three blocks of two, three and four neurons a side, each an exact match that nothing else can be."""
    rng = np.random.default_rng(1)
    x = np.linalg.qr(rng.standard_normal((200, 9)))[0]
    y = np.zeros_like(x)
    for start, end in ((0, 2), (2, 5), (5, 9)):
        y[:, start:end] = x[:, start:end] @ np.linalg.qr(rng.standard_normal((end - start,) * 2))[0]
    return GramMatrix.from_activations(x, y)


def test_what_is_unique_recurs_in_every_cover():
    found = cover_freedom(blocks(), epsilon=0.01, orders=4)
    assert (found.orders, found.matched, found.sizes) == (4, 18, ((4, 6, 8),) * 4)
    assert (found.counts, found.distinct, found.recurring) == ((3, 3), 3, 3)
    assert (found.median_size, found.largest_size, found.recurring_share) == ((6.0, 6.0), (8, 8), 1.0)


def test_where_any_neuron_does_covers_differ():
    found = cover_freedom(entangled(), epsilon=0.5, orders=6)
    assert found.matched == maximum_match(entangled(), epsilon=0.5).size > 10
    assert found.recurring < found.distinct
    assert found.distinct > found.counts[1] >= found.counts[0]
    assert 0 <= found.recurring_share < 1
    low, high = found.median_size
    assert low <= high
    assert found.largest_size[0] <= found.largest_size[1] == max(max(sizes) for sizes in found.sizes)


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_every_order_gives_a_cover_by_minimal_matches(seed):
    gram = entangled()
    inside = scale(gram)
    labels = inside.labels(maximum_match(gram, epsilon=0.5))
    inside = inside.restrict(labels)
    order = _order(inside.size, seed, 3)
    assert sorted(order.tolist()) == list(range(inside.size))
    union = Match([], [])
    for one in cover(Searches(inside, 0.5), order):
        assert one.neuron in one.match
        union |= one.match
    assert union == maximum_match(gram, epsilon=0.5)


def test_orders_are_drawn_from_the_seed_alone():
    gram = entangled()
    one = cover_freedom(gram, epsilon=0.5, orders=3)
    assert one == cover_freedom(gram, epsilon=0.5, orders=3, profile=match_profile(gram))
    assert one.sizes == cover_freedom(gram, epsilon=0.5, orders=5).sizes[:3]
    other = cover_freedom(gram, epsilon=0.5, orders=3, seed=1)
    assert (other.seed, other.matched) == (1, one.matched)
    assert other.sizes != one.sizes
    # NumPy keeps the raw numbers of its generators: these must never change.
    assert _order(8, 0, 0).tolist() == [0, 2, 1, 5, 4, 3, 6, 7]
    assert _order(8, 7, 2).tolist() == [6, 7, 4, 0, 1, 5, 3, 2]


def test_nothing_recurs_where_nothing_matches():
    rng = np.random.default_rng(0)
    gram = GramMatrix.from_activations(rng.standard_normal((900, 5)), rng.standard_normal((900, 4)))
    found = cover_freedom(gram, epsilon=0.5, orders=2)
    assert (found.matched, found.sizes, found.counts) == (0, ((), ()), (0, 0))
    assert (found.median_size, found.largest_size, found.recurring_share) == (None, None, None)
    assert simple_matches(gram, epsilon=0.5) == ()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"epsilon": 1}, ValueError, r"`epsilon` must be at least 0 and below 1.*got 1;"),
        ({"orders": 0}, ValueError, "`orders` must be at least 1, got 0; pass how many covers to find"),
        ({"orders": 2.5}, TypeError, "`orders` must be a whole number, got 2.5"),
        ({"seed": -1}, ValueError, r"`seed` must be at least 0 and below 2\*\*64, got -1"),
        ({"seed": "a"}, TypeError, "`seed` must be a whole number, got 'a'"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        cover_freedom(entangled(), **{"epsilon": 0.5} | arguments)
