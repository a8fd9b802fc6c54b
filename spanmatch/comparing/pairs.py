"""Layers that are compared, and pairs of them, by names."""

from dataclasses import dataclass
from typing import NamedTuple


class Column(NamedTuple):
    """A layer of a network, by their names."""

    network: str
    layer: str

    def __str__(self) -> str:
        return f"{self.layer!r} of {self.network!r}"


class Pair(NamedTuple):
    """Two layers that are compared."""

    x: Column
    y: Column


@dataclass(frozen=True)
class ComparedLayer:
    """What a layer is.

    Attributes
    ----------
    name : str
        Within its network.
    kind : str
        Class of the module, or name of the function, that gives it.
    neurons, positions : int
        How many one sample has.
    shape : str
        Of the output, with what is neurons.
    """

    name: str
    kind: str
    neurons: int
    positions: int
    shape: str
