"""Every measure of a study in one figure and one kind of table, described by the registry."""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from spanmatch.errors import InputValueError
from spanmatch.measures import MEASURES
from spanmatch.reporting.aggregate import group_names, group_pairs, middle
from spanmatch.reporting.panels import (
    add_legend,
    drop_unused,
    legend_columns,
    legend_height,
    panel_columns,
    panel_figure,
    panel_width,
    set_similarity_axis,
    set_title,
    style_layers,
)
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.theme import GRID, elide, group_colour, group_dashes, plain

__all__ = [
    "MeasureTable",
    "ShownMeasure",
    "Spread",
    "measure_spreads",
    "measure_tables",
    "measures_figure",
    "shown_measures",
]

_UNBOUNDED = (-math.inf, math.inf)
_MAX_LABEL = 40  # letters that fit along a panel's vertical axis


@dataclass(frozen=True)
class ShownMeasure:
    """A measure as reports show it: at one value of its parameter, the middle one."""

    name: str
    label: str
    """Of the registry; the name of a measure that it does not know."""
    epsilon: float | None
    bounds: tuple[float, float]

    @property
    def note(self) -> str:
        """The parameter in words, empty where there is none."""
        return "" if self.epsilon is None else f"ε = {self.epsilon:g}"


@dataclass(frozen=True)
class Spread:
    """Mean and range of a measure over the pairs of a group for which it is defined."""

    mean: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class MeasureTable:
    """Means of one group as text: a row for each layer, a column for each measure."""

    group: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def shown_measures(results: StudyResults) -> tuple[ShownMeasure, ...]:
    """Return the measures that compare layers with themselves, in order of appearance."""
    epsilons: dict[str, set[float]] = {}
    for row in results.measures:
        if row.layer_x == row.layer_y:
            of_measure = epsilons.setdefault(row.measure, set())
            if row.parameter is not None:
                of_measure.add(row.parameter)
    return tuple(_shown(name, middle(sorted(found)) if found else None) for name, found in epsilons.items())


def _shown(name: str, epsilon: float | None) -> ShownMeasure:
    known = MEASURES.get(name)
    label, bounds = (known.label, known.bounds) if known else (name, _UNBOUNDED)
    return ShownMeasure(name, label, epsilon, bounds)


def measure_spreads(results: StudyResults) -> dict[tuple[str, str, str], Spread]:
    """Return mean and range by (measure, layer, group); none where no pair of the group has a value."""
    values = {
        (row.measure, row.parameter, row.layer_x, (row.checkpoint_x, row.checkpoint_y)): row.value
        for row in results.measures
        if row.layer_x == row.layer_y and row.value is not None
    }
    pairs = {group: group_pairs(results, group) for group in group_names(results)}
    spreads = {}
    for measure, layer, group in product(shown_measures(results), results.layers, pairs):
        keys = [(measure.name, measure.epsilon, layer, pair) for pair in pairs[group]]
        found = [values[key] for key in keys if key in values]
        if found:
            spreads[measure.name, layer, group] = Spread(float(np.mean(found)), min(found), max(found))
    return spreads


def measure_tables(results: StudyResults) -> tuple[MeasureTable, ...]:
    """Tabulate means by layer and measure, one table for each group; “–” where there is no value."""
    measures, spreads = shown_measures(results), measure_spreads(results)
    if not measures:
        return ()
    titles = (", ".join(filter(None, (measure.label, measure.note))) for measure in measures)
    header = ("layer", *titles)
    return tuple(
        MeasureTable(
            group,
            header,
            tuple(
                (layer, *(_mean_text(spreads.get((m.name, layer, group)), m.bounds) for m in measures))
                for layer in results.layers
            ),
        )
        for group in group_names(results)
    )


def _mean_text(spread: Spread | None, bounds: tuple[float, float]) -> str:
    if spread is None:
        return "–"
    return f"{spread.mean:.3f}" if all(map(math.isfinite, bounds)) else f"{spread.mean:.4g}"


def measures_figure(results: StudyResults) -> Figure:
    """Draw each measure along the layers, one panel for each, one curve for each group.

    Curves are means over the pairs of the group, bands their range; a point without a value is left out. Of a
    measure with a tolerance the middle one is drawn.

    Raises
    ------
    ValueError
        If the results hold no measure of a layer with itself.
    """
    measures, groups = shown_measures(results), group_names(results)
    if not measures:
        raise InputValueError(
            "`results.measures` must hold at least one row, got none of a layer with itself; leave the "
            "figure out where nothing was measured"
        )
    spreads = measure_spreads(results)
    columns = panel_columns(results, len(measures))
    rows = -(-len(measures) // columns)
    width = columns * (panel_width(results) + 0.4) + 0.5
    above = legend_height(groups, legend_columns(groups, width))
    figure = panel_figure(width, rows * 2.9 + 0.5 + above)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax, measure in zip(axes, measures, strict=False):
        # the first group is drawn last, on top
        for place, group in reversed(list(enumerate(groups))):
            _draw_group(ax, [spreads.get((measure.name, layer, group)) for layer in results.layers], place)
        style_layers(ax, results.layers)
        _set_value_axis(ax, measure.bounds)
        ax.set_ylabel(plain(elide(measure.label, _MAX_LABEL)))
        set_title(ax, "", measure.note)
    drop_unused(axes, len(measures))
    handles = [
        Line2D([], [], color=group_colour(place), linestyle=group_dashes(place), linewidth=2)
        for place in range(len(groups))
    ]
    add_legend(figure, handles, groups, place="outside upper left")
    return figure


def _draw_group(ax: Axes, spreads: list[Spread | None], place: int) -> None:
    """Draw one group's curve and band; NaN makes matplotlib leave a point out."""
    points = [(s.minimum, s.mean, s.maximum) if s else (math.nan,) * 3 for s in spreads]
    low, mean, high = zip(*points, strict=True)
    colour, layers = group_colour(place), range(len(points))
    ax.fill_between(layers, low, high, color=colour, alpha=0.14, linewidth=0)
    ax.plot(
        layers, mean, color=colour, linestyle=group_dashes(place), linewidth=1.8, marker="o", markersize=4.5
    )


def _set_value_axis(ax: Axes, bounds: tuple[float, float]) -> None:
    """Let the vertical axis run over all possible values, or to those that there are where it has no end."""
    if bounds == (0.0, 1.0):
        set_similarity_axis(ax, labelled=True)
        return
    low, high = (
        bound if math.isfinite(bound) else end for bound, end in zip(bounds, ax.get_ylim(), strict=True)
    )
    margin = 0.02 * (high - low)
    ax.set_ylim(low - margin, high + margin)
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.grid(visible=True, axis="y", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
