"""Critical epsilons without a certificate against those with one."""

import warnings

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from spanmatch import GramMatrix, TooFewSamplesWarning, match_profile
from spanmatch.matching.quick_profile import quick_profile


def both(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gram = GramMatrix.from_activations(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TooFewSamplesWarning)
        exact = match_profile(gram)
    return np.concatenate(quick_profile(gram)), np.concatenate((exact.x, exact.y))


def entangled(seed: int, sizes: tuple[int, int], noise: float, samples: int = 400):
    """Two layers of common causes, each neuron with so much of its own."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(samples, 4))
    return [causes @ rng.normal(size=(4, size)) + noise * rng.normal(size=(samples, size)) for size in sizes]


@examples(100)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    noise=st.floats(0.1, 2.0),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
)
def test_of_well_conditioned_layers_it_is_that_of_the_profile(seed, sizes, noise, scale):
    x, y = entangled(seed, sizes, noise)
    quick, exact = both(x * scale, y)
    np.testing.assert_allclose(quick, exact, rtol=0, atol=1e-8)


@pytest.mark.parametrize("seed", range(10))
def test_of_nearly_singular_layers_it_is_near(seed):
    quick, exact = both(*entangled(seed, (20, 24), noise=1e-3))
    np.testing.assert_allclose(quick, exact, rtol=0, atol=0.05)


def test_dead_neurons_never_match_and_duplicates_always():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 4)), rng.normal(size=(100, 5))
    x[:, 1] = 0
    y[:, 2], y[:, 3] = x[:, 0], x[:, 0]
    quick_x, quick_y = quick_profile(GramMatrix.from_activations(x, y))
    assert np.isinf(quick_x[1])
    assert quick_x[0] == quick_y[2] == quick_y[3] == 0
    quick, exact = both(x, y)
    np.testing.assert_allclose(quick, exact, rtol=0, atol=1e-8)


def test_layers_of_dead_neurons_alone():
    quick_x, quick_y = quick_profile(GramMatrix.from_activations(np.zeros((9, 3)), np.zeros((9, 2))))
    assert quick_x.tolist() == [np.inf] * 3
    assert quick_y.tolist() == [np.inf] * 2


def test_of_too_few_samples_everything_matches():
    rng = np.random.default_rng(0)
    quick, _ = both(rng.normal(size=(6, 9)), rng.normal(size=(6, 8)))
    assert quick.max() < 0.05


def test_a_layer_matches_itself():
    x = np.random.default_rng(0).normal(size=(60, 12))
    quick_x, quick_y = quick_profile(GramMatrix.from_activations(x, x))
    assert not quick_x.any()
    assert not quick_y.any()


def test_no_sample_is_refused():
    with pytest.raises(ValueError, match="sample"):
        quick_profile(GramMatrix.zeros(2, 2))
