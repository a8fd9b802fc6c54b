"""Residuals of images that had no part in the fit, and what they say of the maximum match."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from spanmatch.matching.centring import Centre, centred_by
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.profile import MatchProfile
from spanmatch.measures import Evidence, Measure, evaluate_held_out
from spanmatch.statistics.cross_fits import CrossFits
from spanmatch.statistics.quantities import (
    EPSILONS,
    MATCH,
    MeasureRow,
    Quantity,
    Rows,
    centre_of,
    observe,
    quantities,
    undefined_in,
    values_of,
    warned_once,
)
from spanmatch.statistics.resampling import checked_folds, whole, without


@dataclass(frozen=True, eq=False)
class HeldOutProfile(MatchProfile):
    """Critical epsilons without the optimism of fits: estimates of what ever more images would give.

    Any use of a profile is one of these, too: `similarity` and `curve` are estimates of the same. Beside them
    stand the residuals themselves, of each neuron at its own critical set, which is the match at its critical
    epsilon: plain ones, of images that had no part in the fit, are too large by about as much as those in the
    sample are too small.

    Attributes
    ----------
    x, y : ndarray, (n_x,) and (n_y,)
        Estimates of critical epsilons; infinity for dead neurons.
    x_bounds, y_bounds : ndarray, (n_x, 2) and (n_y, 2)
        0 and 1: an estimate certifies nothing. Both are infinity for dead neurons.
    held_out_x, held_out_y : ndarray, (n_x,) and (n_y,)
        Residuals of held-out images, relative to their length; above 1 where a fit is worse than none.
    in_sample_x, in_sample_y : ndarray, (n_x,) and (n_y,)
        Residuals of the images that were fitted, onto the same neurons.
    """

    held_out_x: FloatArray
    held_out_y: FloatArray
    in_sample_x: FloatArray
    in_sample_y: FloatArray


def held_out_profile(folds: Sequence[GramMatrix], *, centre: Centre = "raw") -> HeldOutProfile:
    """Estimate critical epsilons by a peeling in which each fold's residuals are of fits to the others.

    Parameters
    ----------
    folds : sequence of GramMatrix
        Of disjoint parts of the images.
    centre : {"raw", "mean"}
        Whether activations are compared as they are, or less each neuron's mean; where a fold is held out,
        less the mean of all others.

    Returns
    -------
    HeldOutProfile
        Estimates, and the residuals that they are made of.

    Raises
    ------
    TypeError, ValueError
        When there are fewer than two folds, they are not of the same neurons, or one is empty.

    Notes
    -----
    As in `match_profile` the neuron with the largest residual leaves, again and again, with those that have
    reached the smallest of these so far, which is its critical epsilon. What decides is not the residual in
    the sample, which falls short of that of ever more images by a share of q = members / samples, nor the one
    that is held out, which exceeds it by q F / (F - 1) with F folds, but their weighted geometric mean, from
    which q drops out: squared, held-out^((F - 1) / (2F - 1)) · in-sample^(F / (2F - 1)). Where there are as
    many members as dimensions to fit to, residuals in the sample say nothing, and the held-out ones stand
    alone. docs/statistics.md has the derivation, and what it gains.

    Costs O(F n³) flops for n neurons of both sides, and 3 F + 3 joint matrices of memory at most.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import fold_grams, held_out_profile
    >>> x, y = np.random.default_rng(0).standard_normal((2, 40, 25))  # nothing in common
    >>> held_out_profile(fold_grams(x, y, folds=4)).similarity(0.8)
    0.0
    """
    folds = checked_folds(folds)
    fits = CrossFits(folds, centre)
    share = (len(folds) - 1) / (2 * len(folds) - 1)
    n_x, size = folds[0].n_x, folds[0].n_x + folds[0].n_y
    critical, held_out, in_sample = np.full((3, size), np.inf)
    level, at_level = math.inf, (np.ones(fits.alive.size), np.ones(fits.alive.size))
    while fits.alive.any():
        held, fitted, saturated = fits.squared()
        squared = np.where(saturated, held, held**share * fitted ** (1 - share))
        squared[~fits.alive] = -1.0
        if squared.max() < level:
            level, at_level = float(squared.max()), (held, fitted)
        leaving = np.flatnonzero(squared >= level)
        neurons = fits.neurons[leaving]
        critical[neurons] = math.sqrt(min(level, 1.0))
        held_out[neurons], in_sample[neurons] = (np.sqrt(each[leaving]) for each in at_level)
        fits.remove(leaving)
    bounds = np.where(np.isinf(critical)[:, None], np.inf, [0.0, 1.0])
    sides = [part for each in (critical, bounds, held_out, in_sample) for part in (each[:n_x], each[n_x:])]
    for part in sides:
        part.flags.writeable = False
    return HeldOutProfile(*sides)


@dataclass(frozen=True)
class HeldOutRow(MeasureRow):
    """A value, and what it is without the optimism of fits.

    Attributes
    ----------
    value : float or None
        In the sample: fitted to all images, and evaluated on them.
    held_out : float or None
        Of the maximum match and other functions of the profile: of `HeldOut.estimate`. Of measures that fit:
        mean over folds of the value on that fold, fitted to the others.
    folds : int
        How many.
    reason : str
        Why a value is None.
    label : str
        What sentences call it.
    """

    value: float | None
    held_out: float | None
    folds: int
    reason: str
    label: str


@dataclass(frozen=True, eq=False)
class HeldOut(Rows[HeldOutRow]):
    """Values in the sample, and without the optimism of fits.

    Attributes
    ----------
    profile : MatchProfile
        In the sample.
    estimate : HeldOutProfile
        Without optimism: critical epsilons, similarities, and the held-out residuals of all neurons.
    rows : tuple of HeldOutRow
        The maximum match at every epsilon that was asked for, then each measure.
    """

    profile: MatchProfile
    estimate: HeldOutProfile
    rows: tuple[HeldOutRow, ...]

    def sentence(self, measure: str = MATCH, parameter: float | None = None) -> str:
        """Say the value of a measure in the sample and held out.

        Raises
        ------
        ValueError
            When it was not asked for.
        """
        row = self.row(measure, parameter)
        if row.value is None:
            return f"{row.label} ({row.centre}) is undefined: {row.reason}."
        if row.held_out is None:
            return f"{row.label} ({row.centre}) is {row.value:.3g}, and has no held-out value: {row.reason}."
        return (
            f"{row.label} ({row.centre}) is {row.value:.3g} in the sample and {row.held_out:.3g} held out, "
            f"over {row.folds} folds."
        )


def held_out(
    folds: Sequence[GramMatrix],
    *,
    measures: Sequence[str | Measure] = (),
    epsilons: Collection[float] = EPSILONS,
    centre: Centre = "raw",
) -> HeldOut:
    """Find what every value is on images that had no part in the fit.

    Parameters
    ----------
    folds : sequence of GramMatrix
        Of disjoint parts of the images, as `fold_grams` gives or as summed while samples stream by.
    measures : sequence of str or Measure, optional
        What else than the maximum match.
    epsilons : collection of float, optional
        Of the rows; the maximum match is there at every other one, too.
    centre : {"raw", "mean"}
        Whether activations are compared as they are, or less each neuron's mean.

    Returns
    -------
    HeldOut
        Profiles and values.

    Raises
    ------
    TypeError, ValueError
        When there are fewer than two folds, they are not of the same neurons, or one is empty; when a measure
        or an epsilon is none.

    Warns
    -----
    TooFewSamplesWarning, OffsetWarning
        As `match_profile`.

    Notes
    -----
    Costs one profile, `held_out_profile`, and each measure once for each fold.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import fold_grams, held_out
    >>> x, y = np.random.default_rng(0).standard_normal((2, 40, 25))  # nothing in common
    >>> print(held_out(fold_grams(x, y, folds=4), epsilons=[0.8]).sentence("maximum-match", 0.8))
    maximum match similarity at ε = 0.8 (raw) is 0.98 in the sample and 0 held out, over 4 folds.
    """
    folds, asked = checked_folds(folds), quantities(measures, epsilons)
    with warned_once():
        total = observe(whole(folds), centre, asked)
    estimate = held_out_profile(folds, centre=centre)
    from_estimate = values_of_profile(asked, centred_by(whole(folds), centre), estimate)
    rows = []
    for quantity, value, undefined, estimated in zip(
        asked, total.values, total.reasons, from_estimate, strict=True
    ):
        unseen, reason = estimated, ""
        if not quantity.measure.depends_on_centre:
            unseen, reason = held_out_value(folds, quantity)
        rows.append(
            HeldOutRow(
                measure=quantity.measure.name,
                parameter=quantity.parameter,
                centre=centre_of(quantity, centre),
                value=value,
                held_out=unseen,
                folds=len(folds),
                reason=undefined or reason,
                label=quantity.label,
            )
        )
    return HeldOut(total.profile, estimate, tuple(rows))


def values_of_profile(
    asked: Sequence[Quantity], gram: GramMatrix, profile: MatchProfile
) -> tuple[float | None, ...]:
    """Return the values of those quantities that follow a profile; None for all others."""
    evidence = Evidence(gram, profile)
    return tuple(values_of(evidence, [each])[0] if each.measure.depends_on_centre else None for each in asked)


def held_out_value(folds: Sequence[GramMatrix], quantity: Quantity) -> tuple[float | None, str]:
    """Return the mean over folds of a measure that is fitted to the others, and why it is None if it is."""
    measure = quantity.measure
    if measure.held_out is None:
        return None, "nothing is fitted"
    found = [
        evaluate_held_out(measure, Evidence(without(folds, place)), Evidence(fold), quantity.parameter)
        for place, fold in enumerate(folds)
    ]
    known = [value for value in found if value is not None]
    if reason := undefined_in(found, "folds"):
        return None, reason
    return math.fsum(known) / len(known), ""
