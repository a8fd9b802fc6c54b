"""Rows of a comparison with their evidence are those of the functions that find it."""

import pytest
import torch
from torch import nn

import spanmatch
from spanmatch.errors import InputValueError

SAMPLES = list(torch.randn(90, 4, generator=torch.Generator().manual_seed(3)).split(30))
ASKED = {"measures": ["maximum-match", "cka"], "epsilons": [0.3, 0.7], "centre": "mean"}


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3), nn.Tanh())


NETWORKS = {"a": network(0), "b": network(1)}


def test_evidence_is_what_the_functions_find_that_are_for_it():
    found = spanmatch.compare(NETWORKS, SAMPLES, folds=3, keep_samples=True)
    rows = found.rows(**ASKED, layers=("1", "3"), evidence=True)
    folds = found.fold_grams("1", "3")
    chance, errors = found.null("1", "3", **ASKED), spanmatch.jackknife(folds, **ASKED)
    unseen = spanmatch.held_out(folds, **ASKED)
    assert [(row.measure, row.parameter) for row in rows] == [
        ("maximum-match", 0.3),
        ("maximum-match", 0.7),
        ("linear-cka", None),
    ]
    for row in rows:
        of = row.measure, row.parameter
        assert (row.network_x, row.layer_x, row.layer_y) == ("a", "1", "3")
        assert row.value == pytest.approx(chance.row(*of).value)
        assert (row.null_mean, row.p) == (chance.row(*of).null_mean, chance.row(*of).p)
        assert (row.error, row.held_out) == (errors.row(*of).error, unseen.row(*of).held_out)
        assert (row.permutations, row.folds) == (20, 3)
    assert rows[2].p == pytest.approx(1 / 21)
    frame = found.to_frame(["cka"], evidence=True)
    assert len(frame) == len(found.pairs) == 4
    assert {"null_mean", "p", "error", "held_out"} <= set(frame.columns)
    assert "p" not in found.to_frame(["cka"]).columns


def test_evidence_is_as_far_as_the_call_has_asked():
    many = [torch.randn(400, 4)] * 2
    (row,) = spanmatch.compare(NETWORKS, many, folds=3, layers=["1"]).rows(["cka"], evidence=True)
    assert (row.p, row.permutations) == (None, 0)
    assert row.error > 0
    (row,) = spanmatch.compare(NETWORKS, many, keep_samples=True, layers=["1"]).rows(["cka"], evidence=True)
    assert (row.error, row.folds) == (None, 0)
    assert row.p == pytest.approx(1 / 21)
    with pytest.raises(InputValueError, match=r"^`evidence` must have samples or folds to stand on"):
        spanmatch.compare(NETWORKS, many, layers=["1"]).rows(["cka"], evidence=True)
    with pytest.raises(InputValueError, match=r"^`layers` must be names of two layers .* as \('1', '1'\)"):
        spanmatch.compare(NETWORKS, many, layers=["1"]).rows(layers=("1", "7"))
