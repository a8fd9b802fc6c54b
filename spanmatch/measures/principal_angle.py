"""The largest principal angle between two spans, by its cosine."""

import numpy as np

from spanmatch.measures.canonical_values import held_out_correlations
from spanmatch.measures.measure import Evidence, Measure


def cosine(evidence: Evidence, _: float | None) -> float:
    """Return the smallest of as many canonical correlations as the smaller span has dimensions.

    Costs O((n_x + n_y)³) flops.
    """
    return float(evidence.canonical.correlations.min())


def held_out(train: Evidence, test: Evidence, _: float | None) -> float:
    """Return the correlation on other samples of the two directions that are the largest angle apart."""
    return float(held_out_correlations(train, test)[np.argmin(train.canonical.correlations)])


PRINCIPAL_ANGLE = Measure(
    name="principal-angle",
    version=1,
    needs=frozenset({"comoments"}),
    function=cosine,
    label="cosine of the largest principal angle",
    definition="No direction of the smaller span is farther from the other span than the largest principal "
    "angle. Its cosine is the least canonical correlation: 1 where one span contains the other, 0 where a "
    "direction of the smaller one correlates with nothing in the other.",
    reference="Björck and Golub 1973, as in Klabunde et al. 2023, arXiv 2305.06329",
    held_out=held_out,
)
