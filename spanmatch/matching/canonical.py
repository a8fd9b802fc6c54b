"""The order that the data give neurons, so that no search decides by the number that a neuron has."""

import numpy as np
from numpy.typing import NDArray

from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Indices

# Keys closer than this count as equal: far above what rounding makes of equal ones, far below what tells
# neurons of real layers apart.
TIED = 1e-10
# The multiples of this, modulo one, are weights that sums of cosines do not cancel by chance.
GOLDEN = 0.6180339887498949


def canonical_order(
    cosines: FloatArray, is_x: NDArray[np.bool_], lengths: FloatArray, marks: FloatArray | None
) -> Indices:
    """Return positions of neurons in an order that does not depend on how they were numbered.

    Neurons are told apart by side and by their squared cosines with all others; those that tie by length and
    by their marks; those that tie still by the bits of their cosines with all that are told apart. Where none
    of that helps, any of them comes first and the others are told apart by it.

    Parameters
    ----------
    cosines : ndarray, (n, n)
        Unit-diagonal Gram matrix.
    is_x : ndarray of bool, (n,)
        Which neurons are of side x; they come first.
    lengths : ndarray, (n,)
        Lengths of the activation vectors.
    marks : ndarray, (2, n), or None
        `GramMatrix.marks`: what tells activations apart whose inner products are alike, if it is known.

    Notes
    -----
    Classes of vertices are refined as in canonical labelling of graphs (McKay 1981, *Practical graph
    isomorphism*). Costs two passes over `cosines` where these tell all neurons apart, as they do in real
    layers, and one more for each neuron that nothing else does.
    """
    if not is_x.size:
        return np.empty(0, dtype=np.int64)
    squares = cosines * cosines
    classes = _refined(squares, np.where(is_x, 0, 1))
    for keys in (np.log(lengths), *(() if marks is None else marks / lengths)):
        if _tied(classes).size:
            classes = _refined(squares, _split(classes, keys, TIED))
    while (tied := _tied(classes)).size:
        finer = _split(classes, _ranks_of_bits(cosines, marks, classes), 0)
        if np.array_equal(finer, classes):
            one = int(np.flatnonzero(classes == tied[0])[0])
            others = (np.arange(classes.size) != one).astype(np.float64)
            finer = _split(_split(classes, others, 0), cosines[one], TIED)
        classes = _refined(squares, finer)
    return np.argsort(classes)


def _tied(classes: Indices) -> Indices:
    """Return the classes of several neurons, ascending."""
    return np.flatnonzero(np.bincount(classes) > 1)


def _refined(squares: FloatArray, classes: Indices) -> Indices:
    """Split classes by their members' squared cosines with each class, until that tells no more apart."""
    number = 0
    while number < (number := int(classes.max()) + 1) < classes.size:
        keys = squares @ (0.5 + GOLDEN * np.arange(1, number + 1) % 1)[classes]
        classes = _split(classes, keys, TIED * float(keys.max()))
    return classes


def _split(classes: Indices, keys: FloatArray, tolerance: float) -> Indices:
    """Split classes, numbered 0, 1, … in order, wherever sorted keys are more than a tolerance apart."""
    order = np.lexsort((keys, classes))
    starts = (np.diff(classes[order]) > 0) | (np.diff(keys[order]) > tolerance)
    finer = np.zeros_like(classes)
    finer[order[1:]] = np.cumsum(starts)
    return finer


def _ranks_of_bits(cosines: FloatArray, marks: FloatArray | None, classes: Indices) -> FloatArray:
    """Rank members of classes of several by the bits of their cosines with all others, and their marks."""
    alone = np.bincount(classes)[classes] == 1
    settled = np.flatnonzero(alone)[np.argsort(classes[alone])]
    rows = cosines[:, settled] if marks is None else np.hstack((cosines[:, settled], marks.T))
    contents = {int(label): rows[label].tobytes() for label in np.flatnonzero(~alone)}
    rank = {content: place for place, content in enumerate(sorted(set(contents.values())))}
    ranks = np.zeros(classes.size)
    for label, content in contents.items():
        ranks[label] = rank[content]
    return ranks
