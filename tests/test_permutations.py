"""Permutations of images, from a seed and the images alone."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from spanmatch.statistics import permutation
from spanmatch.statistics.permutations import check_exchangeable

IDS = st.lists(st.text("abz0/é", min_size=1, max_size=4), min_size=5, max_size=30, unique=True)


@examples(100)
@given(ids=IDS, seed=st.integers(0, 2**70), shuffle=st.randoms(use_true_random=False), data=st.data())
def test_a_permutation_does_not_depend_on_the_order_of_images(ids, seed, shuffle, data):
    strata = data.draw(st.lists(st.integers(0, 2), min_size=len(ids), max_size=len(ids)))
    for within in (None, strata):
        taken = permutation(ids, seed=seed, number=3, within=within)
        assert sorted(taken) == list(range(len(ids)))
        if within is not None:
            assert all(strata[one] == strata[other] for one, other in enumerate(taken))
        partner = {ids[one]: ids[other] for one, other in enumerate(taken)}
        order = list(range(len(ids)))
        shuffle.shuffle(order)
        others = [ids[one] for one in order]
        again = permutation(
            others, seed=seed, number=3, within=None if within is None else [within[one] for one in order]
        )
        assert {others[one]: others[other] for one, other in enumerate(again)} == partner


def test_one_stratum_is_none():
    whole = permutation(np.arange(50), seed=1, number=2)
    assert whole.tolist() == permutation(np.arange(50), seed=1, number=2, within=[7] * 50).tolist()


def test_the_stream_is_kept():
    # what an older root's results were drawn with
    assert permutation(range(10), seed=0, number=0).tolist() == KEPT
    assert permutation(range(10), seed=0, number=1).tolist() != KEPT
    assert permutation(range(10), seed=1, number=0).tolist() != KEPT


KEPT = [7, 5, 3, 2, 6, 1, 4, 0, 9, 8]


def test_every_image_takes_the_place_of_every_other_equally_often():
    drawn = np.array([permutation(range(4), seed=seed, number=0) for seed in range(6000)])
    counts = np.array([np.bincount(column, minlength=4) for column in drawn.T])
    assert (counts.diagonal() == 0).all(), "a shift moves every image"
    others = counts[~np.eye(4, dtype=bool)]
    assert np.abs(others - 2000).max() < 5 * np.sqrt(2000 * 2 / 3)
    orders = np.unique(drawn, axis=0, return_counts=True)[1]
    assert len(orders) == 9, "six cycles of four, by one place or three, and three of two, by two places"


def test_permutations_with_the_identity_are_a_group():
    taken = [tuple(permutation(range(7), seed=3, number=number)) for number in range(6)]
    group = {tuple(range(7)), *taken}
    assert len(group) == 7
    assert {tuple(one[other[i]] for i in range(7)) for one in group for other in group} == group


def test_there_are_as_many_as_shifts():
    with pytest.raises(ValueError, match=r"^`numbers` must be below 6, the shifts that 7 samples have"):
        permutation(range(7), seed=0, number=6)


def test_images_that_have_none_to_be_exchanged_for_are_refused():
    check_exchangeable([4, 4, 9, 9, 1])
    check_exchangeable([4, 4])
    for strata, moving in (([1, 2, 3], 0), ([4, 4, 1, 2, 3], 2), ([5], 0)):
        with pytest.raises(
            ValueError,
            match="^`groups` must have equally many samples as another one for at least half of them to be "
            rf"exchanged, got {moving} such of {len(strata)}; average over positions",
        ):
            check_exchangeable(strata)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: permutation([1, 2, 1], seed=0, number=0), "`ids` must name each sample once, got 1 again;"),
        (lambda: permutation([[1]], seed=0, number=0), "`ids` must be one-dimensional, got shape (1, 1);"),
        (lambda: permutation([1], seed=-1, number=0), "`seed` must be at least 0, got -1; count from 0"),
        (lambda: permutation([1], seed=0, number=0.5), "`number` must be a whole number, got 0.5; count"),
        (lambda: permutation([1], seed=0, number=0, within=[1, 2]), "`within` must have one value for each"),
    ],
)
def test_bad_input_is_answered_in_one_sentence(call, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(message)
