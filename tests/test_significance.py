"""What chance gives: p, threshold, calibrated value, and over many layers."""

import math

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from spanmatch.statistics import (
    calibrated,
    family_wise,
    least_permutations,
    null_threshold,
    p_value,
    significance,
)

LEVELS = st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.3, 1 / 3, 0.5, 0.07])
# few different values, so that ties are frequent
VALUES = st.integers(0, 6).map(lambda step: step / 6)


@examples(100)
@given(value=VALUES, null=st.lists(VALUES, min_size=1, max_size=45), level=LEVELS, higher=st.booleans())
def test_beyond_the_threshold_is_significant_and_nothing_else(value, null, level, higher):
    if len(null) < least_permutations(level):
        with pytest.raises(ValueError, match=r"^`permutations` must be at least \d+ for a p of"):
            null_threshold(null, level, higher=higher)
        return
    threshold = null_threshold(null, level, higher=higher)
    beyond = value > threshold if higher else value < threshold
    assert beyond == (p_value(value, null, higher=higher) <= level)
    k = math.ceil(round((1 - level) * (len(null) + 1), 9))
    assert threshold == sorted(null, reverse=not higher)[k - 1]
    test = significance.Test.of(value, null, level, higher=higher)
    assert (test.cleared, test.threshold, test.permutations) == (beyond, threshold, len(null))


def test_p_counts_the_observed_value_and_ties():
    assert p_value(0.5, [0.1, 0.5, 0.9]) == 3 / 4
    assert p_value(0.5, [0.1, 0.5, 0.9], higher=False) == 3 / 4
    assert p_value(2.0, np.arange(2)) == 1 / 3


@pytest.mark.parametrize(("level", "least"), [(0.05, 19), (0.01, 99), (0.1, 9), (0.07, 14), (0.5, 1)])
def test_least_permutations_resolve_a_level_and_one_fewer_does_not(level, least):
    assert least_permutations(level) == least
    assert 1 / (least + 1) <= level < 1 / least
    with pytest.raises(ValueError, match=rf"^`permutations` must be at least {least} for a p of {level:g}, "):
        significance.check_permutations(least - 1, level)


@examples(100)
@given(st.integers(2, 10**6))
def test_one_over_a_whole_number_is_resolved_by_one_fewer(count):
    assert least_permutations(1 / count) == count - 1


def test_a_calibrated_value_is_how_far_beyond_the_threshold():
    assert calibrated(0.7, 0.4) == pytest.approx(0.5)
    assert calibrated(0.3, 0.4) == 0
    assert calibrated(1, 0.4) == 1
    assert calibrated(1, 1) == 0
    with pytest.raises(ValueError, match=r"^`value` must be at most 1, got 1.5;"):
        calibrated(1.5, 0.4)


def plain_family_wise(values, nulls):
    """Maxima of standardised values, one loop inside the other."""
    standard = []
    for value, null in zip(values, nulls, strict=True):
        row = [value, *null]
        mean = sum(row) / len(row)
        deviation = math.sqrt(sum((each - mean) ** 2 for each in row) / len(row))
        standard.append([(each - mean) / deviation if deviation > 1e-9 else 0.0 for each in row])
    found = []
    for row in standard:
        as_high = sum(max(other[b] for other in standard) >= row[0] - 1e-12 for b in range(1, len(row)))
        found.append((1 + as_high) / len(row))
    return found


@examples(100)
@given(st.integers(0, 2**32 - 1))
def test_family_wise_is_its_transcription(seed):
    rng = np.random.default_rng(seed)
    layers, permutations = rng.integers(1, 6), rng.integers(1, 30)
    table = rng.integers(0, 12, (layers, permutations + 1)) * rng.choice([0.01, 1.0, 50.0], (layers, 1))
    table[rng.random(layers) < 0.2] = 0.1
    values, nulls = table[:, 0], table[:, 1:]
    found = family_wise(values, nulls)
    assert found.tolist() == plain_family_wise(values, nulls)
    assert family_wise(-values, -nulls, higher=False).tolist() == found.tolist()
    alone = [p_value(value, null) for value, null in zip(values, nulls, strict=True)]
    assert all(each >= one for each, one in zip(found, alone, strict=True))


def test_the_chance_that_any_layer_clears_its_family_is_the_level():
    rng = np.random.default_rng(0)
    scales = np.array([1.0, 100.0, 0.01, 3.0])[:, None]
    drawn = rng.standard_normal((4000, 4, 20)) * scales + scales
    any_cleared = [(family_wise(table[:, 0], table[:, 1:]) <= 0.05).any() for table in drawn]
    assert 0.04 < np.mean(any_cleared) < 0.06
    each = [(p_value(table[0, 0], table[0, 1:]) <= 0.05) for table in drawn]
    assert 0.04 < np.mean(each) < 0.06


def test_what_is_undefined_is_said_and_never_cleared():
    undefined = significance.Test.of(None, [0.1] * 19, reason="a layer does not vary")
    assert (undefined.p, undefined.cleared, undefined.reason) == (None, False, "a layer does not vary")
    some = significance.Test.of(0.5, [0.1] * 18 + [None])
    assert (some.value, some.p, some.reason) == (0.5, None, "undefined in 1 of 19 permutations")
    lower = significance.Test.of(0.5, [0.6] * 19, higher=False)
    assert (lower.p, lower.calibrated, lower.cleared) == (0.05, None, True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: p_value(math.nan, [0.5]), "`value` must hold numbers, got NaN; leave undefined values out"),
        (lambda: p_value(0.5, [math.nan]), "`null` must hold numbers, got NaN; leave undefined values out"),
        (lambda: p_value(0.5, [None, "a"]), "`null` must hold numbers, got [None, 'a']; leave undefined"),
        (lambda: p_value(0.5, []), "`null` must hold at least one value, got none; without permutations"),
        (lambda: p_value(0.5, [[0.5]]), "`null` must be one-dimensional, got shape (1, 1); values are of"),
        (lambda: null_threshold([0.5], 1.5), "`level` must be between 0 and 1, got 1.5; 0.05 is the usual"),
        (lambda: family_wise([0.5], [[0.1], [0.2]]), "`nulls` must have a row for each of the 1 `values`, "),
        (lambda: family_wise([0.5], [[math.inf]]), "`values` and `nulls` must be finite, got infinity;"),
    ],
)
def test_bad_input_is_answered_in_one_sentence(call, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(message)
    assert isinstance(caught.value, significance.InputValueError | significance.InputTypeError)
