"""One-to-one matching: the mean correlation of neurons with their partners."""

from spanmatch.measures.assignment import held_out_correlations
from spanmatch.measures.measure import Evidence, Measure


def mean_correlation(evidence: Evidence, _: float | None) -> float:
    """Return the mean correlation of partners; a neuron that does not vary has 0 with any.

    Costs O(n³) in the worst case.
    """
    return float(evidence.partners.correlations.mean())


def held_out(train: Evidence, test: Evidence, _: float | None) -> float:
    """Return the mean correlation on other samples of the partners chosen."""
    return float(held_out_correlations(train.partners, test.covariances).mean())


ONE_TO_ONE_CORRELATION = Measure(
    name="one-to-one-correlation",
    version=1,
    needs=frozenset({"comoments"}),
    function=mean_correlation,
    label="one-to-one correlation",
    definition="Every neuron of the smaller layer gets a partner of its own in the other, such that the "
    "correlations of partners have the largest sum; this is their mean.",
    reference="Li et al. 2016, arXiv 1511.07543",
    bounds=(-1.0, 1.0),
    held_out=held_out,
)
