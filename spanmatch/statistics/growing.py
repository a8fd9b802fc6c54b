"""Values over more and more folds of images: whether they have settled."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeAlias

import numpy as np

from spanmatch.errors import InputValueError
from spanmatch.matching.centring import Centre
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.profile import MatchProfile
from spanmatch.measures import Measure
from spanmatch.statistics.jackknifed import error_of
from spanmatch.statistics.quantities import (
    EPSILONS,
    MATCH,
    MeasureRow,
    Rows,
    centre_of,
    observe,
    quantities,
    warned_once,
)
from spanmatch.statistics.resampling import checked_folds, each_without

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

    Examples
    --------
    >>> from spanmatch import verdict
    >>> verdict([50, 100], [0.72, 0.71], error=0.02), verdict([50, 100], [0.8, 0.6], error=0.02)
    ('settled', 'still falling')
    """
    counts = np.asarray(images, dtype=np.float64)
    if counts.shape != (len(values),) or not len(values):
        raise InputValueError(
            f"`values` must be as many as `images`, and at least one, got {len(values)} for {len(images)}; "
            "there is one for each number"
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


ADVICE: dict[Verdict, str] = {
    "settled": "settled",
    "still falling": "still falling: use more samples",
    "still rising": "still rising: use more samples",
    "undefined": "undefined: nothing tells whether it has settled",
}
"""What a verdict is called in sentences."""


@dataclass(frozen=True)
class GrowthCurve(MeasureRow):
    """A value over more and more images.

    Attributes
    ----------
    images : tuple of int
        How many, ascending.
    values : tuple of float or None
        Over the first so many; None where it is undefined.
    error : float or None
        Standard error of the last value.
    verdict : str
        As the function `verdict`.
    label : str
        What sentences call it.
    """

    images: tuple[int, ...]
    values: tuple[float | None, ...]
    error: float | None
    verdict: Verdict
    label: str


@dataclass(frozen=True, eq=False)
class Growth(Rows[GrowthCurve]):
    """Values over more and more folds of images.

    Attributes
    ----------
    images : tuple of int
        In the first fold, in the first two, and so on.
    profiles : tuple of MatchProfile
        Over so many.
    rows : tuple of GrowthCurve
        The maximum match at every epsilon that was asked for, then each measure.
    """

    images: tuple[int, ...]
    profiles: tuple[MatchProfile, ...]
    rows: tuple[GrowthCurve, ...]

    def sentence(self, measure: str = MATCH, parameter: float | None = None) -> str:
        """Say from where to where a value went, and whether it has settled.

        Raises
        ------
        ValueError
            When it was not asked for.
        """
        row = self.row(measure, parameter)
        known = [
            f"{value:.3g} over {images}"
            for images, value in zip(row.images, row.values, strict=True)
            if value is not None
        ]
        went = " samples, ".join(dict.fromkeys((known[0], known[-1]))) + " samples" if known else "undefined"
        return f"{row.label} ({row.centre}) is {went}: {ADVICE[row.verdict]}."


def growth(
    folds: Sequence[GramMatrix],
    *,
    measures: Sequence[str | Measure] = (),
    epsilons: Collection[float] = EPSILONS,
    centre: Centre = "raw",
    images: Sequence[int] | None = None,
) -> Growth:
    """Find what every value is over the first fold of images, the first two, and so on.

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
    images : sequence of int, optional
        Number of images in each fold; that of its samples where it is left out.

    Returns
    -------
    Growth
        Profiles and values, and of each whether it has settled.

    Raises
    ------
    TypeError, ValueError
        When there are fewer than two folds, they are not of the same neurons, or one is empty; when a measure
        or an epsilon is none, or `images` does not count those of each fold.

    Warns
    -----
    TooFewSamplesWarning, OffsetWarning
        As `match_profile`, once for all.

    Notes
    -----
    Costs two profiles for each fold: the errors that `verdict` needs are those of `jackknife`.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import fold_grams, growth
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 3))
    >>> y = np.hstack([x[:, :2], rng.standard_normal((200, 1))])
    >>> print(growth(fold_grams(x, y), measures=["linear-cka"]).sentence("linear-cka"))
    linear CKA (mean) is 0.817 over 20 samples, 0.683 over 200 samples: settled.
    """
    folds, asked = checked_folds(folds), quantities(measures, epsilons)
    counts = _so_far(folds, images)
    with warned_once():
        steps = [observe(gram, centre, asked) for gram in accumulate(folds)]
        parts = [observe(others, centre, asked) for others in each_without(folds)]
    rows = []
    for place, quantity in enumerate(asked):
        values = tuple(step.values[place] for step in steps)
        error = error_of(values[-1], [part.values[place] for part in parts])
        rows.append(
            GrowthCurve(
                measure=quantity.measure.name,
                parameter=quantity.parameter,
                centre=centre_of(quantity, centre),
                images=counts,
                values=values,
                error=error,
                verdict=verdict(counts, values, error),
                label=quantity.label,
            )
        )
    return Growth(counts, tuple(step.profile for step in steps), tuple(rows))


def _so_far(folds: Sequence[GramMatrix], images: Sequence[int] | None) -> tuple[int, ...]:
    """Return how many images the first folds have together."""
    of_each = [fold.n_samples for fold in folds] if images is None else list(images)
    if len(of_each) != len(folds) or min(of_each) < 1:
        raise InputValueError(
            f"`images` must have a number of at least 1 for each of {len(folds)} folds, got {of_each}; count "
            "those of each"
        )
    return tuple(int(count) for count in np.cumsum(of_each))
