"""How activations are compared: as they are, or each neuron less its mean."""

from typing import Literal, TypeAlias, get_args

from spanmatch.errors import InputValueError
from spanmatch.matching.gram import GramMatrix

Centre: TypeAlias = Literal["raw", "mean"]
CENTRES: tuple[Centre, ...] = get_args(Centre)


def centred_by(gram: GramMatrix, centre: Centre) -> GramMatrix:
    """Return the Gram matrix of activations as they are (``raw``), or less their means (``mean``)."""
    return gram.centred if check_centre(centre) == "mean" else gram


def check_centre(centre: Centre) -> Centre:
    """Return `centre`, or say what it must be."""
    if centre not in CENTRES:
        raise InputValueError(
            f'`centre` must be "raw" or "mean", got {centre!r}; "raw" compares activations as they are, '
            '"mean" less each neuron\'s mean'
        )
    return centre
