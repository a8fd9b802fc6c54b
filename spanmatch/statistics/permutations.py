"""Permutations of images that depend on the images alone, not on the order or parts in which they come."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spanmatch.errors import InputValueError
from spanmatch.matching.inputs import AnyArray
from spanmatch.matching.match import Indices
from spanmatch.matching.parts import whole_number
from spanmatch.statistics.shifted import drawn_shifts, partners

# Images that do not move keep what they share: of more, a null would hold much of what it is to lack.
LEAST_MOVING = 0.5


def permutation(ids: ArrayLike, *, seed: int, number: int, within: ArrayLike | None = None) -> Indices:
    """Return which image takes the place of each.

    Parameters
    ----------
    ids : array_like, (images,)
        Numbers or strings, each once.
    seed : int
        Of all permutations, at least 0.
    number : int
        Which permutation, from 0 to the number of images less two.
    within : array_like, (images,), optional
        Images are exchanged only where this is the same, such as the number of their positions.

    Returns
    -------
    ndarray of int, (images,)
        Position in `ids` of the image that takes the place of each: the image so many places later along a
        random order. Which image is exchanged for which does not depend on the order of `ids`.

    Raises
    ------
    TypeError, ValueError
        When `seed` or `number` is no whole number of at least 0, or there are not so many permutations; when
        ids are not one-dimensional or repeat, or `within` is not of these images.

    Notes
    -----
    `drawn_shifts` says how the order and the shifts are drawn, and why p is exact.

    Examples
    --------
    >>> from spanmatch import permutation
    >>> permutation(["a", "b", "c", "d"], seed=0, number=1)
    array([2, 3, 1, 0])
    """
    for name, value in (("seed", seed), ("number", number)):
        if whole_number(name, value, "count from 0") < 0:
            raise InputValueError(f"`{name}` must be at least 0, got {value}; count from 0")
    images = np.asarray(ids)
    if images.ndim != 1:
        raise InputValueError(f"`ids` must be one-dimensional, got shape {images.shape}; pass one a sample")
    _check_once(np.sort(images))
    strata = None if within is None else _strata(within, len(images))
    return partners(drawn_shifts(images, [int(number)], seed=int(seed), within=strata), 0)


def check_exchangeable(strata: ArrayLike) -> None:
    """See that enough images have one to be exchanged for.

    Parameters
    ----------
    strata : array_like, (images,)
        Images are exchanged only where this is the same.

    Raises
    ------
    ValueError
        When fewer than half of them, or fewer than two, do.
    """
    counts = np.unique(_strata(strata, len(np.asarray(strata))), return_counts=True)[1]
    images, moving = int(counts.sum()), int(counts[counts > 1].sum())
    if moving < max(2, LEAST_MOVING * images):
        raise InputValueError(
            f"`groups` must have equally many samples as another one for at least half of them to be "
            f"exchanged, got {moving} such of {images}; average over positions, or leave positions out until "
            "numbers agree"
        )


def _check_once(ordered: AnyArray) -> None:
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if twice.size:
        raise InputValueError(
            f"`ids` must name each sample once, got {ordered[twice[0]]} again; number samples if they "
            "have no names"
        )


def _strata(within: ArrayLike, images: int) -> NDArray[np.intp]:
    """Return a number for each image, the same where `within` is."""
    values = np.asarray(within)
    if values.shape != (images,):
        raise InputValueError(
            f"`within` must have one value for each of {images} samples, got shape {values.shape}; "
            "count each one's positions"
        )
    return np.unique(values, return_inverse=True)[1].astype(np.intp)
