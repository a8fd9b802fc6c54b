"""Linear predictivity: how much of each neuron of the second layer the first one predicts."""

from spanmatch.measures.measure import Evidence, Measure
from spanmatch.measures.predicted import held_out_share, mean_share


def predictivity(evidence: Evidence, _: float | None) -> float:
    """Return the mean R² of y neurons, by linear regression on all x neurons; constant ones are left out.

    Costs O(n_x² (n_x + n_y)) flops.
    """
    return mean_share(evidence.along_x, evidence.covariances.variances_y)


def held_out(train: Evidence, test: Evidence, _: float | None) -> float:
    """Return the mean R² on other samples."""
    return held_out_share(train.span_x, train.covariances, test.covariances)


PREDICTIVITY_OF_Y = Measure(
    name="predictivity-of-y",
    version=1,
    needs=frozenset({"comoments"}),
    function=predictivity,
    label="predictivity of y from x",
    definition="The predictivity of y is the share of the variance of a neuron of the second layer that "
    "linear regression on all neurons of the first explains (R²), as a mean over the neurons that vary.",
    reference="Klabunde et al. 2023, arXiv 2305.06329",
    symmetric=False,
    held_out=held_out,
)
