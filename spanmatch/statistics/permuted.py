"""The part of the statistic that permuting one side's images changes: co-moments between both sides."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spanmatch.errors import InputValueError
from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.deviations import BLOCK_SAMPLES, products_roundings
from spanmatch.matching.inputs import AnyArray, FloatArray
from spanmatch.matching.match import Indices
from spanmatch.matching.row_moments import RowMoments

# Roundings of a deviation from a known mean, two of either factor, and what its error squared adds.
OF_DEVIATIONS = 5


class PermutedCoMoments:
    """Co-moments between two layers under permutations of the second one's images, block by block.

    An accumulator: `update` with blocks of the first layer, each sample once, then take `comoments`. Own
    parts stay what they are: a permutation moves no image out of a layer.

    Parameters
    ----------
    x, y : CoMoments
        Of either layer with itself, over all samples: their means are those that deviations are from, so that
        no offset costs digits, raw or centred.
    permutations : int
        How many.
    rows : bool, optional
        Whether to sum row moments between the layers, too.
    """

    def __init__(self, x: CoMoments, y: CoMoments, permutations: int, *, rows: bool = False) -> None:
        self._own = x, y
        self._rows = [RowMoments.about(x.mean_x, y.mean_x) for _ in range(permutations)] if rows else []
        self._products = np.zeros((permutations, x.n_x, y.n_x))
        self._seen = self._blocks = self._roundings = 0

    def update(self, x: AnyArray, y: AnyArray, taken: NDArray[np.intp]) -> None:
        """Add a block of samples of the first layer, with all of the second.

        Parameters
        ----------
        x : ndarray, (n, n_x) or (n, n_positions, n_x)
            Activations of some samples, or of some images at all positions; any real dtype.
        y : ndarray, (n_all, n_y) or (n_all, n_positions, n_y)
            Those of the second layer on all samples or images: in their own dtype, of which only so much as a
            block is cast at a time.
        taken : ndarray of int, (permutations, n)
            For each permutation, the sample or image of `y` that takes the place of each of this block.

        Raises
        ------
        ValueError
            When shapes do not fit.

        Notes
        -----
        Costs permutations · samples · n_x · n_y multiplications and additions, and one gather of the samples
        for each permutation. Where the cuts between blocks are moves the last bits only.
        """
        self._check(x, y, taken)
        positions = int(np.prod(x.shape[1:-1]))
        at_once = max(1, BLOCK_SAMPLES // positions)
        for start in range(0, len(x), at_once):
            part = slice(start, start + at_once)
            of_x = _less_mean(x[part], self._own[0])
            for number, places in enumerate(taken[:, part]):
                of_y = _less_mean(y[places], self._own[1])
                self._products[number] += of_x.T @ of_y
                if self._rows:
                    squares = (np.einsum("ij,ij->i", side, side) for side in (of_x, of_y))
                    self._rows[number].add_rows(of_x, of_y, *squares)
            self._blocks += 1
            self._seen += len(of_x)
            self._roundings = max(self._roundings, products_roundings(len(of_x)))

    @property
    def comoments(self) -> tuple[CoMoments, ...]:
        """Of each permutation, once all samples were added; not copied.

        Raises
        ------
        ValueError
            When some were not.
        """
        x, y = self._own
        if self._seen != x.n_samples:
            raise InputValueError(
                f"`x` must have been added as a whole, {x.n_samples} samples, got {self._seen}; `update` "
                "with each block once"
            )
        roundings = self._roundings + self._blocks + OF_DEVIATIONS
        return tuple(
            CoMoments(products, x.mean_x, y.mean_x, x.n_samples, roundings) for products in self._products
        )

    @property
    def rows(self) -> tuple[RowMoments | None, ...]:
        """Row moments between the layers of each permutation; None where they were not summed."""
        return tuple(self._rows) if self._rows else (None,) * len(self._products)

    def _check(self, x: AnyArray, y: AnyArray, taken: NDArray[np.intp]) -> None:
        permutations, n_x, n_y = self._products.shape
        if (x.shape[-1], y.shape[-1]) != (n_x, n_y) or x.shape[1:-1] != y.shape[1:-1]:
            raise InputValueError(
                f"`x` and `y` must be of {n_x} and {n_y} neurons and as many positions, got shapes {x.shape} "
                f"and {y.shape}; pass the layers that the co-moments are of"
            )
        if taken.shape != (permutations, len(x)):
            raise InputValueError(
                f"`taken` must have shape ({permutations}, {len(x)}), permutations by rows of `x`, got "
                f"{taken.shape}; cut each permutation as `x` is cut"
            )


def permuted_comoments(
    x: AnyArray, y: AnyArray, permutations: Sequence[Indices], *, own_x: CoMoments, own_y: CoMoments
) -> tuple[CoMoments, ...]:
    """Return the co-moments between two layers under permutations of the second one's images.

    Parameters
    ----------
    x, y : ndarray, (n_images, n_positions, n_x) and (n_images, n_positions, n_y)
        Activations; or (n_samples, n_x) and (n_samples, n_y), with orders of samples (`sample_order`).
    permutations : sequence of ndarray of int, (n_images,)
        Which image of `y` takes the place of each, as `permutation` gives.
    own_x, own_y : CoMoments
        Of either layer with itself, over the same samples.

    Raises
    ------
    ValueError
        When shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, permutation, permuted_comoments
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 3))
    >>> y = np.hstack([x[:, :2], rng.standard_normal((200, 1))])
    >>> own_x, own_y, _ = GramMatrix.from_activations(x, y).comoments
    >>> orders = [permutation(range(200), seed=0, number=number) for number in range(3)]
    >>> permuted = permuted_comoments(x, y, orders, own_x=own_x, own_y=own_y)
    >>> GramMatrix.from_comoments(own_x, own_y, permuted[0]).n_samples
    200
    """
    sums = PermutedCoMoments(own_x, own_y, len(permutations))
    sums.update(x, y, np.stack(permutations))
    return sums.comoments


def sample_order(images: Indices, taken: Indices) -> Indices:
    """Return which sample takes the place of each when images are permuted with all their positions.

    Parameters
    ----------
    images : ndarray of int, (n_samples,)
        Number of the image that each sample is of, from 0.
    taken : ndarray of int, (n_images,)
        Which image takes the place of each; it must have as many samples.

    Returns
    -------
    ndarray of int, (n_samples,)
        Of an image's samples, the first takes the place of the other's first, and so on.
    """
    by_image = np.argsort(images, kind="stable")
    counts = np.bincount(images)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    moved = np.repeat(starts[taken] - starts, counts) + np.arange(len(images))
    order = np.empty(len(images), dtype=np.intp)
    order[by_image] = by_image[moved]
    return order


def _less_mean(block: AnyArray, own: CoMoments) -> FloatArray:
    """Return a block of samples, (n, n_neurons), less the known mean, in float64."""
    rows = block.reshape(-1, block.shape[-1])
    shift, remainder = own.mean_x
    values: FloatArray = np.subtract(rows, shift, dtype=np.float64)
    values -= remainder
    return values
