"""Co-moments of pairs of layers, summed by fold while images come in order: stored ones, or on their way."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanmatch.errors import SpanmatchError
from spanmatch.matching.deviations import BLOCK_SAMPLES
from spanmatch.matching.joint_sums import JointSums
from spanmatch.matching.side_by_side import Two
from storage.packs import Content
from tasks.statistic import content_of

# Samples that are summed at once; as many images as that makes, at least one. The bits of sums depend on it.
_SAMPLES = 8192


def images_at_once(positions: int) -> int:
    """Return how many images of so many positions are summed at once."""
    return max(1, _SAMPLES // positions)


def bytes_at_once(positions: int, folds: int) -> int:
    """Return how many bytes a neuron takes while images are summed: a fold's block of float64 three times."""
    samples = images_at_once(positions) * positions
    return 3 * 8 * min(BLOCK_SAMPLES, -(-samples // max(folds, 1)))


class FoldSums:
    """Moments of pairs of layers over the same images.

    Parameters
    ----------
    layers
        What people call them.
    pairs
        Of their numbers, each once; a layer with itself is given twice.
    folds
        How many there are; 0 for none.
    first
        Which image of the study the first is: an image's place says in which fold it is.
    """

    def __init__(self, layers: Sequence[str], pairs: Collection[Two], folds: int, first: int) -> None:
        self._layers = layers
        self._pairs = pairs
        self._count = max(folds, 1)
        self._folds: list[JointSums] = []
        self._images = first

    def add(self, images: Sequence[NDArray[Any]]) -> None:
        """Add the next images of all layers, (images, positions, neurons) each.

        They are as many as `images_at_once` says, or the last.

        Raises
        ------
        SpanmatchError
            If layers have other positions, or leave out others.
        """
        require_alike(self._layers, [values.shape[:2] for values in images])
        if not self._folds:
            sizes = [values.shape[-1] for values in images]
            self._folds = [JointSums(sizes, self._pairs) for _ in range(self._count)]
        for number, fold in enumerate(self._folds):
            # the first image from here on that is in the fold
            first = (number - self._images) % self._count
            samples = [_samples(values[first :: self._count]) for values in images]
            fold.add(_those_that_count(self._layers, samples))
        self._images += len(images[0])

    def taken(self, pair: Two) -> Content:
        """Return what is kept of a pair, and keep its sums no longer: so they are in memory once.

        Raises
        ------
        SpanmatchError
            If no position of any image counts.
        """
        if not any(fold.n_samples for fold in self._folds):
            raise SpanmatchError(
                f"`layers` must have positions that count, but {self._layers[0]!r} has none in any sample; "
                "see to the `mask` of the data set, or leave that layer out"
            )
        return content_of([fold.taken(pair) for fold in self._folds])


def require_alike(layers: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> None:
    """See that layers have as many images and positions.

    Raises
    ------
    SpanmatchError
        If not.
    """
    if len(set(shapes)) > 1:
        names = " and ".join(map(repr, dict.fromkeys(layers)))
        raise SpanmatchError(
            "`layers` must have as many samples and positions in all networks that are compared, got "
            f"{' and '.join(map(str, sorted(set(shapes))))} of {names}; set `positions` to mean, or "
            "leave one out"
        )


def _samples(chunk: NDArray[Any]) -> NDArray[Any]:
    """Lay out (image, position, neuron) as (sample, neuron)."""
    return chunk.reshape(-1, chunk.shape[-1])


def _those_that_count(layers: Sequence[str], sides: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Leave out padding, which is not a number, and must be the same on all sides."""
    counts = ~np.isnan(sides[0][:, 0])
    for layer, samples in zip(layers[1:], sides[1:], strict=True):
        _require_same_padding((layers[0], layer), counts, ~np.isnan(samples[:, 0]))
    return list(sides) if counts.all() else [samples[counts] for samples in sides]


def _require_same_padding(layers: tuple[str, str], x: NDArray[np.bool_], y: NDArray[np.bool_]) -> None:
    if not np.array_equal(x, y):
        names = " and ".join(map(repr, dict.fromkeys(layers)))
        raise SpanmatchError(
            f"`layers` must have the same padding in both networks, but {names} leave out "
            f"{np.count_nonzero(~x)} positions in one and {np.count_nonzero(~y)}, or others, in the "
            "other; say which positions count with the `mask` of the data set"
        )
