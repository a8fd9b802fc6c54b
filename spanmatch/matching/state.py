"""Both sides at once: neurons leave, and each side's residuals follow the other side's span."""

import math

import numpy as np
from numpy.typing import NDArray

from spanmatch.matching.certificate import SMALLEST_EPSILON, entry_error
from spanmatch.matching.certified import CertifiedSpan
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Indices
from spanmatch.matching.scaled import RESOLUTION, ScaledGram


class MatchState:
    """Neurons still in play, and the relative residual of each onto the other side's.

    Parameters
    ----------
    scaled : ScaledGram
        All its neurons are in play at first.
    """

    def __init__(self, scaled: ScaledGram) -> None:
        self.scaled = scaled
        is_x = np.arange(scaled.size) < scaled.n_x
        self.alive: NDArray[np.bool_] = np.ones(scaled.size, dtype=np.bool_)
        per_entry = entry_error(scaled.roundings)
        self._span_x = CertifiedSpan(scaled.gram, is_x, ~is_x, per_entry)
        self._span_y = CertifiedSpan(scaled.gram, ~is_x, is_x, per_entry)

    def copy(self) -> "MatchState":
        """Return an independent copy, at O(n²) for the neurons still in play."""
        twin = MatchState.__new__(MatchState)
        twin.scaled = self.scaled
        twin.alive = self.alive.copy()
        twin._span_x = self._span_x.copy()
        twin._span_y = self._span_y.copy()
        return twin

    def labels(self) -> Indices:
        """Return the labels in play, ascending."""
        return self.alive.nonzero()[0]

    def residuals(self) -> FloatArray:
        """Return the relative residual of every label; -1 for those no longer in play."""
        return self._relative(self._squared())

    def highest(self, enough: float = math.inf) -> float:
        """Return an upper bound of all true relative residuals in play, whatever a rank cut took away so far.

        As in `residuals`, what cannot be told from zero is zero. Where the bound is at least `enough`, any
        number from there on. Costs O(n), and now and then O(n²).
        """
        found = 0.0
        for span in (self._span_x, self._span_y):
            span.note_cut()
            found = max(found, span.highest(found, enough))
        return found if found > SMALLEST_EPSILON else 0.0

    def lowest(self, labels: Indices) -> float:
        """Return a lower bound of the true relative residuals of these neurons, in any subset in play."""
        in_x = labels < self.scaled.n_x
        sides = (self._span_y, labels[in_x]), (self._span_x, labels[~in_x])
        bounds = [span.lower_bounds(targets).min() for span, targets in sides if targets.size]
        found = float(min(bounds))
        return found if found > SMALLEST_EPSILON else 0.0

    def residuals_without(self, labels: Indices) -> FloatArray | None:
        """Return `residuals` as they would be without these neurons, or None when only removing them tells.

        Costs O(n) for each; nothing changes.
        """
        split = self.scaled.n_x
        in_x = labels < split
        squared = self._squared()
        for span, leaving, targets in (
            (self._span_x, labels[in_x], slice(split, None)),
            (self._span_y, labels[~in_x], slice(split)),
        ):
            if leaving.size:
                growth = span.growth(leaving)
                if growth is None:
                    return None
                squared[targets] += growth[targets]
        relative = self._relative(squared)
        relative[labels] = -1.0
        return relative

    def falls_with_each(self, labels: Indices, epsilon: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Tell who would be too far without each of these labels alone, by `residuals_without`.

        Costs O(n) for each.

        Returns
        -------
        falls : ndarray of bool, (n_labels, n)
            Without which of them (row) which others (columns) are too far.
        unclear : ndarray of bool, (n_labels,)
            Of which of them only their removal tells; of these `falls` says nothing.
        """
        size, split = self.scaled.size, self.scaled.n_x
        squared = self._squared()
        falls = np.zeros((labels.size, size), dtype=np.bool_)
        unclear = np.zeros(labels.size, dtype=np.bool_)
        in_x = int(labels.searchsorted(split))
        for span, rows, targets in (
            (self._span_x, slice(in_x), slice(split, None)),
            (self._span_y, slice(in_x, None), slice(split)),
        ):
            rise, unclear[rows] = span.growth_of_each(labels[rows])
            rise += squared
            falls[rows, targets] = (self._relative(rise) > epsilon)[:, targets]
        falls[unclear] = False
        return falls, unclear

    def remove(self, labels: Indices) -> None:
        """Take neurons out of play."""
        self.alive[labels] = False
        from_x, from_y = labels[labels < self.scaled.n_x], labels[labels >= self.scaled.n_x]
        for own, other, leaving in (
            (self._span_x, self._span_y, from_x),
            (self._span_y, self._span_x, from_y),
        ):
            if leaving.size:
                other.drop_targets(leaving)
                own.remove(leaving)

    def farthest(self, level: float) -> tuple[float, Indices]:
        """Return which neurons leave next as ε falls from `level`, and the ε below which they do.

        Those with the largest residual; or all above `level`, where the last removals have raised some.
        """
        residuals = self.residuals()
        level = min(level, float(residuals.max()))
        return level, np.flatnonzero(residuals >= level)

    def peel(self, epsilon: float) -> None:
        """Take neurons out of play until what is left is the maximum match.

        Goes exactly as the profile does, and stops where ε is reached: so both decide alike, to the last bit.
        """
        level = 1.0
        while self.alive.any():
            level, leaving = self.farthest(level)
            if level <= epsilon:
                return
            self.remove(leaving)

    def settle(self, epsilon: float, needed: NDArray[np.bool_] | None = None) -> bool:
        """Take neurons out of play until what is left is an ε-match, its largest (Alg. 1).

        As `peel`, in fewer and larger steps, so that rounding differs.

        Parameters
        ----------
        epsilon : float
            Largest relative residual that may stay.
        needed : ndarray of bool, optional
            Labels to watch: stop as soon as one of them would have to leave.

        Returns
        -------
        bool
            Whether all `needed` labels stayed.
        """
        while True:
            too_far = self.residuals() > epsilon
            if needed is not None and (too_far & needed).any():
                return False
            leaving = too_far.nonzero()[0]
            if leaving.size == 0:
                return True
            self.remove(leaving)

    def _squared(self) -> FloatArray:
        split = self.scaled.n_x
        return np.concatenate((self._span_y.squared[:split], self._span_x.squared[split:]))

    def _relative(self, squared: FloatArray) -> FloatArray:
        squared[squared <= RESOLUTION] = 0.0
        relative = np.sqrt(np.minimum(squared, 1.0))
        relative[..., ~self.alive] = -1.0
        return relative
