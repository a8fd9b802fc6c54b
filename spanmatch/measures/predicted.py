"""How well linear regression on the neurons of one layer predicts those of another."""

import numpy as np

from spanmatch.errors import UndefinedMeasureError
from spanmatch.matching.deviations import ROUNDED
from spanmatch.matching.inputs import FloatArray
from spanmatch.measures.covariances import Covariances
from spanmatch.measures.spans import Span


def mean_share(coordinates: FloatArray, variances: FloatArray) -> float:
    """Return the mean R² of the neurons that vary, from their coordinates, (rank, n), in a span."""
    explained = np.einsum("ij,ij->j", coordinates, coordinates)
    varying = variances > 0
    return float(np.minimum(explained[varying] / variances[varying], 1.0).mean())


def held_out_share(span: Span, of: Covariances, test: Covariances) -> float:
    """Return the same on other samples, predicted by the weights and the means of those of the span.

    A share is relative to what remains when the means alone predict, and negative where weights do worse.
    """
    test = test.in_units_of(of)
    weights = span.weights(span.coordinates(of.xy), len(of.xx))
    apart_x, apart_y = _apart(test.means_x, of.means_x), _apart(test.means_y, of.means_y)
    n = test.n_samples
    by_means = test.variances_y + n * apart_y**2
    offset = apart_y - apart_x @ weights
    left = (
        test.variances_y
        - 2 * np.einsum("ij,ij->j", weights, test.xy)
        + np.einsum("ij,ij->j", weights, test.xx @ weights)
        + n * offset**2
    )
    some = by_means > 0
    if not some.any():
        raise UndefinedMeasureError("no neuron of the layer to predict varies over the samples left out")
    return float((1 - left[some] / by_means[some]).mean())


def _apart(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return by how much means differ: by 0 where that may be rounding, as of a constant neuron."""
    apart = one - other
    return np.where(np.abs(apart) > ROUNDED * np.abs(other), apart, 0.0)
