"""The RV coefficient, under the name that statisticians know: on centred activations, linear CKA."""

from spanmatch.measures.linear_cka import alignment, held_out
from spanmatch.measures.measure import Measure

RV = Measure(
    name="rv",
    version=1,
    needs=frozenset({"comoments"}),
    function=alignment,
    label="RV coefficient",
    definition="The RV coefficient is the cosine of the angle between the two layers' matrices of inner "
    "products of samples, less their means. It is the same number as linear CKA.",
    reference="Robert and Escoufier 1976, as in Kornblith et al. 2019, arXiv 1905.00414",
    held_out=held_out,
)
