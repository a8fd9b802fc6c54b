"""Standard errors by the jackknife over folds of images."""

import numpy as np
from numpy.typing import ArrayLike

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.matching.inputs import FloatArray


def jackknife_error(without: ArrayLike) -> FloatArray:
    """Return standard errors from values that each lack one fold.

    Parameters
    ----------
    without : array_like, (folds, ...)
        Values of all folds but the first, of all but the second, and so on.

    Returns
    -------
    ndarray, (...)
        sqrt((F - 1) / F · Σ (v - mean)²) over F folds (Tukey 1958); infinity where a value is infinite, as
        the critical epsilon of a neuron that is dead in some folds.

    Raises
    ------
    TypeError, ValueError
        When there are fewer than two folds, or a value is no number or NaN.
    """
    values = _of_folds(without)
    finite = np.isfinite(values).all(axis=0)
    known = np.where(finite, values, 0.0)
    error = np.sqrt((len(known) - 1) * known.var(axis=0))
    return np.where(finite, error, np.inf)


def jackknife_bias(value: ArrayLike, without: ArrayLike) -> FloatArray:
    """Return how much of a value is bias that goes with one over the number of samples.

    Parameters
    ----------
    value : array_like, (...)
        Of all folds together.
    without : array_like, (folds, ...)
        Values of all folds but one.

    Returns
    -------
    ndarray, (...)
        (F - 1) · (mean of `without` - value) over F folds (Quenouille 1956), which `value` less it lacks to
        first order; 0 where a value is infinite.

    Raises
    ------
    TypeError, ValueError
        As `jackknife_error`; when shapes do not fit.
    """
    values, whole = _of_folds(without), np.asarray(value, dtype=np.float64)
    if whole.shape != values.shape[1:]:
        raise InputValueError(
            f"`without` must have shape (folds, {', '.join(map(str, whole.shape))}) for such a `value`, got "
            f"{values.shape}; the first axis is that of folds"
        )
    finite = np.isfinite(values).all(axis=0) & np.isfinite(whole)
    known, least = np.where(finite, values, 0.0), np.where(finite, whole, 0.0)
    bias: FloatArray = (len(known) - 1) * (known.mean(axis=0) - least)
    return bias


def _of_folds(without: ArrayLike) -> FloatArray:
    try:
        values = np.asarray(without, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputTypeError(
            f"`without` must hold numbers, got {without!r}; leave undefined values out"
        ) from None
    if values.ndim == 0 or len(values) < 2:
        raise InputValueError(
            f"`without` must be of at least two folds, got shape {values.shape}; the first axis is that of "
            "folds"
        )
    if np.isnan(values).any():
        raise InputValueError("`without` must hold numbers, got NaN; leave undefined values out")
    return values
