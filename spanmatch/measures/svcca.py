"""SVCCA: canonical correlations of the directions that most of the variance lies in."""

import numpy as np
from scipy.linalg.lapack import dgeqrf, dormqr

from spanmatch.matching.inputs import FloatArray
from spanmatch.measures.canonical_values import correlations_along
from spanmatch.measures.measure import Evidence, Measure
from spanmatch.measures.spans import Span, nuclear_norm
from spanmatch.measures.spectrum import FEW, PANEL, Spectrum, spectrum

KEPT = 0.99
# Variances closer than this, relatively, are equal, for all that rounding tells of their directions.
EQUAL = 1e-9
# Of the largest variance, the share from which on a direction is known well enough to be left out by itself.
CLEAR = 1e-6


def mean_correlation(evidence: Evidence, _: float | None) -> float:
    """Return the mean canonical correlation of the principal directions that are kept of either side.

    Costs O((n_x + n_y)³) flops.
    """
    of = evidence.covariances
    x, y = spectrum(of.xx), spectrum(of.yy)
    if _keeps_most(x) and _keeps_most(y):
        without_x = _without(evidence.cross, evidence.span_x, x)
        cross = _without(without_x.T, evidence.span_y, y)
    else:
        cross = principal(x).T @ of.xy @ principal(y)
    return min(nuclear_norm(cross) / min(len(cross), len(cross.T)), 1.0)


def held_out(train: Evidence, test: Evidence, _: float | None) -> float:
    """Return the mean correlation on other samples of the directions chosen."""
    of = train.covariances
    x, y = principal(spectrum(of.xx)), principal(spectrum(of.yy))
    left, _values, right = np.linalg.svd(x.T @ of.xy @ y, full_matrices=False)
    return float(correlations_along(x @ left, y @ right.T, test.covariances).mean())


def principal(found: Spectrum) -> FloatArray:
    """Return weights of neurons that give the principal directions kept, of length one, (n, k)."""
    left = _left_out(found)
    weights: FloatArray = found.vectors(left, found.values.size) / np.sqrt(found.values[left:])
    return weights


def _left_out(found: Spectrum) -> int:
    """Return how many principal directions are left out: the fewest that have 99 % of the variance are kept.

    Those that vary just as much as the last are among them, for nothing tells which of them to take.
    """
    variances = found.values[::-1]
    explained = np.cumsum(variances)
    last = variances[np.searchsorted(explained, KEPT * explained[-1] * (1 - EQUAL))]
    return int(np.count_nonzero(variances < last * (1 - EQUAL)))


def _keeps_most(found: Spectrum) -> bool:
    """Say whether few directions are left out, all of them clear: they err by roundings of the largest."""
    return _left_out(found) <= FEW * found.values.size and found.values[0] > CLEAR * found.values[-1]


def _without(cross: FloatArray, span: Span, found: Spectrum) -> FloatArray:
    """Return inner products of a basis of what is kept, (k, m), from those of a basis of the span, (n, m)."""
    if not (left := _left_out(found)):
        return cross
    reflectors, factors, _, _ = dgeqrf(span.combined(found.vectors(0, left)), lwork=PANEL * left)
    turned: FloatArray = dormqr("L", "T", reflectors, factors, cross, lwork=PANEL * len(cross.T))[0]
    return turned[left:]


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
