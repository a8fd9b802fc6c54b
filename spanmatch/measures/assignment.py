"""The one-to-one assignment of the neurons of two layers by their correlations."""

from dataclasses import dataclass

import numpy as np
import scipy

from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Indices
from spanmatch.measures.covariances import Covariances


@dataclass(frozen=True, eq=False)
class Partners:
    """Pairs of neurons, each in one: as many as the smaller layer has.

    Attributes
    ----------
    x, y : ndarray of int, (n,)
        The neurons of either side.
    correlations : ndarray, (n,)
        Theirs, in [-1, 1]; 0 with a neuron that does not vary.
    """

    x: Indices
    y: Indices
    correlations: FloatArray


def partners(of: Covariances) -> Partners:
    """Return the pairs whose correlations have the largest sum (the Hungarian algorithm's problem).

    Notes
    -----
    Costs O(n³) in the worst case, for n neurons a side.
    """
    table = correlations(of)
    # by this name scipy.optimize, slow to load, is loaded here
    x, y = scipy.optimize.linear_sum_assignment(table, maximize=True)
    return Partners(x, y, table[x, y])


def correlations(of: Covariances) -> FloatArray:
    """Return those of all x with all y neurons, (n_x, n_y)."""
    x, y = (np.sqrt(each) for each in (of.variances_x, of.variances_y))
    table = of.xy / np.where(x > 0, x, 1)[:, None]
    table /= np.where(y > 0, y, 1)
    return np.clip(table, -1, 1, out=table)


def held_out_correlations(of: Partners, test: Covariances) -> FloatArray:
    """Return the correlations of the pairs on other samples, (n,)."""
    values: FloatArray = correlations(test)[of.x, of.y]
    return values
