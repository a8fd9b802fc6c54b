"""Parts of the images, each a Gram matrix of its own: folds, and what is summed of them."""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import AnyArray, paired_activations
from spanmatch.matching.match import Indices
from spanmatch.matching.parts import whole_number

Folds: TypeAlias = tuple[GramMatrix, ...]

LEAST_FOLDS = 2


def fold_grams(x: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None, folds: int = 10) -> Folds:
    """Return the Gram matrices of folds of images, which sum up to that of all.

    Parameters
    ----------
    x, y : array_like, (n_samples, n_x) and (n_samples, n_y)
        Activations of the two layers on the same samples in the same order; any real dtype.
    groups : array_like, (n_samples,), optional
        Which image each sample is of; each sample its own where it is left out. Samples of one image need not
        be neighbours. The i-th image, as they come first, is in fold i modulo `folds`.
    folds : int, optional
        How many, at least two.

    Returns
    -------
    tuple of GramMatrix
        One for each fold, none of them empty.

    Raises
    ------
    TypeError, ValueError
        As `GramMatrix.update`; when there are fewer than two folds, fewer images than folds, or groups do not
        cover the samples.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import fold_grams
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 3))
    >>> y = np.hstack([x[:, :2], rng.standard_normal((200, 1))])
    >>> folds = fold_grams(x, y, folds=10)
    >>> len(folds), folds[0].n_samples, sum(folds[1:], folds[0]).n_samples
    (10, 20, 200)
    """
    x, y = paired_activations(x, y)
    images = group_numbers(groups, len(x))
    count = check_folds(folds, int(images.max(initial=-1)) + 1)
    parts = [images % count == fold for fold in range(count)]
    return tuple(GramMatrix.from_activations(x[part], y[part], rows=True) for part in parts)


def whole(folds: Sequence[GramMatrix]) -> GramMatrix:
    """Return the Gram matrix of all folds together."""
    return reduce(add, folds)


def without(folds: Sequence[GramMatrix], fold: int) -> GramMatrix:
    """Return the Gram matrix of all folds but one, given by its place."""
    return whole([gram for place, gram in enumerate(folds) if place != fold])


def each_without(folds: Sequence[GramMatrix]) -> Iterator[GramMatrix]:
    """Give for each fold, in order, the Gram matrix of all others: of those before it, and of those after.

    Costs three additions a fold, and as much memory again as the folds take.
    """
    after = [folds[-1]]
    for fold in folds[-2:0:-1]:
        after.append(fold + after[-1])
    yield after[-1]
    before = folds[0]
    for place in range(1, len(folds) - 1):
        after.pop()
        yield before + after[-1]
        before += folds[place]
    yield before


def first(folds: Sequence[GramMatrix], count: int) -> GramMatrix:
    """Return the Gram matrix of so many folds, from the first on."""
    return whole(folds[:count])


def checked_folds(folds: Sequence[GramMatrix]) -> Folds:
    """Return folds as a tuple, or say why they are none."""
    if isinstance(folds, GramMatrix) or not all(isinstance(each, GramMatrix) for each in folds):
        raise InputTypeError(
            f"`folds` must be a sequence of GramMatrix, got {type(folds).__name__}; make one of two arrays "
            "with fold_grams(x, y)"
        )
    check_folds(len(folds), len(folds))
    if len(shapes := {(each.n_x, each.n_y) for each in folds}) > 1:
        raise InputValueError(
            f"`folds` must be of the same neurons, got numbers (n_x, n_y) of {sorted(shapes)}; pass folds of "
            "one pair of layers"
        )
    if empty := [place for place, each in enumerate(folds) if each.n_samples == 0]:
        raise InputValueError(
            f"`folds` must hold at least one sample each, got none in fold {empty[0]}; use fewer folds"
        )
    return tuple(folds)


def check_folds(folds: int, images: int) -> int:
    """Return a number of folds of so many images, or say what it must be."""
    remedy = "10 are usual"
    if (count := whole_number("folds", folds, remedy)) < LEAST_FOLDS:
        raise InputValueError(
            f"`folds` must be at least {LEAST_FOLDS}, got {count}: one alone has nothing to differ from; "
            f"{remedy}"
        )
    if images < count:
        raise InputValueError(
            f"`folds` must be at most the number of samples, got {count} for {images}; use more samples "
            "or fewer folds"
        )
    return count


def group_numbers(groups: ArrayLike | None, n_samples: int) -> Indices:
    """Return for each sample the number of its image: 0 for the first that comes, and so on."""
    if groups is None:
        return np.arange(n_samples)
    labels: AnyArray = np.asarray(groups)
    if labels.shape != (n_samples,):
        raise InputValueError(
            f"`groups` must cover the samples, one for each of {n_samples}, got shape {labels.shape}; give "
            "those that belong together, as the positions of an image, one number"
        )
    _, places, numbers = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(places), dtype=np.intp)
    rank[np.argsort(places)] = np.arange(len(places))
    return rank[numbers]
