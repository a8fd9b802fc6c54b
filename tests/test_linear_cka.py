"""Linear CKA: against kernels of the samples, and where its value is known."""

import numpy as np
import pytest
from cases import layers
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from spanmatch import GramMatrix
from spanmatch.measures import Evidence, evaluate, measure_named

SEEDS = st.integers(0, 2**32 - 1)


def linear_cka(x, y):
    return evaluate(measure_named("linear-cka"), Evidence(GramMatrix.from_activations(x, y)))


def by_kernels(x, y):
    """From the n × n kernels, as the paper has it: HSIC(K, L) / √(HSIC(K, K) HSIC(L, L))."""
    samples = len(x)
    centring = np.eye(samples) - 1 / samples
    k, m = (centring @ side @ side.T @ centring for side in (x, y))
    return np.sum(k * m) / np.sqrt(np.sum(k * k) * np.sum(m * m))


def rotation(rng, neurons):
    return np.linalg.qr(rng.standard_normal((neurons, neurons)))[0]


def drawn_layers(seed):
    rng = np.random.default_rng(seed)
    causes = rng.standard_normal((50, 3))
    x, y = (causes @ rng.standard_normal((3, n)) + 0.5 * rng.standard_normal((50, n)) for n in (5, 4))
    return rng, x + rng.standard_normal(5), y


@examples(100)
@given(pair=layers(kinds=("planted", "relu", "random")))
def test_it_is_that_of_the_kernels(pair):
    x, y = (np.asarray(side, dtype=np.float64) for side in pair)
    value = linear_cka(x, y)
    if value is None:
        assert any(np.ptp(side, axis=0).max() == 0 for side in (x, y))
    else:
        assert value == pytest.approx(by_kernels(x, y), abs=1e-9)


@examples(100)
@given(seed=SEEDS, scale=st.sampled_from([-1e100, -2.0, 1e-100, 1e-3, 1.0, 1e100]))
def test_a_rotated_shifted_and_scaled_copy_is_the_same_layer(seed, scale):
    rng, x, _ = drawn_layers(seed)
    assert linear_cka(x, x) == pytest.approx(1, abs=1e-12)
    copy = scale * (x @ rotation(rng, 5) + rng.normal(scale=10, size=5))
    assert linear_cka(x, copy) == pytest.approx(1, abs=1e-9)


@examples(100)
@given(seed=SEEDS)
def test_rotating_shifting_and_scaling_a_layer_changes_nothing(seed):
    rng, x, y = drawn_layers(seed)
    turned = 3 * y @ rotation(rng, 4) - 7
    assert linear_cka(x, turned) == pytest.approx(linear_cka(x, y), abs=1e-9)


def test_of_single_neurons_it_is_the_squared_correlation():
    _, x, y = drawn_layers(0)
    expected = np.corrcoef(x[:, 0], y[:, 0])[0, 1] ** 2
    assert linear_cka(x[:, :1], y[:, :1]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("both", "own_x", "own_y"), [(1, 0, 1), (2, 3, 0), (2, 2, 2), (0, 2, 3)])
def test_of_uncorrelated_directions_it_is_the_common_share(both, own_x, own_y):
    """k common directions of a and b: k / √(a b)."""
    samples = np.random.default_rng(0).standard_normal((40, both + own_x + own_y))
    directions = np.linalg.qr(samples - samples.mean(axis=0))[0] + 5
    x = directions[:, : both + own_x]
    y = np.delete(directions, np.s_[both : both + own_x], axis=1)
    assert linear_cka(x, y) == pytest.approx(both / np.sqrt(x.shape[1] * y.shape[1]), abs=1e-10)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e8])
def test_a_constant_layer_has_no_value(constant):
    x, y = np.random.default_rng(0).standard_normal((2, 3000, 4))
    x[:] = constant
    assert linear_cka(x, y) is None
    assert linear_cka(y, x) is None
    assert linear_cka(y[:1], x[:1]) is None  # one sample
