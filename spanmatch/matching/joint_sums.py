"""The statistic of many layers with each other, summed from the same samples, block by block."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.deviations import blocks, deviations
from spanmatch.matching.inputs import AnyArray
from spanmatch.matching.joint_rows import JointRows
from spanmatch.matching.row_moments import RowMoments
from spanmatch.matching.side_by_side import Two, products

MOMENTS = ("products", "mean_x", "mean_y", "counts", "row_sums", "rows_x", "rows_y")
"""Names of the arrays that moments are kept as."""


class Moments(NamedTuple):
    """Co-moments of two layers, or of one with itself, and row moments about the same means."""

    comoments: CoMoments
    rows: RowMoments

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that they are as arrays, by names: what is kept of them."""
        of, rows = self
        counts = np.array([of.n_samples, of.roundings], dtype=np.int64)
        kept = (of.products, of.mean_x, of.mean_y, counts, rows.sums, rows.weighted_x, rows.weighted_y)
        return dict(zip(MOMENTS, kept, strict=True))

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Moments":
        """Return the moments that `arrays` made arrays of.

        Raises
        ------
        KeyError
            When one is missing.
        TypeError, ValueError
            As `CoMoments.from_parts` and `RowMoments.from_parts`.
        """
        samples, roundings = arrays["counts"].tolist()
        means = arrays["mean_x"], arrays["mean_y"]
        return cls(
            CoMoments.from_parts(arrays["products"], *means, samples, roundings),
            RowMoments.from_parts(arrays["row_sums"], arrays["rows_x"], arrays["rows_y"], *means, samples),
        )


class JointSums:
    """An accumulator of the moments of pairs of layers over the same samples.

    Parameters
    ----------
    sizes
        Number of neurons of each layer.
    pairs
        Of the layers' numbers, each once; a layer with itself is given twice.
    """

    def __init__(self, sizes: Sequence[int], pairs: Collection[Two]) -> None:
        self._sizes = sizes
        self._comoments = {(i, j): CoMoments.zeros(sizes[i], sizes[j]) for i, j in pairs}
        self._rows: JointRows | None = None
        self.n_samples = 0

    def add(self, layers: Sequence[AnyArray]) -> None:
        """Add samples of all layers, (n_samples, n) each, of any real dtype.

        Notes
        -----
        Costs n_samples · n_x · n_y multiplications and additions for each pair, half of that for a layer with
        itself; of deviations, one block of samples is in memory.
        """
        for block in zip(*(blocks(layer) for layer in layers), strict=True):
            self._add_block(block)

    def _add_block(self, layers: Sequence[AnyArray]) -> None:
        centred = [deviations(layer) for layer in layers]
        for (i, j), inner in products(centred, self._comoments.keys()):
            self._comoments[i, j].update(centred[i], centred[j], inner)
        if self._rows is None:
            means = [np.stack((each.shift, each.remainder)) for each in centred]
            self._rows = JointRows(means, self._comoments.keys())
        self._rows.update(layers)
        self.n_samples += len(layers[0])

    def moments(self, pair: Two) -> Moments:
        """Return what was summed of a pair; the co-moments are not copied."""
        comoments = self._comoments[pair]
        if self._rows is None:
            return Moments(comoments, RowMoments.zeros(*(self._sizes[each] for each in pair)))
        return Moments(comoments, RowMoments.merged([(self._rows.finished()[pair], comoments)]))

    def taken(self, pair: Two) -> Moments:
        """Return the same, and keep it no longer: nothing can be added any more."""
        moments = self.moments(pair)
        del self._comoments[pair]
        return moments
