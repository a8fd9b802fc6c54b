"""The numbers of docs/reproduction.md on language models: against the definition, neuron by neuron."""

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.universal_neurons import best, rotated

RNG = np.random.default_rng(0)
SHARED = RNG.standard_normal((3000, 20)).astype(np.float32)


def network(seed: int, shared: int) -> list[NDArray[np.float32]]:
    """Two layers, of 20 neurons that some networks have in common and of 10 of its own."""
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((3000, 30)).astype(np.float32)
    own[:, :shared] = 3 * SHARED[:, :shared] + 5  # scale and offset are nothing
    return [own[:, 20:], own[:, rng.permutation(20)]]


def test_neurons_that_networks_have_in_common_are_universal_and_others_are_not() -> None:
    networks = {"a": network(1, 20), "b": network(2, 20), "c": network(3, 20)}
    for found in best(networks, 0).values():
        np.testing.assert_allclose(found.true[10:], 1, atol=1e-5)
        assert (found.rotated < 0.9).all()
        assert (np.abs(found.excess[:10]) < 0.1).all()
        assert found.excess[10:].min() > 0.1
        assert np.count_nonzero(found.excess > 0.3) == 20


def test_they_are_the_greatest_correlations_in_the_mean_over_the_others() -> None:
    networks = {"a": network(1, 20), "b": network(2, 9), "c": network(3, 0)}
    generator = np.random.default_rng(7)
    turned = [rotated(networks[other], generator) for other in ("b", "c")]  # those of a come first
    found = best(networks, 7)["a"]
    x = np.hstack(networks["a"])
    for neuron in range(30):
        for others, values in (((networks["b"], networks["c"]), found.true), (turned, found.rotated)):
            greatest = [
                max(np.corrcoef(x[:, neuron], y)[0, 1] for layer in layers for y in layer.T)
                for layers in others
            ]
            assert values[neuron] == pytest.approx(np.mean(greatest), abs=1e-5)


def test_a_rotation_keeps_what_a_layer_spans_and_each_layer_to_itself() -> None:
    layers = network(1, 20)
    for before, after in zip(layers, rotated(layers, np.random.default_rng(0)), strict=True):
        np.testing.assert_allclose(after @ after.T, before @ before.T, rtol=1e-3, atol=1e-2)
        assert np.abs(after - before).max() > 1
