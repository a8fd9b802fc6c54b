"""A small ε-match around one neuron, from the bottom up: a start for the searches from the top down."""

import numpy as np

from spanmatch.matching.inputs import FloatArray
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
    split = scaled.n_x
    if (pair := _pair(scaled.gram, split, seed, epsilon)) is not None:
        return pair
    x, y = _GrowingSpan(scaled.gram, slice(split)), _GrowingSpan(scaled.gram, slice(split, None))
    labels = [seed]
    own = x if seed < split else y
    own.add(seed, own.remainder(seed))
    for label in labels:  # grows meanwhile
        span = y if label < split else x
        if span.covers(label, epsilon):
            continue
        remainder = span.remainder(label)
        while not span.covers(label, epsilon):
            helper = span.nearest(remainder)
            if helper is None:
                return [*labels, *np.setdiff1d(np.arange(scaled.size), labels).tolist()]
            column = span.add(helper, span.remainder(helper))
            remainder -= column[label] * column
            labels.append(helper)
    return labels


def _pair(gram: FloatArray, split: int, seed: int, epsilon: float) -> list[int] | None:
    """Return `seed` with its first helper where that is all it needs, which saves the spans."""
    others = gram[seed, split:] if seed < split else gram[seed, :split]
    if not others.size:
        return None
    helper = int((others * others).argmax()) + (split if seed < split else 0)
    pair = ((seed, helper), (helper, seed))
    near = all(_near(1 - float(gram[a, b]) ** 2, epsilon) for a, b in pair)
    return [seed, helper] if near else None


def _near(squared: float, epsilon: float) -> bool:
    return squared <= RESOLUTION or squared**0.5 <= epsilon


class _GrowingSpan:
    """Span of members that join, by partial Cholesky factorisation.

    Parameters
    ----------
    gram : ndarray, (n, n)
        Unit-diagonal Gram matrix of both sides.
    candidates : slice
        The labels that may join.
    """

    def __init__(self, gram: FloatArray, candidates: slice) -> None:
        self._gram, self._candidates = gram, candidates
        # of labels that may not join, or not any more, those that may join: infinite
        self._squared = np.ones(len(gram))
        self._divisors = self._squared[candidates]
        self._rows = np.empty((8, len(gram)))
        self._rank = 0

    def covers(self, label: int, epsilon: float) -> bool:
        """Tell whether a label that may not join is near enough."""
        return _near(float(self._squared[label]), epsilon)

    def nearest(self, remainder: FloatArray) -> int | None:
        """Return the candidate that lowers a residual most, given its `remainder`; None when none is left."""
        inside = remainder[self._candidates]
        gains = inside * inside / self._divisors
        best = int(gains.argmax()) if gains.size else 0
        if not gains.size or np.isinf(self._divisors[best]):
            left = np.isfinite(self._divisors).nonzero()[0]
            if not left.size:
                return None
            best = int(left[0])
        return best + (self._candidates.start or 0)

    def add(self, label: int, remainder: FloatArray) -> FloatArray:
        """Take in a candidate, given its `remainder`; return the shares of what it adds to the span."""
        column: FloatArray = remainder / self._squared[label] ** 0.5
        if self._rank == len(self._rows):
            self._rows = np.concatenate((self._rows, np.empty_like(self._rows)))
        self._rows[self._rank] = column
        self._rank += 1
        self._squared -= column * column
        self._squared[label] = 0.0
        self._divisors[self._divisors <= RESOLUTION] = np.inf
        return column

    def remainder(self, label: int) -> FloatArray:
        """Return the inner products with what the span leaves of a label."""
        rows = self._rows[: self._rank]
        remainder: FloatArray = self._gram[label] - rows[:, label] @ rows
        return remainder
