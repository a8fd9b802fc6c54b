"""Layers whose samples are read together, and in which blocks."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from spanmatch.comparing.pairs import connected
from tasks.wanted import Checkpoint, LayerPair, Side, Wanted, WantedLayer


@dataclass(frozen=True)
class Together:
    """Layers of checkpoints that some chain of pairs connects: their samples are the same.

    Attributes
    ----------
    label
        What people call them, and no others.
    sides
        Each with its layer.
    pairs
        Those among them.
    """

    label: str
    sides: Mapping[Side, WantedLayer]
    pairs: tuple[LayerPair, ...]


def layers_of(wanted: Wanted) -> dict[Side, WantedLayer]:
    """Return the layers of all checkpoints."""
    return {Side(layer.name, one): layer for one, layers in wanted.sides.items() for layer in layers}


def together(wanted: Wanted) -> list[Together]:
    """Return all layers and pairs, apart where no pair connects them."""
    place = {
        side: number
        for number, sides in enumerate(connected(pair.sides for pair in wanted.pairs))
        for side in sides
    }
    sides: dict[int, dict[Side, WantedLayer]] = defaultdict(dict)
    pairs: dict[int, list[LayerPair]] = defaultdict(list)
    for side, layer in layers_of(wanted).items():
        sides[place[side]][side] = layer
    for pair in wanted.pairs:
        pairs[place[pair.sides[0]]].append(pair)
    labels = _labels([list(of_group) for of_group in sides.values()])
    return [
        Together(label, of_group, tuple(pairs[number]))
        for label, (number, of_group) in zip(labels, sides.items(), strict=True)
    ]


def _labels(groups: Sequence[Sequence[Side]]) -> list[str]:
    """Name groups by their layers; those of the same by their checkpoints, too: no two begin alike."""
    names = [_layers_label(list(dict.fromkeys(side.layer for side in sides))) for sides in groups]
    count = Counter(names)
    return [
        name if count[name] == 1 else f"{name} · {label_of(dict.fromkeys(side.checkpoint for side in sides))}"
        for name, sides in zip(names, groups, strict=True)
    ]


def _layers_label(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]} ({len(names)} layers)"


def label_of(checkpoints: Collection[Checkpoint]) -> str:
    """Return what people call several checkpoints, in their order."""
    first, *_, last = (*checkpoints, *checkpoints)
    return first.label if len(checkpoints) == 1 else f"{first.label} … {last.label} ({len(checkpoints)})"


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
