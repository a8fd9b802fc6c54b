"""How activations are compared: as they are, or each neuron less its mean."""

from typing import Literal, TypeAlias, get_args

from spanmatch.matching.gram import GramMatrix

Centre: TypeAlias = Literal["raw", "mean"]
CENTRES: tuple[Centre, ...] = get_args(Centre)


def centred_by(gram: GramMatrix, centre: Centre) -> GramMatrix:
    """Return the Gram matrix of activations as they are (``raw``), or less their means (``mean``)."""
    return gram.centred if centre == "mean" else gram
