"""Each measure against a transcription of its definition on activations, and against other packages."""

from functools import cache
from itertools import pairwise, permutations

import cases
import needs
import numpy as np
import pytest
import scipy
from examples import examples
from hypothesis import given
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from spanmatch import GramMatrix, match_profile
from spanmatch.measures import MEASURES, Evidence, evaluate, undefined_reason

pytestmark = [
    pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning"),
    pytest.mark.filterwarnings("ignore::spanmatch.TooFewSamplesWarning"),
]


def evidence_of(x, y):
    gram = GramMatrix.from_activations(x, y, rows=True)
    return Evidence(gram, match_profile(gram))


def value_of(name, x, y):
    return evaluate(MEASURES[name], evidence_of(x, y), 0.5 if MEASURES[name].parameter else None)


# --- generated pairs --------------------------------------------------------------------------------------


def generated(seed):
    """A pair of up to 5 neurons a side: dead, duplicate and dependent ones, means and units of all sizes."""
    rng = np.random.default_rng(seed)
    n_x, n_y = rng.integers(1, 6, 2)
    maker = (cases._planted, cases._relu, cases._lines, cases._random)[seed % 4]
    x, y = maker(rng, int(rng.choice([12, 25, 60])), n_x, n_y)
    for side in (x, y):
        for _ in range(rng.integers(0, 3) if side.shape[1] > 1 or rng.random() < 0.1 else 0):
            cases._damage(rng, side, rng.choice(["dead", "duplicate", "combination", "negative"]))
        if rng.random() < 0.3:
            side *= 10.0 ** rng.uniform(-3, 3, side.shape[1])
        side *= 10.0 ** rng.uniform(-3, 3)
        side += rng.choice([0, 1, 1e6]) * side.std(axis=0) * rng.uniform(-1, 1, side.shape[1])
    return x, y


def centred(side):
    side = side - side.mean(axis=0)
    side = side - side.mean(axis=0)  # what an offset of a million left
    side[:, np.ptp(side, axis=0) <= 1e-12 * np.abs(side).max()] = 0
    return side


class Known:
    """What transcriptions share: centred activations, and orthonormal bases of what they span."""

    def __init__(self, x, y):
        self.x, self.y = centred(x), centred(y)
        (self.of_x, least_x), (self.of_y, least_y) = basis(self.x), basis(self.y)
        self.least = min(least_x, least_y)
        # activations are rounded to this share of a deviation, which bases of dependent neurons differ by
        self.rounding = max(rounding(x, self.x), rounding(y, self.y))
        left, self.correlations, right = np.linalg.svd(self.of_x.T @ self.of_y)
        self.along_x = self.of_x @ left[:, : self.correlations.size]
        self.along_y = self.of_y @ right.T[:, : self.correlations.size]


def rounding(side, centred_side):
    deviations = centred_side.std(axis=0)
    return 2.0**-53 * max(np.abs(side[:, deviations > 0]).max(axis=0) / deviations[deviations > 0])


def basis(side):
    """Return an orthonormal basis, and the singular value that is the least clear, 1 where all are clear."""
    lengths = np.linalg.norm(side, axis=0)
    left, values, _ = np.linalg.svd(side[:, lengths > 0] / lengths[lengths > 0], full_matrices=False)
    return left[:, values > 1e-6], min(values[values > 1e-6], default=1) if not any(
        (values > 1e-9) & (values < 1e-6)
    ) else 0


# --- transcriptions ---------------------------------------------------------------------------------------


def linear_cka(known):
    k, m = known.x @ known.x.T, known.y @ known.y.T
    return np.sum(k * m) / np.sqrt(np.sum(k * k) * np.sum(m * m))


def rv(known):
    """The correlation coefficient of matrices, about 0."""
    k, m = (known.x @ known.x.T).ravel(), (known.y @ known.y.T).ravel()
    return k @ m / np.linalg.norm(k) / np.linalg.norm(m)


def debiased_cka(known):
    """Sums over pairs of samples that differ, each kernel less its means over rows, columns and pairs."""
    samples = len(known.x)
    apart = ~np.eye(samples, dtype=bool)

    def without_means(side):
        kernel = (side @ side.T) * apart
        means = kernel.sum(axis=0) / (samples - 2)
        return (kernel - means - means[:, None] + kernel.sum() / (samples - 1) / (samples - 2)) * apart

    k, m = without_means(known.x), without_means(known.y)
    return np.sum(k * m) / np.sqrt(np.sum(k * k) * np.sum(m * m))


def pwcca(known):
    if known.of_x.shape[1] <= known.of_y.shape[1]:
        side, along = known.x, known.along_x
    else:
        side, along = known.y, known.along_y
    weights = [sum(abs(direction @ neuron) for neuron in side.T) for direction in along.T]
    return np.average(known.correlations, weights=weights)


def svcca(known):
    def kept(side):
        left, values, _ = np.linalg.svd(side, full_matrices=False)
        variances = values**2 / np.sum(values**2)
        count = 1
        while sum(variances[:count]) < 0.99 - 1e-10:
            count += 1
        return left[:, variances >= variances[count - 1] * (1 - 1e-9)]

    return np.linalg.svd(kept(known.x).T @ kept(known.y), compute_uv=False).mean()


def procrustes(known):
    """The best of all rotations, of layers with as many neurons: zeros are added to the smaller one."""
    most = max(known.x.shape[1], known.y.shape[1])
    x, y = (np.pad(side, ((0, 0), (0, most - side.shape[1]))) for side in (known.x, known.y))
    rotation, _ = scipy.linalg.orthogonal_procrustes(x, y)
    return np.sum((x @ rotation) * y) / np.linalg.norm(x) / np.linalg.norm(y)


def predictivity(targets, predictors):
    shares = []
    for target in targets.T:
        if target.any():
            left = target - predictors @ (predictors.T @ target)
            shares.append(1 - left @ left / (target @ target))
    return np.mean(shares)


def assigned(known):
    """The best of all assignments, of each neuron of the smaller side."""
    x, y = known.x, known.y
    if x.shape[1] > y.shape[1]:
        x, y = y, x
    x, y = (side / np.maximum(np.linalg.norm(side, axis=0), 1e-300) for side in (x, y))
    table = x.T @ y
    choices = permutations(range(y.shape[1]), x.shape[1])
    best = max(choices, key=lambda chosen: sum(table[i, j] for i, j in enumerate(chosen)))
    return np.array([table[i, j] for i, j in enumerate(best)])


TRANSCRIPTIONS = {
    "linear-cka": linear_cka,
    "rv": rv,
    "debiased-cka": debiased_cka,
    "cca-mean": lambda known: known.correlations.mean(),
    "cca-mean-squared": lambda known: np.mean(known.correlations**2),
    "principal-angle": lambda known: known.correlations.min(),
    "pwcca": pwcca,
    "svcca": svcca,
    "procrustes": procrustes,
    "predictivity-of-y": lambda known: predictivity(known.y, known.of_x),
    "predictivity-of-x": lambda known: predictivity(known.x, known.of_y),
    "one-to-one-correlation": lambda known: assigned(known).mean(),
    "one-to-one-share": lambda known: (
        2 * np.sum(assigned(known) > 0.5) / (known.x.shape[1] + known.y.shape[1])
    ),
}
FROM_PROFILES = {"maximum-match", "mean-critical-epsilon", "similarity-area"}


@cache
def pairs():
    """2,000 pairs with what is known about them: nothing, where a side is constant."""
    kept = []
    for seed in range(2000):
        x, y = generated(seed)
        if not (centred(x).any() and centred(y).any()):
            kept.append((seed, None, Evidence(GramMatrix.from_activations(x, y, rows=True))))
            continue
        known = Known(x, y)
        if known.least > 1e-4:  # a rank that rounding does not decide
            evidence = Evidence(GramMatrix.from_activations(x, y, rows=True))
            kept.append((seed, known, evidence))
    return kept


def test_generated_pairs_are_of_all_kinds_and_of_a_clear_rank():
    assert len(pairs()) == 2000
    varied = [known for _, known, _ in pairs() if known]
    assert 20 < 2000 - len(varied) < 200
    assert sum(known.of_x.shape[1] < known.x.shape[1] for known in varied) > 500
    assert sum(not known.x.any(axis=0).all() for known in varied) > 100
    assert sum(known.rounding > 1e-11 for known in varied) > 500
    assert sum(known.x.shape[1] != known.y.shape[1] for known in varied) > 1000


def test_every_measure_is_transcribed():
    assert TRANSCRIPTIONS.keys() | FROM_PROFILES == MEASURES.keys()


@pytest.mark.draws
@pytest.mark.parametrize("name", TRANSCRIPTIONS)
def test_a_measure_is_its_definition(name):
    undefined = 0
    for seed, known, evidence in pairs():
        value = evaluate(MEASURES[name], evidence)
        if value is None:
            reason = undefined_reason(MEASURES[name], evidence)
            assert known is None or name in {"pwcca", "debiased-cka"}, (seed, reason)
            undefined += known is not None
            continue
        allowed = 1e-12 + 10 * known.rounding / known.least + 1e-14 / known.least**2
        if name == "pwcca":
            allowed /= min(np.diff(np.unique(known.correlations)), default=1)
        assert value == pytest.approx(TRANSCRIPTIONS[name](known), abs=allowed), seed
    assert undefined < (800 if name == "pwcca" else 20)


def by_parts(profile, most):
    """The area under the similarity from 0 to `most`: rectangles between epsilons at which it changes."""
    both = np.concatenate((profile.x, profile.y))
    ends = np.unique([0, *both[both < most], most])
    return sum((b - a) * profile.similarity(a) for a, b in pairwise(ends))


@examples(60)
@given(pair=cases.layers())
def test_measures_of_critical_epsilons_are_areas_under_the_similarity(pair):
    evidence = evidence_of(*pair)
    area = evaluate(MEASURES["similarity-area"], evidence)
    assert area == pytest.approx(by_parts(evidence.profile, 0.5) / 0.5, abs=1e-12)
    mean = evaluate(MEASURES["mean-critical-epsilon"], evidence)
    assert mean == pytest.approx(1 - by_parts(evidence.profile, 1), abs=1e-12)


# --- known answers, and other packages --------------------------------------------------------------------


def test_known_answers():
    rng = np.random.RandomState(0)
    x, y = rng.uniform(size=(30, 25)), rng.uniform(size=(30, 25))
    assert value_of("linear-cka", x, y) == pytest.approx(0.4893427391044152, abs=1e-12)
    assert value_of("rv", x, y) == value_of("linear-cka", x, y)
    assert value_of("cca-mean", x, y) == pytest.approx(0.8901049738157806, abs=1e-12)
    assert value_of("pwcca", x, y) is None
    assert undefined_reason(MEASURES["pwcca"], evidence_of(x, y)) == (
        "21 of 25 canonical correlations are equal to another, such as 1: their directions, and so their "
        "weights, are arbitrary"
    )


@pytest.mark.parametrize("name", [name for name in MEASURES if name not in FROM_PROFILES])
def test_a_layer_has_all_of_itself(name):
    x = np.random.default_rng(0).standard_normal((50, 6)) + 1e6
    assert value_of(name, x, x) == pytest.approx(1, abs=1e-9)


def test_single_neurons_have_their_correlation():
    x, y = np.random.default_rng(0).standard_normal((2, 50, 1))
    r = np.corrcoef(x[:, 0], y[:, 0])[0, 1]
    for name in ("cca-mean", "svcca", "pwcca", "principal-angle", "procrustes"):
        assert value_of(name, x, y) == pytest.approx(abs(r), abs=1e-12)
    for name in ("linear-cka", "cca-mean-squared", "predictivity-of-y", "predictivity-of-x"):
        assert value_of(name, x, y) == pytest.approx(r**2, abs=1e-12)
    assert value_of("one-to-one-correlation", x, y) == pytest.approx(r, abs=1e-12)


def test_small_canonical_correlations_are_found_to_the_last_digits():
    """Roots of eigenvalues would be wrong by 1e-8 below 1e-8."""
    samples = np.random.default_rng(0).standard_normal((200, 10))
    directions = np.linalg.qr(samples - samples.mean(axis=0))[0]
    expected = np.array([0.9, 1e-3, 1e-5, 1e-7, 0])
    x = directions[:, :5]
    y = x * expected + directions[:, 5:] * np.sqrt(1 - expected**2)
    mixed = x @ np.random.default_rng(1).standard_normal((5, 5)), y @ np.triu(np.ones((5, 5)))
    evidence = evidence_of(*mixed)
    found = evidence.canonical
    np.testing.assert_allclose(np.sort(found.correlations)[::-1], expected, rtol=0, atol=1e-12)
    cross = evidence.span_y.coordinates(evidence.along_x.T)
    np.testing.assert_allclose(found.partners, cross @ found.directions, rtol=0, atol=1e-14)
    np.testing.assert_allclose(
        found.partners.T @ found.partners, np.diag(found.correlations**2), rtol=0, atol=1e-15
    )


def test_the_debiased_estimate_is_the_mean_over_all_quadruples_of_samples():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 3)), rng.standard_normal((7, 9))

    def estimate(x, y):
        k, m = x @ x.T, y @ y.T
        return np.mean(
            [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(7), 4)]
        )

    expected = estimate(x, y) / np.sqrt(estimate(x, x) * estimate(y, y))
    assert value_of("debiased-cka", x + 1e6, y - 3) == pytest.approx(expected, abs=1e-9)


def test_the_debiased_value_of_independent_layers_is_zero_on_average():
    values = {"linear-cka": [], "debiased-cka": []}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        evidence = evidence_of(rng.standard_normal((20, 15)), rng.standard_normal((20, 15)))
        for name, found in values.items():
            found.append(evaluate(MEASURES[name], evidence))
    assert np.mean(values["linear-cka"]) > 0.4
    assert abs(np.mean(values["debiased-cka"])) < 0.03


def test_what_the_debiased_measure_cannot_tell_is_said():
    x, y = np.random.default_rng(0).standard_normal((2, 3, 2))
    measure = MEASURES["debiased-cka"]
    assert undefined_reason(measure, evidence_of(x, y)) == (
        "an unbiased estimate needs 4 samples, and there are 3"
    )
    apart = np.eye(5)
    assert undefined_reason(measure, evidence_of(apart, np.arange(15.0).reshape(5, 3) ** 2)) == (
        "the unbiased estimate of layer x with itself is 0: all its samples are equally far from each other"
    )
    x, y = np.random.default_rng(0).standard_normal((2, 30, 2))
    assert "too small to be told from 0" in undefined_reason(measure, evidence_of(x * 1e-75, y * 1e-75))
    gram = GramMatrix.from_activations(x, y, rows=True)
    twice = GramMatrix.from_activations(2 * x, y, rows=True)
    for others in (twice.rows, (gram.rows[0], gram.rows[0], gram.rows[2])):
        with pytest.raises(ValueError, match=r"^`rows` must be of the samples of `gram`, about their means"):
            evaluate(measure, Evidence(GramMatrix.from_comoments(*gram.comoments, rows=others)))
    fewer = GramMatrix.from_activations(x[:20], y[:20], rows=True)
    with pytest.raises(
        ValueError, match=r"^`rows` must be of the neurons and samples of the co-moments, \(2, 2, 30\), got"
    ):
        GramMatrix.from_comoments(*gram.comoments, rows=fewer.rows)


@pytest.fixture(scope="module")
def ordinary():
    """Two layers of 5 and 5 neurons that have four causes in common."""
    rng = np.random.default_rng(1)
    causes = rng.standard_normal((80, 4))
    return tuple(
        causes @ rng.standard_normal((4, 5)) + noise * rng.standard_normal((80, 5)) + 3
        for noise in (0.5, 0.7)
    )


def test_scipy_has_the_same_angles(ordinary):
    angles = scipy.linalg.subspace_angles(*(centred(side) for side in ordinary))
    assert value_of("principal-angle", *ordinary) == pytest.approx(np.cos(angles[0]), abs=1e-12)
    assert value_of("cca-mean", *ordinary) == pytest.approx(np.cos(angles).mean(), abs=1e-12)


def test_scikit_learn_has_the_same_canonical_correlations_and_predictions(ordinary):
    x, y = ordinary

    def correlations(x, y):
        most = min(x.shape[1], y.shape[1])
        found = CCA(n_components=most, max_iter=10_000, tol=1e-12).fit(x, y).transform(x, y)
        return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(*(side.T for side in found), strict=True)])

    of_all = correlations(x, y)
    assert value_of("cca-mean", x, y) == pytest.approx(of_all.mean(), abs=1e-8)
    assert value_of("cca-mean-squared", x, y) == pytest.approx(np.mean(of_all**2), abs=1e-8)
    kept = [PCA(n_components=0.99, svd_solver="full").fit_transform(side) for side in ordinary]
    assert value_of("svcca", x, y) == pytest.approx(correlations(*kept).mean(), abs=1e-8)
    assert value_of("predictivity-of-y", x, y) == pytest.approx(
        LinearRegression().fit(x, y).score(x, y), abs=1e-12
    )
    assert value_of("predictivity-of-x", x, y) == pytest.approx(
        LinearRegression().fit(y, x).score(y, x), abs=1e-12
    )


def test_repsim_has_the_same_values(ordinary):
    repsim = needs.module("repsim")
    x, y = ordinary
    assert value_of("linear-cka", x, y) == pytest.approx(
        repsim.cka([x, y], "linear", "gretton")[0, 1], abs=1e-10
    )
    (own_x, shared), (_, own_y) = repsim.hsic([x, y], "linear", "song")
    assert value_of("debiased-cka", x, y) == pytest.approx(shared / np.sqrt(own_x * own_y), abs=1e-10)
    assert value_of("cca-mean", x, y) == pytest.approx(repsim.cca([x, y], "pillai")[0, 1], abs=1e-10)
    assert value_of("cca-mean-squared", x, y) == pytest.approx(repsim.cca([x, y], "yanai")[0, 1], abs=1e-10)
    both = value_of("pwcca", x, y), value_of("pwcca", y, x)  # there, weights of either layer, and their mean
    assert np.mean(both) == pytest.approx(repsim.pwcca([x, y])[0, 1], abs=1e-10)
