"""The null, beside the same computed from permuted activations; how often it is cleared, and by what."""

import warnings

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from layers import (
    CCA,
    KINDS,
    MEAN_CRITICAL_EPSILON,
    flat,
    independent,
    shared_subspace,
)

from spanmatch import GramMatrix, TooFewSamplesWarning, match_profile, null, permutation
from spanmatch.measures import MEASURES, Evidence, Measure, evaluate
from spanmatch.statistics import PermutedCoMoments, permuted_comoments, sample_order, significance
from spanmatch.statistics.nulls import null_row
from spanmatch.statistics.quantities import Quantity

pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")


def plain_order(groups, taken, names):
    """Which sample takes the place of each, image by image."""
    rows = {name: np.flatnonzero(groups == name) for name in names}
    order = np.empty(len(groups), dtype=int)
    for image, other in enumerate(taken):
        order[rows[names[image]]] = rows[names[other]]
    return order


@st.composite
def grouped_layers(draw):
    """Layers with something in common, of images with 1 to 3 positions, which need not be neighbours."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = np.array([f"image {number}" for number in rng.permutation(30)])
    counts = rng.choice([2, 3], 30) if draw(st.booleans()) else np.full(30, rng.integers(1, 4))
    groups = np.repeat(names, counts)
    if draw(st.booleans()):
        groups = rng.permutation(groups)
    offset = draw(st.sampled_from([0.0, 2.0, 1e6]))
    common = rng.standard_normal((len(groups), 2))
    x, y = (
        common @ rng.standard_normal((2, n)) + 0.5 * rng.standard_normal((len(groups), n)) + offset
        for n in (3, 4)
    )
    dtype = np.float64 if offset == 1e6 else draw(st.sampled_from([np.float32, np.float64]))
    return x.astype(dtype), y.astype(dtype), groups, rng


@examples(30)
@given(drawn=grouped_layers(), seed=st.integers(0, 100), centre=st.sampled_from(["raw", "mean"]))
def test_the_null_is_that_of_permuted_activations(drawn, seed, centre):
    x, y, groups, rng = drawn
    found = null(
        x, y, groups=groups, permutations=3, level=0.3, seed=seed, centre=centre,
        measures=["linear-cka", MEAN_CRITICAL_EPSILON], epsilons=[0.5],
    )  # fmt: skip
    names, counts = np.unique(groups, return_counts=True)
    for number, under in enumerate(found.permuted):
        taken = permutation(names, seed=seed, number=number, within=counts)
        gram = GramMatrix.from_activations(x, y[plain_order(groups, taken, names)])
        profile = match_profile(gram.centred if centre == "mean" else gram)
        for side in "xy":
            np.testing.assert_allclose(getattr(under, side), getattr(profile, side), atol=1e-7)
            bounds, other = getattr(under, f"{side}_bounds"), getattr(profile, f"{side}_bounds")
            assert (bounds[:, 0] <= other[:, 1]).all()
            assert (other[:, 0] <= bounds[:, 1]).all()
        expected = evaluate(MEASURES["linear-cka"], Evidence(gram))
        assert found.row("linear-cka").null[number] == pytest.approx(expected, abs=1e-9)
        assert found.row("maximum-match", 0.5).null[number] == pytest.approx(under.similarity(0.5))
    whole = GramMatrix.from_activations(x, y)
    assert found.profile.x.tolist() == match_profile(whole.centred if centre == "mean" else whole).x.tolist()
    # in chunks that cut images, and in another order of images
    cuts = np.sort(rng.integers(0, len(x), 3))
    chunks = list(zip(*(np.split(each, cuts) for each in (x, y, groups)), strict=True))
    chunks = [chunk for chunk in chunks if len(chunk[0])]
    again = null(
        chunks, permutations=3, level=0.3, seed=seed, centre=centre, measures=["linear-cka"],
        epsilons=[0.5],
    )  # fmt: skip
    np.testing.assert_allclose(again.row("linear-cka").null, found.row("linear-cka").null, atol=1e-9)
    for one, other in zip(again.permuted, found.permuted, strict=True):
        np.testing.assert_allclose(one.x, other.x, atol=1e-7)


@examples(20)
@given(seed=st.integers(0, 2**32 - 1), positions=st.integers(1, 5), offset=st.sampled_from([0.0, 1e5]))
def test_permuted_comoments_are_those_of_permuted_images_however_they_are_cut(seed, positions, offset):
    rng = np.random.default_rng(seed)
    x, y = (
        (rng.standard_normal((40, positions, n)) + offset).astype(np.float32 if seed % 2 else np.float64)
        for n in (3, 4)
    )
    orders = [rng.permutation(40) for _ in range(3)]
    gram = GramMatrix.from_activations(x.reshape(-1, 3), y.reshape(-1, 4))
    own_x, own_y, _ = gram.comoments
    together = permuted_comoments(x, y, orders, own_x=own_x, own_y=own_y)
    apart = PermutedCoMoments(own_x, own_y, 3)
    for part in np.array_split(np.arange(40), 6):
        apart.update(x[part], y, np.stack(orders)[:, part])
    samples = np.repeat(np.arange(40), positions)
    flat_orders = [sample_order(samples, order) for order in orders]
    rows = permuted_comoments(x.reshape(-1, 3), y.reshape(-1, 4), flat_orders, own_x=own_x, own_y=own_y)
    for number, order in enumerate(orders):
        columns = (x.reshape(-1, 3), y[order].reshape(-1, 4))
        less = [column.astype(float) - column.astype(float).mean(axis=0) for column in columns]
        expected = less[0].T @ less[1]
        scale = np.sqrt(np.outer(own_x.products.diagonal(), own_y.products.diagonal()))
        for found in (together[number], apart.comoments[number], rows[number]):
            assert np.abs(found.products - expected).max() <= 1e-9 * scale.max()
            moved = np.abs(found.products - together[number].products)
            assert (moved <= 2 * found.roundings * 2.0**-53 * scale).all()
            GramMatrix.from_comoments(own_x, own_y, found)


def p_values(kind, runs, centre, together=True, seed=0, images=30):
    """The p of independent layers by each statistic, (runs, statistics)."""
    found = []
    for run in range(runs):
        rng = np.random.default_rng([seed, KINDS.index(kind), run])
        x, y = independent(kind, rng, images=images, positions=16 if kind == "maps" else 1, n_x=3, n_y=3)
        (x, groups), (y, _) = flat(x), flat(y)
        result = null(
            x, y, groups=groups if together else None, permutations=19, seed=run, centre=centre,
            measures=[MEAN_CRITICAL_EPSILON, "linear-cka", CCA], epsilons=[0.95 if centre == "mean" else 0.4],
        )  # fmt: skip
        found.append([row.p for row in result.rows])
    return np.array(found)


@pytest.mark.draws
@pytest.mark.parametrize("centre", ["raw", "mean"])
def test_independent_layers_are_found_alike_as_often_as_the_level_says(centre):
    p = np.concatenate([p_values(kind, 50, centre) for kind in KINDS])
    similarity, *others = (p <= 0.05).mean(axis=0)
    # most similarities of independent layers tie at 0, which makes their p larger
    assert similarity <= 0.08
    assert all(0.02 <= share <= 0.08 for share in others), others
    assert (np.abs(p[:, 1:].mean(axis=0) - 0.525) < 0.06).all()


@pytest.mark.draws
def test_positions_that_are_not_kept_together_find_independent_maps_alike():
    similar = (p_values("maps", 25, "mean", together=False) <= 0.05).mean(axis=0)[1:]
    assert (similar > 0.5).all(), similar


@pytest.mark.draws
def test_a_shared_subspace_of_a_tenth_of_the_variance_is_found():
    for run in range(4):
        x, y = shared_subspace(np.random.default_rng(run), 1000)
        found = null(
            x, y, permutations=19, seed=run, centre="mean",
            measures=[MEAN_CRITICAL_EPSILON, "linear-cka"], epsilons=[0.5],
        )  # fmt: skip
        assert found.row("mean-critical").cleared
        assert found.row("linear-cka").cleared
        assert found.row("linear-cka").calibrated > 0
        assert not found.row("maximum-match", 0.5).cleared


def made(**options):
    rng = np.random.default_rng(0)
    common = rng.standard_normal((60, 2))
    x, y = (common @ rng.standard_normal((2, 4)) + 0.1 * rng.standard_normal((60, 4)) for _ in range(2))
    return null(x, y, **options)


def test_the_match_is_tested_at_every_epsilon_and_for_every_neuron():
    found = made(epsilons=[0.3], measures=["linear-cka"])
    test = found.similarity_test(0.3)
    row = found.row("maximum-match", 0.3)
    for name in ("value", "null_mean", "threshold", "p", "calibrated", "permutations", "level"):
        assert getattr(test, name) == getattr(row, name)
    assert row.cleared
    epsilons, similarities, under = found.curve()
    assert under.shape == (20, len(epsilons))
    for place in range(0, len(epsilons), 11):
        assert similarities[place] == found.profile.similarity(epsilons[place])
        assert under[5, place] == found.permuted[5].similarity(epsilons[place])
    for side, p in zip("xy", found.critical_p, strict=True):
        null_values = np.array([getattr(each, side) for each in found.permuted])
        observed = getattr(found.profile, side)
        expected = [
            significance.p_value(observed[neuron], null_values[:, neuron], higher=False)
            for neuron in range(4)
        ]
        assert p.tolist() == expected
    assert found.sentence("maximum-match", 0.3) == (
        f"maximum match similarity at ε = 0.3 (raw) is {row.value:.3g} and clears its null: "
        f"{row.null_mean:.3g} on average, p = 0.0476 with 20 permutations."
    )


def test_what_is_undefined_is_said():
    nothing = Measure("nothing", 1, frozenset({"comoments"}), lambda *_: np.nan, "nothing", "", "")
    found = made(measures=[nothing], epsilons=[])
    assert (found.row("nothing").p, found.row("nothing").cleared) == (None, False)
    assert found.sentence("nothing") == "nothing (mean) is undefined: it is not a number."
    row = null_row(Quantity(nothing), "raw", 0.5, (0.1, None) * 10, 0.05)
    assert (row.value, row.p, row.reason) == (0.5, None, "undefined in 10 of 20 permutations")


def test_constant_neurons_are_dead_where_means_are_subtracted():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 50, 3))
    x[:, 1] = 0.7
    found = null(x, y, centre="mean", measures=["linear-cka"])
    assert np.isinf([found.profile.x[1], *(each.x[1] for each in found.permuted)]).all()
    assert found.critical_p[0][1] == 1
    assert found.row("linear-cka").p is not None


def test_a_warning_is_given_once_for_all_permutations():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        null(*rng.standard_normal((2, 6, 6)), epsilons=[], permutations=4, level=0.2)
    assert [each.category for each in caught] == [TooFewSamplesWarning]
    assert caught[0].filename == __file__


A = np.random.default_rng(0).standard_normal((12, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: null(A, A, permutations=18), "`permutations` must be at least 19 for a p of 0.05, got 18:"),
        (
            lambda: null(A, A, permutations=20, level=0.01),
            "`permutations` must be at least 99 for a p of 0.0",
        ),
        (
            lambda: null(A, A),
            "`permutations` must be below the number of samples, 12, got 20; use more samples",
        ),
        (lambda: null(A, A, permutations="20"), "`permutations` must be a whole number, got '20'; 20 are"),
        (lambda: null(A, A, level=2), "`level` must be between 0 and 1, got 2; 0.05 is the usual level"),
        (lambda: null(A, A, groups=[0, 1]), "`groups` must cover the samples, one for each of 12, got shape"),
        (
            lambda: null(A, A, groups=[0] * 12),
            "`groups` must have equally many samples as another one for at",
        ),
        (lambda: null(A, A, groups=[0] + [1] * 2 + [2] * 3 + [3] * 6), "`groups` must have equally many"),
        (lambda: null(A, A, centre="both"), '`centre` must be "raw" or "mean", got \'both\'; "raw" compares'),
        (lambda: null(A, A, measures=["alike"]), "`measures` must be one of: maximum-match, "),
        (lambda: null(A), "`x` must hold chunks (x, y, groups) where there is no `y`, got ndarray; pass `y`"),
        (lambda: null(iter([A])), "`x` must be chunks that can be gone through twice where there is no `y`"),
        (lambda: null([(A, A, range(12))], groups=range(12)), "`groups` must be left out where chunks have"),
        (lambda: null([(A, A, range(11))]), "`groups` must cover the samples, one for each of 12, got shape"),
        (lambda: null([]), "`x` must hold at least one sample, got none; pass activations"),
        (lambda: null(A, A[:-1]), "`x` and `y` must have equally many samples, got 12 and 11; rows are"),
        (lambda: sums().comoments, "`x` must have been added as a whole, 12 samples, got 0; `update` with"),
        (
            lambda: sums().update(A, A[:, :1], np.zeros((2, 12), int)),
            "`x` and `y` must be of 2 and 2 neurons",
        ),
        (
            lambda: sums().update(A, A, np.zeros((2, 11), int)),
            "`taken` must have shape (2, 12), permutations",
        ),
    ],
)
def test_bad_input_is_answered_in_one_sentence(call, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(message)
    assert str(caught.value).count(". ") == 0


def sums():
    own, _, _ = GramMatrix.from_activations(A, A).comoments
    return PermutedCoMoments(own, own, 2)
