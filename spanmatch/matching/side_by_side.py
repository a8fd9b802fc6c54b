"""Products of many layers with each other, several at a time, to the bits that each pair has by itself.

BLAS sums in another order where the shape of a matrix leaves an edge, or is small enough for kernels of its own:
so widths are filled up with zeros, and small products stay alone.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

import numpy as np

from spanmatch.matching.deviations import Deviations
from spanmatch.matching.inputs import FloatArray

# Neurons of a layer are filled up to a multiple of this: what OpenBLAS's kernels take at once, at most.
_WIDTH = 16
# Multiplications of a product that BLAS's kernels for small matrices never see; OpenBLAS's end at 1e6.
_LARGE = 2**22
# Rows of a product from which on a wider one gains nothing.
_ENOUGH = 256
# Of the products of a range of layers, so many at least must be wanted for all of them to be computed.
_WORTHWHILE = 0.6

Pair = tuple[int, int]


def products(layers: Sequence[Deviations], pairs: Collection[Pair]) -> Iterator[tuple[Pair, FloatArray]]:
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
        yield (i, j), layers[i].values.T @ layers[j].values
    if large:
        yield from _side_by_side(layers, sorted(large))


def _side_by_side(layers: Sequence[Deviations], pairs: Sequence[Pair]) -> Iterator[tuple[Pair, FloatArray]]:
    widths = [_filled(layer.shift.size) for layer in layers]
    ends = np.cumsum([0, *widths])
    joint = np.zeros((len(layers[0].values), int(ends[-1])))
    for layer, start in zip(layers, ends, strict=False):
        joint[:, start : start + layer.shift.size] = layer.values
    sizes = [layer.shift.size for layer in layers]
    panels = _panels(widths)
    for panel, of_panel in groupby(pairs, key=lambda pair: panels[pair[0]]):
        wanted = list(of_panel)
        rows = [number for number, other in enumerate(panels) if other == panel]
        first, last = min(j for _, j in wanted), max(j for _, j in wanted)
        if len(wanted) >= _WORTHWHILE * len(rows) * (last + 1 - first):
            ranges = [(slice(rows[0], rows[-1] + 1), slice(first, last + 1), wanted)]
        else:
            ranges = [(slice(i, i + 1), slice(j, j + 1), [(i, j)]) for i, j in wanted]
        for x, y, inside in ranges:
            whole = joint[:, ends[x.start] : ends[x.stop]].T @ joint[:, ends[y.start] : ends[y.stop]]
            for i, j in inside:
                top, left = ends[i] - ends[x.start], ends[j] - ends[y.start]
                yield (i, j), whole[top : top + sizes[i], left : left + sizes[j]]


def _panels(widths: Sequence[int]) -> list[int]:
    """Number the panels that layers are multiplied in: each of layers side by side, and wide enough."""
    panels, filled = [0], widths[0]
    for width in widths[1:]:
        panels.append(panels[-1] + (filled >= _ENOUGH))
        filled = width if filled >= _ENOUGH else filled + width
    return panels


def _is_large(x: Deviations, y: Deviations) -> bool:
    return _filled(x.shift.size) * _filled(y.shift.size) * len(x.values) >= _LARGE


def _filled(neurons: int) -> int:
    return -(-neurons // _WIDTH) * _WIDTH
