"""The figure of every measure of a study along the layers, described by the registry."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from spanmatch.errors import InputValueError
from spanmatch.reporting.aggregate import group_names
from spanmatch.reporting.curve import Curve, curve_ends, draw_curves, key_entries, spread_words
from spanmatch.reporting.measure_values import measure_spreads, measures_of_layers
from spanmatch.reporting.panels import (
    add_legend,
    add_lines,
    drop_unused,
    is_lowest,
    legend_columns,
    legend_height,
    panel_columns,
    panel_figure,
    panel_width,
    set_similarity_axis,
    set_title,
    style_layers,
)
from spanmatch.reporting.report_figure import FigureTexts, ReportFigure
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.theme import elide, group_colour, group_dashes, plain

__all__ = ["MEASURES_ALONG_LAYERS", "measures_figure", "set_value_axis"]

_MAX_LABEL = 40  # letters that fit along a panel's vertical axis


def measures_figure(results: StudyResults) -> Figure:
    """Draw each measure along the layers, one panel for each and each centre, one curve for each group.

    Curves are means over the pairs of the group; a point without a value is left out. See `draw_curves` for
    bands, nulls and hollow points. Of a measure with a tolerance the middle one is drawn.

    Raises
    ------
    ValueError
        If the results hold no measure of a layer that is looked into.
    """
    measures, groups = measures_of_layers(results), group_names(results)
    if not measures:
        raise InputValueError(
            "`results.measures` must hold at least one row, got none of a layer with itself; leave the "
            "figure out where nothing was measured"
        )
    spreads = measure_spreads(results)
    columns = panel_columns(results, len(measures))
    rows = -(-len(measures) // columns)
    width = columns * (panel_width(results) + 0.4) + 0.5
    keys = [
        Line2D([], [], color=group_colour(place), linestyle=group_dashes(place), linewidth=2)
        for place in range(len(groups))
    ]
    entries = [*zip(keys, groups, strict=True), *key_entries(list(spreads.values()))]
    labels = [label for _, label in entries]
    above = legend_height(labels, legend_columns(labels, width))
    figure = panel_figure(width, rows * 2.4 + 0.9 + above)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for index, (ax, measure) in enumerate(zip(axes, measures, strict=False)):
        curves = [
            Curve(
                [spreads.get((measure, layer, group)) for layer in results.layers],
                group_colour(place),
                group_dashes(place),
            )
            for place, group in enumerate(groups)
        ]
        # the first group is drawn last, on top
        draw_curves(ax, curves[::-1])
        style_layers(ax, results.layers, labelled=columns == 1 or is_lowest(index, columns, len(measures)))
        set_value_axis(ax, measure.bounds, [end for curve in curves for end in curve_ends(curve)])
        ax.set_ylabel(plain(elide(measure.axis_label, _MAX_LABEL)))
        set_title(ax, "", measure.note)
    drop_unused(axes, len(measures))
    add_legend(figure, [handle for handle, _ in entries], labels, place="outside upper left")
    return figure


def set_value_axis(ax: Axes, bounds: tuple[float, float], ends: Sequence[float]) -> None:
    """Let the vertical axis run over all possible values, or over `ends` where these have no bound."""
    if bounds == (0.0, 1.0):
        set_similarity_axis(ax, labelled=True)
        return
    low, high = (
        bound if math.isfinite(bound) else extreme(ends, default=0.0)
        for bound, extreme in zip(bounds, (min, max), strict=True)
    )
    margin = 0.02 * (high - low) or 0.5
    ax.set_ylim(low - margin, high + margin)
    ticks = map(float, MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high))
    shown = [tick for tick in ticks if low - margin <= tick <= high + margin]
    add_lines(ax, y=shown)
    ax.set_yticks(shown, [f"{tick:.6g}" for tick in shown])


def _texts(results: StudyResults) -> FigureTexts:
    measures = measures_of_layers(results)
    names = ", ".join(" ".join(filter(None, (m.label, m.centre_name))) for m in measures)
    of_centre = " and each centre" if any(measure.centre_name for measure in measures) else ""
    spreads = list(measure_spreads(results).values())
    words = spread_words(spreads, results.terms.items)
    caption = f"One panel for each measure{of_centre}. Mean over the pairs of a group. {words}"
    at_epsilon = dict.fromkeys(
        f"{measure.label} at ε = {measure.epsilon:g}" for measure in measures if measure.epsilon is not None
    )
    if at_epsilon:
        caption += f" Where there is one value for each tolerance, the middle one: {', '.join(at_epsilon)}."
    if any(row.value is None for row in results.measures):
        caption += " A pair for which a measure is undefined is left out of it."
    return FigureTexts(
        heading="Measures along the layers",
        caption=caption,
        alt=f"Line charts along the layers {', '.join(results.layers)}: one panel for each "
        f"measure{of_centre} ({names}), one line for each group "
        f"({', '.join(group_names(results))}). A table below holds the means.",
    )


MEASURES_ALONG_LAYERS = ReportFigure(
    "measures",
    measures_figure,
    _texts,
    lambda results: bool(measures_of_layers(results)),
    brief_bytes=80_000,
)
