"""Procrustes similarity: how close a rotation and a scale bring one layer to the other."""

import math

import numpy as np

from spanmatch.measures.measure import Evidence, Measure
from spanmatch.measures.spans import nuclear_norm


def similarity(evidence: Evidence, _: float | None) -> float:
    """Return the sum of singular values of Cxy over √(tr Cxx tr Cyy), of centred co-moments.

    Costs O((n_x + n_y)³) flops.
    """
    of = evidence.covariances
    return min(nuclear_norm(of.xy) / math.sqrt(of.xx.trace() * of.yy.trace()), 1.0)


def held_out(train: Evidence, test: Evidence, _: float | None) -> float:
    """Return the cosine of the angle between the layers on other samples, rotated as chosen."""
    left, _values, right = np.linalg.svd(train.covariances.xy, full_matrices=False)
    of = test.covariances
    return float(np.vdot(left @ right, of.xy)) / math.sqrt(of.xx.trace() * of.yy.trace())


PROCRUSTES = Measure(
    name="procrustes",
    version=1,
    needs=frozenset({"comoments"}),
    function=similarity,
    label="Procrustes similarity",
    definition="Procrustes similarity is the cosine of the least angle between two layers, each seen as one "
    "long vector less its mean, when one of them may be rotated: 1 where a rotation, a shift and one scale "
    "turn one into the other.",
    reference="Williams et al. 2021, arXiv 2110.14739",
    held_out=held_out,
)
