"""The figure of how values move as images are added."""

import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spanmatch.errors import InputValueError
from spanmatch.reporting.aggregate import group_names
from spanmatch.reporting.growth_words import Growing, group_growth
from spanmatch.reporting.measure_figure import set_value_axis
from spanmatch.reporting.measure_values import ShownMeasure
from spanmatch.reporting.panels import (
    add_legend,
    draw_dots,
    draw_segments,
    drop_unused,
    is_lowest,
    label_figure,
    panel_figure,
)
from spanmatch.reporting.report_figure import FigureTexts, ReportFigure
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.theme import INK, MUTED, SURFACE, elide, layer_colours, plain, style_axes

__all__ = ["GROWTH", "growth_figure"]

_COLUMNS = 4
_MAX_TITLE = 34
_MAX_LEGEND_LAYERS = 12
_DOT_SIZE = 3.6
_STRIP = (1.04, 1.22)  # where the last values stand beside each other, in units of all images


def growth_figure(results: StudyResults) -> Figure:
    """Draw each measure against the number of images, one panel for each group, one line for each layer.

    At the right of a panel stands each layer's last value with two standard errors to either side: filled
    where it has settled, hollow where it still moves; grey marks are the means of their nulls.

    Raises
    ------
    ValueError
        If the results hold no growth of a measure that is shown.
    """
    growing = group_growth(results)
    panels = list(dict.fromkeys((measure, group) for measure, _, group in growing))
    if not panels:
        raise InputValueError(
            "`results.growth` must hold rows of a measure in `results.measures`, got none; leave the figure "
            "out where there are no folds"
        )
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = panel_figure(columns * 2.5 + 1.9, rows * 1.9 + 0.6)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    colours = layer_colours(len(results.layers))
    before = None
    for index, (ax, (measure, group)) in enumerate(zip(axes, panels, strict=False)):
        of_layers = [growing.get((measure, layer, group)) for layer in results.layers]
        _draw_layers(ax, of_layers, colours)
        style_axes(ax)
        set_value_axis(ax, measure.bounds, _ends(measure, growing))
        if measure == before and index % columns:
            ax.yaxis.set_visible(False)
        before = measure
        most = max(one.images[-1] for one in of_layers if one)
        ax.set_xlim(0, (_STRIP[1] + 0.04) * most)
        if is_lowest(index, columns, len(panels)):
            ax.set_xticks([0, most // 2, most])
        else:
            ax.xaxis.set_visible(False)
        below = ", ".join(filter(None, (measure.note, elide(group))))
        title = plain(f"{elide(measure.axis_label, _MAX_TITLE)}\n{below}")
        ax.set_title(title, loc="left", color=INK, fontsize=8.5, y=1.0)
    drop_unused(axes, len(panels))
    label_figure(figure, results.terms.items, None)
    shown = _legend_places(len(results.layers))
    handles = [Line2D([], [], color=colours[place], linewidth=2) for place in shown]
    marks = [
        (Line2D([], [], linestyle="", marker="o", markersize=4.5, color=MUTED), "settled"),
        (_hollow(), "moving, or unknown"),
    ]
    if any(one.null_mean is not None for one in growing.values()):
        marks.append((Line2D([], [], linestyle="", marker="_", markersize=6, color=MUTED), "null, by chance"))
    add_legend(
        figure,
        [*handles, *(handle for handle, _ in marks)],
        [*(results.layers[place] for place in shown), *(label for _, label in marks)],
        title="layer, input first",
        place="outside right center",
    )
    return figure


def _ends(measure: ShownMeasure, growing: Mapping[tuple[ShownMeasure, str, str], Growing]) -> list[float]:
    """Return the ends of all that is drawn of a measure, for axes that are alike for all groups."""
    return [
        end
        for (of, *_), one in growing.items()
        if of == measure
        for value in (*one.values, one.null_mean)
        if value is not None
        for end in (value - one.bar, value + one.bar)
    ]


def _hollow() -> Line2D:
    line = Line2D([], [], linestyle="", marker="o", markersize=4.5, color=MUTED)
    line.set_markerfacecolor(SURFACE)
    return line


def _legend_places(layers: int) -> list[int]:
    """Return the layers to name: all, or as many as fit, first and last among them."""
    shown = min(layers, _MAX_LEGEND_LAYERS)
    return [round(step * (layers - 1) / max(shown - 1, 1)) for step in range(shown)]


def _draw_layers(ax: Axes, layers: list[Growing | None], colours: tuple[str, ...]) -> None:
    """Draw all lines of a panel as one artist, and likewise all last values."""
    lines: list[list[tuple[float, float]]] = []
    shades: list[str] = []
    strip: list[tuple[float, float, float, str, str]] = []
    nulls: list[tuple[float, float]] = []
    for place, (one, colour) in enumerate(zip(layers, colours, strict=True)):
        if one is None:
            continue
        values = [math.nan if value is None else value for value in one.values]
        lines.append(list(zip(one.images, values, strict=True)))
        shades.append(colour)
        at = one.images[-1] * (_STRIP[0] + (_STRIP[1] - _STRIP[0]) * place / max(len(layers) - 1, 1))
        if one.values[-1] is not None:
            strip.append(
                (at, one.values[-1], one.bar, colour, colour if one.verdict == "settled" else SURFACE)
            )
        if one.null_mean is not None:
            nulls.append((at, one.null_mean))
    draw_segments(ax, lines, shades, width=1.2)
    width = 0.01 * max((place for place, _ in nulls), default=0.0)
    ticks = [[(place - width, mean), (place + width, mean)] for place, mean in nulls]
    draw_segments(ax, ticks, [MUTED] * len(ticks), width=1.2)
    bars = [[(x, y - bar), (x, y + bar)] for x, y, bar, *_ in strip]
    edges, faces = [edge for *_, edge, _ in strip], [face for *_, face in strip]
    draw_segments(ax, bars, edges, width=0.9)
    draw_dots(ax, [(x, y) for x, y, *_ in strip], faces, edges, size=_DOT_SIZE)


def _texts(results: StudyResults) -> FigureTexts:
    growing = group_growth(results)
    most = max(one.images[-1] for one in growing.values())
    names = ", ".join(dict.fromkeys(measure.title for measure, *_ in growing))
    settled = sum(one.verdict == "settled" for one in growing.values())
    items = results.terms.items
    return FigureTexts(
        heading=f"Growth with {items}",
        caption=f"Mean over the pairs of a group, from the first folds of the {items} alone up to all of "
        "them. At the right, the last values with two standard errors to either side: filled where a value "
        f"moved by no more than that while {items} doubled (settled), hollow where it did (still falling or "
        f"rising: use more {items}) or where it cannot be told. Grey marks are the means of the nulls.",
        alt=f"Line charts against the number of {items}, up to {most:,}: one panel for each measure "
        f"({names}) and group ({', '.join(group_names(results))}), one line for each layer. {settled} of "
        f"{len(growing)} values have settled. A table below says which.",
    )


GROWTH = ReportFigure(
    "growth", growth_figure, _texts, lambda results: bool(group_growth(results)), brief_bytes=60_000
)
