"""Essential neurons, against the intersection of all minimal matches by brute force over all subsets."""

from itertools import combinations

import numpy as np
import pytest
from cases import EPSILONS, layers
from examples import examples
from hypothesis import assume, example, given
from oracle import CUT, Oracle, as_set
from test_enumeration import exact_layers

from spanmatch import (
    GramMatrix,
    Match,
    essential,
    match_profile,
    maximum_match,
    minimal_matches,
    minimum_match,
)

# Drawn layers are small, and one neuron near its own mean is a tenth of them.
pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")


class BruteForce:
    """All ε-matches of a pair of layers: each subset of either side spans once, and bits say who is near."""

    def __init__(self, x, y, epsilon):
        self.oracle = Oracle(x, y)
        self.neurons = sorted(self.oracle.everything)
        sides = [[n for n in self.neurons if n[0] == side] for side in "xy"]
        near = [self._near(sides[0], sides[1], epsilon), self._near(sides[1], sides[0], epsilon)]
        of_x, of_y = np.arange(2 ** len(sides[0]))[:, None], np.arange(2 ** len(sides[1]))[None]
        matched = ((of_x & ~near[0][None]) == 0) & ((of_y & ~near[1][:, None]) == 0)
        self.matches = (of_x | of_y << len(sides[0]))[matched]

    def _near(self, targets, members, epsilon):
        """Which targets (bits) are near the span of each subset of the members."""
        vectors = self.oracle.vectors
        wanted = np.stack([vectors[n] for n in targets], axis=1) if targets else np.zeros((1, 0))
        near = np.zeros(2 ** len(members), dtype=np.int64)
        for subset in range(near.size):
            chosen = [vectors[n] for place, n in enumerate(members) if subset >> place & 1]
            residuals = np.ones(len(targets))
            if chosen and targets:
                basis, values, right = np.linalg.svd(np.stack(chosen, axis=1), full_matrices=False)
                basis, right, kept = basis[:, values > CUT], right[values > CUT], values[values > CUT]
                weights = np.abs(right.T @ (basis.T @ wanted / kept[:, None])).sum(axis=0)
                residuals = np.linalg.norm(wanted - basis @ (basis.T @ wanted), axis=0)
                for residual, weight in zip(residuals, weights, strict=True):
                    self.oracle._note_grey(values, residual, weight)
            residuals[residuals <= CUT] = 0
            self.oracle.closest = min([self.oracle.closest, *np.abs(residuals - epsilon)[residuals > 0]])
            near[subset] = sum(1 << place for place in np.flatnonzero(residuals <= epsilon).tolist())
        return near

    def essential_for(self, place):
        """The other neurons of all minimal matches of a neuron, as a set; None where it has none."""
        around = self.matches[self.matches >> place & 1 == 1]
        if not around.size:
            return None
        minimal = []
        for match in sorted(around.tolist(), key=int.bit_count):
            if not any(smaller & match == smaller for smaller in minimal):
                minimal.append(match)
        common = np.bitwise_and.reduce(minimal)
        return {n for other, n in enumerate(self.neurons) if common >> other & 1 and other != place}


def near_ties(rng, x, y):
    """Neurons that differ from another by 1 in a hundred, on both sides."""
    for side in (x, y):
        victim, model = rng.integers(0, side.shape[1], 2)
        side[:, victim] = side[:, model] + 1e-2 * np.abs(side).max() * rng.standard_normal(len(side))


def drawn(seed):
    """Up to 8 + 8 neurons of a few causes, mixed and damaged."""
    rng = np.random.default_rng(seed)
    n_x, n_y = (8, 8) if seed % 10 == 0 else rng.integers(1, 9, 2)
    causes = np.linalg.qr(rng.standard_normal((20, 5)))[0]
    noise = rng.choice([0, 0, 0.05, 0.3])
    x, y = (
        causes @ (rng.standard_normal((5, n)) * (rng.random((5, n)) < rng.choice([0.3, 0.6, 1])))
        + noise * rng.standard_normal((20, n)) / 4
        for n in (n_x, n_y)
    )
    if seed % 3 == 1:
        near_ties(rng, x, y)
    if seed % 3 == 2:
        x[:, rng.integers(n_x)] = rng.choice([0, 3]) * x[:, rng.integers(n_x)]
        y[:, rng.integers(n_y)] = rng.choice([0, -1]) * y[:, rng.integers(n_y)]
    return x, y, float(rng.choice([0, 0.1, 0.25, 0.5, 0.7])) if noise else float(rng.choice([0, 0.3]))


@pytest.mark.draws
def test_essential_neurons_are_in_every_minimal_match_by_brute_force():
    checked = edges = exact = 0
    for seed in range(420):
        x, y, epsilon = drawn(seed)
        brute = BruteForce(x, y, epsilon)
        if not brute.oracle.decided():
            continue
        graph = essential(GramMatrix.from_activations(x, y), epsilon=epsilon)
        for place, neuron in enumerate(brute.neurons):
            expected = brute.essential_for(place)
            assert (neuron in graph.matched) == (expected is not None), (seed, neuron)
            if expected is not None:
                assert as_set(graph.essential_for(neuron)) == expected, (seed, neuron)
        checked, edges, exact = checked + 1, edges + graph.n_edges, exact + (epsilon == 0)
    assert checked >= 300
    assert edges > 500
    assert exact > 50


@examples(60)
@given(pair=layers(most=6, samples=24), epsilon=EPSILONS)
@example(pair=(np.eye(5)[:, :1], np.eye(5)[:, [0, 0]]), epsilon=0.3)
@example(pair=(np.eye(8)[:, [0, 1, 0, 1, 2]], np.eye(8)[:, [1, 1, 0, 2, 0]]), epsilon=0.0)
def test_essential_neurons_are_those_without_which_algorithm_1_drops_the_neuron(pair, epsilon):
    oracle, gram = Oracle(*pair), GramMatrix.from_activations(*pair)
    whole = oracle.maximum_match(epsilon)
    without = {u: oracle.maximum_match(epsilon, oracle.everything - {u}) for u in whole}
    assume(oracle.decided())
    graph = essential(gram, epsilon=epsilon)
    assert as_set(graph.matched) == whole
    assert set(graph.edges) == {(u, v) for u in whole for v in whole - without[u] if u != v}
    for neuron in whole:
        found = minimal_matches(gram, neuron, epsilon=epsilon, limit=200)
        if found.complete:
            common = frozenset.intersection(*map(as_set, found))
            assert as_set(graph.essential_for(neuron)) == common - {neuron}
        assert as_set(graph.needed_by(neuron)) == whole - without[neuron] - {neuron}
    profile = match_profile(gram)
    np.testing.assert_array_equal(essential(gram, epsilon=epsilon, profile=profile).falls, graph.falls)


@examples(60)
@given(pair=exact_layers(most=8))
def test_of_exact_independent_layers_they_are_the_minimum_match(pair):
    """Theorem 8; the components are the classes of equal minimum matches."""
    oracle, gram = Oracle(*pair), GramMatrix.from_activations(*pair)
    whole = oracle.maximum_match(0)
    assume(oracle.decided())
    graph = essential(gram, epsilon=0)
    assert as_set(graph.matched) == whole
    minimum = {neuron: minimum_match(gram, neuron) for neuron in whole}
    for neuron, match in minimum.items():
        assert as_set(graph.essential_for(neuron)) == as_set(match) - {neuron}
    components = {neuron: part for part in graph.components for neuron in part}
    assert components.keys() == whole
    for one, other in combinations(sorted(whole), 2):
        assert (minimum[one] == minimum[other]) == (components[one] is components[other])


def test_a_chain_falls_from_its_first_neuron_on_and_a_ring_as_a_whole():
    """Each y is the sum of two neighbouring x, so that the last x needs all of them."""
    lines = np.eye(12)
    x = lines[:, :5]
    y = x + np.roll(x, 1, axis=1) * (np.arange(5) > 0)  # y0 = x0, y1 = x0 + x1, …
    graph = essential(GramMatrix.from_activations(x, y), epsilon=0)
    assert graph.essential_for(("x", 4)) == Match([0, 1, 2, 3], [0, 1, 2, 3, 4])
    assert graph.needed_by(("x", 4)) == Match([], [4])
    assert [part.size for part in graph.components] == [2, 2, 2, 2, 2]
    assert graph.components[0] == Match([0], [0])
    ring = essential(GramMatrix.from_activations(x, x + np.roll(x, 1, axis=1)), epsilon=0)
    assert [part.size for part in ring.components] == [10]
    assert ring.n_edges == len(ring.edges) == 90
    assert repr(ring) == (
        "EssentialGraph(epsilon=0, 10 neurons, 90 edges, 1 components of several neurons, the largest of 10)"
    )


@examples(60)
@given(pair=layers(most=6, samples=24), epsilon=EPSILONS)
def test_the_skeleton_leads_where_edges_do_and_no_edge_of_it_can_be_left_out(pair, epsilon):
    graph = essential(GramMatrix.from_activations(*pair), epsilon=epsilon)

    def led(edges):
        reached = {neuron: {neuron} for neuron in graph.matched}
        for _ in graph.matched:
            for one, other in edges:
                reached[one] |= reached[other]
        return {(one, other) for one, others in reached.items() for other in others if one != other}

    assert led(graph.skeleton) == set(graph.edges)
    for edge in graph.skeleton:
        assert led([other for other in graph.skeleton if other != edge]) != set(graph.edges)


def test_nothing_is_essential_where_there_is_a_second_way():
    twins = essential(GramMatrix.from_activations(np.eye(5)[:, [0, 0]], np.eye(5)[:, [0, 0]]), epsilon=0.3)
    assert (twins.matched.size, twins.edges, twins.n_edges) == (4, (), 0)
    none = essential(GramMatrix.from_activations(np.eye(6)[:, :2], np.eye(6)[:, 2:4]), epsilon=0.3)
    assert (none.matched.size, none.edges, none.components, none.n_edges) == (0, (), (), 0)


def test_whole_layers_that_hang_together_are_one_component():
    """An orthogonal mix at an epsilon at which any neuron carries all others away."""
    rng = np.random.default_rng(0)
    x = np.linalg.qr(rng.standard_normal((300, 40)))[0]
    gram = GramMatrix.from_activations(x, x @ np.linalg.qr(rng.standard_normal((40, 40)))[0])
    graph = essential(gram, epsilon=0.01)
    assert graph.components == (maximum_match(gram, epsilon=0.01),)
    assert graph.falls.all()


def test_bad_arguments_are_refused():
    gram = GramMatrix.from_activations(np.eye(5)[:, :2], np.eye(5)[:, 1:3])
    graph = essential(gram, epsilon=0.3)
    for question in (graph.essential_for, graph.needed_by):
        for neuron in (("x", 0), ("y", 1), ("z", 0), ("x", 7)):
            with pytest.raises(
                ValueError, match=r"`neuron` must be in the maximum match at epsilon 0\.3, got "
            ):
                question(neuron)
    with pytest.raises(ValueError, match=r"`epsilon` must be at least 0 and below 1.*got 1;"):
        essential(gram, epsilon=1)
    other = match_profile(GramMatrix.from_activations(np.eye(5)[:, :3], np.eye(5)[:, :3]))
    with pytest.raises(ValueError, match=r"`profile` must be that of `gram`, 2 \+ 2 neurons, got 3 \+ 3"):
        essential(gram, epsilon=0.3, profile=other)
    with pytest.raises(ValueError):
        graph.falls[0, 0] = False
