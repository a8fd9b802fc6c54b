"""Products of many layers with each other, several at a time, to the bits that each pair has by itself.

BLAS sums in another order where the shape of a matrix leaves an edge, or where small ones have other kernels:
so widths are filled up with zeros, and small products stay alone.
"""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from spanmatch.matching.deviations import Deviations
from spanmatch.matching.inputs import FloatArray

# Neurons of a layer are filled up to a multiple of this: what OpenBLAS's kernels take at once, at most.
_WIDTH = 16
# Multiplications of a product that BLAS's kernels for small matrices never see; OpenBLAS's end at 1e6.
_LARGE = 2**22
# Of the products of a range of layers, so many at least must be wanted for all of them to be computed.
_WORTHWHILE = 0.6

Two = tuple[int, int]


def products(layers: Sequence[Deviations], pairs: Collection[Two]) -> Iterator[tuple[Two, FloatArray]]:
    """Yield the inner products of pairs of layers, (n_x, n_y) each, in any order.

    Parameters
    ----------
    layers
        Deviations of several layers on the same samples.
    pairs
        Of their numbers, each once; a layer with itself is given twice.

    Notes
    -----
    Costs n_samples · n_x · n_y multiplications and additions for each pair, half of that for a layer with
    itself, and memory of all deviations once more. The bits of a product are those of its pair alone.
    """
    large = [(i, j) for i, j in pairs if i != j and _is_large(layers[i], layers[j])]
    for i, j in set(pairs) - set(large):
        yield (i, j), layers[i].products(layers[j])
    if large:
        yield from _side_by_side(layers, sorted(large))


def _side_by_side(layers: Sequence[Deviations], pairs: Sequence[Two]) -> Iterator[tuple[Two, FloatArray]]:
    sizes = [layer.shift.size for layer in layers]
    ends = np.cumsum([0, *map(_filled, sizes)])
    joint = np.zeros((len(layers[0].values), int(ends[-1])))
    for layer, start, size in zip(layers, ends, sizes, strict=False):
        joint[:, start : start + size] = layer.values
    for x, y, inside in _rectangles(range(len(layers)), pairs):
        whole = joint[:, ends[x.start] : ends[x.stop]].T @ joint[:, ends[y.start] : ends[y.stop]]
        for i, j in inside:
            top, left = ends[i] - ends[x.start], ends[j] - ends[y.start]
            yield (i, j), whole[top : top + sizes[i], left : left + sizes[j]]


def _rectangles(among: range, pairs: Sequence[Two]) -> Iterator[tuple[range, range, list[Two]]]:
    """Cover pairs of different numbers by rectangles that are large, and hold mostly wanted pairs."""
    if len(among) > 1:
        lower, upper = _halves(among)
        yield from _within(lower, upper, pairs)
        yield from _within(upper, lower, pairs)
        for half in (lower, upper):
            yield from _rectangles(half, [(i, j) for i, j in pairs if i in half and j in half])


def _within(x: range, y: range, pairs: Sequence[Two]) -> Iterator[tuple[range, range, list[Two]]]:
    inside = [(i, j) for i, j in pairs if i in x and j in y]
    if len(inside) >= _WORTHWHILE * len(x) * len(y):
        yield x, y, inside
    elif inside:
        for half in _halves(max(x, y, key=len)):
            yield from _within(half, y, inside) if len(x) >= len(y) else _within(x, half, inside)


def _halves(numbers: range) -> tuple[range, range]:
    middle = len(numbers) // 2
    return numbers[:middle], numbers[middle:]


def _is_large(x: Deviations, y: Deviations) -> bool:
    return _filled(x.shift.size) * _filled(y.shift.size) * len(x.values) >= _LARGE


def _filled(neurons: int) -> int:
    return -(-neurons // _WIDTH) * _WIDTH
