"""Values over more and more folds of images: whether they have settled."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from spanmatch.errors import InputValueError

Verdict: TypeAlias = Literal["settled", "still falling", "still rising", "undefined"]


def verdict(images: Sequence[int], values: Sequence[float | None], error: float | None) -> Verdict:
    """Tell whether a value would change noticeably with more images.

    Parameters
    ----------
    images : sequence of int, (n_steps,)
        Numbers of images, ascending; the last is that of all.
    values : sequence of float or None, (n_steps,)
        The value over so many images; None where it is undefined.
    error : float or None
        Standard error of the last value; None where it is unknown.

    Returns
    -------
    {"settled", "still falling", "still rising", "undefined"}
        Whether the value of all images lies within two standard errors of that of half of them; "undefined"
        where one of these is not known.

    Raises
    ------
    ValueError
        When there are not as many values as images, or numbers of images do not ascend.

    Notes
    -----
    Where a value approaches its limit as a + b / images, as biases of fits do, what is still to come is as
    much as came with the last half of the images. Had it settled, the difference between all and half of them
    would have the standard error of the value of all: its variance is twice that of all, for half of them,
    less once. Values between two steps are taken to be linear in 1 / images.
    """
    counts = np.asarray(images, dtype=np.float64)
    if counts.shape != (len(values),) or not len(values):
        raise InputValueError(
            f"`values` must be as many as `images`, and at least one, got {len(values)} for {len(images)}; "
            "there is one for each number of images"
        )
    if counts[0] <= 0 or (np.diff(counts) <= 0).any():
        raise InputValueError(f"`images` must ascend from 1 or more, got {list(images)}; count those so far")
    known = [(1 / count, each) for count, each in zip(counts, values, strict=True) if each is not None]
    half = 2 / counts[-1]
    last = values[-1]
    if last is None or error is None or not np.isfinite([last, error]).all() or known[0][0] < half:
        return "undefined"
    inverse, at = np.transpose(known[::-1])
    change = last - float(np.interp(half, inverse, at))
    if not np.isfinite(change):
        return "undefined"
    if abs(change) <= 2 * error:
        return "settled"
    return "still rising" if change > 0 else "still falling"
