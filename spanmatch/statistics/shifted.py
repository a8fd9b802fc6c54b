"""Co-moments of two layers, the images of one shifted along a random order: all shifts at once.

Shifts of an order are a group, as permutation tests ask for, and their sums are one circular correlation: of
any number of shifts they cost little more than the product of the layers as they are.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import rfft

from spanmatch.errors import InputValueError
from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.inputs import AnyArray, FloatArray
from spanmatch.matching.match import Indices
from spanmatch.matching.row_moments import RowMoments

# Of the products of a block of neurons at all frequencies, which stay in memory at a time.
_BLOCK_BYTES = 2**25
# A Fourier transform and its inverse add so many roundings for each doubling of the images, and products as
# many as ever. An estimate and no bound: nothing that is certified stands on a permutation.
_OF_TRANSFORMS, _OF_PRODUCTS = 8, 400


class Shifted(NamedTuple):
    """Images that are exchanged among each other, in a random order, and how far each draw shifts them.

    Attributes
    ----------
    order : ndarray of int, (n_images,)
        Their places among all images.
    shifts : ndarray of int, (n_draws,)
        By draw; an image is paired with the one that comes so many places later, around the end.
    """

    order: Indices
    shifts: Indices


def drawn_shifts(
    ids: ArrayLike, numbers: Sequence[int], *, seed: int, within: ArrayLike | None = None
) -> list[Shifted]:
    """Draw shifts of images along a random order.

    Parameters
    ----------
    ids : array_like, (n_images,)
        Names or numbers, each once.
    numbers : sequence of int, (n_draws,)
        Of the draws that are wanted, from 0: each is drawn by itself.
    seed : int
        Of all draws.
    within : array_like, (n_images,), optional
        Images are exchanged only where this is the same, such as which of their positions count.

    Returns
    -------
    list of Shifted
        One, or one for each value of `within`. They depend on names, seed and numbers alone, not on the order
        in which images come. Of one kind of images no shift is 0 and none occurs twice.

    Raises
    ------
    ValueError
        When a number is out of range: of n images there are n - 1 shifts.

    Notes
    -----
    Under independence every shift of one layer's images gives data as likely as those seen, and shifts are a
    group, so that p is exact (Hemerik and Goeman 2018, *Exact testing with random permutations*). They come
    from the raw output of NumPy's Philox, a stream that does not change between versions.
    """
    images = np.asarray(ids)
    count = len(images)
    if count < 2 or max(numbers, default=0) >= count - 1:
        raise InputValueError(
            f"`numbers` must be below {max(count - 1, 0)}, the shifts that {count} samples have, got "
            f"{max(numbers, default=0)}; use more samples or fewer permutations"
        )
    by_name = np.argsort(images, kind="stable")
    order = by_name[np.argsort(_drawn(count, seed, "order"), kind="stable")]
    if within is None:
        shifts = 1 + np.argsort(_drawn(count - 1, seed, "shifts"), kind="stable")
        return [Shifted(order, shifts[list(numbers)])]
    kinds = np.unique(np.asarray(within), return_inverse=True)[1].reshape(-1)[order]
    if not kinds.any():
        return drawn_shifts(images, numbers, seed=seed)
    found = []
    for kind in np.unique(kinds):
        members = order[kinds == kind]
        first = str(np.sort(images[members])[0])
        raw = [int(_drawn(1, seed, f"shift {number} of {first}")[0]) for number in numbers]
        found.append(Shifted(members, np.array([each % members.size for each in raw], dtype=np.intp)))
    return found


def _drawn(count: int, seed: int, what: str) -> NDArray[np.uint64]:
    key = hashlib.sha256(f"{seed} {what}".encode()).digest()[:16]
    raw: NDArray[np.uint64] = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(count)
    return raw


def partners(shifted: Sequence[Shifted], draw: int) -> Indices:
    """Return which image each image is paired with in one of the draws, (n_images,)."""
    taken = np.empty(sum(each.order.size for each in shifted), dtype=np.intp)
    for order, shifts in shifted:
        taken[order] = np.roll(order, -int(shifts[draw]))
    return taken


class Spectrum(NamedTuple):
    """A layer's deviations and their squared lengths, transformed along the images' order.

    Attributes
    ----------
    values : ndarray of complex, (n_frequencies, n_positions, n + 1)
        The last column is of squared lengths.
    n_images : int
        Images that were transformed.
    squares : float
        Sum of all squared lengths.
    """

    values: NDArray[np.complex128]
    n_images: int
    squares: float


def spectrum(activations: AnyArray, mean: FloatArray) -> Spectrum:
    """Transform the activations of some images in an order.

    Parameters
    ----------
    activations : ndarray, (n_images, n_positions, n)
        Any real dtype.
    mean : ndarray, (2, n)
        What is subtracted, as `CoMoments.mean_x`.

    Notes
    -----
    Costs a fast Fourier transform for each neuron and position, and twice the memory of float64 activations.
    """
    images, positions, n = activations.shape
    columns = np.empty((images, positions, n + 1))
    np.subtract(activations, mean[0], out=columns[:, :, :n])
    if mean[1].any():
        columns[:, :, :n] -= mean[1]
    np.einsum("ijk,ijk->ij", columns[:, :, :n], columns[:, :, :n], out=columns[:, :, n])
    squares = float(columns[:, :, n].sum())
    return Spectrum(rfft(columns, axis=0, overwrite_x=True), images, squares)


class ShiftedCross:
    """Accumulates the cross part of two layers' statistic under several shifts of images.

    Own parts are those of the layers as they are: a shift leaves them.

    Parameters
    ----------
    mean_x, mean_y : ndarray, (2, n_x) and (2, n_y)
        Means over all samples, as `CoMoments.mean_x`.
    draws : int
        How many shifts.
    """

    def __init__(self, mean_x: FloatArray, mean_y: FloatArray, draws: int) -> None:
        self._means = mean_x, mean_y
        self._products = np.zeros((draws, mean_x.shape[1] + 1, mean_y.shape[1] + 1))
        self._squares = np.zeros(2)
        self._samples = self._images = self._parts = 0

    def update(self, x: Spectrum, y: Spectrum, shifts: Indices) -> None:
        """Add images, or some of their positions.

        Parameters
        ----------
        x, y : Spectrum
            Of the same images in the same order, at the same positions.
        shifts : ndarray of int, (n_draws,)
            How far y's images are shifted in each draw.

        Notes
        -----
        Costs twice the multiplications of the layers' own product, and n_draws · n_images · n_x · n_y more.
        """
        frequencies, positions, _ = x.values.shape
        images = x.n_images
        # the inverse transform at the shifts alone; each frequency but the ends stands for two
        twice = np.full(frequencies, 2.0)
        twice[0] = 1.0
        if images % 2 == 0:
            twice[-1] = 1.0
        turns = np.multiply.outer(shifts, np.arange(frequencies)) % images * (2 * np.pi / images)
        real, imaginary = np.cos(turns) * twice / images, -np.sin(turns) * twice / images
        n_x, n_y = self._products.shape[1:]
        rows = max(1, _BLOCK_BYTES // (16 * frequencies * n_y))
        for start in range(0, n_x, rows):
            part = slice(start, start + rows)
            both = np.matmul(x.values[:, :, part].conj().transpose(0, 2, 1), y.values)
            flat = both.reshape(frequencies, -1)
            found = real @ flat.real + imaginary @ flat.imag
            self._products[:, part] += found.reshape(len(shifts), -1, n_y)
        self._squares += x.squares, y.squares
        self._samples += images * positions
        self._images = max(self._images, images)
        self._parts += 1

    def finished(self) -> list[tuple[CoMoments, RowMoments]]:
        """Return the cross part of each draw."""
        doublings = max(self._images, 2).bit_length()
        roundings = _OF_PRODUCTS + _OF_TRANSFORMS * doublings + self._parts
        found = []
        for products in self._products:
            sums = np.array([products[-1, -1], *self._squares])
            rows = RowMoments.from_parts(
                sums, products[:-1, -1], products[-1, :-1], *self._means, n_samples=self._samples
            )
            comoments = CoMoments(
                products[:-1, :-1].copy(), *self._means, n_samples=self._samples, roundings=roundings
            )
            found.append((comoments, rows))
        return found
