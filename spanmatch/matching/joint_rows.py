"""Row moments of many layers with each other, several at a time, to the bits that each pair has by itself."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from spanmatch.matching.inputs import AnyArray, FloatArray
from spanmatch.matching.row_moments import RowMoments, less_centre

# Samples that are taken at once, which stay in cache. A constant, so that the bits of a pair's sums do not
# depend on what is computed beside it.
_ROWS = 256

Two = tuple[int, int]


class JointRows:
    """An accumulator of the row moments of pairs of layers over the same samples.

    Squared lengths of a layer's samples are computed once, however many layers it is paired with.

    Parameters
    ----------
    centres : sequence of ndarray, (2, n) each
        What is subtracted from each layer's samples, near their mean: a value and what it lacks.
    pairs
        Of the layers' numbers, each once; a layer with itself is given twice.
    """

    def __init__(self, centres: Sequence[FloatArray], pairs: Collection[Two]) -> None:
        self._centres = centres
        self._found = {(i, j): RowMoments.about(centres[i], centres[j]) for i, j in pairs}

    def update(self, layers: Sequence[AnyArray]) -> None:
        """Add a block of samples of all layers, (n_samples, n) each, of any real dtype.

        Notes
        -----
        Costs n_samples · n flops for each layer and twice that for each pair, in cache.
        """
        rooms = [np.empty(_ROWS * layer.shape[1]) for layer in layers]
        for start in range(0, max(map(len, layers)), _ROWS):
            part = slice(start, start + _ROWS)
            less = [
                less_centre(layer[part], centre, room)
                for layer, centre, room in zip(layers, self._centres, rooms, strict=True)
            ]
            squares = [np.einsum("ij,ij->i", each, each) for each in less]
            for (i, j), found in self._found.items():
                found.add_rows(less[i], less[j], squares[i], squares[j])

    def finished(self) -> Mapping[Two, RowMoments]:
        """Return the sums about the layers' centres."""
        return self._found
