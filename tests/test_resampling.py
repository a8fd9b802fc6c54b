"""Folds of images, and what jackknife and growth make of them, beside the same computed from activations."""

import re
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from layers import CCA, MEAN_CRITICAL_EPSILON

from spanmatch import (
    GramMatrix,
    MissingExtraError,
    TooFewSamplesWarning,
    fold_grams,
    growth,
    held_out,
    jackknife,
    jackknife_error,
    match_profile,
    null,
    verdict,
)
from spanmatch.measures import MEASURES, Evidence, Measure, evaluate, measure_named
from spanmatch.statistics import each_without, first, whole, without

# Drawn layers are small, and one neuron near its own mean is a tenth of them.
pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")

UNDEFINED = Measure("nothing", 1, frozenset({"comoments"}), lambda *_: np.nan, "nothing", "", "")
ONCE_UNDEFINED = Measure(
    "seldom",
    1,
    frozenset({"comoments"}),
    lambda evidence, _: 0.5 if evidence.gram.n_samples > 110 else np.nan,
    "seldom",
    "",
    "",
)


def pair(seed=0, images=40, positions=3, n_x=5, n_y=6, offset=0.0):
    """A pair of layers with something in common, and the image of each sample."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((images * positions, 3))
    x, y = (
        common @ rng.standard_normal((3, count))
        + 0.3 * rng.standard_normal((images * positions, count))
        + offset
        for count in (n_x, n_y)
    )
    return x, y, np.repeat(np.arange(images), positions)


@examples(30)
@given(seed=st.integers(0, 2**32 - 1), folds=st.integers(2, 9), centre=st.sampled_from(["raw", "mean"]))
def test_jackknife_and_growth_are_those_of_the_activations_that_are_left(seed, folds, centre):
    x, y, groups = pair(seed, offset=1.0)
    fold = groups % folds
    grams = fold_grams(x, y, groups=groups, folds=folds)
    measures = [MEAN_CRITICAL_EPSILON, "linear-cka", CCA]
    found = jackknife(grams, measures=measures, epsilons=[0.3, 0.5], centre=centre)
    grown = growth(grams, measures=measures, epsilons=[0.3, 0.5], centre=centre, images=[1] * folds)

    def of(samples):
        gram = GramMatrix.from_activations(x[samples], y[samples])
        profile = match_profile(gram.centred if centre == "mean" else gram)
        evidence = Evidence(gram, profile)
        values = [profile.similarity(0.3), profile.similarity(0.5)]
        chosen = [MEAN_CRITICAL_EPSILON, measure_named("linear-cka"), CCA]
        return [*values, *(evaluate(measure, evidence) for measure in chosen)], profile

    left, profiles = zip(*(of(fold != place) for place in range(folds)), strict=True)
    np.testing.assert_allclose([row.error for row in found.rows], jackknife_error(left), atol=1e-9)
    value, profile = of(fold >= 0)
    np.testing.assert_allclose([row.value for row in found.rows], value, atol=1e-9)
    mean = np.mean(left, axis=0)
    np.testing.assert_allclose([row.bias for row in found.rows], (folds - 1) * (mean - value), atol=1e-8)
    for side, errors in zip("xy", found.critical_errors, strict=True):
        expected = jackknife_error([getattr(each, side) for each in profiles])
        np.testing.assert_allclose(errors, expected, atol=1e-9)
    assert found.similarity_error(0.3) == pytest.approx(found.row("maximum-match", 0.3).error)
    epsilons, similarities, errors = found.curve()
    for place in range(0, len(epsilons), 7):
        assert similarities[place] == found.profile.similarity(epsilons[place])
        assert errors[place] == pytest.approx(found.similarity_error(epsilons[place]))
    np.testing.assert_allclose(found.profile.x, profile.x, atol=1e-9)
    so_far, _ = zip(*(of(fold < count) for count in range(1, folds + 1)), strict=True)
    np.testing.assert_allclose([row.values for row in grown.rows], np.transpose(so_far), atol=1e-9)
    assert grown.images == tuple(range(1, folds + 1))
    assert [row.verdict for row in grown.rows] == [
        verdict(grown.images, row.values, row.error) for row in grown.rows
    ]
    assert [row.error for row in grown.rows] == [row.error for row in found.rows]


@examples(100)
@given(seed=st.integers(0, 2**32 - 1), folds=st.integers(2, 6))
def test_folds_have_each_image_once_in_the_order_in_which_they_come(seed, folds):
    rng = np.random.default_rng(seed)
    groups = np.concatenate((rng.permutation(folds), rng.integers(0, 12, 20)))
    x = rng.standard_normal((len(groups), 2))
    seen = list(dict.fromkeys(groups.tolist()))
    expected = [[seen.index(each) % folds for each in groups.tolist()].count(fold) for fold in range(folds)]
    for names in (groups, np.array([f"image {each}" for each in groups])):
        grams = fold_grams(x, x, groups=names, folds=folds)
        assert [gram.n_samples for gram in grams] == expected
    total = GramMatrix.from_activations(x, x)
    np.testing.assert_allclose(whole(grams).matrix, total.matrix, atol=1e-12)
    np.testing.assert_allclose(without(grams, 1).matrix, (whole(grams)).matrix - grams[1].matrix, atol=1e-12)
    for place, others in enumerate(each_without(grams)):
        np.testing.assert_allclose(others.matrix, without(grams, place).matrix, atol=1e-12)
        assert others.n_samples == len(groups) - expected[place]
    assert place == folds - 1
    assert first(grams, 2).n_samples == expected[0] + expected[1]


def test_a_sentence_says_the_value_and_its_error():
    x, y, groups = pair()
    folds = fold_grams(x, y, groups=groups)
    found = jackknife(folds, measures=[UNDEFINED, ONCE_UNDEFINED, "linear-cka"], centre="mean")
    row = found.row("linear-cka")
    assert found.sentence("linear-cka") == (
        f"linear CKA (mean) is {row.value:.3f} ± {row.error:.3f} "
        "(standard error by the jackknife over 10 folds)."
    )
    assert found.sentence("maximum-match", 0.3).startswith("maximum match similarity at ε = 0.3 (mean) is ")
    assert found.sentence("nothing") == "nothing (mean) is undefined: it is not a number."
    assert found.sentence("seldom") == (
        "seldom (mean) is 0.5, of unknown error: undefined in 10 of 10 folds left out."
    )
    grown = growth(folds, measures=["linear-cka", UNDEFINED], centre="mean", images=[4] * 10)
    assert grown.sentence("linear-cka").startswith("linear CKA (mean) is ")
    assert " over 4 samples, " in grown.sentence("linear-cka")
    assert grown.sentence("linear-cka").endswith(" over 40 samples: settled.")
    assert grown.sentence("nothing").endswith("undefined: undefined: nothing tells whether it has settled.")


def test_a_value_that_falls_as_images_are_added_is_said_to_be_still_falling():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 120, 20))
    with pytest.warns(TooFewSamplesWarning):
        found = growth(fold_grams(x, y), measures=["linear-cka"])
    assert found.row("linear-cka").verdict == "still falling"
    assert found.sentence("linear-cka").endswith("over 120 samples: still falling: use more samples.")


def test_neurons_that_are_dead_without_a_fold_have_an_infinite_error():
    x, y, _ = pair(positions=1)
    x[:, 1] = 0
    x[::10, 2] = 1.0
    x[np.arange(40) % 10 != 0, 2] = 0.0
    found = jackknife(fold_grams(x, y))
    assert np.isinf(found.profile.x).tolist() == [False, True, False, False, False]
    assert np.isinf(found.critical_errors[0]).tolist() == [False, True, True, False, False]
    assert all(row.error is not None for row in found.rows)


@pytest.mark.parametrize("function", [jackknife, growth, held_out])
def test_a_warning_is_given_once_for_all_resamples(function):
    x, y, _ = pair(images=8, positions=1, n_x=8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(fold_grams(x, y, folds=4))
    kinds = [each.category for each in caught if each.category is TooFewSamplesWarning]
    assert kinds == [TooFewSamplesWarning]
    assert {each.filename for each in caught} == {__file__}


def test_a_table_needs_pandas_and_says_so(monkeypatch):
    x, y, groups = pair()
    folds = fold_grams(x, y, groups=groups)
    results = [function(folds, epsilons=[0.3]) for function in (jackknife, growth, held_out)]
    monkeypatch.setitem(sys.modules, "pandas", None)
    for result in results:
        with pytest.raises(MissingExtraError, match=r"^`to_frame` must have pandas, got none installed;"):
            result.to_frame()
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=list))
    for result in results:
        ((row,),) = (result.to_frame(),)
        assert (row["measure"], row["parameter"], row["centre"]) == ("maximum-match", 0.3, "raw")


X, Y, GROUPS = pair(images=5)
FOLDS = fold_grams(X, Y, groups=GROUPS, folds=3)
OTHER = fold_grams(X, X, folds=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fold_grams(X, Y, folds=1), "`folds` must be at least 2, got 1: one alone has nothing to"),
        (lambda: fold_grams(X, Y, groups=GROUPS, folds=6), "`folds` must be at most the number of samples, "),
        (lambda: fold_grams(X, Y, folds=2.5), "`folds` must be a whole number, got 2.5; 10 are usual"),
        (lambda: fold_grams(X, Y, groups=GROUPS[:-1]), "`groups` must cover the samples, one for each of 15"),
        (lambda: jackknife(FOLDS[:1]), "`folds` must be at least 2, got 1: one alone has nothing to differ"),
        (lambda: jackknife(FOLDS[0]), "`folds` must be a sequence of GramMatrix, got GramMatrix; make one"),
        (lambda: growth([X, Y]), "`folds` must be a sequence of GramMatrix, got list; make one of two"),
        (lambda: jackknife([FOLDS[0], OTHER[0]]), "`folds` must be of the same neurons, got numbers (n_x, "),
        (lambda: jackknife([FOLDS[0], GramMatrix.zeros(5, 6)]), "`folds` must hold at least one sample each"),
        (lambda: jackknife(FOLDS, centre="both"), '`centre` must be "raw" or "mean", got \'both\';'),
        (lambda: held_out(FOLDS, centre="both"), '`centre` must be "raw" or "mean", got \'both\';'),
        (lambda: jackknife(FOLDS, epsilons=[1.5]), "`epsilons` must be at least 0 and below 1 (it bounds a"),
        (lambda: jackknife(FOLDS, measures="lnear-cka"), "`measures` must be one of: maximum-match, "),
        (lambda: growth(FOLDS, images=[1, 2]), "`images` must have a number of at least 1 for each of 3"),
        (lambda: jackknife(FOLDS).row("linear-cka"), "`measure` must be one that was asked for, at its"),
    ],
)
def test_bad_input_is_answered_in_one_sentence(call, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(message)
    assert str(caught.value).count(". ") == 0


def test_the_example_of_the_documentation_runs(capsys):
    page = (Path(__file__).parent.parent / "docs/statistics.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(example, {})
    printed = capsys.readouterr().out.splitlines()
    assert len([line for line in printed if line.endswith(".")]) == 4
    assert "clears its null" in printed[0]


def test_every_registered_measure_has_its_error_growth_and_null():
    x, y, groups = pair()
    folds = fold_grams(x, y, groups=groups, folds=4)
    every = list(MEASURES)
    found, grown = jackknife(folds, measures=every), growth(folds, measures=every, images=[10] * 4)
    chance = null(x, y, groups=groups, measures=every)
    gram = GramMatrix.from_activations(x, y, rows=True)
    evidence = Evidence(gram, match_profile(gram))
    for measure in MEASURES.values():
        at = 0.3 if measure.parameter else None
        value = pytest.approx(evaluate(measure, evidence, at), rel=1e-9, abs=1e-9)
        assert found.row(measure.name, at).value == value
        assert found.row(measure.name, at).error is not None
        assert grown.row(measure.name, at).values[-1] == value
        assert chance.row(measure.name, at).value == value
        assert chance.row(measure.name, at).p is not None
