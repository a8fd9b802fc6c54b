"""Layers that are compared, and pairs of them, by names."""

import difflib
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.patterns import answering

Pairs: TypeAlias = Literal["grid", "same"] | Sequence[Sequence[str]]
"""Every layer of one network with every layer of another; those of one name; pairs of names or patterns."""

Member = TypeVar("Member", bound=Hashable)


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


def names_of_pairs(
    x: Collection[str], y: Collection[str], pairs: Pairs, networks: tuple[str, str]
) -> list[tuple[str, str]]:
    """Return which layers of one network are compared with which of another, by their names.

    Parameters
    ----------
    x, y
        Names of the layers of either network, in the order of its forward pass.
    pairs
        ``grid``: every one with every other; ``same``: those of one name; or pairs of names, or of patterns
        with ``*``, ``?`` or ``[…]``, which stand for every layer that answers with every other.
    networks
        What messages call the networks.

    Raises
    ------
    TypeError, ValueError
        If `pairs` is something else, or no layer answers to a name; the message gives the nearest.
    """
    if pairs == "grid":
        return list(product(x, y))
    if pairs == "same":
        return [(name, name) for name in x if name in y]
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        error = InputValueError if isinstance(pairs, str) else InputTypeError
        raise error(f"`pairs` must be 'grid', 'same' or a list of two names each, got {pairs!r}")
    found: dict[tuple[str, str], None] = {}
    for pair in pairs:
        if not is_pair(pair):
            raise InputValueError(f"`pairs` must be of two names each, got {pair!r}; write [(name, name)]")
        one, other = (_answering(*each) for each in zip(pair, (x, y), networks, strict=True))
        found |= dict.fromkeys(product(one, other))
    return list(found)


def is_pair(pair: object) -> bool:
    """Tell whether a value is two names."""
    if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
        return False
    return all(isinstance(name, str) for name in pair)


def same_positions(x: Sequence[int], y: Sequence[int]) -> bool:
    """Tell whether maps of these sizes have the same positions; one that is a row has those of any map."""
    return tuple(x) == tuple(y) or (prod(x) == prod(y) and min(len(x), len(y)) == 1)


def _answering(name: str, known: Collection[str], network: str) -> list[str]:
    found = answering(name, known)
    if not found:
        near = difflib.get_close_matches(name, known, n=1)
        raise InputValueError(
            f"`pairs` must name layers that `layers` chooses, got {name!r}, which is none of {network!r}: "
            f"{', '.join(known)}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    return found


def connected(pairs: Iterable[tuple[Member, Member]]) -> tuple[tuple[Member, ...], ...]:
    """Return the connected components of what pairs connect, each in the order of pairs."""
    group_of: dict[Member, list[Member]] = {}
    for x, y in pairs:
        one, other = group_of.setdefault(x, [x]), group_of.setdefault(y, [y])
        if one is not other:
            one.extend(other)
            for member in other:
                group_of[member] = one
    unique = {id(group): tuple(group) for group in group_of.values()}
    return tuple(unique.values())
