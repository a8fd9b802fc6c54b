"""The layers of a study's network, listed without training it."""

from flows.study.model import Study
from flows.study.resolve import check_names
from spanmatch import networks


def layers_of(study: Study) -> "tuple[networks.Layer, ...]":
    """Return all layers of the study's network in the order of the forward pass.

    Raises
    ------
    ValueError, TypeError
        If the study asks for what there is not.
    """
    check_names(study)
    dataset = networks.load_source(study.source())
    held_out = dataset.held_out
    network = networks.build(study.architecture, held_out.shape, dataset.classes, study.width)
    return networks.list_layers(network, held_out)


def items_of(study: Study) -> str:
    """Return what the samples of the study's data set are called."""
    return networks.load_source(study.source()).items


def as_compared(
    study: Study, known: "tuple[networks.Layer, ...]"
) -> "tuple[tuple[networks.Layer, ...], frozenset[str]]":
    """Return the layers with their neurons where the study says they are, and the names of those it compares.

    Raises
    ------
    ValueError
        If the study asks for layers that there are not, or that cannot be compared.
    """
    chosen = networks.choose(known, study.wanted_layers())
    by_name = {layer.name: layer for layer in chosen.layers}
    return tuple(by_name.get(layer.name, layer) for layer in known), frozenset(by_name)
