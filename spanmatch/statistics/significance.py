"""What chance gives, from values under permutation: p, threshold, calibrated value, and over many layers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.matching.inputs import FloatArray

# Relative difference of values that rounding may have made: such values are equal.
ROUNDING = 1e-12


def p_value(value: float, null: ArrayLike, *, higher: bool = True) -> float:
    """Return the share of values that are at least as close, the observed one included.

    Parameters
    ----------
    value : float
        What was observed.
    null : array_like, (permutations,)
        The same under each permutation.
    higher : bool, optional
        Whether layers that have more in common have a higher value.

    Returns
    -------
    float
        (1 + number of null values that are as close) / (1 + permutations): under exchangeability at most α
        with a probability of at most α, whatever the number of permutations. Values that differ by rounding,
        1e-12, are equal.

    Raises
    ------
    TypeError, ValueError
        When `null` is empty or not one-dimensional, or a value is no number or NaN.

    Examples
    --------
    >>> from spanmatch import p_value
    >>> p_value(0.9, [0.1, 0.2, 0.3, 0.4]), p_value(0.25, [0.1, 0.2, 0.3, 0.4])
    (0.2, 0.6)
    """
    values = _numbers("null", null, 1)
    observed = float(_numbers("value", value, 0))
    rounding = ROUNDING * max(1.0, abs(observed)) if np.isfinite(observed) else 0.0
    as_close = values >= observed - rounding if higher else values <= observed + rounding
    return _share(int(np.count_nonzero(as_close)), values.size)


def least_permutations(level: float) -> int:
    """Return how many permutations are needed for a p that is at most `level`.

    Parameters
    ----------
    level : float
        Of significance, between 0 and 1.

    Raises
    ------
    TypeError, ValueError
        When `level` is no number, or not between 0 and 1.

    Examples
    --------
    >>> from spanmatch import least_permutations
    >>> least_permutations(0.05)
    19
    """
    count = math.floor(1 / check_level(level))
    return count - 1 if _share(0, count - 1) <= level else count


def null_threshold(null: ArrayLike, level: float, *, higher: bool = True) -> float:
    """Return what a value must exceed for its p to be at most `level`.

    Parameters
    ----------
    null : array_like, (permutations,)
        Values under permutation.
    level : float
        Of significance, between 0 and 1.
    higher : bool, optional
        Whether layers that have more in common have a higher value; if not, the value must lie below.

    Returns
    -------
    float
        The k-th smallest null value, k = ⌈(1 - level)(permutations + 1)⌉, or the k-th largest: a value beyond
        it is the same as `p_value` at most `level`.

    Raises
    ------
    TypeError, ValueError
        As `p_value`; when `level` is not between 0 and 1, or the permutations are too few to resolve it.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import null_threshold
    >>> null_threshold(np.arange(99) / 100, level=0.05)
    0.94
    """
    values = _numbers("null", null, 1)
    check_permutations(values.size, level)
    allowed = sum(_share(beyond, values.size) <= level for beyond in range(values.size + 1)) - 1
    ordered = np.sort(values) if higher else np.sort(values)[::-1]
    return float(ordered[max(values.size - allowed, 1) - 1])


def calibrated(value: float, threshold: float) -> float:
    """Return how far a value, which 1 bounds, lies beyond its threshold: max(0, (value - τ) / (1 - τ)).

    Parameters
    ----------
    value : float
        Observed, at most 1.
    threshold : float
        What it must exceed (`null_threshold`).

    Raises
    ------
    TypeError, ValueError
        When either is no number, is NaN, or exceeds 1.

    Examples
    --------
    >>> from spanmatch import calibrated
    >>> calibrated(0.75, threshold=0.5), calibrated(0.4, threshold=0.5)
    (0.5, 0.0)
    """
    for name, number in (("value", value), ("threshold", threshold)):
        if float(_numbers(name, number, 0)) > 1:
            raise InputValueError(
                f"`{name}` must be at most 1, got {number}; only values that 1 bounds are calibrated"
            )
    return max(0.0, (value - threshold) / (1 - threshold)) if threshold < 1 else 0.0


def family_wise(values: ArrayLike, nulls: ArrayLike, *, higher: bool = True) -> FloatArray:
    """Return the p of each layer against the best of all layers under each permutation.

    Parameters
    ----------
    values : array_like, (layers,)
        Observed.
    nulls : array_like, (layers, permutations)
        Under permutations that all layers have in common.
    higher : bool, optional
        Whether layers that have more in common have a higher value.

    Returns
    -------
    ndarray, (layers,)
        Of each layer, (1 + number of permutations whose maximum over layers is as high) / (1 + permutations).
        The chance that any is at most α, where no layer has anything in common, is at most α.

    Raises
    ------
    TypeError, ValueError
        When shapes do not fit, or a value is no finite number.

    Notes
    -----
    Each layer is standardised by the mean and deviation of its values, the observed one included, so that all
    stay exchangeable; a layer that does not vary stands at 0 (Westfall and Young 1993, by maxima).

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import family_wise
    >>> nulls = np.random.default_rng(0).random((3, 99))  # of three layers
    >>> family_wise([0.5, 0.9, 3.0], nulls)
    array([0.94, 0.27, 0.01])
    """
    observed, under = _numbers("values", values, 1), _numbers("nulls", nulls, 2)
    if len(observed) != len(under):
        raise InputValueError(
            f"`nulls` must have a row for each of the {len(observed)} `values`, got shape {under.shape}; "
            "rows are layers, columns are permutations"
        )
    table = np.column_stack((observed, under)) * (1 if higher else -1)
    if not np.isfinite(table).all():
        raise InputValueError("`values` and `nulls` must be finite, got infinity; leave such layers out")
    varies = np.ptp(table, axis=1) > 0
    deviation = np.where(varies, table.std(axis=1), 1.0)
    standard = np.where(varies[:, None], (table - table.mean(axis=1, keepdims=True)) / deviation[:, None], 0)
    highest = standard[:, 1:].max(axis=0)
    beyond = np.count_nonzero(highest >= standard[:, :1] - ROUNDING, axis=1)
    p: FloatArray = (1 + beyond) / (1 + under.shape[1])
    return p


@dataclass(frozen=True)
class Test:
    """A value beside its values under permutation.

    Attributes
    ----------
    value : float or None
        Observed; None where it is undefined.
    null_mean : float or None
        Mean over the permutations.
    threshold : float or None
        What a value must exceed, or fall below where less is closer, to clear its null.
    p : float or None
        As `p_value`; None where the value or one of those under permutation is undefined.
    calibrated : float or None
        As the function `calibrated`; None where 1 is not the greatest value, or less is closer.
    permutations : int
        How many.
    level : float
        Of significance.
    reason : str
        Why `p` is None.
    """

    value: float | None
    null_mean: float | None
    threshold: float | None
    p: float | None
    calibrated: float | None
    permutations: int
    level: float
    reason: str = ""

    @classmethod
    def of(
        cls,
        value: float | None,
        null: Sequence[float | None] | FloatArray,
        level: float = 0.05,
        *,
        higher: bool = True,
        greatest: float = 1.0,
        reason: str = "",
    ) -> "Test":
        """Return the test of a value.

        Parameters
        ----------
        value : float or None
            Observed; None where it is undefined.
        null : array_like, (permutations,)
            Under permutation; None where it is undefined.
        level : float, optional
            Of significance.
        higher : bool, optional
            Whether layers that have more in common have a higher value.
        greatest : float, optional
            The greatest possible value; only where it is 1 there is a calibrated one.
        reason : str, optional
            Why `value` is None.

        Raises
        ------
        TypeError, ValueError
            When permutations are too few to resolve `level`, or a value is NaN.
        """
        count = len(null)
        check_permutations(count, level)
        missing = sum(each is None for each in null)
        if value is None:
            return cls(None, None, None, None, None, count, level, reason or "undefined")
        if missing:
            return cls(
                value, None, None, None, None, count, level, f"undefined in {missing} of {count} permutations"
            )
        under = _numbers("null", null, 1)
        threshold = null_threshold(under, level, higher=higher)
        return cls(
            value=float(value),
            null_mean=float(under.mean()),
            threshold=threshold,
            p=p_value(value, under, higher=higher),
            calibrated=calibrated(value, threshold) if higher and greatest == 1 else None,
            permutations=count,
            level=level,
        )

    @property
    def cleared(self) -> bool:
        """Whether the value is closer than chance gives at this level; an undefined one is not."""
        return self.p is not None and self.p <= self.level


def check_level(level: float) -> float:
    """Return a level of significance, or say why it is none."""
    number = float(_numbers("level", level, 0))
    if not 0 < number < 1:
        raise InputValueError(
            f"`level` must be between 0 and 1, got {level}; 0.05 is the usual level of significance"
        )
    return number


def check_permutations(permutations: int, level: float) -> None:
    """See that permutations can give a p of at most `level`, or say how many can."""
    if permutations < (least := least_permutations(level)):
        raise InputValueError(
            f"`permutations` must be at least {least} for a p of {level:g}, got {permutations}: the smallest "
            f"is 1 / (permutations + 1); use {least} or more, or a higher level"
        )


def _share(beyond: int, permutations: int) -> float:
    return (1 + beyond) / (1 + permutations)


def _numbers(name: str, values: object, ndim: int) -> FloatArray:
    """Return values as an array of so many dimensions that holds numbers and no NaN, or say why not."""
    try:
        array: FloatArray = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputTypeError(
            f"`{name}` must hold numbers, got {values!r}; leave undefined values out"
        ) from None
    if array.ndim != ndim:
        shape = ("a number", "one-dimensional", "two-dimensional")[ndim]
        raise InputValueError(
            f"`{name}` must be {shape}, got shape {array.shape}; values are of a layer each, and a null has "
            "one for each permutation"
        )
    if array.size == 0:
        raise InputValueError(
            f"`{name}` must hold at least one value, got none; without permutations there is no null"
        )
    if np.isnan(array).any():
        raise InputValueError(f"`{name}` must hold numbers, got NaN; leave undefined values out")
    return array
