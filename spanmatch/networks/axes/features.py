"""Rules for operations that create neurons: products with parameters, convolutions, lookup tables."""

from typing import Any

from spanmatch.networks.axes.axis import Dim, Dims, as_positions, derived, dim, kind_of, plain, size_of
from spanmatch.networks.axes.call import Call


def embedded(call: Call) -> Dims | None:
    """Return the axes of rows of a table of features, one for each index."""
    indices = call.dims("indices")
    if indices is None:
        return None
    for axes in indices:
        for axis in axes:
            axis.show("positions")
    return (*indices, dim(call.outputs[0].shape[-1], "neurons"))


def convolved(call: Call) -> Dims | None:
    """Take the second dimension for channels, and what follows for a map."""
    shape = call.outputs[0].shape
    dims = call.dims("input") or call.dims("self")
    if dims is None:
        return None
    channels, places = dims[1], dims[2:]
    _show(channels, "neurons")
    for axes in places:
        _show(axes, "positions")
    images = [axis for axis in channels if axis.kind == "images"]
    new = dim(shape[1], "neurons")
    if images:  # one group of channels for each image
        new = (*images, *dim(shape[1] // size_of(tuple(images)), "neurons"))
    if shape[1] == 1 and _has_neurons(places):  # one filter that moves over features
        return (dims[0], (), *(derived(axes, size) for axes, size in zip(places, shape[2:], strict=True)))
    maps = (derived(as_positions(axes), size) for axes, size in zip(places, shape[2:], strict=True))
    return (as_positions(dims[0]), new, *maps)


def pooled(call: Call) -> list[Dims]:
    """Do as `resized`, with channels first after the images where nothing else is known.

    Of neurons that are pooled, other than by a moving window, it cannot be told what they are.
    """
    dims = _confirmed(call.first(), 1)
    moving = set(call.arguments.get("stride") or ()) == {1}
    return [
        tuple(
            dim(size, "mixed")
            if size != size_of(axes) and kind_of(axes) == "neurons" and not moving
            else derived(axes, size)
            for axes, size in zip(dims, output.shape, strict=True)
        )
        for output in call.outputs
    ]


def shuffled(call: Call) -> Dims:
    """Exchange channels for places of a map, or the other way round."""
    dims, shape = call.first(), call.outputs[0].shape
    channels = len(dims) - 3
    dims = _confirmed(dims, channels)
    maps = (derived(as_positions(axes), size) for axes, size in zip(dims[-2:], shape[-2:], strict=True))
    return (*dims[:channels], dim(shape[channels], "neurons"), *maps)


def normalised(call: Call) -> list[Dims]:
    """Keep the dimensions; channels are the second, where nothing else is known."""
    dims = _confirmed(call.first(), 1)
    return [dims if place == 0 else plain(each.shape, "mixed") for place, each in enumerate(call.outputs)]


def normalised_last(call: Call) -> list[Dims]:
    """Keep the dimensions; features are the last, where one is normalised and nothing else is known."""
    dims = call.first()
    if len(call.arguments["normalized_shape"]) == 1:
        dims = _confirmed(dims, -1)
    return [dims if place == 0 else plain(each.shape, "mixed") for place, each in enumerate(call.outputs)]


def multiplied(call: Call) -> Dims | None:
    """Multiply matrices: see `_product`."""
    one, other = ("mat1", "mat2") if "mat1" in call.arguments else ("self", "mat2")
    if "batch1" in call.arguments:
        one, other = "batch1", "batch2"
    if "vec" in call.arguments:
        one, other = ("mat" if "mat" in call.arguments else "self"), "vec"
    return _product(call, one, other)


def distances(call: Call) -> Dims | None:
    """Measure rows against rows: as a product with the second operand transposed."""
    x, y = call.dims("x1"), call.dims("x2")
    if x is None or y is not None:
        return None
    _show(x[-1], "neurons")
    size = call.outputs[0].shape[-1]
    new = dim(size, "neurons") if call.is_weight("x2") else dim(size, "positions")
    return (*map(as_positions, x[:-1]), new)


def attended(call: Call) -> list[Dims] | None:
    """Attend by scaled dot products: the queries' positions, the values' features."""
    query, value = call.dims("query"), call.dims("value")
    if value is None:
        return None
    asked = as_positions(query[-2]) if query else dim(call.outputs[0].shape[-2], "positions")
    first = (*value[:-2], asked, value[-1])
    return [first, *(plain(each.shape, "mixed") for each in call.outputs[1:])]


def recurrent(call: Call) -> list[Dims]:
    """Return the axes of a recurrent layer's output, and (layers, images, units) of its last states."""
    dims = call.first()
    leading = tuple(as_positions(axes) for axes in dims[:-1])
    _show(dims[-1], "neurons")
    images = [axes for axes in leading if kind_of(axes) == "images"]
    found = []
    for output in call.outputs:
        sizes = tuple(output.shape)
        if len(sizes) == len(dims) and sizes[:-1] == tuple(map(size_of, leading)):
            found.append((*leading, dim(sizes[-1], "neurons")))
        elif len(sizes) >= 2 and images and sizes[-2] == size_of(images[0]):
            found.append((*plain(sizes[:-2], "positions"), images[0], dim(sizes[-1], "neurons")))
        else:
            found.append(plain(sizes, "mixed"))
    return found


def patches(call: Call) -> Dims:
    """Put channels and the places in a patch in the second dimension, patches after it; and the way back."""
    dims = _confirmed(call.first(), 1)
    shape = call.outputs[0].shape
    return (dims[0], dim(shape[1], "neurons"), *plain(shape[2:], "positions"))


def sampled(call: Call) -> Dims | None:
    """Look up a map at other places."""
    dims = call.dims("input")
    if dims is None:
        return None
    dims = _confirmed(dims, 1)
    return (dims[0], dims[1], *plain(call.outputs[0].shape[2:], "positions"))


def _product(call: Call, one: str, other: str) -> Dims | None:
    """Matrix products, also of batches.

    With parameters, what they bring in are neurons, and all others are positions from then on. With another
    constant, such as an adjacency matrix, what is summed over stays what it was. Of two tensors that depend
    on the images, the one whose free dimension is of neurons brings them in; where neither is, as in the
    scores of attention, there are none.
    """
    x, y, shape = call.dims(one), call.dims(other), tuple(call.outputs[0].shape)
    if x is not None and y is not None:
        return _of_both(x, y)
    known, constant = (x, other) if x is not None else (y, one)
    if known is None:
        return None
    vector = len(call.shape(constant)) == 1
    row, summed = (-2, -1) if known is x else (-1, -2)
    if len(known) == 1:
        row, summed = -1, -1
    kind = kind_of(known[summed])
    weight = call.is_weight(constant)
    if kind == "unknown":
        _show(known[summed], "neurons" if weight else "unknown")
    if vector:
        return tuple(axes for place, axes in enumerate(known) if place != len(known) + summed)
    size = shape[-1] if known is x else shape[-2] if len(known) > 1 else shape[-1]
    if weight and kind == "positions" and not call.is_dense and _has_neurons(known):
        # a layer over tokens, or a graph that is learnt
        new, free = dim(size, "mixed"), dim(size_of(known[row]), "mixed")
        return (*known[:-2], free, new) if known is x else (*known[:-2], new, free)
    if weight:
        new = dim(size, "neurons")
        rest = known
        if any(axis.kind == "images" for axes in known for axis in axes):  # else they may be hidden in one
            rest = tuple(map(as_positions, known))
        batch = known[:-2] if _has_batch(call, constant) else rest[:-2]
        free = rest[row] if len(known) > 1 else ()
    else:
        new = dim(size, known[summed][0]) if kind == "unknown" and known[summed] else dim(size, kind)
        batch, free = known[:-2], (known[row] if len(known) > 1 else ())
    if len(known) == 1:
        return (new,)
    return (*batch, free, new) if known is x else (*batch, new, free)


def _of_both(x: Dims, y: Dims) -> Dims:
    if len(x) == 1 or len(y) == 1:
        return (*x[:-1], *y[1:]) if len(y) == 1 else y[1:]
    row, column = x[-2], y[-1]
    if kind_of(column) == "neurons" and kind_of(row) != "neurons":
        return (*y[:-2], row, column)
    if kind_of(row) == "neurons":
        return (*x[:-2], row, column)
    return (*map(as_positions, x[:-2]), row, column)


def _has_batch(call: Call, constant: str) -> bool:
    """Tell whether a constant has matrices of its own for each of a batch, such as for each head."""
    value = call.arguments[constant]
    return value.ndim > 2 and any(
        size > 1 and stride for size, stride in zip(value.shape[:-2], value.stride()[:-2], strict=True)
    )


def _has_neurons(dims: Dims) -> bool:
    return any(axis.kind == "neurons" for axes in dims for axis in axes)


def _confirmed(dims: Dims, place: int) -> Dims:
    """Take a dimension for neurons, where no other is known to be of neurons alone."""
    if len(dims) <= abs(place) - (place < 0):
        return dims
    pure = [axes for axes in dims if axes and all(axis.kind == "neurons" for axis in axes)]
    if pure:
        return dims
    _show(dims[place], "neurons")
    if kind_of(dims[place]) in ("neurons", "images"):
        return dims
    place %= len(dims)
    return tuple(
        dim(size_of(axes), "neurons")
        if at == place
        else dim(size_of(axes), "positions")
        if kind_of(axes) == "mixed"
        else axes
        for at, axes in enumerate(dims)
    )


def _show(axes: Dim, kind: Any) -> None:  # noqa: ANN401 - a Kind
    for axis in axes:
        axis.show(kind)
