"""Held-out forms of measures against activations: fitted to some samples, evaluated on others."""

from itertools import permutations

import numpy as np
import pytest
import scipy
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from spanmatch import GramMatrix
from spanmatch.measures import MEASURES, Evidence, evaluate, evaluate_held_out, undefined_reason

HELD_OUT = {name: measure for name, measure in MEASURES.items() if measure.held_out}


def evidence_of(x, y):
    return Evidence(GramMatrix.from_activations(x, y))


def drawn(seed):
    """Layers of 2 to 5 neurons with means and units of all sizes, some of them copies of others; a cut."""
    rng = np.random.default_rng(seed)
    causes = rng.standard_normal((70, 3))
    x, y = (
        causes @ rng.standard_normal((3, n)) + rng.uniform(0.2, 1) * rng.standard_normal((70, n))
        for n in rng.integers(2, 6, 2)
    )
    if seed % 3 == 0:
        x, y = np.hstack((x, -2 * x[:, :1])), np.hstack((y, np.full((70, 1), 0.3)))
    x, y = (
        (side + rng.choice([0, 1, 1e4]) * rng.standard_normal(side.shape[1])) * 10.0 ** rng.integers(-3, 4)
        for side in (x, y)
    )
    return (x[:40], y[:40]), (x[40:], y[40:])


def centred(side):
    return side - side.mean(axis=0)


def cosine(a, b):
    return np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)


def principal(side, share=1 - 1e-12):
    """Return weights of neurons that give orthonormal directions with a share of the variance."""
    _, values, right = np.linalg.svd(centred(side), full_matrices=False)
    kept = 1 + np.count_nonzero(np.cumsum(values**2) < share * np.sum(values**2))
    return right[:kept].T / values[:kept]


def pairs_of_directions(train, test, share=1 - 1e-12):
    """Return canonical correlations where they are fitted, those elsewhere, and what correlates."""
    x, y = (principal(side, share) for side in train)
    along = [centred(side) @ weights for side, weights in zip(train, (x, y), strict=True)]
    left, fitted, right = np.linalg.svd(along[0].T @ along[1], full_matrices=False)
    x, y = x @ left, y @ right.T
    held_out = [np.corrcoef(a, b)[0, 1] for a, b in zip((test[0] @ x).T, (test[1] @ y).T, strict=True)]
    return fitted, np.array(held_out), (centred(train[0]) @ x, centred(train[1]) @ y)


def linear_cka(train, test):
    (x, y), (other_x, other_y) = ([centred(side) for side in part] for part in (train, test))
    shared = np.sum((x.T @ y) * (other_x.T @ other_y))
    return shared / np.sqrt(
        np.sum((x.T @ x) * (other_x.T @ other_x)) * np.sum((y.T @ y) * (other_y.T @ other_y))
    )


def pwcca(train, test):
    _, held_out, along = pairs_of_directions(train, test)
    ranks = [len(principal(side).T) for side in train]
    small = int(ranks[1] < ranks[0])
    weights = np.abs(along[small].T @ centred(train[small])).sum(axis=1)
    return np.average(held_out, weights=weights)


def procrustes(train, test):
    most = max(side.shape[1] for side in train)

    def padded(part):
        return [np.pad(centred(side), ((0, 0), (0, most - side.shape[1]))) for side in part]

    rotation, _ = scipy.linalg.orthogonal_procrustes(*padded(train))
    x, y = padded(test)
    return cosine(x @ rotation, y)


def predictivity(train, test):
    predicted = LinearRegression().fit(*train).predict(test[0])
    left = np.sum((test[1] - predicted) ** 2, axis=0)
    by_means = np.sum((test[1] - train[1].mean(axis=0)) ** 2, axis=0)
    varying = np.ptp(test[1], axis=0) > 0
    return np.mean(1 - left[varying] / by_means[varying])


def partners(train, test):
    turn = 1 if train[0].shape[1] <= train[1].shape[1] else -1

    def table(part):
        x, y = part[::turn]
        return np.array([[np.corrcoef(a, b)[0, 1] if np.ptp(a) * np.ptp(b) else 0 for b in y.T] for a in x.T])

    fitted, held_out = table(train), table(test)
    chosen = max(
        permutations(range(fitted.shape[1]), len(fitted)),
        key=lambda choice: sum(fitted[i, j] for i, j in enumerate(choice)),
    )
    return np.array([held_out[i, j] for i, j in enumerate(chosen)])


TRANSCRIPTIONS = {
    "linear-cka": linear_cka,
    "rv": linear_cka,
    "cca-mean": lambda *parts: pairs_of_directions(*parts)[1].mean(),
    "cca-mean-squared": lambda *parts: np.mean(np.prod(pairs_of_directions(*parts)[:2], axis=0)),
    "principal-angle": lambda *parts: pairs_of_directions(*parts)[1][-1],
    "svcca": lambda *parts: pairs_of_directions(*parts, share=0.99)[1].mean(),
    "pwcca": pwcca,
    "procrustes": procrustes,
    "predictivity-of-y": predictivity,
    "predictivity-of-x": lambda train, test: predictivity(train[::-1], test[::-1]),
    "one-to-one-correlation": lambda *parts: partners(*parts).mean(),
    "one-to-one-share": lambda train, test: (
        2 * np.sum(partners(train, test) > 0.5) / (train[0].shape[1] + train[1].shape[1])
    ),
}


def test_every_held_out_form_is_transcribed():
    assert TRANSCRIPTIONS.keys() == HELD_OUT.keys()


@examples(100)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_held_out_value_is_its_definition(seed):
    train, test = drawn(seed)
    fitted, tested = evidence_of(*train), evidence_of(*test)
    for name, transcription in TRANSCRIPTIONS.items():
        value = evaluate_held_out(HELD_OUT[name], fitted, tested)
        assert value == pytest.approx(transcription(train, test), abs=1e-7), name


def test_nothing_is_shared_by_independent_layers_but_in_the_samples_that_were_fitted():
    in_sample, held_out = ({name: [] for name in HELD_OUT} for _ in range(2))
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, y = rng.standard_normal((2, 120, 8))
        train, test = evidence_of(x[:60], y[:60]), evidence_of(x[60:], y[60:])
        for name, measure in HELD_OUT.items():
            in_sample[name].append(evaluate(measure, train))
            held_out[name].append(evaluate_held_out(measure, train, test))
    for name in HELD_OUT:
        mean, error = np.mean(held_out[name]), np.std(held_out[name]) / np.sqrt(60)
        if name.startswith("predictivity"):  # weights that were fitted to noise do worse than means
            assert -0.4 < mean < -0.1
        else:
            assert abs(mean) <= 3 * error, name
        if name not in {"one-to-one-share", "principal-angle"}:
            assert np.mean(in_sample[name]) > mean + 0.1, name


def test_what_varies_only_elsewhere_has_a_reason():
    x, y = np.random.default_rng(0).standard_normal((2, 40, 2))
    one, other = x.copy(), x.copy()
    one[:, 0], other[:, 1] = 0, 0
    train, test = evidence_of(one, y), evidence_of(other, y)
    assert undefined_reason(MEASURES["linear-cka"], train, test=test) == (
        "no direction in which layer x varies over some samples is one over the others"
    )
    assert evaluate_held_out(MEASURES["linear-cka"], train, test) is None
    # the one direction of x that is fitted does not vary, and so correlates with nothing
    assert evaluate_held_out(MEASURES["cca-mean"], train, test) == 0
    assert evaluate_held_out(MEASURES["predictivity-of-y"], train, test) < 0.05
