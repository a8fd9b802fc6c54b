"""Canonical correlations of samples that had no part in the choice of the directions."""

import numpy as np

from spanmatch.matching.inputs import FloatArray
from spanmatch.measures.covariances import Covariances
from spanmatch.measures.measure import Evidence
from spanmatch.measures.spans import NONE

# Of what variances are summed from, a share this small is rounding.
ROUNDED = 1e-12


def held_out_correlations(train: Evidence, test: Evidence) -> FloatArray:
    """Return the correlation on `test` of each pair of canonical directions of `train`, in [-1, 1], (m,).

    Directions that do not correlate in `train`, or do not vary in `test`, have 0.
    """
    found, of = train.canonical, train.covariances
    values = np.zeros(found.correlations.size)
    some = np.flatnonzero(found.correlations > NONE)
    one, other = found.directions[:, some], found.partners[:, some]
    x, y = (one, other) if found.of_x else (other, one)
    weights = train.span_x.weights(x, len(of.xx)), train.span_y.weights(y, len(of.yy))
    values[some] = correlations_along(*weights, test.covariances)
    return values


def correlations_along(x: FloatArray, y: FloatArray, of: Covariances) -> FloatArray:
    """Return correlations of linear combinations of neurons, weights in columns; 0 of a constant one."""
    shared = np.einsum("ij,ij->j", x, of.xy @ y)
    products = np.ones_like(shared)
    for weights, own in ((x, of.xx), (y, of.yy)):
        variances = np.einsum("ij,ij->j", weights, own @ weights)
        bound = (np.abs(weights) * np.sqrt(own.diagonal())[:, None]).sum(axis=0)
        products *= np.sqrt(np.where(variances > ROUNDED * bound**2, variances, 0))
    values = np.divide(shared, products, out=np.zeros_like(shared), where=products > 0)
    clipped: FloatArray = np.clip(values, -1, 1)
    return clipped
