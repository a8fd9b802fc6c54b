"""Answers that are known without computing: the paper's conventions on examples that the eye can check."""

import subprocess
import sys

import numpy as np
import pytest

from spanmatch import (
    GramMatrix,
    Match,
    TooFewSamplesWarning,
    is_match,
    match_profile,
    maximum_match,
    minimal_match,
    simple_matches,
)

X = np.array([[1, 0.5, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]]).T
Y = np.array(
    [[0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0.5, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]]
).T


@pytest.fixture
def gram():
    return GramMatrix.from_activations(X, Y)


def test_maximum_match_of_the_plane_and_two_lines(gram):
    assert maximum_match(gram, epsilon=0.1) == Match([0, 1, 2, 3], [1, 2, 3, 4])
    assert match_profile(gram).maximum_match(0.1) == Match([0, 1, 2, 3], [1, 2, 3, 4])
    assert match_profile(gram).similarity(0.1) == 8 / 9


def test_minimal_matches_of_the_plane_and_a_line(gram):
    assert minimal_match(gram, ("x", 0), epsilon=0.1) == Match([0, 1], [1, 2])
    assert minimal_match(gram, ("x", 2), epsilon=0.1) == Match([2], [3])
    assert minimal_match(gram, ("y", 0), epsilon=0.1) is None


def test_simple_matches_are_the_plane_and_two_lines(gram):
    found = simple_matches(gram, epsilon=0.1)
    assert [simple.match for simple in found] == [Match([0, 1], [1, 2]), Match([2], [3]), Match([3], [4])]
    assert [simple.neuron for simple in found] == [("x", 0), ("x", 2), ("x", 3)]


def test_dead_neurons_match_nothing_and_count_in_the_denominator():
    gram = GramMatrix.from_activations([[0, 1], [0, 0], [0, 0]], [[1, 0], [0, 0], [0, 0]])
    profile = match_profile(gram)
    assert maximum_match(gram, epsilon=0.3) == Match([1], [0]) == profile.maximum_match(0.3)
    assert profile.similarity(0.3) == 0.5
    assert (profile.x.tolist(), profile.y.tolist()) == ([np.inf, 0], [0, np.inf])
    assert not is_match(gram, Match([0, 1], [0]), epsilon=0.3)
    assert minimal_match(gram, ("x", 0), epsilon=0.3) is None


def test_only_dead_neurons_match_nothing():
    gram = GramMatrix.from_activations(np.zeros((5, 2)), np.zeros((5, 3)))
    assert match_profile(gram).similarity(0.9) == 0
    assert maximum_match(gram, epsilon=0.9) == Match([], [])
    assert simple_matches(gram, epsilon=0.9) == ()


def test_permuted_channels_match_in_pairs():
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((400, 12)) @ rng.standard_normal((12, 12)), 0)
    permutation = rng.permutation(12)
    gram = GramMatrix.from_activations(x, x[:, permutation])
    profile = match_profile(gram)
    assert profile.similarity(0) == 1
    pairs = {Match([int(i)], [j]) for j, i in enumerate(permutation)}
    assert {simple.match for simple in simple_matches(gram, epsilon=0)} == pairs
    assert {simple.match for simple in simple_matches(gram, epsilon=1e-3)} == pairs


def test_more_neurons_than_samples_match_fully_and_the_caller_is_warned():
    rng = np.random.default_rng(0)
    gram = GramMatrix.from_activations(rng.standard_normal((50, 60)), rng.standard_normal((50, 60)))
    for search in (
        lambda: match_profile(gram).similarity(0) == 1,
        lambda: maximum_match(gram, epsilon=0).size == 120,
        lambda: minimal_match(gram, ("x", 0), epsilon=0).size > 0,
        lambda: len(simple_matches(gram, epsilon=0)) > 0,
    ):
        with pytest.warns(
            TooFewSamplesWarning, match=r"50 samples for 60 \+ 60 .* at least 61 samples"
        ) as caught:
            assert search()
        assert [warning.filename for warning in caught] == [__file__]


def test_import_is_light():
    code = (
        "import sys, spanmatch; heavy = {'torch', 'prefect', 'dask', 'zarr'} & set(sys.modules);"
        "assert not heavy, heavy; assert spanmatch.__all__ == sorted(spanmatch.__all__);"
        "assert all(hasattr(spanmatch, name) for name in spanmatch.__all__)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_as_many_samples_as_neurons_are_too_few_and_one_more_is_not():
    rng = np.random.default_rng(0)
    gram = GramMatrix.from_activations(rng.standard_normal((4, 4)), rng.standard_normal((4, 2)))
    with pytest.warns(TooFewSamplesWarning, match="at least 5 samples"):
        match_profile(gram)
    gram.update(rng.standard_normal((1, 4)), rng.standard_normal((1, 2)))
    match_profile(gram)


@pytest.mark.parametrize(
    ("rank_x", "n_y", "says"),
    [
        (
            20,
            3,
            r"20 samples for 30 \+ 3 neurons of effective rank 20 \+ 3, `x` can match any neuron at all: ",
        ),
        (9, 25, r"of effective rank 9 \+ 20, `y` can match any neuron at all: "),
        (20, 25, r"of effective rank 20 \+ 20, `x` and `y` can match any neuron at all: "),
        (9, 3, r"of effective rank 9 \+ 3, below the number of samples: "),
    ],
)
def test_the_warning_names_the_sides_that_span_everything(rank_x, n_y, says):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, rank_x)) @ rng.standard_normal((rank_x, 30))
    gram = GramMatrix.from_activations(x, rng.standard_normal((20, n_y)))
    with pytest.warns(TooFewSamplesWarning, match=says):
        match_profile(gram)
    few = gram + GramMatrix.from_activations(x[:11], rng.standard_normal((11, n_y)))
    match_profile(few)
