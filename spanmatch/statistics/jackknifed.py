"""Standard errors by the jackknife over folds of images."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.matching.centring import Centre
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.profile import MatchProfile
from spanmatch.measures import Measure
from spanmatch.statistics.quantities import (
    EPSILONS,
    MATCH,
    MeasureRow,
    Quantity,
    Rows,
    centre_of,
    curves_together,
    observe,
    quantities,
    undefined_in,
    warned_once,
)
from spanmatch.statistics.resampling import checked_folds, each_without


def jackknife_error(without: ArrayLike) -> FloatArray:
    """Return standard errors from values that each lack one fold.

    Parameters
    ----------
    without : array_like, (folds, ...)
        Values of all folds but the first, of all but the second, and so on.

    Returns
    -------
    ndarray, (...)
        Of F folds, sqrt((F - 1) / F · Σ (v - mean)²) (Tukey 1958); infinity where a value is infinite, as the
        critical epsilon of a neuron that is dead in some folds.

    Raises
    ------
    TypeError, ValueError
        When there are fewer than two folds, or a value is no number or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import jackknife_error
    >>> values = np.array([1.0, 2.0, 3.0, 4.0])
    >>> means = (values.sum() - values) / 3  # each without one
    >>> jackknife_error(means).round(6), (values.std(ddof=1) / 2).round(6)  # the standard error of the mean
    (np.float64(0.645497), np.float64(0.645497))
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

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import jackknife_bias
    >>> values = np.array([1.0, 2.0, 3.0, 4.0])
    >>> without = [np.delete(values, place).var() for place in range(4)]
    >>> unbiased = values.var() - jackknife_bias(values.var(), without)
    >>> np.allclose(unbiased, values.var(ddof=1))
    True
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


@dataclass(frozen=True)
class JackknifeRow(MeasureRow):
    """A value and its standard error.

    Attributes
    ----------
    value : float or None
        Of all folds; None where it is undefined.
    error : float or None
        Standard error; None where a value is undefined.
    bias : float or None
        What `jackknife_bias` tells; None likewise.
    folds : int
        How many.
    reason : str
        Why there is no value, or no error.
    label : str
        What sentences call it.
    """

    value: float | None
    error: float | None
    bias: float | None
    folds: int
    reason: str
    label: str


@dataclass(frozen=True, eq=False)
class Jackknife(Rows[JackknifeRow]):
    """Values with their standard errors, of all folds of images.

    Attributes
    ----------
    profile : MatchProfile
        Of all folds.
    without : tuple of MatchProfile
        Of all folds but the first, but the second, and so on.
    rows : tuple of JackknifeRow
        The maximum match at every epsilon that was asked for, then each measure.
    """

    profile: MatchProfile
    without: tuple[MatchProfile, ...]
    rows: tuple[JackknifeRow, ...]

    @property
    def critical_errors(self) -> tuple[FloatArray, FloatArray]:
        """Standard errors of critical epsilons, (n_x,) and (n_y,); infinite where one is, as of the dead."""
        x, y = ([getattr(each, side) for each in self.without] for side in ("x", "y"))
        return jackknife_error(x), jackknife_error(y)

    def similarity_error(self, epsilon: float) -> float:
        """Return the standard error of the similarity at any epsilon in [0, 1)."""
        return float(jackknife_error([each.similarity(epsilon) for each in self.without]))

    def curve(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the whole curve of similarity over epsilon with its error.

        Returns
        -------
        epsilons, similarities : ndarray, (n_steps,)
            As `MatchProfile.curve`, at each step of this profile's or of one that lacks a fold.
        errors : ndarray, (n_steps,)
            Standard errors of the similarities.
        """
        epsilons, at = curves_together([self.profile, *self.without])
        return epsilons, at[0], jackknife_error(at[1:])

    def sentence(self, measure: str = MATCH, parameter: float | None = None) -> str:
        """Say the value of a measure with its error.

        Raises
        ------
        ValueError
            When it was not asked for.
        """
        row = self.row(measure, parameter)
        if row.value is None:
            return f"{row.label} ({row.centre}) is undefined: {row.reason}."
        if row.error is None:
            return f"{row.label} ({row.centre}) is {row.value:.3g}, of unknown error: {row.reason}."
        return (
            f"{row.label} ({row.centre}) is {row.value:.3f} ± {row.error:.3f} "
            f"(standard error by the jackknife over {row.folds} folds)."
        )


def jackknife(
    folds: Sequence[GramMatrix],
    *,
    measures: Sequence[str | Measure] = (),
    epsilons: Collection[float] = EPSILONS,
    centre: Centre = "raw",
) -> Jackknife:
    """Find the standard error of every value by leaving out one fold of images at a time.

    Parameters
    ----------
    folds : sequence of GramMatrix
        Of disjoint parts of the images, as `fold_grams` gives or as summed while samples stream by.
    measures : sequence of str or Measure, optional
        What else than the maximum match.
    epsilons : collection of float, optional
        Of the rows; the maximum match is there at every other one, too.
    centre : {"raw", "mean"}
        Whether activations are compared as they are, or less each neuron's mean over the samples in question.

    Returns
    -------
    Jackknife
        Profiles and values with their errors.

    Raises
    ------
    TypeError, ValueError
        When there are fewer than two folds, they are not of the same neurons, or one is empty; when a measure
        or an epsilon is none.

    Warns
    -----
    TooFewSamplesWarning, OffsetWarning
        As `match_profile`, once for all.

    Notes
    -----
    Costs one profile, and one for each fold; in memory, twice what the folds take beside them.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import fold_grams, jackknife
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 3))
    >>> y = np.hstack([x[:, :2], rng.standard_normal((200, 1))])
    >>> print(jackknife(fold_grams(x, y), measures=["linear-cka"]).sentence("linear-cka"))
    linear CKA (mean) is 0.683 ± 0.043 (standard error by the jackknife over 10 folds).
    """
    folds, asked = checked_folds(folds), quantities(measures, epsilons)
    if not any("row-norms" in each.measure.needs for each in asked):
        folds = tuple(fold.without_rows for fold in folds)
    without = list(each_without(folds))
    with warned_once():
        total = observe(without[-1] + folds[-1], centre, asked)
        parts = [observe(others, centre, asked) for others in without]
    columns = zip(*(part.values for part in parts), strict=True)
    rows = tuple(
        _row(quantity, centre, value, reason, column)
        for quantity, value, reason, column in zip(asked, total.values, total.reasons, columns, strict=True)
    )
    return Jackknife(total.profile, tuple(part.profile for part in parts), rows)


def error_of(value: float | None, without: Sequence[float | None]) -> float | None:
    """Return the standard error of a value, or None where it or one that lacks a fold is undefined."""
    known = [each for each in without if each is not None]
    return float(jackknife_error(known)) if value is not None and len(known) == len(without) else None


def bias_of(value: float | None, without: Sequence[float | None]) -> float | None:
    """Return the bias of a value, or None where it or one that lacks a fold is undefined."""
    known = [each for each in without if each is not None]
    return float(jackknife_bias(value, known)) if value is not None and len(known) == len(without) else None


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


def _row(
    quantity: Quantity, centre: Centre, value: float | None, reason: str, without: Sequence[float | None]
) -> JackknifeRow:
    return JackknifeRow(
        measure=quantity.measure.name,
        parameter=quantity.parameter,
        centre=centre_of(quantity, centre),
        value=value,
        error=error_of(value, without),
        bias=bias_of(value, without),
        folds=len(without),
        reason=reason or undefined_in(without, "folds left out"),
        label=quantity.label,
    )
