"""SVCCA: canonical correlations of the directions that most of the variance lies in."""

import numpy as np

from spanmatch.matching.inputs import FloatArray
from spanmatch.measures.canonical_values import correlations_along
from spanmatch.measures.measure import Evidence, Measure
from spanmatch.measures.spans import nuclear_norm

KEPT = 0.99
# Variances closer than this, relatively, are equal, for all that rounding tells of their directions.
EQUAL = 1e-9


def mean_correlation(evidence: Evidence, _: float | None) -> float:
    """Return the mean canonical correlation of the principal directions that are kept of either side.

    Costs O((n_x + n_y)³) flops.
    """
    of = evidence.covariances
    cross: FloatArray = principal(of.xx).T @ of.xy @ principal(of.yy)
    return min(nuclear_norm(cross) / min(len(cross), len(cross.T)), 1.0)


def held_out(train: Evidence, test: Evidence, _: float | None) -> float:
    """Return the mean correlation on other samples of the directions chosen."""
    of = train.covariances
    x, y = principal(of.xx), principal(of.yy)
    left, _values, right = np.linalg.svd(x.T @ of.xy @ y, full_matrices=False)
    return float(correlations_along(x @ left, y @ right.T, test.covariances).mean())


def principal(own: FloatArray) -> FloatArray:
    """Return weights that give the fewest principal directions with 99 % of the variance, (n, k).

    Those that vary just as much as the last are among them, for nothing tells which of them to take.
    """
    variances, directions = np.linalg.eigh(own)
    variances, directions = variances[::-1], directions[:, ::-1]
    explained = np.cumsum(variances)
    last = variances[np.searchsorted(explained, KEPT * explained[-1] * (1 - EQUAL))]
    kept = np.count_nonzero(variances >= last * (1 - EQUAL))
    weights: FloatArray = directions[:, :kept] / np.sqrt(variances[:kept])
    return weights


SVCCA = Measure(
    name="svcca",
    version=1,
    needs=frozenset({"comoments"}),
    function=mean_correlation,
    label="SVCCA",
    definition="Singular vector CCA keeps of either layer the principal directions with 99 % of its "
    "variance, and takes the mean of their canonical correlations, over as many as the smaller side keeps.",
    reference="Raghu et al. 2017, arXiv 1706.05806",
    held_out=held_out,
)
