"""Eigenvalues by way of a tridiagonal matrix, and sums of singular values from them, against NumPy's."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from test_measure_values import Known, evidence_of, svcca

from spanmatch.measures import MEASURES, evaluate
from spanmatch.measures import svcca as module
from spanmatch.measures.spans import nuclear_norm
from spanmatch.measures.spectrum import spectrum

KINDS = {
    "random": lambda rng, n: rng.standard_normal(n),
    "graded": lambda rng, n: np.logspace(0, -20, n),
    "repeated": lambda rng, n: rng.integers(0, 3, n).astype(float),
    "zero": lambda rng, n: np.zeros(n),
}


def symmetric(rng, n, kind):
    turn = np.linalg.qr(rng.standard_normal((n, n)))[0]
    matrix = (turn * KINDS[kind](rng, n)) @ turn.T
    return (matrix + matrix.T) / 2


@examples(150)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(1, 40),
    kind=st.sampled_from(sorted(KINDS)),
    blocks=st.booleans(),
)
def test_a_spectrum_is_that_of_the_matrix_and_its_vectors_are_orthonormal(seed, n, kind, blocks):
    rng = np.random.default_rng(seed)
    matrix = symmetric(rng, n, kind)
    if blocks:  # what is tridiagonal falls apart
        matrix = np.kron(np.eye(2), matrix)
    found, largest = spectrum(matrix), max(np.abs(matrix).max(), 1)
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(matrix), rtol=0, atol=1e-13 * largest)
    first, end = np.sort(rng.integers(0, len(matrix) + 1, 2))
    vectors = found.vectors(first, end)
    assert vectors.shape == (len(matrix), end - first)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(end - first), rtol=0, atol=1e-12)
    along = found.values[first:end]
    np.testing.assert_allclose(matrix @ vectors, vectors * along, rtol=0, atol=1e-12 * largest)


@pytest.mark.parametrize("least", [1, 1e-3, 1e-7, 1e-12, 0])
@pytest.mark.parametrize("small", [0, 1, 5, 20])
def test_a_sum_of_singular_values_is_exact_however_small_some_are(least, small):
    """Roots of eigenvalues alone are wrong by 1e-8 of the largest where there is a zero."""
    rng = np.random.default_rng(small)
    left, right = (np.linalg.qr(rng.standard_normal((n, 60)))[0] for n in (70, 60))
    values = np.linspace(1, 2, 60)
    values[:small] = least * rng.uniform(0.5, 1, small)
    matrix = (left * values) @ right.T
    for each in (matrix, matrix.T):
        assert nuclear_norm(each) == pytest.approx(values.sum(), rel=1e-13)


@pytest.mark.parametrize("causes", [60, 30, 8])
def test_svcca_is_its_definition_whether_most_directions_are_kept_or_few(causes):
    rng = np.random.default_rng(causes)
    shared = rng.standard_normal((400, causes))
    x, y = (shared @ rng.standard_normal((causes, n)) + 0.3 * rng.standard_normal((400, n)) for n in (40, 52))
    evidence = evidence_of(x, y)
    found = [module._keeps_most(spectrum(own)) for own in (evidence.covariances.xx, evidence.covariances.yy)]
    assert found == [causes > 30] * 2
    assert evaluate(MEASURES["svcca"], evidence) == pytest.approx(svcca(Known(x, y)), abs=1e-12)
