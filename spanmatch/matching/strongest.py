"""The samples at which each neuron is strongest, found as activations come and merged in any order.

A sample counts by the greatest activation over its positions. Of equal samples the smaller number is
stronger, of equal positions the first: so nothing depends on how samples are cut up, or on their order.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Values of samples that are ranked at a time.
_AT_ONCE = 2**20


class Strongest(NamedTuple):
    """So many samples of each neuron, strongest first.

    Attributes
    ----------
    samples
        (neurons, count), int64: their numbers; -1 where there are fewer.
    values
        (neurons, count), float32, or float64 of such activations: NaN where there are fewer.
    positions
        (neurons, count), int64: at which of the sample's positions; 0 where there are fewer.
    """

    samples: NDArray[np.int64]
    values: NDArray[Any]
    positions: NDArray[np.int64]

    def moved(self, by: int) -> "Strongest":
        """Return the same with numbers of samples that are so much greater."""
        samples = np.where(self.samples < 0, self.samples, self.samples + by)
        return Strongest(samples, self.values, self.positions)

    def at(self, positions: NDArray[np.int64]) -> "Strongest":
        """Return the same at other positions."""
        return Strongest(self.samples, self.values, positions)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all by name."""
        return dict(zip(self._fields, self, strict=True))


class StrongestSamples:
    """Finds the strongest samples of each neuron while activations come in the order of the samples.

    Parameters
    ----------
    count
        How many of each neuron, from 1.

    Notes
    -----
    About a nanosecond a value, and what is held beside the activations that are given is small: (neurons,
    count), and the peaks of some of their samples.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._next = 0
        self._found: Strongest | None = None

    def add(self, values: NDArray[Any]) -> None:
        """Take the next samples' activations, (samples, positions, neurons), NaN where nothing counts."""
        step = max(self._count, _AT_ONCE // max(1, values.shape[2]))
        for start in range(0, len(values), step):
            self._add(values[start : start + step])

    def found(self) -> Strongest:
        """Return what was found so far, the first sample having number 0; ask for it when there was one."""
        assert self._found is not None, "there was no sample"
        return self._found

    def _add(self, values: NDArray[Any]) -> None:
        if values.dtype == np.float16:  # arithmetic of which is slow
            values = values.astype(np.float32)
        held = self._found or _none(values.shape[2], self._count, values.dtype)
        peaks = np.fmax.reduce(values, axis=1).T + values.dtype.type(0)  # no zero has a sign
        strengths = np.concatenate([held.values, peaks], axis=1)
        chosen = _first(strengths, self._count)
        numbers = np.arange(self._next, self._next + len(values))
        samples = np.concatenate([held.samples, np.broadcast_to(numbers, peaks.shape)], axis=1)
        positions = np.concatenate([held.positions, np.zeros(peaks.shape, dtype=np.int64)], axis=1)
        found = _taken(Strongest(samples, strengths, positions), chosen)
        neurons, ranks = np.nonzero((chosen >= self._count) & (found.samples >= 0))
        if values.shape[1] > 1 and len(neurons):
            of_entered = values[chosen[neurons, ranks] - self._count, :, neurons]
            of_entered[np.isnan(of_entered)] = -np.inf
            found.positions[neurons, ranks] = of_entered.argmax(axis=1)
        self._found = found
        self._next += len(values)


def merged(one: Strongest, other: Strongest) -> Strongest:
    """Return the strongest samples of two sets of samples that have none in common, in either order."""
    both = Strongest(*(np.concatenate(sides, axis=1) for sides in zip(one, other, strict=True)))
    order = np.lexsort((both.samples, _descending(both.values)), axis=1)
    return _taken(both, order[:, : one.samples.shape[1]])


def _none(neurons: int, count: int, dtype: np.dtype[Any]) -> Strongest:
    shape = (neurons, count)
    nothing = np.zeros(shape, dtype=np.int64)
    return Strongest(nothing - 1, np.full(shape, np.nan, dtype), nothing)


def _taken(several: Strongest, columns: NDArray[np.int64]) -> Strongest:
    """Return some columns of each neuron; those without a value are no samples."""
    samples, values, positions = (np.take_along_axis(each, columns, axis=1) for each in several)
    absent = np.isnan(values)
    samples[absent], positions[absent] = -1, 0
    return Strongest(samples, values, positions)


def _first(strengths: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return the columns of the greatest of each row, greatest first; of equals the first column.

    Selects before it sorts: the greatest are few.
    """
    descending = _descending(strengths)
    last = np.partition(descending, count - 1, axis=1)[:, count - 1 : count]
    beyond, equal = descending < last, descending == last
    room = count - np.count_nonzero(beyond, axis=1, keepdims=True)
    chosen = beyond | (equal & (np.cumsum(equal, axis=1, dtype=np.int32) <= room))
    columns = np.nonzero(chosen)[1].reshape(-1, count)
    order = np.argsort(np.take_along_axis(descending, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def _descending(values: NDArray[Any]) -> NDArray[Any]:
    """Return values that ascend as the given ones descend, without a value last."""
    return np.where(np.isnan(values), np.inf, -values)
