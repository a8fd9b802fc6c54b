"""Linear centred kernel alignment: how alike two layers are up to rotations and a common scale of neurons."""

import math

import numpy as np

from spanmatch.errors import UndefinedMeasureError
from spanmatch.measures.measure import Evidence, Measure


def alignment(evidence: Evidence, _: float | None) -> float:
    """Return |Cxy|² / (|Cxx| |Cyy|), Frobenius norms of centred co-moments.

    Costs O((n_x + n_y)²) flops.
    """
    of = evidence.covariances
    shared, norm_x, norm_y = (np.linalg.norm(each) for each in (of.xy, of.xx, of.yy))
    return min(float(shared / norm_x * (shared / norm_y)), 1.0)


def held_out(train: Evidence, test: Evidence, _: float | None) -> float:
    """Return the same of inner products between the co-moments of two sets of samples, in place of squares.

    What both sets have by chance alone is not common to them, so that independent layers have 0 on average.
    """
    one, other = train.covariances, test.covariances
    shared, own_x, own_y = (
        float(np.vdot(a, b)) for a, b in ((one.xy, other.xy), (one.xx, other.xx), (one.yy, other.yy))
    )
    if min(own_x, own_y) <= 0:
        side = "x" if own_x <= 0 else "y"
        raise UndefinedMeasureError(
            f"no direction in which layer {side} varies over some samples is one over the others"
        )
    return shared / math.sqrt(own_x) / math.sqrt(own_y)


LINEAR_CKA = Measure(
    name="linear-cka",
    version=2,
    needs=frozenset({"comoments"}),
    function=alignment,
    label="linear CKA",
    definition="Linear centred kernel alignment is the sum of the squared covariances of every neuron of one "
    "layer with every neuron of the other, relative to those within either layer. It is 1 where a rotation, "
    "a shift and one scale turn one layer into the other, and 0 where no neuron of one correlates with any "
    "of the other.",
    reference="Kornblith et al. 2019, arXiv 1905.00414",
    aliases=("cka",),
    usual=True,
    held_out=held_out,
)
