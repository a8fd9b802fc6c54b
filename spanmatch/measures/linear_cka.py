"""Linear centred kernel alignment: how alike two layers are up to rotations and a common scale of neurons."""

import math

import numpy as np

from spanmatch.measures.measure import Evidence, Measure


def alignment(evidence: Evidence, _: float | None) -> float:
    """Return |Cxy|² / (|Cxx| |Cyy|), Frobenius norms of centred co-moments; NaN where a layer is constant.

    Costs O((n_x + n_y)²) flops.
    """
    moments, n_x = evidence.centred.matrix, evidence.centred.n_x
    xx, yy, xy = moments[:n_x, :n_x], moments[n_x:, n_x:], moments[:n_x, n_x:]
    # in units of the largest variance of either layer, so that no square overflows
    unit_x, unit_y = xx.max(), yy.max()
    if not (unit_x and unit_y):
        return math.nan
    norm_x, norm_y = np.linalg.norm(xx / unit_x), np.linalg.norm(yy / unit_y)
    shared = np.linalg.norm(xy / math.sqrt(unit_x) / math.sqrt(unit_y))
    return min(float(shared**2 / (norm_x * norm_y)), 1.0)


LINEAR_CKA = Measure(
    name="linear-cka",
    version=1,
    needs=frozenset({"comoments"}),
    function=alignment,
    label="linear CKA",
    definition="Linear centred kernel alignment is the sum of the squared covariances of every neuron of one "
    "layer with every neuron of the other, relative to those within either layer. It is 1 where a rotation, "
    "a shift and one scale turn one layer into the other, and 0 where no neuron of one correlates with any "
    "of the other.",
    reference="Kornblith et al. 2019, arXiv 1905.00414",
    usual=True,
)
