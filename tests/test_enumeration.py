"""All minimal matches of a neuron, minimum matches and decompositions, against brute force over subsets."""

import numpy as np
import pytest
from cases import EPSILONS, layers
from examples import examples
from hypothesis import assume, example, given
from hypothesis import strategies as st
from oracle import Oracle, as_set, minimal_ones
from scipy.linalg import subspace_angles

from spanmatch import (
    GramMatrix,
    Match,
    MinimalMatches,
    decompose,
    is_match,
    match_profile,
    maximum_match,
    minimal_match,
    minimal_matches,
    minimum_match,
    relative_residuals,
    simple_matches,
)
from spanmatch.matching.hitting import UnsettledSets

# Drawn layers are small, and one neuron near its own mean is a tenth of them.
pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")


def neurons_of(x, y):
    return [("x", i) for i in range(x.shape[1])] + [("y", j) for j in range(y.shape[1])]


def as_match(neurons):
    return Match([i for side, i in neurons if side == "x"], [i for side, i in neurons if side == "y"])


@st.composite
def small_layers(draw):
    """Up to 6 + 6 neurons; seldom all of them, because brute force takes a second for those."""
    pair = draw(layers(most=6, samples=24))
    assume(pair[0].shape[1] + pair[1].shape[1] <= draw(st.sampled_from([8, 8, 9, 10])))
    return pair


@st.composite
def exact_layers(draw, most=6, samples=40):
    """Independent sides with exact matches inside: blocks mixed anew on each side, and strangers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3).filter(lambda s: sum(s) <= most - 1))
    blocks = sum(sizes)
    causes = np.linalg.qr(rng.standard_normal((samples, blocks + 2)))[0]
    mixing = np.zeros((blocks, blocks))
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        mixing[part, part] = np.linalg.qr(rng.standard_normal((size, size)))[0]
        # A later block may lean on an earlier one: nested minimum matches.
        if start and draw(st.booleans()):
            mixing[:start, part] = rng.standard_normal((start, size))
        start += size
    x, y = causes[:, :blocks], causes[:, :blocks] @ mixing
    if draw(st.booleans()):
        x = np.hstack((x, causes[:, -1:] + x[:, :1]))
        y = np.hstack((y, causes[:, -2:-1]))
    order_x, order_y = rng.permutation(x.shape[1]), rng.permutation(y.shape[1])
    scales = 10.0 ** rng.uniform(-4, 4, x.shape[1])
    return (x * scales)[:, order_x], y[:, order_y]


@examples(100)
@given(pair=small_layers(), epsilon=EPSILONS)
@example(pair=(np.eye(5)[:, :1], np.eye(5)[:, [0, 0]]), epsilon=0.3)
@example(pair=(np.eye(8)[:, [0, 1, 0, 1, 2]], np.eye(8)[:, [1, 1, 0, 2, 0]]), epsilon=0.0)
def test_minimal_matches_equal_brute_force(pair, epsilon):
    oracle, gram = Oracle(*pair), GramMatrix.from_activations(*pair)
    matches = oracle.all_matches(epsilon)
    assume(oracle.decided())
    for neuron in neurons_of(*pair):
        expected = minimal_ones(matches, neuron)
        found = minimal_matches(gram, neuron, epsilon=epsilon, limit=4096)
        assert found.complete
        assert len(found) == len(expected)
        assert {as_set(match) for match in found} == set(expected)
        sizes = [match.size for match in found]
        assert sizes == sorted(sizes)


def test_minimal_and_simple_matches_equal_brute_force_at_six_and_six():
    rng = np.random.default_rng(4)
    causes = rng.standard_normal((40, 3))
    x, y = (causes @ rng.standard_normal((3, 6)) + 0.05 * rng.standard_normal((40, 6)) for _ in "xy")
    oracle, gram = Oracle(x, y), GramMatrix.from_activations(x, y)
    matches = oracle.all_matches(0.3)
    assert oracle.decided()
    numbers = []
    for neuron in neurons_of(x, y):
        found = minimal_matches(gram, neuron, epsilon=0.3, limit=4096)
        assert found.complete
        assert {as_set(match) for match in found} == set(minimal_ones(matches, neuron))
        numbers.append(len(found))
    assert max(numbers) > 10
    for one in simple_matches(gram, epsilon=0.3):
        assert as_set(one.match) in minimal_ones(matches, one.neuron)


def test_a_neuron_with_two_twins_has_two_minimal_matches():
    gram = GramMatrix.from_activations(np.eye(5)[:, :1], np.eye(5)[:, [0, 0]])
    both = (Match([0], [0]), Match([0], [1]))
    assert minimal_matches(gram, ("x", 0), epsilon=0.3) == MinimalMatches(both, complete=True)
    assert list(minimal_matches(gram, ("y", 1), epsilon=0.3)) == [Match([0], [1])]


def test_the_limit_is_kept_and_completeness_told():
    gram = GramMatrix.from_activations(np.eye(9)[:, :1], np.eye(9)[:, [0] * 7])
    whole = minimal_matches(gram, ("x", 0), epsilon=0.3)
    assert (len(whole), whole.complete) == (7, True)
    for limit in range(1, 9):
        found = minimal_matches(gram, ("x", 0), epsilon=0.3, limit=limit)
        assert len(found) == min(limit, 7)
        assert found.complete == (limit >= 7)
        assert set(found) <= set(whole)
    hurried = minimal_matches(gram, ("x", 0), epsilon=0.3, seconds=0)
    assert (len(hurried), hurried.complete) == (1, False)
    assert minimal_matches(gram, ("x", 0), epsilon=0.3, seconds=60) == whole


def test_a_neuron_outside_the_maximum_match_has_none_and_that_is_complete():
    gram = GramMatrix.from_activations(np.eye(5)[:, :2], np.eye(5)[:, 1:3] * [1, 0])
    for neuron in (("x", 0), ("y", 1)):
        assert minimal_matches(gram, neuron, epsilon=0.3) == MinimalMatches((), complete=True)
        assert not minimal_matches(gram, neuron, epsilon=0.3)


@examples(60)
@given(data=st.data(), size=st.integers(1, 6))
def test_the_search_for_unsettled_sets_finds_all_cores_and_all_corrections(data, size):
    """Both are the minimal hitting sets of the other (Berge), and each answer is new."""
    family = data.draw(st.lists(st.integers(0, 2**size - 1), min_size=1, max_size=8))
    cores = {a for a in family if not any(b & a == b != a for b in family)}
    search = UnsettledSets()
    answers = 0
    while not search.exhausted:
        removed = search.step()
        if removed is None:
            continue
        answers += 1
        missed = sorted(core for core in cores if not core & removed)
        (search.cores if missed else search.corrections).append(missed[0] if missed else removed)
    assert sorted(search.cores) == sorted(cores)
    hitting = [s for s in range(2**size) if all(core & s for core in cores)]
    assert sorted(search.corrections) == [s for s in hitting if not any(h & s == h != s for h in hitting)]
    assert answers == len(search.cores) + len(search.corrections)


@examples(60)
@given(pair=exact_layers())
def test_minimum_match_is_the_only_minimal_match_of_the_exact_case(pair):
    """Theorem 8, and Lemma 6 on the way: by brute force, by Algorithm 2 and by enumeration."""
    oracle, gram = Oracle(*pair), GramMatrix.from_activations(*pair)
    neurons = neurons_of(*pair)
    matches = oracle.all_matches(0) if len(neurons) <= 8 else None
    everything = oracle.maximum_match(0)
    assume(oracle.decided())
    for neuron in neurons:
        found = minimum_match(gram, neuron)
        assert (found is None) == (neuron not in everything)
        assert found == minimal_match(gram, neuron, epsilon=0)
        if found is not None:
            assert list(minimal_matches(gram, neuron, epsilon=0)) == [found]
        if found is not None and matches is not None:
            around = [match for match in matches if neuron in match]
            assert as_set(found) == frozenset.intersection(*around)


@examples(30)
@given(pair=exact_layers(most=5))
def test_intersections_of_exact_matches_of_independent_sides_are_matches(pair):
    """Lemma 6, on all pairs of matches."""
    oracle, gram = Oracle(*pair), GramMatrix.from_activations(*pair)
    matches = oracle.all_matches(0)
    assume(oracle.decided())
    for one in matches[:40]:
        for other in matches[:40]:
            assert is_match(gram, as_match(one & other), epsilon=0)


def test_intersections_need_independence():
    """Two twins: both matches of x0 are exact, their intersection ({x0}, {}) is none."""
    gram = GramMatrix.from_activations(np.eye(5)[:, :1], np.eye(5)[:, [0, 0]])
    assert is_match(gram, Match([0], [0]), epsilon=0)
    assert is_match(gram, Match([0], [1]), epsilon=0)
    assert not is_match(gram, Match([0], []), epsilon=0)


@examples(100)
@given(seed=st.integers(0, 2**32 - 1), noise=st.sampled_from([0.01, 0.1, 0.5]))
def test_a_residual_onto_an_intersection_is_bounded_by_those_onto_its_parts(seed, noise):
    """The constant of docs/theory.md, with θ between what one part has for itself and the other part."""
    rng = np.random.default_rng(seed)
    y = rng.standard_normal((12, 6)) + rng.choice([0, 2]) * rng.standard_normal((12, 1))
    one, other = (np.flatnonzero(rng.random(6) < 0.7) for _ in "12")
    common = np.intersect1d(one, other)
    assume(np.setdiff1d(one, other).size and other.size)
    x = y[:, common] @ rng.standard_normal(common.size) + noise * rng.standard_normal(12)
    oracle = Oracle(x[:, None], y)
    parts = {"one": one, "other": other, "common": common}
    onto = {name: oracle.residual(("x", 0), [("y", int(j)) for j in part]) for name, part in parts.items()}
    angle = subspace_angles(y[:, np.setdiff1d(one, other)], y[:, other]).min()
    epsilon = max(onto["one"], onto["other"])
    assert onto["common"] <= epsilon * np.sqrt(1 + 4 / np.sin(angle) ** 2) + 1e-9


def planted_blocks(condition, seed):
    """Return blocks of 1 to 8 neurons, mixed with a condition number and rotated, and their Gram matrix."""
    rng = np.random.default_rng(seed)
    x, y, blocks, start = [], [], [], 0
    for size in (1, 2, 3, 5, 8):
        directions = np.linalg.qr(rng.standard_normal((300, size)))[0]
        for side in (x, y):
            left, right = (np.linalg.qr(rng.standard_normal((size, size)))[0] for _ in "lr")
            side.append(directions @ (left * np.geomspace(1, 1 / condition, size)) @ right)
        blocks.append(Match(range(start, start + size), range(start, start + size)))
        start += size
    rotation = np.linalg.qr(rng.standard_normal((300, 300)))[0]
    return GramMatrix.from_activations(rotation @ np.hstack(x), rotation @ np.hstack(y)), blocks


@pytest.mark.parametrize("condition", [1, 10, 30])
@pytest.mark.parametrize("seed", range(3))
def test_minimum_matches_of_planted_blocks_survive_mixing(condition, seed):
    gram, blocks = planted_blocks(condition, seed)
    for block in blocks:
        for neuron in block:
            assert minimum_match(gram, neuron) == block == minimal_match(gram, neuron, epsilon=0)


@pytest.mark.parametrize("seed", range(8))
def test_where_rounding_reaches_the_zero_of_residuals_the_certificate_says_so(seed):
    """Regression weights of 100 take rounding errors of 1e-16 to squared residuals of 1e-12: to 1e-6."""
    gram, blocks = planted_blocks(100, seed)
    uncertain = match_profile(gram).uncertain(0)
    for block in blocks:
        for neuron in block:
            assert minimum_match(gram, neuron) == block or neuron in uncertain


@pytest.mark.parametrize("swap", [False, True])
def test_a_coefficient_is_zero_when_leaving_its_neuron_out_costs_nothing_that_can_be_told(swap):
    """Of neurons 1e-3 apart, a coefficient of 5e-4 costs a residual of 5e-7, one of 5e-3 costs 5e-6."""
    y = np.eye(6)[:, :2] @ [[1, 1], [0, 1e-3]]
    for weight, expected in ((5e-4, Match([1], [1])), (5e-3, Match([0, 1], [0, 1]))):
        x = np.stack((y[:, 0], y[:, 1] + weight * y[:, 0]), axis=1)
        neuron = ("x", 1)
        if swap:
            expected = Match(1 - expected.x, 1 - expected.y)
            x = np.stack((y[:, 0] + weight * y[:, 1], y[:, 1]), axis=1)
            neuron = ("x", 0)
        gram = GramMatrix.from_activations(x, y)
        assert minimum_match(gram, neuron) == expected == minimal_match(gram, neuron, epsilon=0)


def test_minimum_match_of_a_dead_neuron_is_none():
    gram = GramMatrix.from_activations(np.eye(5)[:, :2] * [1, 0], np.eye(5)[:, :1])
    assert minimum_match(gram, ("x", 1)) is None
    assert minimum_match(gram, ("x", 0)) == Match([0], [0])


def test_minimum_match_refuses_dependent_sides():
    twins = GramMatrix.from_activations(np.eye(5)[:, :1], np.eye(5)[:, [0, 0]])
    with pytest.raises(ValueError, match="rank 1 for 2 live neurons on side 'y'; use minimal_match"):
        minimum_match(twins, ("x", 0))
    twins = GramMatrix.from_activations(np.eye(5)[:, [0, 1, 0]], np.eye(5)[:, :2])
    with pytest.raises(ValueError, match="rank 2 for 3 live neurons on side 'x'"):
        minimum_match(twins, ("x", 1))
    outside = GramMatrix.from_activations(np.eye(5)[:, [0, 1, 1]], np.eye(5)[:, :1])
    with pytest.raises(ValueError, match="rank 2 for 3 live neurons on side 'x'"):
        minimum_match(outside, ("x", 0))


@examples(60)
@given(pair=layers(most=10), epsilon=EPSILONS, seed=st.integers(0, 2**32 - 1))
def test_a_match_is_the_union_of_the_simple_matches_of_its_decomposition(pair, epsilon, seed):
    """Theorem 5, for matches inside random parts."""
    rng = np.random.default_rng(seed)
    oracle, gram = Oracle(*pair), GramMatrix.from_activations(*pair)
    match = as_match(
        oracle.maximum_match(epsilon, [n for n in sorted(oracle.everything) if rng.random() < 0.8])
    )
    assume(oracle.decided())
    union = Match([], [])
    for one in decompose(gram, match, epsilon=epsilon):
        assert one.neuron in one.match
        assert one.match <= match
        assert is_match(gram, one.match, epsilon=epsilon)
        rests = [oracle.maximum_match(epsilon, as_set(one.match) - {other}) for other in one.match]
        assert all(one.neuron not in rest for rest in rests)
        union |= one.match
    assert union == match
    whole = decompose(gram, maximum_match(gram, epsilon=epsilon), epsilon=epsilon)
    assert whole == simple_matches(gram, epsilon=epsilon)


def test_what_is_no_match_has_no_decomposition():
    gram = GramMatrix.from_activations(np.eye(5)[:, :2], np.eye(5)[:, 1:3])
    assert decompose(gram, Match([], []), epsilon=0.3) == ()
    assert [one.match for one in decompose(gram, Match([1], [0]), epsilon=0.3)] == [Match([1], [0])]
    with pytest.raises(ValueError, match=r"`match` must be an ε-match at `epsilon` 0\.3 .*x=\[0, 1\]"):
        decompose(gram, Match([0, 1], [0]), epsilon=0.3)
    with pytest.raises(IndexError, match="`match` must hold indices below 2 on side 'x', got 2"):
        decompose(gram, Match([2], [0]), epsilon=0.3)


def answers(gram, neuron, epsilon):
    """What all searches of this file say, minimum matches where they exist."""
    found = minimal_matches(gram, neuron, epsilon=epsilon, limit=4096)
    try:
        minimum = minimum_match(gram, neuron)
    except ValueError:
        minimum = None
    return set(found), found.complete, minimum


@examples(25)
@given(pair=st.one_of(small_layers(), exact_layers()), epsilon=EPSILONS, seed=st.integers(0, 2**32 - 1))
def test_answers_ignore_rotation_scale_and_order(pair, epsilon, seed):
    rng = np.random.default_rng(seed)
    x, y = (side.astype(np.float64) for side in pair)
    oracle = Oracle(x, y)
    oracle.all_matches(epsilon)
    oracle.all_matches(0)
    assume(oracle.decided())
    neuron = neurons_of(x, y)[rng.integers(x.shape[1] + y.shape[1])]
    expected = answers(GramMatrix.from_activations(x, y), neuron, epsilon)

    rotation = np.linalg.qr(rng.standard_normal((len(x), len(x))))[0]
    assert answers(GramMatrix.from_activations(rotation @ x, rotation @ y), neuron, epsilon) == expected

    factors = rng.choice([-1, 1], x.shape[1]) * 10.0 ** rng.uniform(-3, 3, x.shape[1])
    assert answers(GramMatrix.from_activations(x * factors, y), neuron, epsilon) == expected

    def back(match):
        return match and Match(order["x"][match.x], order["y"][match.y])

    order = {"x": rng.permutation(x.shape[1]), "y": rng.permutation(y.shape[1])}
    gram = GramMatrix.from_activations(x[:, order["x"]], y[:, order["y"]])
    moved = (neuron[0], int(np.flatnonzero(order[neuron[0]] == neuron[1])[0]))
    found, complete, minimum = answers(gram, moved, epsilon)
    assert ({back(match) for match in found}, complete, back(minimum)) == expected


def test_bad_arguments_are_refused():
    gram = GramMatrix.from_activations(np.eye(5)[:, :2], np.eye(5)[:, :3])
    for search in (lambda n: minimal_matches(gram, n, epsilon=0.3), lambda n: minimum_match(gram, n)):
        with pytest.raises(IndexError, match="`neuron` must have an index from 0 to 2 on side 'y', got 3"):
            search(("y", 3))
        with pytest.raises(TypeError, match="`neuron` must be a pair of a side and an index"):
            search(7)
    with pytest.raises(ValueError, match="`limit` must be at least 1, got 0"):
        minimal_matches(gram, ("x", 0), epsilon=0.3, limit=0)
    with pytest.raises(TypeError, match=r"`limit` must be an integer, got 2\.5"):
        minimal_matches(gram, ("x", 0), epsilon=0.3, limit=2.5)
    for seconds in (-1, float("nan")):
        with pytest.raises(ValueError, match="`seconds` must be at least 0"):
            minimal_matches(gram, ("x", 0), epsilon=0.3, seconds=seconds)
    with pytest.raises(ValueError, match="`epsilon` must be at least 0 and below 1"):
        minimal_matches(gram, ("x", 0), epsilon=1)
    with pytest.raises(ValueError, match="`epsilon` must be at least 0 and below 1"):
        decompose(gram, Match([], []), epsilon=1)
    empty = GramMatrix.zeros(2, 2)
    for search in (
        lambda: minimal_matches(empty, ("x", 0), epsilon=0.3),
        lambda: minimum_match(empty, ("x", 0)),
        lambda: decompose(empty, Match([], []), epsilon=0.3),
    ):
        with (
            pytest.raises(ValueError, match="`gram` must hold at least one sample, got none"),
            pytest.warns(),
        ):
            search()


def test_independent_sides_may_have_minimal_matches_that_meet_in_one_neuron_alone():
    """docs/theory.md: Lemma 6 does not hold above epsilon = 0, since (x0, nothing) is no match."""
    x, y = np.zeros((4, 1)), np.zeros((4, 2))
    x[0] = 1
    y[:2] = [[4, 4], [1, -1]]
    gram = GramMatrix.from_activations(x, y)
    found = minimal_matches(gram, ("x", 0), epsilon=0.25)
    assert found.complete
    assert found.matches == (Match([0], [0]), Match([0], [1]))
    np.testing.assert_allclose(relative_residuals(gram, onto="y", subset=[0]), 17**-0.5)
    np.testing.assert_allclose(relative_residuals(gram, onto="x"), 17**-0.5)
