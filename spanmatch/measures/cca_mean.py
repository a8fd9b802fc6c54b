"""The mean canonical correlation: how alike the spans of two layers are, whatever spans them."""

from spanmatch.measures.canonical_values import held_out_correlations
from spanmatch.measures.measure import Evidence, Measure


def mean_correlation(evidence: Evidence, _: float | None) -> float:
    """Return the mean over as many canonical correlations as the smaller span has dimensions.

    Costs O((n_x + n_y)³) flops.
    """
    return float(evidence.canonical.correlations.mean())


def held_out(train: Evidence, test: Evidence, _: float | None) -> float:
    """Return the mean correlation on other samples of the directions chosen."""
    return float(held_out_correlations(train, test).mean())


CCA_MEAN = Measure(
    name="cca-mean",
    version=1,
    needs=frozenset({"comoments"}),
    function=mean_correlation,
    label="mean CCA",
    definition="Canonical correlation analysis pairs directions of the spans of two layers, the most "
    "correlated first; this is the mean of their correlations, over as many as the smaller span has "
    "dimensions. It is 1 where one span contains the other, however little of the variance that explains.",
    reference="Raghu et al. 2017, arXiv 1706.05806",
    usual=True,
    held_out=held_out,
)
