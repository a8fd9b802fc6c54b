"""What the mean value of a group stands on: what chance gives, its error, what held-out images say."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from spanmatch.reporting.memo import once_for_results
from spanmatch.reporting.results import MeasureRow, StudyResults

__all__ = ["CLEARS", "MeasureKey", "Spread", "Standing", "clears_null", "measure_groups", "standing_of"]

MeasureKey = tuple[str, float | None, str, str, str]
"""Measure, parameter, centre, layer, group."""

CLEARS = "every pair of the group has p ≤"
"""`clears_null` in words, before the level."""


@dataclass(frozen=True)
class Standing:
    """Of one measure of one layer over the pairs of one group; what is not known is None."""

    cleared: bool | None = None
    """See `clears_null`."""
    level: float | None = None
    null_mean: float | None = None
    """Mean over the pairs, as of `threshold` and `held_out`."""
    threshold: float | None = None
    p: float | None = None
    """The largest of the pairs, which decides."""
    p_family: float | None = None
    """Likewise, over all layers, or pairs of layers."""
    error: float | None = None
    """Mean of the pairs' standard errors: that of their mean is at most this, however the pairs depend."""
    held_out: float | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Why pairs have no value, and how many."""

    @property
    def is_known(self) -> bool:
        """Whether there is a null, an error or a held-out value."""
        return any(known is not None for known in (self.p, self.error, self.held_out))


@dataclass(frozen=True)
class Spread:
    """Mean and range of a value over the pairs of a group that have one."""

    mean: float
    minimum: float
    maximum: float
    pairs: int
    standing: Standing


def clears_null(rows: Iterable[MeasureRow]) -> bool | None:
    """Say whether a group's value is more than chance gives: every pair with a value clears its own null.

    None where no pair was asked, or one was not and the others clear.
    """
    answers = {row.cleared for row in rows if row.value is not None}
    if False in answers:
        return False
    return True if answers == {True} else None


def standing_of(rows: Sequence[MeasureRow]) -> Standing:
    """Bring together the rows of one measure of one layer, one for each pair of a group."""
    valued = [row for row in rows if row.value is not None]
    return Standing(
        cleared=clears_null(rows),
        level=max((row.level for row in valued if row.level is not None), default=None),
        null_mean=_mean(row.null_mean for row in valued),
        threshold=_mean(row.threshold for row in valued),
        p=max((row.p for row in valued if row.p is not None), default=None),
        p_family=max((row.p_family for row in valued if row.p_family is not None), default=None),
        error=_mean(row.error for row in valued),
        held_out=_mean(row.held_out for row in valued),
        reasons=Counter(row.reason for row in rows if row.value is None and row.reason),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


@once_for_results
def measure_groups(results: StudyResults) -> dict[MeasureKey, list[MeasureRow]]:
    """Return the rows of the pairs of each group, of layers that are looked into, in order of appearance."""
    groups: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for comparison in results.comparisons:
        groups[comparison.checkpoint_x, comparison.checkpoint_y][comparison.group] = None
    rows: dict[MeasureKey, list[MeasureRow]] = defaultdict(list)
    layers = frozenset(results.layers)
    for row in results.measures:
        if row.layers in layers:
            for group in groups[row.checkpoint_x, row.checkpoint_y]:
                rows[row.measure, row.parameter, row.centre, row.layers, group].append(row)
    return rows
