"""The algorithms of Wang et al. 2018 (arXiv 1810.11750), written from the paper.

As in the authors' script of 2018: least squares afresh each time, on single-precision activations, by
numpy.linalg.lstsq with its default rank cut.
"""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Activations = NDArray[np.float32]

DEAD_NORM = 1e-16


def residuals(vectors: Activations, onto: Activations) -> Activations:
    """Relative residuals of the columns of one array onto the span of those of another."""
    weights = np.linalg.lstsq(onto, vectors, rcond=None)[0]
    distances = np.linalg.norm(onto @ weights - vectors, axis=0)
    return distances / np.linalg.norm(vectors, axis=0)


def maximum_match(x: Activations, y: Activations, epsilon: float) -> tuple[Indices, Indices]:
    """Algorithm 1."""
    return _settle(x, y, _live(x), _live(y), epsilon)


def minimal_match(
    x: Activations, y: Activations, index: int, epsilon: float
) -> tuple[Indices, Indices] | None:
    """Algorithm 2 for neuron `index` of x: the other neurons are tried in turn, those of x first."""
    in_x, in_y = maximum_match(x, y, epsilon)
    if index not in in_x:
        return None
    for side, other in [("x", i) for i in in_x if i != index] + [("y", j) for j in in_y]:
        if other not in (in_x if side == "x" else in_y):
            continue
        rest_x = in_x[in_x != other] if side == "x" else in_x
        rest_y = in_y[in_y != other] if side == "y" else in_y
        rest_x, rest_y = _settle(x, y, rest_x, rest_y, epsilon)
        if index in rest_x:
            in_x, in_y = rest_x, rest_y
    return in_x, in_y


def _live(side: Activations) -> Indices:
    return np.flatnonzero(np.linalg.norm(side, axis=0) > DEAD_NORM)


def _settle(
    x: Activations, y: Activations, in_x: Indices, in_y: Indices, epsilon: float
) -> tuple[Indices, Indices]:
    nobody = np.empty(0, dtype=np.int64)
    while in_x.size and in_y.size:
        before = in_x.size + in_y.size
        in_x = in_x[residuals(x[:, in_x], y[:, in_y]) <= epsilon]
        if in_x.size == 0:
            break
        in_y = in_y[residuals(y[:, in_y], x[:, in_x]) <= epsilon]
        if in_x.size + in_y.size == before:
            return in_x, in_y
    return nobody, nobody
