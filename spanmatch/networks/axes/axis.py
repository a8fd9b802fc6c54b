"""What the dimensions of a tensor stand for, through changes of shape: images, neurons or positions.

Must not import torch: sizes and kinds go in, sizes and kinds come out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

Kind = Literal["images", "neurons", "positions", "unknown", "mixed"]
"""``unknown`` is an axis of the network's input, until an operation shows what it is; ``mixed`` is one that
stands for neurons in one operand and for positions in another, or that an unknown operation has made."""


class Axis:
    """A factor of a dimension: rows and columns of a map that was flattened are two axes of one dimension.

    Parameters
    ----------
    size
        How many there are.
    kind
        What they are; or the axis out of which these are cut, which have its kind, also when that shows
        later.
    is_reordered
        Whether there are images in it that stand in another order, so that nobody can say it is theirs.
    """

    __slots__ = ("_kind", "is_reordered", "size")

    def __init__(self, size: int, kind: "Kind | Axis", is_reordered: bool = False) -> None:
        self.size = size
        self.is_reordered = is_reordered
        self._kind = kind

    @property
    def kind(self) -> Kind:
        """What it stands for, as far as that is known by now."""
        return self._kind.kind if isinstance(self._kind, Axis) else self._kind

    def show(self, kind: Kind) -> None:
        """Take note of what an axis of unknown kind turns out to be, with all that are cut out of it."""
        if isinstance(self._kind, Axis):
            self._kind.show(kind)
        elif self._kind == "unknown":
            self._kind = kind


Dim = tuple[Axis, ...]
"""The axes of one dimension, the slowest first; none where its size is 1."""
Dims = tuple[Dim, ...]


@dataclass(frozen=True)
class Arrangement:
    """How a layer's output becomes (images, positions, neurons).

    Attributes
    ----------
    shape
        Of the output for one image.
    images
        The dimension that grows with the number of images.
    sizes
        Of the axes that the output is first split into; 0 stands for however many images there are.
    order
        These axes in the order images, positions, neurons.
    positions, neurons
        How many one image gives.
    of_neurons
        The dimensions of the output that are neurons.
    """

    shape: tuple[int, ...]
    images: int
    sizes: tuple[int, ...]
    order: tuple[int, ...]
    positions: int
    neurons: int
    of_neurons: tuple[int, ...]

    @property
    def map(self) -> tuple[int, ...]:
        """Sizes of the dimensions that are positions, in order, without those of size 1."""
        others = (size for place, size in enumerate(self.shape) if place not in self.of_neurons)
        return tuple(size for size in others if size > 1)

    def fits(self, shape: Sequence[int], images: int) -> bool:
        """Tell whether an output of so many images has the shape that was looked at."""
        expected = [size * images if place == self.images else size for place, size in enumerate(self.shape)]
        return list(shape) == expected


def dim(size: int, kind: Kind | Axis) -> Dim:
    """Return a dimension of one axis, or of none where its size is 1 and it is not said to be neurons."""
    return () if size == 1 and kind != "neurons" else (Axis(size, kind),)


def kind_of(axes: Dim) -> Kind:
    """Return what a dimension as a whole stands for: features of neurons and positions count as neurons."""
    kinds = {axis.kind for axis in axes}
    order: tuple[Kind, ...] = ("mixed", "images", "neurons", "unknown")
    return next((kind for kind in order if kind in kinds), "positions")


def size_of(axes: Dim) -> int:
    """Return the size of a dimension."""
    return prod(axis.size for axis in axes)


def derived(axes: Dim, size: int) -> Dim:
    """Return a dimension of another size that stands for the same: padded, resampled, or some of it."""
    if size == size_of(axes):
        return axes
    if len(axes) == 1 and axes[0].kind == "unknown":
        return dim(size, axes[0])
    kind = kind_of(axes)
    return dim(size, "mixed" if kind == "images" else kind)


def part(axes: Dim, start: int, size: int) -> Dim:
    """Return a range of a dimension: whole inner axes where it is such, else as `derived`."""
    for first in range(len(axes)):
        if size_of(axes[first:]) == size and start % size == 0:
            return axes[first:]
    return derived(axes, size)


def as_positions(axes: Dim) -> Dim:
    """Return a dimension whose neurons have become positions, since others are neurons now."""
    for axis in axes:
        axis.show("positions")
    return tuple(Axis(axis.size, "positions") if axis.kind in ("neurons", "mixed") else axis for axis in axes)


def united(one: Dim, other: Dim) -> Dim:
    """Return what a dimension of two operands of the same size stands for.

    Of images with what cannot be told they are images: what is added to each is its own, whatever it is.
    """
    kinds = kind_of(one), kind_of(other)
    if kinds[0] == kinds[1]:
        return one
    if set(kinds) == {"images", "mixed"}:
        return one if kinds[0] == "images" else other
    if "unknown" in kinds:
        known, unknown = (other, one) if kinds[0] == "unknown" else (one, other)
        for axis in unknown:
            axis.show(kind_of(known))
        return known
    return dim(size_of(one), "mixed")


def reshaped(dims: Dims, shape: Sequence[int]) -> Dims:
    """Return the dimensions after a change of shape in which elements keep their order.

    Where axes are cut across, all from there on are of kind ``mixed``, unless they were of one kind.
    """
    axes = [axis for each in dims for axis in each if axis.size > 1 or axis.kind == "neurons"]
    found: list[Dim] = []
    for size in shape:
        taken: list[Axis] = []
        if size == 1 and axes and axes[0].size == 1:
            taken.append(axes.pop(0))
        while axes and (wanted := size // size_of(tuple(taken))) > 1:
            axis = axes.pop(0)
            if axis.size > wanted and axis.size % wanted == 0 and axis.kind != "images":
                axes.insert(0, Axis(axis.size // wanted, axis))
                axis = Axis(wanted, axis)
            taken.append(axis)
        if size_of(tuple(taken)) != size:  # across the axes
            left = {axis.kind for axis in (*taken, *axes)}
            alike = len(left) == 1 and "images" not in left
            return (*found, *plain(shape[len(found) :], left.pop() if alike else "mixed"))
        found.append(tuple(taken))
    return tuple(found)


def arranged(dims: Dims, *, neurons: int | None = None) -> Arrangement | str:
    """Find out how an output becomes (images, positions, neurons), or say in words why that cannot be told.

    The words follow on ``a tensor of shape …,``.

    Parameters
    ----------
    dims
        Of the output.
    neurons
        The dimension that stands for neurons, where somebody says so; all others but the images' are
        positions then.
    """
    split: list[tuple[Dim, int]] = []  # with the dimension that it is of
    for place, axes in enumerate(dims):
        apart = len(axes) > 1 and any(axis.kind == "images" for axis in axes)
        split += [((axis,), place) for axis in axes] if apart else [(axes, place)]
    images = [place for place, (axes, _) in enumerate(split) if kind_of(axes) == "images"]
    if len(images) != 1:
        return "of which it cannot be told which dimension is the samples"
    rest = [place for place in range(len(split)) if place != images[0]]
    if neurons is None:
        chosen = _neurons([split[place][0] for place in rest])
    else:
        chosen = [split[place][1] == neurons for place in rest]
    if chosen is None:
        return "of which it cannot be told which dimension is the neurons"
    last = [place for place, is_neurons in zip(rest, chosen, strict=True) if is_neurons]
    first = [place for place in rest if place not in last]
    sizes = [size_of(axes) for axes, _ in split]
    count = prod(sizes[place] for place in first), prod(sizes[place] for place in last)
    grows = next(place for place, axes in enumerate(dims) if kind_of(axes) == "images")
    shape = [size_of(axes) // (sizes[images[0]] if place == grows else 1) for place, axes in enumerate(dims)]
    sizes[images[0]] = 0
    of_neurons = tuple(dict.fromkeys(split[place][1] for place in last))
    return Arrangement(tuple(shape), grows, tuple(sizes), (images[0], *first, *last), *count, of_neurons)


def _neurons(dims: Sequence[Dim]) -> list[bool] | None:
    """Say of each dimension beside the images whether it is one of neurons; None if that cannot be told."""
    if len(dims) == 1:  # one number for each image and feature: the features are neurons
        return [True]
    if any(kind_of(axes) == "mixed" for axes in dims):
        return None
    pure = [bool(axes) and all(axis.kind == "neurons" for axis in axes) for axes in dims]
    if any(pure):
        return pure
    mingled = [kind_of(axes) == "neurons" for axes in dims]
    return mingled if sum(mingled) == 1 else None


def plain(sizes: Iterable[int], kind: Kind) -> Dims:
    """Return dimensions of one axis each, all of one kind."""
    return tuple(dim(size, kind) for size in sizes)
