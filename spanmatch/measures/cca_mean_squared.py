"""The mean squared canonical correlation: the share that two spans explain of each other."""

import numpy as np

from spanmatch.measures.canonical_values import held_out_correlations
from spanmatch.measures.measure import Evidence, Measure


def mean_squared_correlation(evidence: Evidence, _: float | None) -> float:
    """Return the mean of squares over as many canonical correlations as the smaller span has dimensions.

    Costs O((n_x + n_y)³) flops.
    """
    return float(np.mean(evidence.canonical.correlations**2))


def held_out(train: Evidence, test: Evidence, _: float | None) -> float:
    """Return the mean of the products of both correlations, where chosen and on other samples.

    The square on other samples alone would be positive by chance.
    """
    return float(np.mean(train.canonical.correlations * held_out_correlations(train, test)))


CCA_MEAN_SQUARED = Measure(
    name="cca-mean-squared",
    version=1,
    needs=frozenset({"comoments"}),
    function=mean_squared_correlation,
    label="mean squared CCA",
    definition="The mean of the squared canonical correlations of two layers is the share of the variance of "
    "one span, all its directions weighing the same, that the other explains.",
    reference="Kornblith et al. 2019, arXiv 1905.00414",
    held_out=held_out,
)
