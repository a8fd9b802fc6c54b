"""Linear predictivity: how much of each neuron of the first layer the second one predicts."""

from spanmatch.measures.measure import Evidence, Measure
from spanmatch.measures.predicted import held_out_share, mean_share


def predictivity(evidence: Evidence, _: float | None) -> float:
    """Return the mean R² of x neurons, by linear regression on all y neurons; constant ones are left out.

    Costs O(n_y² (n_x + n_y)) flops.
    """
    of = evidence.covariances
    return mean_share(evidence.span_y.coordinates(of.xy.T), of.variances_x)


def held_out(train: Evidence, test: Evidence, _: float | None) -> float:
    """Return the mean R² on other samples."""
    return held_out_share(train.span_y, train.covariances.exchanged, test.covariances.exchanged)


PREDICTIVITY_OF_X = Measure(
    name="predictivity-of-x",
    version=1,
    needs=frozenset({"comoments"}),
    function=predictivity,
    label="predictivity of x from y",
    definition="The predictivity of x is the share of the variance of a neuron of the first layer that "
    "linear regression on all neurons of the second explains (R²), as a mean over the neurons that vary.",
    reference="Klabunde et al. 2023, arXiv 2305.06329",
    symmetric=False,
    held_out=held_out,
)
