"""Projection weighted CCA: the mean canonical correlation, each weighing as much as it has of a layer."""

import numpy as np

from spanmatch.errors import UndefinedMeasureError
from spanmatch.matching.inputs import FloatArray
from spanmatch.measures.canonical_values import held_out_correlations
from spanmatch.measures.measure import Evidence, Measure

# Correlations closer than this are equal, for all that rounding tells of their directions.
EQUAL = 1e-9


def weighted_mean(evidence: Evidence, _: float | None) -> float:
    """Return Σ α ρ / Σ α; α of a direction is Σ over neurons of the smaller span of |inner product|.

    Costs O((n_x + n_y)³) flops.
    """
    weights = projections(evidence)
    return min(float(weights @ evidence.canonical.correlations / weights.sum()), 1.0)


def held_out(train: Evidence, test: Evidence, _: float | None) -> float:
    """Return the mean of the correlations on other samples, weights and directions as chosen."""
    weights = projections(train)
    return float(weights @ held_out_correlations(train, test) / weights.sum())


def projections(evidence: Evidence) -> FloatArray:
    """Return the weight of each canonical direction, (m,).

    Raises
    ------
    UndefinedMeasureError
        When some correlations, not all, are equal: any turn of their directions is as good, and weighs them
        otherwise.
    """
    found, of = evidence.canonical, evidence.covariances
    ordered = np.sort(found.correlations)
    close = np.diff(ordered) < EQUAL
    if close.all():
        return np.ones(ordered.size)
    if close.any():
        raise UndefinedMeasureError(
            f"{1 + np.count_nonzero(close)} of {ordered.size} canonical correlations are equal to another, "
            f"such as {ordered[np.argmax(close)]:.3g}: their directions, and so their weights, are arbitrary"
        )
    span, own = (evidence.span_x, of.xx) if found.of_x else (evidence.span_y, of.yy)
    weights: FloatArray = np.abs(found.directions.T @ span.own_coordinates(own)).sum(axis=1)
    return weights


PWCCA = Measure(
    name="pwcca",
    version=1,
    needs=frozenset({"comoments"}),
    function=weighted_mean,
    label="projection weighted CCA",
    definition="Projection weighted CCA is a weighted mean of the canonical correlations. A direction weighs "
    "as much as the neurons project on it: those of the layer with the smaller span, of the first layer "
    "where both are equally large.",
    reference="Morcos et al. 2018, arXiv 1806.05759",
    symmetric=False,
    held_out=held_out,
)
