"""Both sides at once: neurons leave, and each side's residuals follow the other side's span.

Apart from the searches that decide who leaves: profile, maximum match and minimal matches share it.
"""

import numpy as np
from numpy.typing import NDArray

from spanmatch.matching.certificate import cut, entry_error
from spanmatch.matching.gram import FloatArray
from spanmatch.matching.match import Indices
from spanmatch.matching.scaled import RESOLUTION, ScaledGram
from spanmatch.matching.span import Span


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
        self._span_x = Span(scaled.gram, is_x, ~is_x)
        self._span_y = Span(scaled.gram, ~is_x, is_x)

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
        return np.flatnonzero(self.alive)

    def residuals(self) -> FloatArray:
        """Return the relative residual of every label; -1 for those no longer in play."""
        split = self.scaled.n_x
        squared = np.concatenate((self._span_y.squared[:split], self._span_x.squared[split:]))
        return self._relative(squared)

    def intervals(self) -> tuple[FloatArray, FloatArray]:
        """Return bounds of the true relative residuals; -1 for neurons no longer in play.

        As in `residuals`, what cannot be told from zero is zero. Costs O(n), and now and then O(n²).
        """
        split = self.scaled.n_x
        per_entry = entry_error(self.scaled.n_samples)
        sides = zip(self._span_y.intervals(per_entry), self._span_x.intervals(per_entry), strict=True)
        low, high = (cut(np.concatenate((of_x[:split], of_y[split:]))) for of_x, of_y in sides)
        low[~self.alive] = high[~self.alive] = -1.0
        return low, high

    def shift(self) -> float:
        """Return by how much residuals can move with the choice of bases, as of the last `intervals`."""
        return max(self._span_x.shift, self._span_y.shift)

    def residuals_without(self, label: int) -> FloatArray | None:
        """Return `residuals` as they would be without this neuron, in O(n), or None when O(n) cannot tell."""
        split = self.scaled.n_x
        span = self._span_x if label < split else self._span_y
        growth = span.growth(label)
        if growth is None:
            return None
        squared = np.concatenate((self._span_y.squared[:split], self._span_x.squared[split:]))
        if label < split:
            squared[split:] += growth[split:]
        else:
            squared[:split] += growth[:split]
        relative = self._relative(squared)
        relative[label] = -1.0
        return relative

    def remove(self, label: int) -> None:
        """Take a neuron out of play."""
        own, other = self._span_x, self._span_y
        if label >= self.scaled.n_x:
            own, other = other, own
        self.alive[label] = False
        own.remove(label)
        other.drop_target(label)

    def settle(self, epsilon: float, needed: NDArray[np.bool_] | None = None) -> bool:
        """Take neurons out of play until what is left is an ε-match, its largest (Alg. 1).

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
            residuals = self.residuals()
            farthest = int(np.argmax(residuals)) if residuals.size else -1
            if farthest < 0 or residuals[farthest] <= epsilon:
                return True
            if needed is not None and np.any(residuals[needed] > epsilon):
                return False
            self.remove(farthest)

    def _relative(self, squared: FloatArray) -> FloatArray:
        squared[squared <= RESOLUTION] = 0.0
        relative = np.sqrt(np.minimum(squared, 1.0))
        relative[~self.alive] = -1.0
        return relative
