"""Renumbering neurons renumbers every answer and changes nothing else, up to identical neurons."""

from collections import Counter
from collections.abc import Callable
from itertools import permutations

import hard
import numpy as np
import pytest
from sklearn.datasets import load_digits

from spanmatch import (
    GramMatrix,
    Match,
    SimpleMatch,
    cover_freedom,
    decompose,
    essential,
    match_profile,
    maximum_match,
    minimal_match,
    minimal_matches,
    minimum_match,
    simple_matches,
)
from spanmatch.matching.scaled import scale

# Drawn layers are small: few samples, and one neuron near its own mean is a tenth of them.
pytestmark = [
    pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning"),
    pytest.mark.filterwarnings("ignore::spanmatch.TooFewSamplesWarning"),
]
RENUMBERINGS = 50
Layers = tuple[np.ndarray, np.ndarray]


def digits(*, trained_on: int, width: int) -> Callable[[np.random.Generator], Layers]:
    """Two random networks' first layer on scanned digits, whose weights are pixels of a few other digits."""

    def make(rng: np.random.Generator) -> Layers:
        pixels = load_digits().data[::3] / 16
        sides = []
        for _ in "xy":
            weights = pixels[rng.choice(trained_on, width)].T + 0.3 * rng.standard_normal((64, width))
            sides.append(np.maximum((pixels - pixels.mean(axis=0)) @ weights, 0).astype(np.float32))
        return sides[0], sides[1]

    return make


def pixels(rng: np.random.Generator) -> Layers:
    """Whole numbers of 4 bits, dead neurons among them."""
    left = load_digits().data.astype(np.int64)
    return left[::5, :9], left[::5, 9:22]


def entangled(noise: float, dtype: str = "float64") -> Callable[[np.random.Generator], Layers]:
    def make(rng: np.random.Generator) -> Layers:
        causes = rng.standard_normal((300, 4)) + 0.5
        sides = [
            np.maximum(causes @ rng.standard_normal((4, n)) + noise * rng.standard_normal((300, n)), 0)
            for n in (6, 8)
        ]
        return sides[0].astype(dtype), sides[1].astype(dtype)

    return make


def near_ties(size: float) -> Callable[[np.random.Generator], Layers]:
    """Each neuron and a neighbour that differs from it by so much, relatively; some are equal."""

    def make(rng: np.random.Generator) -> Layers:
        x, y = entangled(0.1)(rng)
        x, y = (np.hstack((side, side * (1 + size * rng.standard_normal(side.shape)))) for side in (x, y))
        x[:, 3], y[:, 5], y[:, 6] = x[:, 8], y[:, 1], -y[:, 2]
        return x, y

    return make


def duplicates(rng: np.random.Generator) -> Layers:
    x, y = entangled(0.2)(rng)
    return np.hstack((x, x[:, :3], 3 * x[:, :2])), np.hstack((y[:, :4], y[:, :4], 0 * y[:, :2], -y[:, :2]))


def one_hot(rng: np.random.Generator) -> Layers:
    """All lines of equal length and at right angles or parallel: inner products tell next to nothing."""
    lines = np.eye(40)
    return lines[:, rng.integers(0, 6, 9)], lines[:, rng.integers(0, 6, 9)]


def sums_of_lines(rng: np.random.Generator) -> Layers:
    """Each x neuron needs some of many y neurons that only their activations tell apart."""
    groups = np.arange(12) // 4
    return np.eye(30)[:, :12] @ (groups[:, None] == np.arange(3)), np.eye(30)[:, :12].copy()


def binary(rng: np.random.Generator) -> Layers:
    return rng.random((24, 7)) < 0.4, rng.random((24, 7)) < 0.4


def from_hard(structure: str, damage: str, seed: int) -> Callable[[np.random.Generator], Layers]:
    return lambda rng: hard.draw((structure, damage), seed)[:2]


def gaussian(rng: np.random.Generator) -> Layers:
    common = rng.standard_normal((400, 6))
    x, y = (common @ rng.standard_normal((6, n)) + 0.4 * rng.standard_normal((400, n)) for n in (9, 7))
    return x, y * 10.0 ** rng.uniform(-6, 6, 7)


LAYERS: dict[str, tuple[Callable[[np.random.Generator], Layers], float]] = {
    "digits, few weights": (digits(trained_on=6, width=9), 0.3),
    "digits, more weights": (digits(trained_on=40, width=12), 0.5),
    "digits, narrow": (digits(trained_on=3, width=7), 0.25),
    "pixels": (pixels, 0.5),
    "pixels, loosely": (pixels, 0.8),
    "entangled": (entangled(0.1), 0.3),
    "entangled, noisy": (entangled(0.4), 0.5),
    "entangled, float32": (entangled(0.1, "float32"), 0.3),
    "entangled, float16": (entangled(0.1, "float16"), 0.3),
    "entangled, exact": (entangled(0), 0.0),
    "gaussian": (gaussian, 0.5),
    "gaussian, tightly": (gaussian, 0.3),
    "near ties, 1e-2": (near_ties(1e-2), 0.25),
    "near ties, 1e-6": (near_ties(1e-6), 0.3),
    "near ties, 1e-11": (near_ties(1e-11), 0.3),
    "near ties, last bits": (near_ties(1e-16), 0.3),
    "duplicates": (duplicates, 0.3),
    "one hot": (one_hot, 0.3),
    "one hot, exact": (one_hot, 0.0),
    "sums of lines": (sums_of_lines, 0.6),
    "sums of lines, three of four": (sums_of_lines, 0.8),
    "binary": (binary, 0.5),
    "signs": (from_hard("signs", "duplicates", 0), 0.5),
    "powers of two": (from_hard("powers of two", "mixed", 1), 0.3),
    "grey twins": (from_hard("relu", "grey twins", 2), 0.3),
    "near twins": (from_hard("shared", "near twins", 3), 0.15),
    "far twins, noisy": (from_hard("shared with noise", "far twins", 4), 0.5),
    "dead": (from_hard("lines", "dead", 5), 0.3),
    "scales": (from_hard("relu", "scales", 6), 0.3),
    "constants": (from_hard("one sample each", "constants", 7), 0.3),
}


def activations(name: str) -> tuple[np.ndarray, np.ndarray, float]:
    make, epsilon = LAYERS[name]
    x, y = make(np.random.default_rng(list(LAYERS).index(name)))
    return x, y, epsilon


def kinds(side: np.ndarray) -> np.ndarray:
    """Number neurons by their activations: identical ones alike."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(column.tobytes(), len(seen)) for column in np.ascontiguousarray(side.T)])


Form = tuple[str | None, int, tuple[int, ...], tuple[int, ...]]


def form(simple: SimpleMatch | Match, of_x: np.ndarray, of_y: np.ndarray) -> Form:
    """A match, and the neuron that it was found for, in kinds of neurons."""
    match = simple.match if isinstance(simple, SimpleMatch) else simple
    side, index = simple.neuron if isinstance(simple, SimpleMatch) else (None, -1)
    kind = -1 if side is None else int((of_x if side == "x" else of_y)[index])
    return side, kind, tuple(sorted(of_x[match.x].tolist())), tuple(sorted(of_y[match.y].tolist()))


def edges(gram: GramMatrix, epsilon: float) -> np.ndarray:
    """Who falls with whom, over all neurons of both sides."""
    found = essential(gram, epsilon=epsilon)
    rows = np.concatenate((found.matched.x, gram.n_x + found.matched.y))
    whole = np.zeros((gram.n_x + gram.n_y,) * 2, dtype=bool)
    whole[np.ix_(rows, rows)] = found.falls
    return whole


@pytest.mark.draws
@pytest.mark.parametrize("name", LAYERS)
def test_renumbering_neurons_renumbers_the_answers(name):
    x, y, epsilon = activations(name)
    rng = np.random.default_rng(0)
    gram = GramMatrix.from_activations(x, y)
    profile, graph = match_profile(gram), edges(gram, epsilon)
    simple = simple_matches(gram, epsilon=epsilon)
    of_x, of_y = kinds(x), kinds(y)
    expected = Counter(form(one, of_x, of_y) for one in simple)
    for _ in range(RENUMBERINGS):
        new_x, new_y = rng.permutation(gram.n_x), rng.permutation(gram.n_y)
        both = np.concatenate((new_x, gram.n_x + new_y))
        other = GramMatrix.from_activations(x[:, new_x], y[:, new_y])
        np.testing.assert_array_equal(other.matrix, gram.matrix[np.ix_(both, both)])
        again = match_profile(other)
        for side, new in (("x", new_x), ("y", new_y)):
            for values in (side, f"{side}_bounds"):
                np.testing.assert_array_equal(getattr(again, values), getattr(profile, values)[new])
        found = Counter(form(one, of_x[new_x], of_y[new_y]) for one in simple_matches(other, epsilon=epsilon))
        assert found == expected
        np.testing.assert_array_equal(edges(other, epsilon), graph[np.ix_(both, both)])


@pytest.mark.draws
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("statistic", ["summed", "kept", "centred", "merged"])
def test_so_do_all_other_searches_on_any_statistic(name, statistic):
    """Of a Gram matrix that was kept, neurons that it cannot tell apart count as identical."""
    x, y, epsilon = activations(name)
    rng = np.random.default_rng(1)

    def summed(of_x, of_y):
        third = len(of_x) // 3
        whole = GramMatrix.from_activations(of_x[:third], of_y[:third])
        whole += GramMatrix.from_activations(of_x[third:], of_y[third:])
        if statistic == "kept":
            return GramMatrix.from_parts(whole.matrix, whole.sums, whole.n_samples, whole.n_x)
        if statistic == "merged":
            return whole
        one_pass = GramMatrix.from_activations(of_x, of_y)
        return one_pass.centred if statistic == "centred" else one_pass

    gram = summed(x, y)
    new_x, new_y = rng.permutation(gram.n_x), rng.permutation(gram.n_y)
    other = summed(x[:, new_x], y[:, new_y])
    of_x, of_y = kinds(x), kinds(y)
    if statistic == "kept":
        of_x, of_y = np.zeros_like(of_x), np.zeros_like(of_y)

    def forms(matches, of_x=of_x, of_y=of_y):
        return Counter(form(match, of_x, of_y) for match in matches)

    def renumbered(matches):
        return forms(matches, of_x[new_x], of_y[new_y])

    whole, again = maximum_match(gram, epsilon=epsilon), maximum_match(other, epsilon=epsilon)
    assert Match(new_x[again.x], new_y[again.y]) == whole
    parts = decompose(gram, whole, epsilon=epsilon)
    assert parts == simple_matches(gram, epsilon=epsilon)
    assert renumbered(decompose(other, again, epsilon=epsilon)) == forms(parts)
    assert cover_freedom(gram, epsilon=epsilon, orders=2) == cover_freedom(other, epsilon=epsilon, orders=2)
    for side, new in (("x", new_x), ("y", new_y)):
        place = int(rng.integers(new.size))
        neuron, before = (side, place), (side, int(new[place]))
        one, was = (minimal_match(g, n, epsilon=epsilon) for g, n in ((other, neuron), (gram, before)))
        assert (one is None) == (was is None)
        if one is not None and was is not None:
            assert renumbered([one]) == forms([was])
        some = minimal_matches(other, neuron, epsilon=epsilon, limit=3)
        were = minimal_matches(gram, before, epsilon=epsilon, limit=3)
        assert some.complete == were.complete
        assert renumbered(some) == forms(were)


def test_so_do_minimum_matches():
    rng = np.random.default_rng(2)
    x, y = np.linalg.qr(rng.standard_normal((50, 8)))[0], np.zeros((50, 8))
    for block in (slice(0, 3), slice(3, 8)):
        size = block.stop - block.start
        y[:, block] = x[:, block] @ np.linalg.qr(rng.standard_normal((size, size)))[0]
    new_x, new_y = rng.permutation(8), rng.permutation(8)
    gram, other = GramMatrix.from_activations(x, y), GramMatrix.from_activations(x[:, new_x], y[:, new_y])
    for place in range(8):
        found = minimum_match(other, ("x", place))
        assert Match(new_x[found.x], new_y[found.y]) == minimum_match(gram, ("x", int(new_x[place])))


def test_what_inner_products_cannot_tell_activations_do():
    """Any of e1, e2, e3 does for their sum; which one is found must not hang on a number."""
    x, y = np.eye(9)[:, :3].sum(axis=1, keepdims=True), np.eye(9)[:, :3]
    found = set()
    for order in permutations(range(3)):
        match = minimal_match(GramMatrix.from_activations(x, y[:, order]), ("x", 0), epsilon=0.9)
        assert match.size == 2
        found.add(order[match.y[0]])
    assert len(found) == 1


@pytest.mark.parametrize("name", LAYERS)
def test_labels_are_each_neuron_once_and_x_before_y(name):
    x, y, _ = activations(name)
    gram = GramMatrix.from_activations(x, y)
    scaled = scale(gram)
    assert sorted(scaled.neurons[: scaled.n_x]) == sorted(set(range(gram.n_x)) - set(gram.dead_x.tolist()))
    assert scaled.size == gram.n_x + gram.n_y - gram.dead.size
    assert (scaled.neurons[scaled.n_x :] >= gram.n_x).all()
    for label in range(scaled.size):
        assert scaled.label(scaled.neuron(label)) == label


@pytest.mark.parametrize("chunks", [[1], [7, 7], [128, 300], [4096, 4500]])
def test_marks_tell_activations_apart_that_stand_at_other_samples(chunks):
    """Every neuron fires once; marks are those of one pass, and no two are alike."""
    samples = sum(chunks)
    shown = np.unique(np.linspace(0, samples - 1, 40).astype(int))
    fires = (np.arange(samples)[:, None] == shown).astype(float)
    parts = np.split(fires, np.cumsum(chunks)[:-1])
    streamed, merged = GramMatrix.zeros(shown.size, shown.size), GramMatrix.zeros(shown.size, shown.size)
    for part in parts:
        streamed.update(part, part[:, ::-1])
        merged += GramMatrix.from_activations(part, part[:, ::-1])
    np.testing.assert_allclose(merged.marks, streamed.marks, rtol=0, atol=1e-12)
    apart = np.abs(streamed.marks[:, :, None] - streamed.marks[:, None, :]).sum(axis=0)
    np.testing.assert_array_equal(
        np.argwhere(apart[: shown.size, : shown.size] < 1e-6),
        np.repeat(np.arange(shown.size), 2).reshape(-1, 2),
    )
    np.testing.assert_array_equal(streamed.marks[:, : shown.size], streamed.marks[:, shown.size :][:, ::-1])


def test_marks_are_there_only_where_all_activations_were_seen():
    x, y = np.random.default_rng(3).standard_normal((2, 30, 4))
    gram = GramMatrix.from_activations(x, y)
    kept = GramMatrix.from_parts(gram.matrix, gram.sums, gram.n_samples, gram.n_x)
    assert kept.marks is None
    for sum_ in (gram + kept, kept + gram):
        assert sum_.marks is None
    kept.update(x, y)
    assert kept.marks is None
    assert (gram.centred.marks == gram.marks).all()
    before = gram.marks.copy()
    with pytest.raises(ValueError, match="`x` must be finite"):
        gram.update(x * np.nan, y)
    np.testing.assert_array_equal(gram.marks, before)
