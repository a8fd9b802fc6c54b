"""Row moments of many layers at once against those of each pair by itself."""

from itertools import combinations_with_replacement

import numpy as np
import pytest

from spanmatch import GramMatrix
from spanmatch.matching.joint_rows import JointRows
from spanmatch.matching.row_moments import RowMoments


def layers_of(seed: int, samples: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=(samples, n)).astype(np.float32) + offset for n, offset in ((3, 0), (5, 9), (2, -4))
    ]


def summed(layers: list[np.ndarray], pairs, blocks: int) -> dict[tuple[int, int], RowMoments]:
    centres = [np.stack((layer.mean(axis=0, dtype=np.float64), np.zeros(layer.shape[1]))) for layer in layers]
    joint = JointRows(centres, pairs)
    for start in range(0, len(layers[0]), blocks):
        joint.update([layer[start : start + blocks] for layer in layers])
    return dict(joint.finished())


def arrays(rows: RowMoments) -> list[np.ndarray]:
    return [rows.sums, rows.weighted_x, rows.weighted_y, rows.centre_x, rows.centre_y]


@pytest.mark.parametrize("samples", [1, 255, 256, 700])
def test_each_pair_has_the_sums_over_its_samples(samples):
    layers = layers_of(samples, samples)
    pairs = list(combinations_with_replacement(range(3), 2))
    found = summed(layers, pairs, blocks=512)
    for i, j in pairs:
        x, y = (layers[k] - layers[k].mean(axis=0, dtype=np.float64) for k in (i, j))
        squares_x, squares_y = (x**2).sum(axis=1), (y**2).sum(axis=1)
        rows = found[i, j]
        assert rows.n_samples == samples
        expected = squares_x @ squares_y, squares_x.sum(), squares_y.sum()
        np.testing.assert_allclose(rows.sums, expected, rtol=1e-12, atol=1e-12)
        scale = 1e-12 * float(squares_x @ squares_y + 1)
        np.testing.assert_allclose(rows.weighted_x, squares_y @ x, rtol=1e-11, atol=scale)
        np.testing.assert_allclose(rows.weighted_y, squares_x @ y, rtol=1e-11, atol=scale)


def test_they_are_those_of_row_moments():
    layers = layers_of(0, 300)
    own_x, own_y, cross = GramMatrix.from_activations(layers[0], layers[1], rows=True).rows
    found = summed(layers, [(0, 0), (1, 1), (0, 1)], blocks=300)
    for pair, expected in (((0, 0), own_x), ((1, 1), own_y), ((0, 1), cross)):
        np.testing.assert_allclose(found[pair].sums, expected.sums, rtol=1e-9)


def test_bits_do_not_depend_on_what_is_summed_beside_a_pair():
    layers = layers_of(1, 600)
    pairs = list(combinations_with_replacement(range(3), 2))
    together = summed(layers, pairs, blocks=300)
    for i, j in pairs:
        two = [layers[i]] if i == j else [layers[i], layers[j]]
        ((_, alone),) = summed(two, [(0, len(two) - 1)], blocks=300).items()
        for one, other in zip(arrays(together[i, j]), arrays(alone), strict=True):
            np.testing.assert_array_equal(one, other)
