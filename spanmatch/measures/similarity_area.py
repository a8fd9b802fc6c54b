"""The area under the maximum match similarity over the epsilons that the paper uses."""

import numpy as np

from spanmatch.matching.offsets import NEAR
from spanmatch.measures.measure import Evidence, Measure


def area(evidence: Evidence, _: float | None) -> float:
    """Return the mean of the similarity over ε from 0 to 0.5: a neuron is in it from its critical ε on."""
    assert evidence.profile is not None
    both = np.concatenate((evidence.profile.x, evidence.profile.y))
    return float(1 - np.minimum(both / NEAR, 1.0).mean())


SIMILARITY_AREA = Measure(
    name="similarity-area",
    version=1,
    needs=frozenset({"profile"}),
    function=area,
    label="similarity, mean over ε",
    definition="The area under the maximum match similarity over ε from 0 to 0.5, relative to the largest "
    "possible: the similarity as a mean over the range of ε that the paper uses. 0 when nothing is shared "
    "at any of them, 1 when everything is at all.",
    reference="ours, from Wang et al. 2018, arXiv 1810.11750",
    usual=True,
)
