"""Which layers of which networks are compared, and what that takes: planned before anything runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

from spanmatch.comparing.loading import by_name
from spanmatch.comparing.pairs import Column, Pair, Pairs, connected, names_of_pairs, same_positions
from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.networks.layers import DEFAULT, Layer, Wanted, choose
from spanmatch.networks.positions import Positions

LayersWanted: TypeAlias = str | Sequence[Wanted | Mapping[str, Any]] | Callable[[Layer], bool]


@dataclass(frozen=True)
class Choice:
    """What is compared with what.

    Attributes
    ----------
    layers
        Of each network, in the order of its forward pass.
    pairs
        Two layers each.
    groups
        Layers that are summed together: those that some chain of pairs connects.
    left_out
        What was asked for in general and is not compared, each with the reason.
    """

    layers: Mapping[str, Mapping[str, Layer]]
    pairs: tuple[Pair, ...]
    groups: tuple[tuple[Column, ...], ...]
    left_out: tuple[str, ...]

    def layer(self, column: Column) -> Layer:
        """Return a layer."""
        return self.layers[column.network][column.layer]


def choose_layers(
    known: Mapping[str, Sequence[Layer]],
    wanted: LayersWanted | Mapping[str, LayersWanted],
    mask_positions: Mapping[str, int | None],
) -> tuple[dict[str, dict[str, Layer]], list[str]]:
    """Return the layers of each network that are wanted, and what a pattern or function has passed over.

    Parameters
    ----------
    known
        All layers of each network.
    wanted
        For all networks, or for each by its name.
    mask_positions
        How many positions the mask of each network has; None where there is none.

    Raises
    ------
    ValueError
        If names are unknown, nothing answers, or a layer that is named has other positions than the mask.
    """
    wanted_of: dict[str, LayersWanted] = by_name("layers", wanted, known)
    chosen, left_out = {}, []
    for network, layers in known.items():
        own, masked = wanted_of[network], mask_positions[network]
        found, problems = _chosen(network, layers, own)
        if masked is not None:
            others = [name for name, layer in found.items() if layer.positions not in (1, masked)]
            if named := [name for name in others if name in _names(own)]:
                name = named[0]
                raise InputValueError(
                    f"`layers` must have {masked} positions, as the `mask` has, or one, got "
                    f"{found[name].positions} of {name!r} of {network!r}; leave it out"
                )
            problems |= dict.fromkeys(others, "other positions than the mask")
            found = {name: layer for name, layer in found.items() if name not in others}
        if not found:
            raise InputValueError(
                f"`layers` must be there in every network, got none of {network!r}; name others"
            )
        chosen[network] = found
        left_out += [f"{name!r} of {network!r}: {problem}" for name, problem in problems.items()]
    return chosen, left_out


def _chosen(
    network: str, layers: Sequence[Layer], wanted: LayersWanted
) -> tuple[dict[str, Layer], dict[str, str]]:
    if callable(wanted):
        found = [layer for layer in layers if wanted(layer)]
        return (
            {layer.name: layer for layer in found if not layer.problem},
            {layer.name: layer.problem for layer in found if layer.problem},
        )
    try:
        chosen = choose(layers, _entries(wanted))
    except InputValueError as error:
        error.args = (f"network {network!r}: {error}",)
        raise
    return {layer.name: layer for layer in chosen.layers}, dict(chosen.left_out)


def _names(wanted: LayersWanted) -> set[str]:
    if callable(wanted):
        return set()
    return {entry if isinstance(entry, str) else entry[0] for entry in _entries(wanted)} - {DEFAULT}


def _entries(wanted: str | Sequence[Wanted | Mapping[str, Any]]) -> list[Wanted]:
    """Return what is wanted as names, or names with what is neurons; a study writes these as dictionaries."""
    if not isinstance(wanted, str | Sequence):
        raise InputTypeError(
            f"`layers` must be names or patterns, or a function of a Layer, got {wanted!r}; such as "
            '"default", or ["block*"]'
        )
    entries: list[Wanted] = []
    for entry in [wanted] if isinstance(wanted, str) else wanted:
        if isinstance(entry, Mapping):
            if entry.keys() != {"name", "neurons"}:
                raise InputValueError(
                    f"`layers` must be names, or a name with its `neurons`, got {dict(entry)!r}; write "
                    '{"name": NAME, "neurons": "last"}'
                )
            entries.append((entry["name"], entry["neurons"]))
        elif isinstance(entry, str) or (isinstance(entry, tuple) and len(entry) == 2):
            entries.append(entry)
        else:
            raise InputTypeError(f"`layers` must be names, got {entry!r} among them; name what is meant")
    return entries


def choose_pairs(
    layers: Mapping[str, Mapping[str, Layer]],
    pairs: Pairs,
    positions: Positions,
    left_out: Sequence[str] = (),
) -> Choice:
    """Pair the layers of every two networks.

    Parameters
    ----------
    layers
        Of each network.
    pairs
        ``grid``: every layer of one with every layer of the other; ``same``: those of one name; or pairs of
        names or patterns, of the network that was given first and the other.
    positions
        Which positions are samples: layers can be compared that have the same.
    left_out
        What was passed over before.

    Raises
    ------
    ValueError
        If there are fewer than two networks, no pair can be compared, or one that is named cannot.
    """
    if len(layers) < 2:
        raise InputValueError(
            f"`networks` must be two or more, got {len(layers)}; to compare a network with itself, give it "
            "twice, under two names"
        )
    chosen: list[Pair] = []
    apart: list[str] = []
    for one, other in combinations(layers, 2):
        for name_x, name_y in names_of_pairs(layers[one], layers[other], pairs, (one, other)):
            pair = Pair(Column(one, name_x), Column(other, name_y))
            x, y = layers[one][name_x], layers[other][name_y]
            if positions == "mean" or same_positions(x.map, y.map):
                chosen.append(pair)
                continue
            problem = (
                f"{pair.x} has {x.positions} positions ({x.described}), {pair.y} has {y.positions} "
                f"({y.described})"
            )
            if pairs != "grid":
                raise InputValueError(
                    f"`positions` must be 'mean' where layers differ in theirs, but {problem}; set it, "
                    "or leave that layer out"
                )
            apart.append(problem)
    if not chosen:
        reason = (
            f"positions differ everywhere: {apart[0]}; set `positions` to 'mean'"
            if apart
            else ('no two layers have one name; use pairs="grid", or name them')
        )
        raise InputValueError(f"`pairs` must be of layers that can be compared, got none: {reason}")
    if apart:
        remedy = 'positions="mean" compares all'
        several = f"{len(apart)} pairs of layers of different positions"
        left_out = (*left_out, f"{several}, such as: {apart[0]}; {remedy}")
    return Choice(layers, tuple(chosen), connected(chosen), tuple(left_out))


def bytes_of_sums(choice: Choice, folds: int) -> int:
    """Return how many bytes the statistic takes: one for each fold, and one while samples are added."""
    size = {column: choice.layer(column).neurons for group in choice.groups for column in group}
    numbers = sum(neurons**2 for neurons in size.values())
    numbers += sum(size[pair.x] * size[pair.y] for pair in choice.pairs)
    return 8 * numbers * (max(folds, 1) + 1)
