"""Standard errors by the jackknife, and whether values have settled."""

import math

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from spanmatch.statistics import jackknife_bias, jackknife_error, verdict


@examples(100)
@given(st.integers(0, 2**32 - 1))
def test_of_a_mean_the_jackknife_is_the_standard_error_and_has_no_bias(seed):
    rng = np.random.default_rng(seed)
    folds = rng.standard_normal((rng.integers(2, 12), 3)) * [1, 100, 0.01]
    without = (folds.sum(axis=0) - folds) / (len(folds) - 1)
    expected = folds.std(axis=0, ddof=1) / math.sqrt(len(folds))
    np.testing.assert_allclose(jackknife_error(without), expected, rtol=1e-9)
    np.testing.assert_allclose(jackknife_bias(folds.mean(axis=0), without), 0, atol=1e-12)


def test_a_bias_of_one_over_n_is_found():
    folds, limit, bias = 10, 0.3, 7.0
    without = np.full(folds, limit + bias / 90)
    assert jackknife_bias(limit + bias / 100, without) == pytest.approx(bias / 100)


def test_infinite_values_are_said_by_infinity():
    without = [[1.0, math.inf, math.inf], [2.0, 1.0, math.inf]]
    assert jackknife_error(without).tolist() == [0.5 * math.sqrt(2) / math.sqrt(2), math.inf, math.inf]
    assert jackknife_bias([1.5, 1.0, math.inf], without).tolist() == [0, 0, 0]


FALLING = [0.3 + 10 / images for images in range(100, 1100, 100)]
IMAGES = list(range(100, 1100, 100))


@pytest.mark.parametrize(
    ("values", "error", "expected"),
    [
        (FALLING, 0.006, "settled"),
        (FALLING, 0.004, "still falling"),
        ([1 - each for each in FALLING], 0.004, "still rising"),
        ([0.3] * 10, 0.0, "settled"),
        (FALLING, None, "undefined"),
        (FALLING, math.inf, "undefined"),
        ([*FALLING[:-1], None], 0.1, "undefined"),
        ([None] * 4 + FALLING[4:], 0.004, "still falling"),
        ([None] * 5 + FALLING[5:], 0.004, "undefined"),
    ],
)
def test_a_value_has_settled_when_what_is_to_come_is_within_its_error(values, error, expected):
    assert verdict(IMAGES, values, error) == expected


def test_what_half_of_the_images_give_is_read_between_two_steps():
    # a + b / n is linear in 1 / n, so that leaving the middle step out changes nothing
    for error in (0.0099, 0.0101):
        steps = [0, 2, 5, 9]
        found = verdict([IMAGES[step] for step in steps], [FALLING[step] for step in steps], error / 2)
        assert found == verdict(IMAGES, FALLING, error / 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jackknife_error([0.5]), "`without` must be of at least two folds, got shape (1,);"),
        (lambda: jackknife_error([0.5, math.nan]), "`without` must hold numbers, got NaN; leave undefined"),
        (lambda: jackknife_error([0.5, "a"]), "`without` must hold numbers, got [0.5, 'a']; leave"),
        (lambda: jackknife_bias([1.0], [0.5, 0.4]), "`without` must have shape (folds, 1) for such a"),
        (lambda: verdict([1, 2], [0.5], 0.1), "`values` must be as many as `images`, and at least one, got"),
        (lambda: verdict([2, 2], [0.5, 0.5], 0.1), "`images` must ascend from 1 or more, got [2, 2];"),
    ],
)
def test_bad_input_is_answered_in_one_sentence(call, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(message)
