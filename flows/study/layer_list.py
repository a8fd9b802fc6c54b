"""The layers of a study's network, without training it.

Apart from the checks because it is asked for by name, before there is a study worth running.
"""

from typing import TYPE_CHECKING

from flows.study.model import Study
from flows.study.resolve import check_names

if TYPE_CHECKING:
    from spanmatch.networks.layers import Layer


def layers_of(study: Study) -> "tuple[Layer, ...]":
    """Return all layers of the study's network in the order of the forward pass.

    Raises
    ------
    ValueError, TypeError
        If the study asks for what there is not.
    """
    check_names(study)
    from spanmatch.networks.architectures import build  # torch: seconds
    from spanmatch.networks.data import load_source
    from spanmatch.networks.probing import list_layers

    dataset = load_source(study.source())
    images = dataset.held_out
    return list_layers(build(study.architecture, images.shape, dataset.classes, study.width), images)


def as_compared(study: Study, known: "tuple[Layer, ...]") -> "tuple[tuple[Layer, ...], frozenset[str]]":
    """Return the layers with their neurons where the study says they are, and the names of those it compares.

    Raises
    ------
    ValueError
        If the study asks for layers that there are not, or that cannot be compared.
    """
    from spanmatch.networks.layers import choose

    chosen = choose(known, study.wanted_layers())
    said = {layer.name: layer for layer in chosen.layers}
    return tuple(said.get(layer.name, layer) for layer in known), frozenset(said)
