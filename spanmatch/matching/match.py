"""Neurons and sets of neurons, which every search takes and returns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spanmatch.errors import InputTypeError, InputValueError

Side: TypeAlias = Literal["x", "y"]
Neuron: TypeAlias = tuple[Side, int]
Indices: TypeAlias = NDArray[np.int64]
# What becomes of neurons that never fire: in no match, or in every maximum match.
Dead: TypeAlias = Literal["exclude", "match"]


@dataclass(frozen=True, init=False, eq=False)
class Match:
    """A pair of neuron sets, one from each network (X', Y' of Def. 1).

    Matches compare, hash and order by their content: ``a == b``, ``a <= b`` (is contained in),
    ``a | b`` (union), ``a & b`` (intersection), ``("x", 3) in a``. An empty match is false.

    Parameters
    ----------
    x, y : array_like of int
        Neuron indices of either side, in any order; kept sorted, without repetition, read-only.

    Raises
    ------
    TypeError
        When the indices are not integers.
    ValueError
        When an index is negative or the indices are not one-dimensional.

    Examples
    --------
    >>> from spanmatch import Match
    >>> first, second = Match(x=[2, 0], y=[1]), Match(x=[0], y=[1, 4])
    >>> first & second, first | second
    (Match(x=[0], y=[1]), Match(x=[0, 2], y=[1, 4]))
    >>> ("x", 2) in first, len(first), first <= second
    (True, 3, False)
    """

    x: Indices
    y: Indices

    def __init__(self, x: ArrayLike, y: ArrayLike) -> None:
        object.__setattr__(self, "x", _sorted_indices("x", x))
        object.__setattr__(self, "y", _sorted_indices("y", y))

    @property
    def size(self) -> int:
        """Number of neurons of both sides together."""
        return self.x.size + self.y.size

    def neurons(self) -> tuple[Neuron, ...]:
        """Return all neurons, x ascending and then y ascending."""
        return tuple(self)

    def __iter__(self) -> Iterator[Neuron]:
        yield from (("x", int(index)) for index in self.x)
        yield from (("y", int(index)) for index in self.y)

    def __len__(self) -> int:
        return self.size

    def __contains__(self, neuron: object) -> bool:
        return neuron in self.neurons()

    def __or__(self, other: "Match") -> "Match":
        return Match(np.union1d(self.x, other.x), np.union1d(self.y, other.y))

    def __and__(self, other: "Match") -> "Match":
        return Match(np.intersect1d(self.x, other.x), np.intersect1d(self.y, other.y))

    def __le__(self, other: "Match") -> bool:
        return bool(np.isin(self.x, other.x).all() and np.isin(self.y, other.y).all())

    def __lt__(self, other: "Match") -> bool:
        return self <= other and self != other

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Match):
            return NotImplemented
        return np.array_equal(self.x, other.x) and np.array_equal(self.y, other.y)

    def __hash__(self) -> int:
        return hash((self.x.tobytes(), self.y.tobytes()))

    def __repr__(self) -> str:
        return f"Match(x={self.x.tolist()}, y={self.y.tolist()})"


@dataclass(frozen=True)
class SimpleMatch:
    """A simple match (Def. 4) and a neuron that it is minimal for.

    Attributes
    ----------
    neuron : tuple
        ``("x", i)`` or ``("y", j)``: the match is minimal among those that contain this neuron (Def. 9).
    match : Match
        The match itself.
    """

    neuron: Neuron
    match: Match


def alone(neuron: Neuron) -> Match:
    """Return the pair of sets that holds this neuron only."""
    side, index = neuron
    return Match([index], []) if side == "x" else Match([], [index])


def _sorted_indices(name: Side, indices: ArrayLike) -> Indices:
    given = np.asarray(indices)
    if given.ndim != 1:
        raise InputValueError(
            f"`{name}` must be one-dimensional, got shape {given.shape}; pass a list of neuron indices"
        )
    if given.size and given.dtype.kind not in "iu":
        raise InputTypeError(
            f"`{name}` must hold integers, got dtype {given.dtype}; pass neuron indices, not a mask"
        )
    unique: Indices = given.astype(np.int64)
    if (unique[1:] <= unique[:-1]).any():
        unique = np.unique(unique)
    if unique.size and unique[0] < 0:
        raise InputValueError(
            f"`{name}` must hold indices of at least 0, got {unique[0]}; count neurons from 0"
        )
    unique.flags.writeable = False
    return unique
