"""The measures of a study as reports show them: which, at what parameter and centre, and over what spread."""

import math
from collections import defaultdict
from dataclasses import dataclass

from spanmatch.measures import MEASURES
from spanmatch.reporting.aggregate import centre_name, middle
from spanmatch.reporting.memo import once_for_results
from spanmatch.reporting.results import MeasureRow, StudyResults
from spanmatch.reporting.standing import Spread, measure_groups, standing_of

__all__ = ["ShownMeasure", "measure_spreads", "measures_of_layers", "shown_measures"]

_UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True)
class ShownMeasure:
    """A measure as reports show it: at one value of its parameter, the middle one, and at one centre."""

    name: str
    label: str
    """Of the registry; the name of a measure that it does not know."""
    epsilon: float | None
    centre: str
    centre_name: str
    """Empty where there is nothing to tell apart."""
    bounds: tuple[float, float]
    higher_is_closer: bool

    @property
    def note(self) -> str:
        """Parameter and centre in words, empty where there are none."""
        epsilon = "" if self.epsilon is None else f"ε = {self.epsilon:g}"
        return ", ".join(filter(None, (epsilon, self.centre_name)))

    @property
    def title(self) -> str:
        """Its label, with parameter and centre."""
        return ", ".join(filter(None, (self.label, self.note)))

    @property
    def axis_label(self) -> str:
        """Its label, and which way is closer where that is not up."""
        return self.label if self.higher_is_closer else f"{self.label} (less is closer)"

    def written(self, value: float) -> str:
        """Write a value: with three decimals where they are bounded."""
        return f"{value:.3f}" if all(map(math.isfinite, self.bounds)) else f"{value:.4g}"


def shown_measures(results: StudyResults) -> tuple[ShownMeasure, ...]:
    """Return the measures of a study in order of appearance, raw before centred."""
    epsilons: dict[str, dict[str, set[float]]] = defaultdict(dict)
    for row in results.measures:
        of_measure = epsilons[row.measure].setdefault(row.centre, set())
        if row.parameter is not None:
            of_measure.add(row.parameter)
    return tuple(
        _shown(results, name, centre, of_centres[centre], several=len(of_centres) > 1)
        for name, of_centres in epsilons.items()
        for centre in sorted(of_centres, reverse=True)
    )


def measures_of_layers(results: StudyResults) -> tuple[ShownMeasure, ...]:
    """Return those of them that layers have that are looked into: a grid has measures of further pairs."""
    looked_into = frozenset(results.layers)
    known = {(row.measure, row.centre) for row in results.measures if row.layers in looked_into}
    return tuple(one for one in shown_measures(results) if (one.name, one.centre) in known)


def _shown(
    results: StudyResults, name: str, centre: str, epsilons: set[float], *, several: bool
) -> ShownMeasure:
    known = MEASURES.get(name)
    told_apart = several or (known is not None and known.depends_on_centre)
    return ShownMeasure(
        name=name,
        label=known.label if known else name,
        epsilon=middle(sorted(epsilons)) if epsilons else None,
        centre=centre,
        centre_name=centre_name(results, centre) if told_apart else "",
        bounds=known.bounds if known else _UNBOUNDED,
        higher_is_closer=known.higher_is_closer if known else True,
    )


@once_for_results
def measure_spreads(results: StudyResults) -> dict[tuple[ShownMeasure, str, str], Spread]:
    """Return mean and range by (measure, layer, group); none where no pair of the group has a value."""
    shown = {(one.name, one.epsilon, one.centre): one for one in shown_measures(results)}
    spreads = {}
    for (name, parameter, centre, layer, group), rows in measure_groups(results).items():
        if (name, parameter, centre) in shown and (spread := spread_of(rows)):
            spreads[shown[name, parameter, centre], layer, group] = spread
    return spreads


def spread_of(rows: list[MeasureRow]) -> Spread | None:
    """Return mean and range of the rows that have a value."""
    values = [row.value for row in rows if row.value is not None]
    if not values:
        return None
    return Spread(math.fsum(values) / len(values), min(values), max(values), len(values), standing_of(rows))
