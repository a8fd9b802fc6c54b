"""What two layers have in common when nothing ties their images together: values under permutations."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.matching.centring import Centre, check_centre
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import AnyArray, FloatArray, paired_activations
from spanmatch.matching.parts import whole_number
from spanmatch.matching.profile import MatchProfile
from spanmatch.measures import Measure
from spanmatch.statistics.permutations import check_exchangeable
from spanmatch.statistics.permuted import PermutedCoMoments, sample_order
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
    warned_once,
)
from spanmatch.statistics.shifted import drawn_shifts, partners
from spanmatch.statistics.significance import Test, check_permutations

Chunk: TypeAlias = tuple[ArrayLike, ArrayLike, ArrayLike]


@dataclass(frozen=True)
class NullRow(MeasureRow):
    """A value beside what chance gives.

    Attributes
    ----------
    value, null_mean, threshold, p, calibrated : float or None
        As of a `Test`.
    permutations : int
        How many.
    level : float
        Of significance.
    reason : str
        Why `p` is None.
    label : str
        What sentences call it.
    null : tuple of float or None
        The value under each permutation.
    """

    value: float | None
    null_mean: float | None
    threshold: float | None
    p: float | None
    calibrated: float | None
    permutations: int
    level: float
    reason: str
    label: str
    null: tuple[float | None, ...]

    @property
    def cleared(self) -> bool:
        """Whether the value is closer than chance gives at this level; an undefined one is not."""
        return self.p is not None and self.p <= self.level


@dataclass(frozen=True, eq=False)
class Null(Rows[NullRow]):
    """Values beside the same under permutations of one side's images.

    Attributes
    ----------
    profile : MatchProfile
        As observed.
    permuted : tuple of MatchProfile
        Under each permutation.
    level : float
        Of significance.
    rows : tuple of NullRow
        The maximum match at every epsilon that was asked for, then each measure.
    """

    profile: MatchProfile
    permuted: tuple[MatchProfile, ...]
    level: float
    rows: tuple[NullRow, ...]

    def similarity_test(self, epsilon: float) -> Test:
        """Return the test of the similarity at any epsilon in [0, 1)."""
        under = [each.similarity(epsilon) for each in self.permuted]
        return Test.of(self.profile.similarity(epsilon), under, self.level)

    @property
    def critical_p(self) -> tuple[FloatArray, FloatArray]:
        """The p of each neuron's critical epsilon, (n_x,) and (n_y,): whether it is lower than by chance."""
        x, y = (
            (1 + np.count_nonzero([getattr(each, side) <= observed for each in self.permuted], axis=0))
            / (1 + len(self.permuted))
            for side, observed in (("x", self.profile.x), ("y", self.profile.y))
        )
        return x, y

    def curve(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the whole curve of similarity over epsilon with its null.

        Returns
        -------
        epsilons, similarities : ndarray, (n_steps,)
            As `MatchProfile.curve`, at each step of this profile or of a permuted one.
        null : ndarray, (permutations, n_steps)
            Similarities under each permutation.
        """
        epsilons, at = curves_together([self.profile, *self.permuted])
        return epsilons, at[0], at[1:]

    def sentence(self, measure: str = MATCH, parameter: float | None = None) -> str:
        """Say whether a value is more than chance gives.

        Raises
        ------
        ValueError
            When it was not asked for.
        """
        row = self.row(measure, parameter)
        if row.value is None:
            return f"{row.label} ({row.centre}) is undefined: {row.reason}."
        if row.p is None:
            return f"{row.label} ({row.centre}) is {row.value:.3g}, and has no null: {row.reason}."
        verdict = "clears its null" if row.cleared else "does not clear its null"
        return (
            f"{row.label} ({row.centre}) is {row.value:.3g} and {verdict}: {row.null_mean:.3g} on average, "
            f"p = {row.p:.3g} with {row.permutations} permutations."
        )


def null(
    x: ArrayLike | Iterable[Chunk],
    y: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    permutations: int = 20,
    seed: int = 0,
    measures: Sequence[str | Measure] = (),
    epsilons: Collection[float] = EPSILONS,
    centre: Centre = "raw",
    level: float = 0.05,
) -> Null:
    """Find what every value is when the images of one side are permuted, all positions of one together.

    Parameters
    ----------
    x, y : array_like, (n_samples, n_x) and (n_samples, n_y)
        Activations of the two layers on the same samples in the same order; any real dtype. Or only `x`:
        chunks (x, y, groups) of them, in a list or in what can be gone through twice.
    groups : array_like, (n_samples,), optional
        Number or name of the image that each sample is of; each sample its own where it is left out. Images
        are exchanged among those that have equally many samples.
    permutations : int, optional
        How many.
    seed : int, optional
        Of the random order along which images are shifted: the order in which they come does not matter.
    measures : sequence of str or Measure, optional
        What else than the maximum match.
    epsilons : collection of float, optional
        Of the rows; the maximum match is there at every other one, too.
    centre : {"raw", "mean"}
        Whether activations are compared as they are, or less each neuron's mean.
    level : float, optional
        Of significance.

    Returns
    -------
    Null
        Profiles and values, as observed and under each permutation, and their tests.

    Raises
    ------
    TypeError, ValueError
        As `GramMatrix.update`; when permutations cannot give a p of `level`, groups do not cover the samples,
        most images have none to be exchanged for, or chunks cannot be gone through twice; when a measure or
        an epsilon is none.

    Warns
    -----
    TooFewSamplesWarning, OffsetWarning
        As `match_profile`, once for all.

    Notes
    -----
    A permutation changes the co-moments between both sides alone. Costs one profile for each permutation and
    as many products of the sides' activations. Of chunks, it keeps those of `y`, in their dtype, and goes
    twice through those of `x`; beside them, 8 · permutations · n_x · n_y bytes.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import null
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 3))
    >>> y = np.hstack([x[:, :2], rng.standard_normal((200, 1))])
    >>> chance = null(x, y, measures=["linear-cka"], epsilons=[0.3])
    >>> row = chance.row("maximum-match", 0.3)
    >>> round(row.value, 3), row.null_mean, round(row.p, 3), row.cleared
    (0.667, 0.0, 0.048, True)
    """
    count = whole_number("permutations", permutations, "20 are usual")
    check_permutations(count, level)
    check_centre(centre)
    asked = quantities(measures, epsilons)
    rows = any("row-norms" in each.measure.needs for each in asked)
    chunks = _Chunks(x, y, groups)
    gram, activations, names = chunks.gather(rows)
    images, numbers = np.unique(names, return_inverse=True)
    samples = np.bincount(numbers)
    check_exchangeable(samples)
    if count >= len(images):
        raise InputValueError(
            f"`permutations` must be below the number of samples, {len(images)}, got {count}; use more "
            "samples or fewer permutations"
        )
    drawn = drawn_shifts(images, range(count), seed=seed, within=samples)
    orders = np.stack([sample_order(numbers, partners(drawn, number)) for number in range(count)])
    own_x, own_y, _ = gram.comoments
    sums = PermutedCoMoments(own_x, own_y, count, rows=rows)
    start = 0
    for block in chunks.of_x():
        sums.update(block, activations, orders[:, start : start + len(block)])
        start += len(block)
    own_rows = gram.rows
    with warned_once():
        observed = observe(gram, centre, asked)
        under = []
        for crossed, of_rows in zip(sums.comoments, sums.rows, strict=True):
            beside = None if own_rows is None or of_rows is None else (*own_rows[:2], of_rows)
            permuted = GramMatrix.from_comoments(own_x, own_y, crossed, rows=beside)
            under.append(observe(permuted, centre, asked))
    tested = tuple(
        null_row(quantity, centre, value, tuple(each.values[place] for each in under), level, reason)
        for place, (quantity, value, reason) in enumerate(
            zip(asked, observed.values, observed.reasons, strict=True)
        )
    )
    return Null(observed.profile, tuple(each.profile for each in under), level, tested)


def null_row(
    quantity: Quantity,
    centre: Centre,
    value: float | None,
    under: tuple[float | None, ...],
    level: float,
    reason: str = "",
) -> NullRow:
    """Return the row of a quantity from its value as observed and under each permutation."""
    measure = quantity.measure
    test = Test.of(
        value, under, level, higher=measure.higher_is_closer, greatest=measure.bounds[1], reason=reason
    )
    return NullRow(
        measure=measure.name,
        parameter=quantity.parameter,
        centre=centre_of(quantity, centre),
        value=test.value,
        null_mean=test.null_mean,
        threshold=test.threshold,
        p=test.p,
        calibrated=test.calibrated,
        permutations=test.permutations,
        level=level,
        reason=test.reason,
        label=quantity.label,
        null=under,
    )


class _Chunks:
    """What `null` is given: two arrays, or chunks of them and of their groups."""

    def __init__(self, x: ArrayLike | Iterable[Chunk], y: ArrayLike | None, groups: ArrayLike | None) -> None:
        self._chunks: Iterable[Any]
        if y is not None:
            x, y = paired_activations(x, y)  # type: ignore[arg-type]
            self._chunks = [(x, y, np.arange(len(x)) if groups is None else groups)]
            return
        if groups is not None:
            raise InputTypeError(
                f"`groups` must be left out where chunks have theirs, got {type(groups).__name__}; pass (x, "
                "y, groups) in each chunk, or arrays `x` and `y`"
            )
        if not isinstance(x, Iterable) or iter(x) is x:
            raise InputTypeError(
                f"`x` must be chunks that can be gone through twice where there is no `y`, got "
                f"{type(x).__name__}; pass a list of (x, y, groups), or an object whose __iter__ starts anew"
            )
        self._chunks = x

    def gather(self, rows: bool) -> tuple[GramMatrix, AnyArray, AnyArray]:
        """Return the statistic, all of y, and the image of each sample."""
        gram: GramMatrix | None = None
        of_y, names = [], []
        for x, y, groups in self._each():
            gram = gram or GramMatrix.zeros(x.shape[1], y.shape[1], rows=rows)
            gram.update(x, y)
            of_y.append(y)
            names.append(groups)
        if gram is None or gram.n_samples == 0:
            raise InputValueError("`x` must hold at least one sample, got none; pass activations")
        whole_y = of_y[0] if len(of_y) == 1 else np.concatenate(of_y)
        return gram, whole_y, np.concatenate(names)

    def of_x(self) -> Iterator[AnyArray]:
        """Give the activations of the first side again."""
        for x, _, _ in self._each():
            yield x

    def _each(self) -> Iterator[tuple[AnyArray, AnyArray, AnyArray]]:
        for chunk in self._chunks:
            if not isinstance(chunk, tuple | list) or len(chunk) != 3:
                raise InputTypeError(
                    f"`x` must hold chunks (x, y, groups) where there is no `y`, got {type(chunk).__name__}; "
                    "pass `y`, or three arrays a chunk"
                )
            x, y = paired_activations(chunk[0], chunk[1])
            names = np.asarray(chunk[2])
            if names.shape != (len(x),):
                raise InputValueError(
                    f"`groups` must cover the samples, one for each of {len(x)}, got shape {names.shape}; "
                    "give those that belong together, as the positions of an image, one number"
                )
            yield x, y, names
