"""The mean critical epsilon: how far a neuron is from what both layers span together, on average."""

import numpy as np

from spanmatch.measures.measure import Evidence, Measure


def mean_epsilon(evidence: Evidence, _: float | None) -> float:
    """Return the mean of the critical epsilons of all neurons; 1 of a dead one, which is in no match."""
    assert evidence.profile is not None
    both = np.concatenate((evidence.profile.x, evidence.profile.y))
    return float(np.minimum(both, 1.0).mean())


MEAN_CRITICAL_EPSILON = Measure(
    name="mean-critical-epsilon",
    version=1,
    needs=frozenset({"profile"}),
    function=mean_epsilon,
    label="mean critical ε",
    definition="The critical ε of a neuron is the smallest ε at which it is in the maximum match; this is "
    "the mean over all neurons of the two layers, a dead one counting as 1. It is 1 less the mean of the "
    "maximum match similarity over all ε from 0 to 1: 0 when everything is shared, 1 when nothing is.",
    reference="ours, from Wang et al. 2018, arXiv 1810.11750",
    higher_is_closer=False,
    usual=True,
)
