"""A small ε-match around one neuron, from the bottom up: a start for the searches from the top down."""

import numpy as np
from numpy.typing import NDArray

from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Indices
from spanmatch.matching.scaled import RESOLUTION, ScaledGram


def grow(scaled: ScaledGram, seed: int, epsilon: float) -> list[int]:
    """Return the labels of an ε-match that contains `seed`, in the order in which they were needed.

    Every neuron taken in is in turn covered from the other side: by orthogonal matching pursuit, the neuron
    that lowers its residual most comes first. Costs O(n k²) for k labels out of n.

    Parameters
    ----------
    scaled : ScaledGram
        An ε-match as a whole.
    seed : int
        Label of the neuron to start from.
    epsilon : float
        Largest relative residual that may stay.

    Returns
    -------
    list of int
        Labels, `seed` first; all labels when rounding keeps the pursuit from its end.
    """
    is_x = np.arange(scaled.size) < scaled.n_x
    spans = {True: _GrowingSpan(scaled.gram, is_x), False: _GrowingSpan(scaled.gram, ~is_x)}
    labels = [seed]
    spans[bool(is_x[seed])].add(seed)
    for label in labels:  # grows meanwhile
        span = spans[not is_x[label]]
        while not span.covers(label, epsilon):
            helper = span.nearest(label)
            if helper is None:
                return [*labels, *np.setdiff1d(np.arange(scaled.size), labels).tolist()]
            span.add(helper)
            labels.append(helper)
    return labels


class _GrowingSpan:
    """Span of the members chosen so far of one side, as a partial Cholesky factorisation."""

    def __init__(self, gram: FloatArray, candidates: NDArray[np.bool_]) -> None:
        self._gram = gram
        self._candidate = candidates.copy()
        self._squared = np.ones(len(gram))
        self._factor = np.empty((len(gram), 8))
        self._rank = 0

    def covers(self, label: int, epsilon: float) -> bool:
        squared = float(self._squared[label])
        return squared <= RESOLUTION or bool(np.sqrt(squared) <= epsilon)

    def nearest(self, label: int) -> int | None:
        """Return the candidate that lowers the residual of a label most; None when none is left."""
        candidates: Indices = (self._candidate & (self._squared > RESOLUTION)).nonzero()[0]
        if candidates.size == 0:
            return None
        gains = self._remainder(label)[candidates] ** 2 / self._squared[candidates]
        return int(candidates[np.argmax(gains)])

    def add(self, label: int) -> None:
        column = self._remainder(label) / np.sqrt(self._squared[label])
        if self._rank == self._factor.shape[1]:
            self._factor = np.concatenate((self._factor, np.empty_like(self._factor)), axis=1)
        self._factor[:, self._rank] = column
        self._rank += 1
        self._squared = np.maximum(self._squared - column**2, 0)
        self._candidate[label] = False

    def _remainder(self, label: int) -> FloatArray:
        """Return the inner products with what the span leaves of a label."""
        factor = self._factor[:, : self._rank]
        remainder: FloatArray = self._gram[label] - factor @ factor[label]
        return remainder
