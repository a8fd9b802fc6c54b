"""Rules for operations that change shapes or combine tensors element by element."""

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import torch

from spanmatch.networks.axes.axis import (
    Axis,
    Dim,
    Dims,
    derived,
    dim,
    kind_of,
    part,
    plain,
    reshaped,
    size_of,
    united,
)
from spanmatch.networks.axes.call import Call


def elementwise(call: Call) -> Dims:
    """Broadcast: a dimension stands for what it stands for in the operands that have it."""
    shape = tuple(call.outputs[0].shape)
    tracked = [dims for _, dims in call.operands() if dims is not None]
    found: list[Dim | None] = []
    for place in range(-len(shape), 0):
        here = [dims[place] for dims in tracked if len(dims) >= -place]
        here = [axes for axes in here if size_of(axes) == shape[place]]
        same = None if not here else here[0]
        for axes in here[1:]:
            same = axes if not same else united(same, axes) if axes else same
        found.append(same)
    neurons = any(axes is not None and kind_of(axes) == "neurons" for axes in found)
    # what only a constant has: the features of one that is learnt, unless there are others
    new = "neurons" if call.constants_are_weights() and not neurons else "positions"
    return tuple(
        dim(size, new) if axes is None else axes  # type: ignore[arg-type]
        for size, axes in zip(shape, found, strict=True)
    )


def resized(call: Call) -> list[Dims]:
    """Keep the dimensions, some of another size: padding, resampling."""
    dims = call.first()
    return [_resized(dims, output) for output in call.outputs]


def reordered(call: Call) -> list[Dims]:
    """Keep the dimensions; one with images cannot be told any more, since they are in another order."""
    dims = call.first()
    if call.dims("self") is not None:
        usual = range(len(dims)) if "shifts" in call.arguments else -1  # of `roll`, and of what sorts
        wanted = call.of("dim", "dims")
        moved = {place % len(dims) for place in _listed(usual if wanted in (None, []) else wanted)}
        dims = tuple(
            (Axis(size_of(axes), "mixed", is_reordered=True),)
            if place in moved and kind_of(axes) == "images"
            else axes
            for place, axes in enumerate(dims)
        )
    return [_resized(dims, output) for output in call.outputs]


def same(call: Call) -> list[Dims]:
    """Give outputs of the first operand's shape its dimensions; others are statistics."""
    dims, shape = call.first(), call.outputs[0].shape
    return [dims if each.shape == shape else plain(each.shape, "mixed") for each in call.outputs]


def viewed(call: Call) -> Dims:
    """Put elements in the same order in another shape."""
    return reshaped(call.first(), call.outputs[0].shape)


def strided(call: Call) -> Dims | None:
    """View by strides: only a view of the same shape can be told."""
    dims = call.first()
    same_shape = tuple(map(size_of, dims)) == tuple(call.outputs[0].shape)
    return dims if same_shape else None


def permuted(call: Call) -> Dims:
    """Put dimensions in another order."""
    dims = call.first()
    return tuple(dims[place] for place in call.arguments["dims"])


def transposed(call: Call) -> Dims:
    """Exchange two dimensions, the last two by default."""
    dims = list(call.first())
    if len(dims) < 2:
        return tuple(dims)
    one, other = call.arguments.get("dim0", -2), call.arguments.get("dim1", -1)
    dims[one], dims[other] = dims[other], dims[one]
    return tuple(dims)


def squeezed(call: Call) -> Dims:
    """Leave out dimensions of size 1, some or all."""
    dims, wanted = call.first(), call.arguments.get("dim")
    gone = range(len(dims)) if wanted is None else {place % len(dims) for place in _listed(wanted)}
    return tuple(axes for place, axes in enumerate(dims) if place not in gone or size_of(axes) != 1)


def unsqueezed(call: Call) -> Dims:
    """Add a dimension of size 1."""
    dims = list(call.first())
    dims.insert(call.arguments["dim"] % (len(dims) + 1), ())
    return tuple(dims)


def without(call: Call) -> list[Dims]:
    """Leave out one dimension: an index of it, or each."""
    dims = list(call.first())
    del dims[call.arguments.get("dim", 0)]
    return [tuple(dims)] * len(call.outputs)


def sliced(call: Call) -> Dims:
    """Take a range of one dimension."""
    dims = list(call.first())
    place = call.arguments.get("dim", 0)
    start, step = call.arguments.get("start") or 0, call.arguments.get("step", 1)
    size = call.outputs[0].shape[place]
    whole = size_of(dims[place])
    dims[place] = (
        part(dims[place], start % whole if whole else 0, size) if step == 1 else derived(dims[place], size)
    )
    return tuple(dims)


def split(call: Call) -> list[Dims]:
    """Cut one dimension into ranges."""
    dims = call.first()
    place = call.arguments.get("dim", 0)
    sizes = [output.shape[place] for output in call.outputs]
    starts = [0, *accumulate(sizes)]
    found = []
    for start, size in zip(starts, sizes, strict=False):
        ranged = list(dims)
        ranged[place] = part(dims[place], start, size)
        found.append(tuple(ranged))
    return found


def concatenated(call: Call) -> Dims:
    """Put tensors one after the other along one dimension."""
    place = call.arguments.get("dim", 0) % call.outputs[0].ndim
    tracked = [
        dims for value, dims in call.operands() if dims is not None and value.ndim == call.outputs[0].ndim
    ]
    found = list(tracked[0])
    kinds = found[place]
    for dims in tracked[1:]:
        for other, axes in enumerate(dims):
            if other != place:
                found[other] = united(found[other], axes) if found[other] else axes
        kinds = united(dim(2, _one(kinds)), dim(2, _one(dims[place])))
    size = call.outputs[0].shape[place]
    alike = all(kind_of(dims[place]) == "images" for dims in tracked) and len(tracked) == len(call.operands())
    if alike and len(tracked[0][place]) == 1 and size == len(tracked) * size_of(tracked[0][place]):
        found[place] = (*dim(len(tracked), "positions"), *tracked[0][place])
    else:
        found[place] = derived(kinds, size) if kinds else dim(size, "positions")
    return tuple(found)


def stacked(call: Call) -> Dims:
    """Put tensors beside each other in a dimension of their own."""
    tracked = [list(dims) for _, dims in call.operands() if dims is not None]
    found = tracked[0]
    for dims in tracked[1:]:
        found = [united(one, other) if one else other for one, other in zip(found, dims, strict=True)]
    place = call.arguments.get("dim", 0) % call.outputs[0].ndim
    found.insert(place, dim(call.outputs[0].shape[place], "positions"))
    return tuple(found)


def expanded(call: Call) -> Dims:
    """Repeat dimensions of size 1, and new ones."""
    shape = tuple(call.outputs[0].shape)
    dims = ((),) * (len(shape) - len(call.first())) + call.first()
    return tuple(
        axes if size_of(axes) == size else dim(size, "unknown")
        for axes, size in zip(dims, shape, strict=True)
    )


def repeated(call: Call) -> Dims:
    """Repeat whole dimensions, and new ones."""
    shape = tuple(call.outputs[0].shape)
    dims = ((),) * (len(shape) - len(call.first())) + call.first()
    return tuple(
        (*dim(size // max(1, size_of(axes)), "positions"), *axes)
        for axes, size in zip(dims, shape, strict=True)
    )


def reduced(call: Call) -> list[Dims]:
    """Leave out dimensions that are summed, averaged or compared away."""
    if "other" in call.arguments:  # the larger of two tensors, element by element
        return [elementwise(call)]
    dims = call.first()
    wanted = call.of("dim", "axis")
    places = (
        {place % len(dims) for place in _listed(wanted)}
        if wanted not in (None, [])
        else set(range(len(dims)))
    )
    kept = [() if place in places else axes for place, axes in enumerate(dims)]
    if not call.arguments.get("keepdim"):
        kept = [axes for place, axes in enumerate(dims) if place not in places]
    return [tuple(kept)] * len(call.outputs)


def indexed(call: Call) -> Dims | None:
    """Take elements by tensors of indices: along one dimension, or one for each image."""
    dims, indices = call.dims("self"), call.arguments["indices"]
    places = [place for place, index in enumerate(indices) if index is not None]
    if any(indices[place].dtype in (torch.bool, torch.uint8) for place in places):
        return None
    shape = torch.broadcast_shapes(*(indices[place].shape for place in places))
    known = [found for _, found in call.operands()[1:] if found is not None]
    if dims is None:  # a table that the images choose from
        rest = call.outputs[0].shape[len(shape) :]
        return (*known[0], *plain(rest, "neurons")) if places == [0] and len(known[0]) == len(shape) else None
    if places != list(range(places[0], places[-1] + 1)):
        return None
    if len(places) == 1 and kind_of(dims[places[0]]) != "images":
        new: Dims = (derived(dims[places[0]], shape[0]),) if len(shape) == 1 else plain(shape, "positions")
        if len(shape) > 1 and kind_of(dims[places[0]]) != "positions":
            return None
    elif known and len(known[0]) == len(shape):
        new = known[0]
    else:
        return None
    return (*dims[: places[0]], *new, *dims[places[-1] + 1 :])


def unfolded(call: Call) -> Dims:
    """Cut one dimension into windows, with a further dimension inside them."""
    dims = list(call.first())
    place = call.of("dimension", "dim")
    inside = kind_of(dims[place])
    shape = call.outputs[0].shape
    dims[place] = derived(dims[place], shape[place])
    return (*dims, dim(shape[-1], inside))


def _resized(dims: Dims, output: torch.Tensor) -> Dims:
    if len(dims) != output.ndim:
        return plain(output.shape, "mixed")
    return tuple(derived(axes, size) for axes, size in zip(dims, output.shape, strict=True))


def _one(axes: Dim) -> Any:  # noqa: ANN401 - a kind, or the axis that has it
    return axes[0] if len(axes) == 1 and axes[0].kind == "unknown" else kind_of(axes)


def _listed(value: int | Iterable[int]) -> list[int]:
    return [value] if isinstance(value, int) else list(value)
