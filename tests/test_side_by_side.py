"""Products of many layers at once: those of each pair alone, to the bit."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from spanmatch.matching.deviations import deviations
from spanmatch.matching.side_by_side import products


def layers_of(rng, samples, widths):
    return [deviations(rng.standard_normal((samples, width))) for width in widths]


@examples(60)
@given(
    seed=st.integers(0, 2**32 - 1),
    samples=st.sampled_from([1, 7, 300, 1000, 4096]),
    widths=st.lists(
        st.sampled_from([1, 2, 5, 10, 16, 17, 32, 48, 64, 65, 100, 130, 256]), min_size=1, max_size=6
    ),
    data=st.data(),
)
def test_each_product_is_that_of_its_pair_alone_to_the_bit(seed, samples, widths, data) -> None:
    layers = layers_of(np.random.default_rng(seed), samples, widths)
    every = [(i, j) for i in range(len(layers)) for j in range(len(layers))]
    pairs = data.draw(st.lists(st.sampled_from(every), unique=True, min_size=1))
    found = dict(products(layers, pairs))
    assert found.keys() == set(pairs)
    for i, j in pairs:
        ((_, alone),) = products([layers[i], layers[j]], [(0, 1)] if i != j else [(0, 0)])
        np.testing.assert_array_equal(found[i, j], alone)
        np.testing.assert_allclose(alone, layers[i].values.T @ layers[j].values, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("width", [64, 65, 200])
def test_a_layer_more_changes_no_product_of_the_others(width) -> None:
    rng = np.random.default_rng(width)
    layers = layers_of(rng, 4096, [width] * 9)
    before = dict(products(layers[:8], [(i, j) for j in range(8) for i in range(j + 1)]))
    after = dict(products(layers, [(i, j) for j in range(9) for i in range(j + 1)]))
    further = dict(products(layers, [(i, 8) for i in range(9)]))
    for pair, product in (before | further).items():
        np.testing.assert_array_equal(after[pair], product)
