"""The accumulator: chunked equals whole, in every dtype, and bad input leaves it untouched."""

import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from spanmatch import GramMatrix
from spanmatch.matching import deviations as deviations_module


def activations(seed=0, samples=200, n_x=5, n_y=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((samples, n_x)), rng.standard_normal((samples, n_y))


def same(a, b, tolerance=1e-13):
    assert (a.n_samples, a.n_x, a.n_y) == (b.n_samples, b.n_x, b.n_y)
    scale = np.outer(a.norms, a.norms)
    np.testing.assert_allclose(a.matrix / scale, b.matrix / scale, rtol=0, atol=tolerance)
    np.testing.assert_allclose(a.sums, b.sums, rtol=0, atol=tolerance * np.abs(a.norms).sum() * a.n_samples)


def test_gram_holds_the_inner_products():
    x, y = activations()
    gram = GramMatrix.from_activations(x, y)
    joint = np.hstack((x, y))
    np.testing.assert_allclose(gram.matrix, joint.T @ joint, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gram.xx, x.T @ x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gram.yy, y.T @ y, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gram.xy, x.T @ y, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gram.sums, joint.sum(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(gram.matrix, gram.matrix.T)
    assert (gram.n_samples, gram.n_x, gram.n_y) == (200, 5, 3)
    assert repr(gram) == "GramMatrix(n_x=5, n_y=3, n_samples=200)"


@examples(40)
@given(
    cuts=st.lists(st.integers(0, 200), max_size=6),
    merged=st.booleans(),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    order=st.sampled_from("CF"),
)
def test_chunked_equals_whole(cuts, merged, dtype, order):
    x, y = (np.asarray(side, dtype=dtype, order=order) for side in activations())
    whole = GramMatrix.from_activations(x.astype(np.float64), y.astype(np.float64))
    chunks = [(x[a:b], y[a:b]) for a, b in pairwise([0, *sorted(cuts), 200])]
    total = GramMatrix.zeros(5, 3)
    for chunk in chunks:
        if merged:
            total = total + GramMatrix.from_activations(*chunk)
        else:
            total.update(*chunk)
    same(whole, total)


def test_large_chunks_are_cut_into_blocks(monkeypatch):
    x, y = activations()
    whole = GramMatrix.from_activations(x, y)
    monkeypatch.setattr(deviations_module, "BLOCK_SAMPLES", 7)
    same(whole, GramMatrix.from_activations(x, y))


def test_sums_of_float16_do_not_overflow():
    ones = np.full((3000, 1), 200, dtype=np.float16)
    gram = GramMatrix.from_activations(ones, ones)
    assert gram.sums.tolist() == [600_000, 600_000]
    assert gram.xy.tolist() == [[3000 * 40_000]]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_integers_and_booleans_count_as_numbers(dtype):
    x = (np.arange(12).reshape(6, 2) % 2).astype(dtype)
    gram = GramMatrix.from_activations(x, x[:, ::-1])
    assert gram.matrix.dtype == np.float64
    assert gram.yy.tolist() == [[6, 0], [0, 0]]
    assert gram.dead_x.tolist() == [0]
    assert gram.dead_y.tolist() == [1]


def test_merging_leaves_both_operands_as_they_were():
    a = GramMatrix.from_activations(*activations(0))
    b = GramMatrix.from_activations(*activations(1))
    before = a.matrix, b.matrix
    total = a + b
    total.update(*activations(2))
    np.testing.assert_array_equal(a.matrix, before[0])
    np.testing.assert_array_equal(b.matrix, before[1])
    assert total.n_samples == 600


def test_parts_make_the_same_gram_matrix_and_go_on():
    a = GramMatrix.from_activations(*activations())
    b = GramMatrix.from_parts(a.matrix, a.sums, a.n_samples, a.n_x, a.roundings)
    assert b.roundings == a.roundings
    np.testing.assert_array_equal(a.matrix, b.matrix)
    matrix = a.matrix
    b.update(*activations(1))
    np.testing.assert_array_equal(a.matrix, matrix)
    same(b, a + GramMatrix.from_activations(*activations(1)))


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (np.ones(3), np.ones((3, 1)), ValueError, r"`x` must be two-dimensional, got shape \(3,\)"),
        (
            np.ones((3, 2)),
            np.ones((3, 1, 1)),
            ValueError,
            r"`y` must be two-dimensional, got shape \(3, 1, 1\)",
        ),
        (np.ones((3, 2)), np.ones((4, 2)), ValueError, "equally many samples, got 3 and 4; rows are samples"),
        (
            np.ones((3, 0)),
            np.ones((3, 1)),
            ValueError,
            r"`x` must have at least one neuron, got shape \(3, 0\)",
        ),
        (
            np.ones((3, 1)),
            np.ones((3, 1)) * 1j,
            TypeError,
            "`y` must hold real numbers, got dtype complex128",
        ),
        (
            np.ones((3, 1), dtype=object),
            np.ones((3, 1)),
            TypeError,
            "`x` must hold real numbers, got dtype object",
        ),
        ([["a"]], [[1]], TypeError, "`x` must hold real numbers, got dtype <U1"),
        ([[1, np.nan]], [[1]], ValueError, "`x` must be finite, got NaN in neuron 1"),
        ([[1, 2]], [[1, 1, -np.inf]], ValueError, "`y` must be finite, got infinity in neuron 2"),
        ([[1, 1e200]], [[1]], ValueError, r"`x` must be small enough .*, got 1e\+200 in neuron 1; divide"),
    ],
)
def test_bad_activations_are_refused(x, y, error, message):
    with pytest.raises(error, match=message):
        GramMatrix.from_activations(x, y)


def test_refused_chunks_leave_the_accumulator_as_it_was():
    gram = GramMatrix.from_activations(*activations())
    before = gram.matrix
    x, y = activations(1)
    y[100, 2] = np.nan
    with pytest.raises(ValueError, match="`y` must be finite, got NaN in neuron 2"):
        gram.update(x, y)
    with pytest.raises(ValueError, match=r"`x` must have 5 columns.*got shape \(200, 3\); rows are samples"):
        gram.update(y, x)
    np.testing.assert_array_equal(gram.matrix, before)
    assert gram.n_samples == 200


def test_overflow_across_chunks_is_refused():
    gram = GramMatrix.from_activations([[1e154]], [[1]])
    with pytest.raises(ValueError, match="`x` must be small enough"):
        gram.update([[1e154]], [[1]])
    assert gram.n_samples == 1


def test_bad_sizes_and_merges_are_refused():
    with pytest.raises(ValueError, match="`n_x` must be at least 1, got 0"):
        GramMatrix.zeros(0, 3)
    with pytest.raises(ValueError, match="`n_y` must be at least 1, got -1"):
        GramMatrix.zeros(2, -1)
    with pytest.raises(ValueError, match=r"equal `n_x` and `n_y` to be added, got 2 \+ 3 and 3 \+ 2"):
        GramMatrix.zeros(2, 3) + GramMatrix.zeros(3, 2)
    with pytest.raises(TypeError):
        GramMatrix.zeros(2, 3) + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"matrix": np.ones((3, 2))}, r"`matrix` must be square, got shape \(3, 2\)"),
        ({"sums": np.ones(2)}, r"`sums` must have shape \(3,\)"),
        ({"n_x": 3}, "`n_x` must be between 1 and 2, got 3"),
        ({"n_samples": -1}, "`n_samples` must be at least 0, got -1"),
        ({"roundings": -1}, "`roundings` must be at least 0, got -1"),
        ({"matrix": np.full((3, 3), np.nan)}, "must be finite"),
        ({"matrix": np.triu(np.ones((3, 3)))}, "`matrix` must be symmetric"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(change, message):
    parts = {"matrix": np.eye(3), "sums": np.ones(3), "n_samples": 4, "n_x": 2}
    with pytest.raises(ValueError, match=message):
        GramMatrix.from_parts(**parts | change)


def test_other_threads_go_on_while_products_are_summed():
    rows = np.ones((4000, 1000))
    gram = GramMatrix.zeros(1000, 1000)
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    gram.update(rows, rows)
    stop = time.perf_counter()
    done.set()
    thread.join()

    assert gram.xy[-1, 0] == 4000
    pauses = np.diff([start, *(moment for moment in ticks if start < moment < stop), stop])
    assert pauses.max() < (stop - start) / 3


@pytest.mark.parametrize("rows", [1, 2, 7, 1000])
@pytest.mark.parametrize("sizes", [(1, 1), (2, 9), (40, 30)])
def test_gram_matrices_are_symmetric_to_the_last_bit(rows, sizes):
    rng = np.random.default_rng(rows)
    gram = GramMatrix.zeros(*sizes)
    for _ in range(3):
        gram.update(*(rng.standard_normal((rows, size)) for size in sizes))
    np.testing.assert_array_equal(gram.matrix, gram.matrix.T)
