"""Row moments: against sums over samples in exact arithmetic, whatever the offset and the blocks."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from spanmatch import GramMatrix
from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.deviations import deviations
from spanmatch.matching.row_moments import RowMoments


def exact(x, y):
    """Return the sums about the mean, of fractions: an array of (Σ|x|²|y|², Σ|x|², Σ|y|²) and two vectors."""
    x, y = (np.array([[Fraction(float(v)) for v in row] for row in side], dtype=object) for side in (x, y))
    x, y = x - x.sum(axis=0) / len(x), y - y.sum(axis=0) / len(y)
    of_x, of_y = (x * x).sum(axis=1), (y * y).sum(axis=1)
    return np.array([of_x @ of_y, of_x.sum(), of_y.sum()]), of_y @ x, of_x @ y


def errors(rows, x, y):
    """Return the largest error of each sum, relative to that of absolute values."""
    sums, weighted_x, weighted_y = exact(x, y)
    shares = [abs(float((Fraction(float(a)) - b) / (b or 1))) for a, b in zip(rows.sums, sums, strict=True)]
    for found, expected, of_own, of_other in (
        (rows.weighted_x, weighted_x, 1, 2),
        (rows.weighted_y, weighted_y, 2, 1),
    ):
        least = np.sqrt(float(sums[0])) * np.sqrt(float(sums[of_other])) + np.sqrt(float(sums[of_own]))
        shares.append(max(abs(float(Fraction(float(a)) - b)) for a, b in zip(found, expected, strict=True)))
        shares[-1] /= least or 1
    return max(shares)


def comoments(x, y):
    total = CoMoments.zeros(x.shape[1], y.shape[1])
    total.update(deviations(x), deviations(y))
    return total


def drawn(seed, samples, offset, dtype):
    rng = np.random.default_rng(seed)
    n_x, n_y = rng.integers(1, 5, 2)
    x, y = (rng.standard_normal((samples, n)) + offset * rng.uniform(0.5, 2, n) for n in (n_x, n_y))
    x[:, :1] += y[:, :1]
    return x.astype(dtype), y.astype(dtype)


def of_parts(x, y, ends, pieces):
    parts = []
    for start, end in pairwise(ends):
        rows = RowMoments.zeros(x.shape[1], y.shape[1])
        cuts = np.linspace(start, end, pieces + 1).astype(int)
        for a, b in pairwise(cuts):
            rows.update(x[a:b], y[a:b])
        parts.append((rows, comoments(x[start:end], y[start:end])))
    return parts


@examples(150)
@given(
    seed=st.integers(0, 2**32 - 1),
    samples=st.sampled_from([1, 2, 3, 20, 60]),
    offset=st.sampled_from([0.0, 1.0, 1e6]),
    dtype=st.sampled_from(["float64", "float32"]),
    cuts=st.lists(st.integers(1, 59), max_size=4),
    pieces=st.integers(1, 3),
)
def test_merged_sums_are_those_of_exact_arithmetic(seed, samples, offset, dtype, cuts, pieces):
    x, y = drawn(seed, samples, offset, dtype)
    ends = sorted({0, samples, *(cut for cut in cuts if cut < samples)})
    rows = RowMoments.merged(of_parts(x, y, ends, pieces))
    assert errors(rows, x, y) < 1e-11
    assert rows.n_samples == samples


@examples(60)
@given(seed=st.integers(0, 2**32 - 1), offset=st.sampled_from([0.0, 1e6]), samples=st.integers(1, 50))
def test_sums_of_samples_whose_mean_is_known_need_no_merge(seed, offset, samples):
    x, y = drawn(seed, samples, offset, "float64")
    own_x, own_y, both = GramMatrix.from_activations(x, y, rows=True).rows
    assert max(errors(own_x, x, x), errors(own_y, y, y), errors(both, x, y)) < 1e-11
    cross = comoments(x, y)
    shuffled = y[np.random.default_rng(seed).permutation(samples)]
    rows = RowMoments.about(cross.mean_x, cross.mean_y)
    for start in range(0, samples, 7):
        rows.update(x[start : start + 7], shuffled[start : start + 7])
    assert errors(rows, x, shuffled) < 1e-11


def test_parts_with_means_that_lie_far_apart_are_merged_without_loss():
    x, y = drawn(1, 60, 1.0, "float64")
    x[20:40] += 1e3
    y[30:] -= 1e3
    assert errors(RowMoments.merged(of_parts(x, y, [0, 20, 30, 40, 60], 1)), x, y) < 1e-13
    nested = of_parts(x, y, [0, 20, 30, 40, 60], 1)
    once = [(RowMoments.merged(nested[:2]), nested[0][1] + nested[1][1])]
    assert errors(RowMoments.merged(once + nested[2:]), x, y) < 1e-13


def test_sums_of_a_layer_with_itself_are_those_of_two_equal_ones():
    x, _ = drawn(2, 3000, 1e3, "float32")
    same, copy = RowMoments.zeros(x.shape[1], x.shape[1]), RowMoments.zeros(x.shape[1], x.shape[1])
    same.update(x, x)
    copy.update(x, x.copy())
    np.testing.assert_allclose(same.sums, copy.sums, rtol=1e-14)
    np.testing.assert_array_equal(same.weighted_x, same.weighted_y)
    np.testing.assert_allclose(same.weighted_y, copy.weighted_y, rtol=1e-11)


def test_a_wide_layer_is_summed_in_slabs_of_rows():
    x, y = np.random.default_rng(0).standard_normal((2, 300, 2000))
    _, _, rows = GramMatrix.from_activations(x, y[:, :3], rows=True).rows
    x, y = x - x.mean(axis=0), y[:, :3] - y[:, :3].mean(axis=0)
    assert rows.sums[0] == pytest.approx(((x**2).sum(axis=1) * (y**2).sum(axis=1)).sum(), rel=1e-13)


def test_kept_parts_are_the_same_row_moments():
    x, y = drawn(3, 40, 1.0, "float64")
    names = ("sums", "weighted_x", "weighted_y", "centre_x", "centre_y", "n_samples")
    first = RowMoments.zeros(x.shape[1], y.shape[1])
    first.update(x[:20], y[:20])
    again = RowMoments.from_parts(*(getattr(first, name) for name in names))
    first.update(x[20:], y[20:])
    again.update(x[20:], y[20:])
    for name in names:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert "n_samples=40" in repr(again)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sums": np.zeros(2)}, r"^`sums` must have shape \(3,\), got \(2,\)"),
        ({"centre_x": np.zeros((2, 4))}, r"^`centre_x` must have shape \(2, 3\), got \(2, 4\)"),
        ({"weighted_y": np.full(2, np.nan)}, "^`weighted_y` must be finite"),
        ({"n_samples": -1}, "^`n_samples` must be at least 0, got -1"),
    ],
)
def test_kept_parts_that_do_not_fit_are_refused(changed, message):
    kept = {
        "sums": np.zeros(3),
        "weighted_x": np.zeros(3),
        "weighted_y": np.zeros(2),
        "centre_x": np.zeros((2, 3)),
        "centre_y": np.zeros((2, 2)),
        "n_samples": 0,
    }
    with pytest.raises(ValueError, match=message):
        RowMoments.from_parts(**{**kept, **changed})
    with pytest.raises(TypeError, match=r"^`sums` must be float64"):
        RowMoments.from_parts(**{**kept, "sums": np.zeros(3, dtype=np.float32)})


def test_blocks_that_do_not_fit_are_refused_and_change_nothing():
    x, y = drawn(4, 30, 1.0, "float64")
    rows = RowMoments.zeros(x.shape[1], y.shape[1])
    rows.update(x, y)
    before = rows.sums.copy()
    with pytest.raises(ValueError, match=r"^`x` and `y` must be blocks of equally many samples"):
        rows.update(x[:3], y)
    for value in (np.nan, np.inf, 1e160):
        broken = x.copy()
        broken[3, 0] = value
        with pytest.raises(ValueError, match=r"^`x` and `y` must be finite, and small enough"):
            rows.update(broken, y)
    np.testing.assert_array_equal(rows.sums, before)
    assert rows.n_samples == 30


def test_parts_to_merge_must_be_of_the_same_samples():
    x, y = drawn(5, 30, 1.0, "float64")
    (part,) = of_parts(x, y, [0, 30], 1)
    with pytest.raises(ValueError, match=r"^`parts` must hold at least one"):
        RowMoments.merged([])
    with pytest.raises(ValueError, match=r"^`parts` must be of .* over the same samples, got"):
        RowMoments.merged([(part[0], comoments(x[:20], y[:20]))])
    nothing = RowMoments.zeros(2, 3), CoMoments.zeros(2, 3)
    assert RowMoments.merged([nothing]).n_samples == 0
