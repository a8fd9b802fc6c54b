"""Layers whose samples are read together, and in which blocks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.wanted import LayerPair, Side, Wanted, WantedLayer


@dataclass(frozen=True)
class Together:
    """Layers that some chain of pairs connects, of all checkpoints: their samples are the same.

    Attributes
    ----------
    label
        What people call them.
    sides
        Each with its layer.
    pairs
        Those among them.
    """

    label: str
    sides: Mapping[Side, WantedLayer]
    pairs: tuple[LayerPair, ...]


def together(wanted: Wanted) -> list[Together]:
    """Return all layers and pairs, apart where no pair connects the layers' names."""
    names = dict.fromkeys(layer.name for layers in wanted.sides.values() for layer in layers)
    group_of = {name: [name] for name in names}
    for pair in wanted.pairs:
        one, other = group_of[pair.layer_x], group_of[pair.layer_y]
        if one is not other:
            one += other
            group_of |= dict.fromkeys(other, one)
    sides: dict[str, dict[Side, WantedLayer]] = defaultdict(dict)
    for checkpoint, layers in wanted.sides.items():
        for layer in layers:
            sides[group_of[layer.name][0]][Side(layer.name, checkpoint)] = layer
    pairs: dict[str, list[LayerPair]] = defaultdict(list)
    for pair in wanted.pairs:
        pairs[group_of[pair.layer_x][0]].append(pair)
    return [
        Together(_label(group), sides[name], tuple(pairs[name]))
        for name, group in group_of.items()
        if name == group[0]
    ]


def _label(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]} ({len(names)} layers)"


def in_blocks(shares: Mapping[Side, float]) -> dict[Side, int]:
    """Number the blocks that sides are in, filled in their order.

    Parameters
    ----------
    shares
        How much of a block each takes; one that takes more has a block of its own.
    """
    blocks, number, filled = dict[Side, int](), 0, 0.0
    for side, share in shares.items():
        if filled and filled + share > 1:
            number, filled = number + 1, 0.0
        blocks[side] = number
        filled += share
    return blocks
