"""One-to-one matching: the share of neurons whose partner is like them."""

import numpy as np

from spanmatch.matching.inputs import FloatArray
from spanmatch.measures.assignment import held_out_correlations
from spanmatch.measures.measure import Evidence, Measure

BOUND = 0.5


def share(evidence: Evidence, _: float | None) -> float:
    """Return the share of all neurons of both layers whose correlation with their partner exceeds 0.5.

    Costs O(n³) in the worst case.
    """
    return _share(evidence.partners.correlations, evidence)


def held_out(train: Evidence, test: Evidence, _: float | None) -> float:
    """Return the share on other samples, with the partners chosen."""
    return _share(held_out_correlations(train.partners, test.covariances), train)


def _share(correlations: FloatArray, evidence: Evidence) -> float:
    of = evidence.covariances
    return 2 * np.count_nonzero(correlations > BOUND) / (len(of.xx) + len(of.yy))


ONE_TO_ONE_SHARE = Measure(
    name="one-to-one-share",
    version=1,
    needs=frozenset({"comoments"}),
    function=share,
    label="one-to-one share",
    definition="The share of all neurons of the two layers whose correlation with their partner exceeds 0.5, "
    "partners being chosen one-to-one such that their correlations have the largest sum.",
    reference="Li et al. 2016, arXiv 1511.07543",
    held_out=held_out,
)
