"""Whether values have settled as images are added, and what a report says of it."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spanmatch.reporting.aggregate import group_names, group_pairs
from spanmatch.reporting.measure_values import ShownMeasure, shown_measures
from spanmatch.reporting.memo import once_for_results
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.standing import measure_groups, standing_of
from spanmatch.statistics.growing import Verdict, verdict

__all__ = ["Growing", "group_growth", "growth_sentences"]

_SETTLED_ERRORS = 2


@dataclass(frozen=True)
class Growing:
    """A measure of one layer over more and more images, as the mean over the pairs of a group."""

    images: tuple[int, ...]
    """Ascending; the last has all of them."""
    values: tuple[float | None, ...]
    error: float | None
    """Of the last value."""
    null_mean: float | None

    @property
    def bar(self) -> float:
        """What a figure draws to either side of the last value: two standard errors, 0 where not known."""
        known = self.error is not None and math.isfinite(self.error)
        return _SETTLED_ERRORS * self.error if known and self.error else 0.0

    @property
    def verdict(self) -> Verdict:
        """Whether it has settled."""
        return verdict(self.images, self.values, self.error)


@once_for_results
def group_growth(results: StudyResults) -> dict[tuple[ShownMeasure, str, str], Growing]:
    """Return growth by (measure, layer, group), of the measures and parameters that reports show."""
    shown = {(one.name, one.epsilon, one.centre): one for one in shown_measures(results)}
    rows: dict[tuple[str, float | None, str, str, tuple[str, str]], dict[int, float | None]]
    rows = defaultdict(dict)
    for row in results.growth:
        pair = row.checkpoint_x, row.checkpoint_y
        rows[row.measure, row.parameter, row.centre, row.layers, pair][row.images] = row.value
    measured = measure_groups(results)
    found = {}
    for (name, epsilon, centre), measure in shown.items():
        for group in group_names(results):
            for layer in results.layers:
                keys = [(name, epsilon, centre, layer, pair) for pair in group_pairs(results, group)]
                of_pairs = [rows[key] for key in keys if key in rows]
                if of_pairs:
                    standing = standing_of(measured.get((name, epsilon, centre, layer, group), ()))
                    images = tuple(sorted(set.intersection(*map(set, of_pairs))))
                    values = tuple(_mean([of_pair[count] for of_pair in of_pairs]) for count in images)
                    growing = Growing(images, values, standing.error, standing.null_mean)
                    found[measure, layer, group] = growing
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean over the pairs; None where one has no value, or the mean would be of other pairs."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def growth_sentences(results: StudyResults, scopes: Mapping[str, Sequence[str]]) -> list[str]:
    """Say of how many layers the maximum match at the middle epsilon has settled, in each scope.

    Parameters
    ----------
    results
        The study's.
    scopes
        The groups that a sentence is about, by what it calls them.
    """
    growing = group_growth(results)
    sentences = []
    for scope, groups in scopes.items():
        of_centres: dict[ShownMeasure, list[Growing]] = defaultdict(list)
        for (measure, _, group), one in growing.items():
            if measure.name == "maximum-match" and group in groups and one.verdict != "undefined":
                of_centres[measure].append(one)
        if not of_centres:
            continue
        parts = [
            f"{sum(one.verdict == 'settled' for one in found)} of {len(found)} layers have settled"
            + (f" {measure.centre_name}" if measure.centre_name else "")
            for measure, found in of_centres.items()
        ]
        everything = [one for found in of_centres.values() for one in found]
        moving = [
            f"{count} {direction}"
            for direction in ("still falling", "still rising")
            if (count := sum(one.verdict == direction for one in everything))
        ]
        epsilon = next(iter(of_centres)).epsilon
        items = results.terms.items
        remedy = f"; {' and '.join(moving)}: use more {items}" if moving else ""
        start = f"With {max(one.images[-1] for one in everything):,} {items}, at ε = {epsilon:g} in {scope},"
        sentences.append(f"{start} {' and '.join(parts)}{remedy}.")
    return sentences
