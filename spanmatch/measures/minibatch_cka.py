"""Linear CKA of whole maps, estimated from batches: what tools for heat maps of networks show."""

import math

from spanmatch.errors import UndefinedMeasureError
from spanmatch.measures.measure import Evidence, Measure


def minibatch_cka(evidence: Evidence, _: float | None) -> float:
    """Return the estimate that was summed while batches passed."""
    value = evidence.of_minibatches
    assert value is not None
    if math.isnan(value):
        raise UndefinedMeasureError("no batch of four samples or more in which both layers vary")
    return value


MINIBATCH_CKA = Measure(
    name="minibatch-cka",
    version=1,
    needs=frozenset({"minibatches"}),
    function=minibatch_cka,
    label="minibatch CKA",
    definition="Linear centred kernel alignment between whole outputs, each sample's map as one vector, from "
    "unbiased estimates of HSIC in each batch. It depends on the batches, compares maps of different sizes, "
    "and may lie below 0.",
    reference="Nguyen et al. 2021, arXiv 2010.15327",
    bounds=(-1.0, 1.0),
)
