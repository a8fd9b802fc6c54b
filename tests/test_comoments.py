"""Centred co-moments: within their certificate of exact arithmetic, whatever the offset and the order."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from spanmatch import GramMatrix, TooFewSamplesWarning, match_profile, offset_neurons, relative_residuals
from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.deviations import BLOCK_SAMPLES, GROUP_SAMPLES, blocks, deviations

pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")
HALF_UNIT = Fraction(1, 2**53)


def own(x):
    """Co-moments of a layer with itself."""
    total = CoMoments.zeros(x.shape[1], x.shape[1])
    for block in blocks(x):
        of_block = deviations(block)
        total.update(of_block, of_block)
    return total


def between(x, y):
    total = CoMoments.zeros(x.shape[1], y.shape[1])
    for x_block, y_block in zip(blocks(x), blocks(y), strict=True):
        total.update(deviations(x_block), deviations(y_block))
    return total


def exact_moments(x, y, centred=True):
    """Co-moments as fractions, or inner products."""
    x, y = ([[Fraction(float(v)) for v in column] for column in side.T] for side in (x, y))
    means = len(x[0]) if centred else 0
    return [
        [
            sum(v * w for v, w in zip(a, b, strict=True)) - (sum(a) * sum(b) / means if centred else 0)
            for b in y
        ]
        for a in x
    ]


def worst(found, x, roundings, centred=True):
    """Largest error of entries as a share of what is allowed, squared."""
    exact = exact_moments(x, x, centred)
    shares = [Fraction(0)]
    for i, row in enumerate(exact):
        for j, value in enumerate(row):
            error, lengths = Fraction(float(found[i, j])) - value, exact[i][i] * exact[j][j]
            if lengths == 0:
                assert error == 0
            elif min(exact[i][i], exact[j][j]) > Fraction(1, 10**290):  # below, products underflow
                shares.append(error**2 / (lengths * (roundings * HALF_UNIT) ** 2))
    return max(shares)


def hard_layer(rng, samples, offset, scale, kind):
    """Four neurons: one constant, and three that vary around an offset."""
    if kind == "normal":
        varying = rng.standard_normal((samples, 3))
    elif kind == "steps":  # blocks with very different means
        varying = rng.standard_normal((samples, 3)) + 100 * rng.integers(0, 3, (samples, 1))
    elif kind == "once":  # one sample that deviates
        varying = np.zeros((samples, 3))
        varying[rng.integers(samples), :] = rng.uniform(0.5, 2, 3)
    else:  # the last bits of the offset
        varying = rng.integers(-1, 2, (samples, 3)) * np.spacing(max(offset, 1.0))
    constant = np.full((samples, 1), rng.uniform(0.5, 2))
    return scale * (np.hstack((varying, constant)) + offset)


@examples(120)
@given(
    seed=st.integers(0, 10**6),
    samples=st.sampled_from([1, 2, 7, 40, 127, 128, 129, 300]),
    offset=st.sampled_from([0.0, 3.0, 1e6, 1e9, 1e12]),
    scale=st.sampled_from([1.0, 1e-150, 1e138]),
    kind=st.sampled_from(["normal", "steps", "once", "bits"]),
    cuts=st.lists(st.integers(0, 300), max_size=5),
    dtype=st.sampled_from(["float64", "float64", "float32", "float16"]),
    tree=st.booleans(),
)
def test_errors_are_within_what_is_said(seed, samples, offset, scale, kind, cuts, dtype, tree):
    if dtype != "float64":
        offset, scale = min(offset, 300.0 if dtype == "float16" else 1e6), 1.0
    x = hard_layer(np.random.default_rng(seed), samples, offset, scale, kind).astype(dtype)
    ends = sorted({0, samples, *(cut for cut in cuts if cut < samples)})
    parts = [GramMatrix.from_activations(x[a:b, :2], x[a:b, 2:]) for a, b in pairwise(ends)]
    while len(parts) > 1:
        parts = [*parts[2:], parts[0] + parts[1]] if tree else [parts[0] + parts[1], *parts[2:]]
    gram = parts[0]
    assert worst(gram.centred.matrix, x, gram.centred.roundings) <= 1
    assert worst(gram.matrix, x, gram.roundings, centred=False) <= 1
    assert gram.centred.dead_y.tolist()[-1:] == [1]


@pytest.mark.parametrize("kind", ["normal", "steps", "once", "bits"])
@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9, 1e12])
def test_means_err_by_few_roundings_of_a_deviation(kind, offset):
    for seed, samples in enumerate((2, 25, 60, 128, 129, 700)):
        x = hard_layer(np.random.default_rng(seed), samples, offset, 1.0, kind)
        found = deviations(x)
        for column, shift, rest in zip(x.T, found.shift, found.remainder, strict=True):
            values = [Fraction(float(v)) for v in column]
            mean = sum(values) / samples
            squares = sum((v - mean) ** 2 for v in values) / samples
            error = Fraction(float(shift)) + Fraction(float(rest)) - mean
            assert error**2 <= squares * (17 * HALF_UNIT) ** 2


@pytest.mark.parametrize("kind", ["normal", "steps", "once", "bits"])
@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
def test_one_sample_at_a_time_errs_no_more_than_is_said(kind, offset):
    x = hard_layer(np.random.default_rng(1), 200, offset, 1.0, kind)
    gram = GramMatrix.zeros(2, 2)
    for row in x:
        gram.update(row[None, :2], row[None, 2:])
    assert worst(gram.centred.matrix, x, gram.centred.roundings) <= 1
    assert worst(gram.matrix, x, gram.roundings, centred=False) <= 1


@pytest.mark.parametrize(("offset", "dtype"), [(1e6, "float64"), (1e12, "float64"), (1e4, "float32")])
def test_centred_critical_epsilons_are_those_of_centred_activations(offset, dtype):
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 3000, 5))
    x[:, 2:] = y[:, :3] + 0.3 * x[:, 2:]
    x, y = ((side + offset).astype(dtype) for side in (x, y))
    long = [side.astype(np.longdouble) for side in (x, y)]
    expected = match_profile(
        GramMatrix.from_activations(*((side - side.mean(axis=0)).astype(np.float64) for side in long))
    )
    gram = GramMatrix.from_activations(x, y)
    profile = match_profile(gram.centred)
    np.testing.assert_allclose(profile.x, expected.x, rtol=0, atol=1e-9)
    np.testing.assert_allclose(profile.y, expected.y, rtol=0, atol=1e-9)
    assert np.diff(profile.x_bounds).max() < 1e-9
    assert match_profile(gram).similarity(1e-3) == 1
    assert offset_neurons(gram).size == 10
    assert not offset_neurons(gram.centred)


@pytest.mark.parametrize("value", [0.1, -7.3e11, 1e-5, 0.0])
def test_constant_neurons_are_dead_without_their_mean_after_any_merges(value):
    x = np.full((5 * BLOCK_SAMPLES + 77, 2), value)
    grams = [GramMatrix.from_activations(x, x[:, :1])]
    grams += [GramMatrix.from_activations(x[:rows], x[:rows, :1]) for rows in (1, 3, 77, 1000)]
    total = grams[0]
    for gram in grams[1:]:
        total = total + gram
    assert not total.centred.matrix.any()
    assert total.centred.dead_x.size == 2
    np.testing.assert_array_equal(total.sums, np.full(3, value * total.n_samples))


@pytest.mark.parametrize("samples", [1, 2, 7, 200, 1000])
@pytest.mark.parametrize("n", [1, 2, 9, 40, 200])
def test_a_layer_with_itself_is_symmetric_to_the_last_bit(samples, n):
    rng = np.random.default_rng(n)
    total = own(rng.standard_normal((samples, n))) + own(5 + rng.standard_normal((samples, n)))
    np.testing.assert_array_equal(total.products, total.products.T)
    np.testing.assert_array_equal(total.uncentred(), total.uncentred().T)


def test_parts_have_the_same_bits_as_the_gram_matrix_of_a_pair():
    rng = np.random.default_rng(3)
    x, y = (3 + rng.standard_normal((BLOCK_SAMPLES + 500, n)).astype(np.float32) for n in (20, 7))
    whole = GramMatrix.from_activations(x, y)
    gram = GramMatrix.from_comoments(own(x), own(y), between(x, y))
    for one, other in ((gram, whole), (gram.centred, whole.centred)):
        np.testing.assert_array_equal(one.matrix, other.matrix)
        np.testing.assert_array_equal(one.sums, other.sums)
        assert (one.n_samples, one.roundings) == (other.n_samples, other.roundings)
    gram.update(x, y)
    assert gram.n_samples == 2 * len(x)


def test_layouts_and_what_is_written_over_change_no_bit():
    x = np.random.default_rng(4).standard_normal((700, 6))
    expected = deviations(x)
    longer = deviations(np.full((900, 6), 5.0))
    spaced = np.zeros((1400, 12))
    spaced[::2, ::2] = x
    for block, out in (
        (np.asfortranarray(x), None),
        (spaced[::2, ::2], None),
        (x, longer.filled),
        (x, x[:9]),
    ):
        found = deviations(block, out)
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_array_equal(found.shift + found.remainder, expected.shift + expected.remainder)
    assert len(expected.values) == 700 + -(-700 // GROUP_SAMPLES)


def test_kept_comoments_are_the_same_and_go_on():
    x, y = np.random.default_rng(5).standard_normal((2, 300, 4))
    one = between(x, y)
    again = CoMoments.from_parts(one.products, one.mean_x, one.mean_y, one.n_samples, one.roundings)
    other = between(y, x)
    for found, expected in ((again, one), (again + other, one + other), (again + CoMoments.zeros(4, 4), one)):
        np.testing.assert_array_equal(found.products, expected.products)
        np.testing.assert_array_equal(found.mean_x, expected.mean_x)
        assert (found.n_samples, found.roundings) == (expected.n_samples, expected.roundings)


def test_what_does_not_belong_together_is_refused():
    x, y = np.random.default_rng(6).standard_normal((2, 300, 4))
    whole = own(x), own(y), between(x, y)
    with pytest.raises(ValueError, match="`x`, `y` and `xy` must be of the same samples, got "):
        GramMatrix.from_comoments(whole[0] + whole[0], *whole[1:])
    with pytest.raises(ValueError, match="`y` and `xy` must be of the same samples, got means that differ"):
        GramMatrix.from_comoments(whole[0], own(y + 1e-9), whole[2])
    with pytest.raises(ValueError, match="`x`, `y` and `xy` must be of n_x by n_x"):
        GramMatrix.from_comoments(whole[0], own(y[:, :3]), whole[2])
    with pytest.raises(ValueError, match="must be of as many neurons to be added"):
        whole[0] + own(x[:, :3])
    with pytest.raises(
        ValueError, match="must be blocks of equally many samples, of 4 and 4 neurons, got 300"
    ):
        whole[0].update(deviations(x), deviations(x[:299]))
    parts = {"products": np.eye(2), "mean_x": np.zeros((2, 2)), "mean_y": np.zeros((2, 2)), "n_samples": 3}
    for change, message in (
        ({"products": np.eye(3)}, r"`mean_x` must have shape \(2, 3\)"),
        ({"products": np.ones(2)}, "`products` must be two-dimensional"),
        ({"mean_y": np.full((2, 2), np.inf)}, "`mean_y` must be finite"),
        ({"n_samples": -1}, "`n_samples` must be at least 0, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            CoMoments.from_parts(**parts | change, roundings=3)


def test_a_matrix_that_was_kept_uncentred_says_how_many_digits_it_lost():
    rng = np.random.default_rng(7)
    for offset in (0.0, 10.0, 1e3, 1e5, 1e8):
        x = rng.standard_normal((200, 4)) + offset * np.array([1, 1, 0, 1])
        x[:, 3] = 2.5
        whole = GramMatrix.from_activations(x[:, :2], x[:, 2:])
        kept = GramMatrix.from_parts(whole.matrix, whole.sums, 200, 2, whole.roundings)
        more = GramMatrix.from_activations(x[::-1, :2], x[::-1, 2:])
        for gram, rows in ((kept, x), (kept + more, np.vstack((x, x)))):
            live = np.flatnonzero(gram.centred.norms)
            assert 3 not in live
            assert (live.size == 3) == (offset < 1e6)
            found = gram.centred.matrix[np.ix_(live, live)]
            assert worst(found, rows[:, live], gram.centred.roundings) <= 1
            profile = match_profile(gram.centred)
            assert np.isfinite(profile.x_bounds[profile.x <= 1]).all()
        if offset == 1e5:
            assert kept.centred.roundings > 1e9 * kept.roundings
            assert np.all(relative_residuals(kept.centred, onto="y") <= 1)


def test_too_few_samples_are_one_more_without_means():
    x, y = np.random.default_rng(8).standard_normal((2, 6, 5))
    gram = GramMatrix.from_activations(x, y)
    assert (gram.degrees_of_freedom, gram.centred.degrees_of_freedom) == (6, 5)
    match_profile(gram)
    with pytest.warns(
        TooFewSamplesWarning, match=r"6 samples \(5 without .* rank 5 \+ 5.*at least 7 samples"
    ):
        match_profile(gram.centred)
    assert (gram.centred + gram.centred).degrees_of_freedom == 10
    assert gram.centred.centred.degrees_of_freedom == 5
    assert GramMatrix.zeros(2, 2).centred.degrees_of_freedom == 0
