"""The layers of a study and of those that it is compared with, and which of them can be paired."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, NamedTuple

from flows.study.comparisons import comparisons
from flows.study.comparisons import networks as networks_of
from flows.study.model import Study
from flows.study.resolved import Resolved, ResolvedOther, Shape
from spanmatch import networks
from spanmatch.comparing.pairs import names_of_pairs, same_positions
from spanmatch.errors import InputValueError


@dataclass(frozen=True)
class StudyLayers:
    """Layers that are compared.

    Attributes
    ----------
    own
        The study's.
    others
        Those of each other study.
    left_out
        What else was asked for, each with the reason.
    """

    own: "Sequence[networks.Layer]"
    others: "Mapping[str, Sequence[networks.Layer]]"
    left_out: Mapping[str, str]


Others = Mapping[str, "tuple[ResolvedOther, tuple[networks.Layer, ...]]"]


def own_layers(found: "networks.Chosen", others: Others) -> StudyLayers:
    """Return the layers that each study chooses for itself."""
    chosen = {name: _chosen(name, *of_other) for name, of_other in others.items()}
    left_out = {
        f"{name}/{layer}": f"it gives {problem}"
        for name, of_other in chosen.items()
        for layer, problem in of_other.left_out.items()
    }
    return StudyLayers(found.layers, {name: one.layers for name, one in chosen.items()}, left_out)


def _chosen(name: str, other: ResolvedOther, layers: "tuple[networks.Layer, ...]") -> "networks.Chosen":
    try:
        return networks.choose(layers, other.study.wanted_layers())
    except InputValueError as error:
        raise InputValueError(f"{error} (in {name!r} of `others`)") from None


def shared_layers(study: Study, found: "networks.Chosen", others: Others) -> StudyLayers:
    """Return those of the chosen layers that all studies have, and why not the rest; refuse named ones."""
    said = {layer.name: layer.said for layer in found.layers if layer.said is not None}
    chosen, left_out = found.layers, dict[str, str]()
    theirs: dict[str, dict[str, networks.Layer]] = {}
    for name, (_, layers) in others.items():
        known = networks.as_if_said(layers, said)
        theirs[name] = {layer.name: layer for layer in known if not layer.problem}
        missing = [layer.name for layer in chosen if layer.name not in theirs[name]]
        named = [layer for layer in missing if layer in dict(study.wanted_layers())]
        if named or len(missing) == len(chosen):
            raise InputValueError(
                f"`layers` must be there in the networks of {name!r} too, got {(named or missing)[0]!r}, "
                f"which is not one of: {', '.join(theirs[name])}; name layers that both have, or set `pairs` "
                "to grid, or to a list"
            )
        problems = {layer.name: layer.problem for layer in known}
        for absent in missing:
            gives = f"give {problems[absent]} there" if absent in problems else "have no such layer"
            left_out[absent] = f"the networks of {name!r} {gives}"
        chosen = tuple(layer for layer in chosen if layer.name in theirs[name])
        for layer in chosen:
            shapes = [Shape(one.map, one.neurons) for one in (layer, theirs[name][layer.name])]
            if study.positions != "mean" and not same_positions(*(shape.map for shape in shapes)):
                raise InputValueError(
                    f"`layers` must have the same positions in both networks, got "
                    f"{' and '.join(shape.shown for shape in shapes)} of {layer.name!r} in {name!r}; set "
                    "`positions` to mean, or leave that layer out"
                )
    return StudyLayers(
        chosen, {name: [known[layer.name] for layer in chosen] for name, known in theirs.items()}, left_out
    )


def check_mask(dataset: "networks.Dataset", layers: "Iterable[networks.Layer]") -> None:
    """See that it can be told of each layer which of its positions count.

    Raises
    ------
    ValueError
        If not.
    """
    networks.check_mask(dataset.held_out.mask, {layer.name: layer.positions for layer in layers})


def described(layers: "Sequence[networks.Layer]") -> dict[str, Any]:
    """Return what is kept of layers that are compared."""
    return {
        "layers": tuple(layer.name for layer in layers),
        "neurons": {layer.name: layer.said for layer in layers if layer.said is not None},
        "shapes": {layer.name: Shape(layer.map, layer.neurons) for layer in layers},
    }


def check_pairs(study: Study, resolved: Resolved) -> None:
    """See that there are the layers that are paired, the same in all comparisons, and of the same samples.

    Those of one name are: `shared_layers` has seen to it.

    Raises
    ------
    ValueError
        If not.
    """
    if study.pairs == "same":
        return
    others = {name: other.study for name, other in resolved.others.items()}
    known = networks_of(study, others)
    paired: dict[tuple[str | None, ...], _Paired] = {}
    for compared in comparisons(study, others):
        x, y = (one.network for one in compared)
        kinds = known[x].other, known[y].other
        if kinds in paired:
            continue
        of_x, of_y = (resolved.shapes if kind is None else resolved.others[kind].shapes for kind in kinds)
        paired[kinds] = _Paired((x, y), names_of_pairs(of_x, of_y, study.pairs, (x, y)))
        for names in paired[kinds].names:
            of_pair = of_x[names[0]], of_y[names[1]]
            if study.positions != "mean" and not same_positions(*(shape.map for shape in of_pair)):
                shown = (
                    f"{name!r} of {network!r} has {shape.shown}"
                    for name, network, shape in zip(names, (x, y), of_pair, strict=True)
                )
                raise InputValueError(
                    f"`pairs` must be of layers with the same positions, but {' and '.join(shown)}; set "
                    "`positions` to mean, or leave such layers out of `layers` or `pairs`"
                )
    if study.pairs != "grid":
        _require_same_pairs(list(paired.values()))


class _Paired(NamedTuple):
    """Which layers of two networks are paired."""

    networks: tuple[str, str]
    names: Sequence[tuple[str, str]]


def _require_same_pairs(paired: Sequence[_Paired]) -> None:
    """See that patterns stand for the same layers in all comparisons, of all of which results have rows."""
    for one, other in permutations(paired, 2):
        for x, y in one.names:
            if (x, y) not in other.names:
                there, lacking = (" and ".join(map(repr, each.networks)) for each in (one, other))
                raise InputValueError(
                    f"`pairs` must be the same in every comparison, but {x!r} with {y!r} is one of {there} "
                    f"and none of {lacking}; write other names or patterns, or compare {lacking} in a study "
                    "of their own"
                )
