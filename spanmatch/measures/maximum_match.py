"""The paper's measure: the share of neurons that are in the maximum match."""

from spanmatch.measures.measure import Evidence, Measure


def similarity(evidence: Evidence, epsilon: float | None) -> float:
    """Return the maximum match similarity at an epsilon; a comparison with the critical epsilons."""
    assert evidence.profile is not None
    assert epsilon is not None
    return evidence.profile.similarity(epsilon)


MAXIMUM_MATCH = Measure(
    name="maximum-match",
    version=1,
    needs=frozenset({"profile"}),
    function=similarity,
    label="maximum match similarity",
    definition="A match is a set of neurons from each network in which every neuron is within ε of the other "
    "side; all matches together form the largest one, the maximum match. The share of all neurons of the two "
    "layers that are in it is the maximum match similarity: 0 when nothing is shared, 1 when everything is.",
    reference="Wang et al. 2018, arXiv 1810.11750",
    parameter="epsilon",
    usual=True,
)
