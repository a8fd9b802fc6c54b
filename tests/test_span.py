"""Updated residuals stay those of a fresh factorisation while members leave, to the last one."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from spanmatch.matching import span as span_module
from spanmatch.matching.span import Span


def unit_gram(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=0)
    return unit.T @ unit, unit


def least_squares(unit, members, targets):
    """Squared residuals by least squares, and what inner products can know of them."""
    left, values, right = np.linalg.svd(unit[:, members], full_matrices=False)
    kept = values > 1e-6
    weights = right[kept].T @ ((left[:, kept].T @ unit[:, targets]) / values[kept, None])
    rest = unit[:, targets] - left[:, kept] @ (left[:, kept].T @ unit[:, targets])
    return (rest**2).sum(axis=0), np.abs(weights).sum(axis=0)


def assert_accurate_to_the_last_removal(vectors, n_members, order, slack):
    gram, unit = unit_gram(vectors)
    is_member = np.arange(len(gram)) < n_members
    span = Span(gram, is_member, ~is_member)
    targets = np.flatnonzero(~is_member)
    members = list(range(n_members))
    for leaver in order[:-1]:
        foreseen = span.growth(np.array([leaver]))
        before = span.squared.copy()
        span.remove(np.array([leaver]))
        members.remove(leaver)
        expected, weight = least_squares(unit, members, targets)
        allowed = slack + 4e-15 * weight**2
        assert np.all(np.abs(span.squared[targets] - expected) <= allowed)
        if foreseen is not None:
            assert np.all(np.abs((before + foreseen)[targets] - expected) <= allowed)
    span.remove(np.array([order[-1]]))
    np.testing.assert_array_equal(span.squared[targets], 1)


def vectors_of(kind, rng, n_members, n_targets, noise):
    causes = rng.standard_normal((200, 6))
    if kind == "near duplicates":
        half = rng.standard_normal((200, (n_members + 1) // 2))
        twins = half + noise * rng.standard_normal(half.shape)
        members = np.hstack((half, twins))[:, :n_members]
    elif kind == "rank deficient":
        members = causes @ rng.standard_normal((6, n_members))
    elif kind == "decaying spectrum":
        members = rng.standard_normal((200, n_members)) * 10.0 ** -np.linspace(0, 4, n_members)
        members = members @ np.linalg.qr(rng.standard_normal((n_members, n_members)))[0]
    else:
        members = np.maximum(causes @ rng.standard_normal((6, n_members)), 0)
    mixed = members @ rng.standard_normal((n_members, n_targets))
    share = rng.choice([0.01, 0.3, 1.0], n_targets)
    return np.hstack((members, mixed + share * rng.standard_normal((200, n_targets))))


@examples(180)
@given(
    kind=st.sampled_from(["near duplicates", "rank deficient", "decaying spectrum", "relu"]),
    n_members=st.integers(1, 16),
    noise=st.sampled_from([0, 1e-9, 1e-8, 1e-4, 1e-3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_residuals_stay_accurate_to_the_last_removal(kind, n_members, noise, seed):
    rng = np.random.default_rng(seed)
    vectors = vectors_of(kind, rng, n_members, 7, noise)
    slack = 1e-10 + (
        4 * noise if noise < 1e-6 else 0
    )  # which of two that count as equal stays is not defined
    assert_accurate_to_the_last_removal(vectors, n_members, rng.permutation(n_members).tolist(), slack)


@pytest.mark.parametrize("noise", [1e-3, 1e-4, 1e-5])
def test_drift_is_noticed_and_removed(noise, monkeypatch):
    """Once the near-duplicates have left, nothing of their conditioning remains."""
    rng = np.random.default_rng(0)
    half, targets = rng.standard_normal((300, 20)), rng.standard_normal((300, 10))
    vectors = np.hstack((half, half + noise * rng.standard_normal(half.shape), targets))
    gram, unit = unit_gram(vectors)
    is_member = np.arange(50) < 40

    def error():
        span = Span(gram, is_member, ~is_member)
        for leaver in range(30):
            span.remove(np.array([leaver]))
        expected, _ = least_squares(unit, list(range(30, 40)), list(range(40, 50)))
        return np.abs(span.squared[40:] - expected).max()

    assert error() < 1e-10
    monkeypatch.setattr(span_module, "DRIFT_BOUND", np.inf)
    if noise < 1e-4:
        assert error() > 1e-10


def test_nothing_is_computed_afresh_while_all_is_well(monkeypatch):
    rng = np.random.default_rng(1)
    gram, _ = unit_gram(rng.standard_normal((400, 60)))
    is_member = np.arange(60) < 30
    span = Span(gram, is_member, ~is_member)
    monkeypatch.setattr(Span, "_factorise", lambda self: pytest.fail("a fresh factorisation"))
    for leaver in range(29):
        span.remove(np.array([leaver]))
        span.drop_targets(np.array([30 + leaver]))
    expected = 1 - gram[29, 59] ** 2
    assert span.squared[59] == pytest.approx(expected, abs=1e-13)


def test_a_redundant_member_takes_the_place_of_the_one_that_leaves(monkeypatch):
    rng = np.random.default_rng(2)
    causes = rng.standard_normal((100, 4))
    members = causes @ rng.standard_normal((4, 9))
    gram, _ = unit_gram(np.hstack((members, causes)))
    is_member = np.arange(13) < 9
    span = Span(gram, is_member, ~is_member)
    monkeypatch.setattr(Span, "_factorise", lambda self: pytest.fail("a fresh factorisation"))
    for leaver in range(5):
        span.remove(np.array([leaver]))
        assert span.squared[9:].max() < 1e-12
    span.remove(np.array([5]))
    assert span.squared[9:].max() > 1e-6


def test_copies_are_independent():
    rng = np.random.default_rng(3)
    gram, _ = unit_gram(rng.standard_normal((100, 12)))
    is_member = np.arange(12) < 6
    span = Span(gram, is_member, ~is_member)
    span.remove(np.array([0]))
    span.drop_targets(np.array([11]))
    before = span.squared[6:11].copy()
    twin = span.copy()
    for leaver in (3, 1, 5):
        twin.remove(np.array([leaver]))
    np.testing.assert_array_equal(span.squared[6:11], before)
    for leaver in (3, 1, 5):
        span.remove(np.array([leaver]))
    np.testing.assert_allclose(span.squared[6:11], twin.squared[6:11], rtol=0, atol=1e-15)
