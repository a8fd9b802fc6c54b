"""Panels of the figures: their size, axes, titles and legends."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.path import Path
from matplotlib.transforms import IdentityTransform, Transform

from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.theme import GRID, INK, MUTED, SURFACE, elide, plain, shown_group, style_axes

__all__ = [
    "SMALL_SIZE",
    "add_legend",
    "add_lines",
    "draw_bands",
    "draw_dots",
    "draw_segments",
    "drop_unused",
    "is_lowest",
    "label_figure",
    "legend_columns",
    "legend_height",
    "message_figure",
    "panel_columns",
    "panel_figure",
    "panel_width",
    "set_similarity_axis",
    "set_title",
    "style_layers",
]

SMALL_SIZE = 7.5
_TITLE_SIZE = 10.5
_LEGEND_SIZE = 9
_LEGEND_LINE_INCHES = 0.19
_LEGEND_LETTER_INCHES = 0.08
_LEGEND_KEY_INCHES = 0.6  # the line before the text, and the gap to the next column
_MAX_LEGEND_COLUMNS = 4
_SIMILARITIES = (0, 0.25, 0.5, 0.75, 1)  # that have a line across the panel
_MAX_LAYERS_OF_HALF_WIDTH = 12  # with more layers than this a panel takes the whole width
_MIN_HEIGHT_INCHES = 3.2  # the vertical label of a single row of panels needs it


def panel_figure(width_inches: float, height_inches: float) -> Figure:
    """Make an empty figure that places its panels so that no text overlaps."""
    size = width_inches, max(height_inches, _MIN_HEIGHT_INCHES)
    return Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06), facecolor=SURFACE)


def message_figure(text: str) -> Figure:
    """Make a figure that only says why there is nothing to draw."""
    figure = Figure(figsize=(4.5, 1.2), facecolor=SURFACE)
    figure.text(0.5, 0.5, text, color=MUTED, fontsize=_TITLE_SIZE, ha="center", va="center")
    return figure


def panel_width(results: StudyResults) -> float:
    """Return the width in inches of a panel with the layers along it."""
    count = len(results.layers)
    return max(3.4, 0.55 * min(count, 8) + 0.22 * max(count - 8, 0))


def panel_columns(results: StudyResults, panels: int) -> int:
    """Return how many panels, with the layers along them, stand beside each other."""
    return min(panels, 2 if len(results.layers) <= _MAX_LAYERS_OF_HALF_WIDTH else 1)


def style_layers(ax: Axes, layers: Sequence[str], *, labelled: bool = True) -> None:
    """Put the layers along the axis, their labels turned when they would meet.

    An axis without labels is left out, with its ticks: those take most of the time of a figure.
    """
    style_axes(ax)
    ax.set_xlim(-0.55, len(layers) - 0.45)
    if not labelled:
        ax.xaxis.set_visible(False)
        return
    labels = [plain(elide(layer)) for layer in layers]
    turned = len(layers) > 8 or max(map(len, labels)) > 7
    ax.set_xticks(range(len(layers)), labels)
    if turned:
        for label in ax.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")


def set_similarity_axis(ax: Axes, *, labelled: bool) -> None:
    """Let the vertical axis run over all similarities, in every panel alike, also where it is left out.

    Axes that matplotlib shares would be alike too, but setting one is work for each of the others.
    """
    ax.set_ylim(-0.02, 1.02)
    add_lines(ax, y=_SIMILARITIES)
    if labelled:
        ax.set_yticks(_SIMILARITIES[::2], ["0", "0.5", "1"])
    else:
        ax.yaxis.set_visible(False)


def add_lines(
    ax: Axes, *, x: Sequence[float] = (), y: Sequence[float] = (), colour: str = GRID, width: float = 0.8
) -> None:
    """Draw lines across a panel, behind what it shows."""
    for lines, transform in (
        ([[(place, 0.0), (place, 1.0)] for place in x], ax.get_xaxis_transform()),
        ([[(0.0, place), (1.0, place)] for place in y], ax.get_yaxis_transform()),
    ):
        draw_segments(ax, lines, [colour] * len(lines), width=width, transform=transform, zorder=0.5)


def draw_bands(
    ax: Axes, shapes: Sequence[Sequence[tuple[float, float]]], colours: Sequence[str], *, alpha: float
) -> None:
    """Draw areas, each with its colour, as one artist; the axes keep their limits."""
    if shapes:
        bands = PolyCollection([np.asarray(shape) for shape in shapes], facecolors=colours, alpha=alpha)
        bands.set_linewidth(0)
        ax.add_collection(bands, autolim=False)


def draw_segments(
    ax: Axes,
    shapes: Sequence[Sequence[tuple[float, float]]],
    colours: Sequence[str],
    *,
    width: float,
    transform: Transform | None = None,
    zorder: float = 2,
) -> None:
    """Draw open lines, those of a colour as one, as one artist; the axes keep their limits."""
    by_colour: dict[str, list[Path]] = {}
    for shape, colour in zip(shapes, colours, strict=True):
        by_colour.setdefault(colour, []).append(Path(np.asarray(shape)))
    if by_colour:
        lines = PathCollection(
            [Path.make_compound_path(*paths) for paths in by_colour.values()],
            facecolors="none",
            edgecolors=list(by_colour),
            linewidths=width,
            transform=transform or ax.transData,
            zorder=zorder,
        )
        ax.add_collection(lines, autolim=False)


def draw_dots(
    ax: Axes,
    places: Sequence[tuple[float, float]],
    faces: Sequence[str],
    edges: Sequence[str],
    *,
    size: float,
) -> None:
    """Draw round marks of a diameter in points, on top, as one artist; the axes keep their limits."""
    if places:
        marks = PathCollection(
            [Path.unit_circle()],
            [(size / 2) ** 2],
            offsets=places,
            offset_transform=ax.transData,
            facecolors=faces,
            edgecolors=edges,
            linewidths=1.2,
            zorder=3,
        )
        marks.set_transform(IdentityTransform())
        ax.add_collection(marks, autolim=False)


def set_title(ax: Axes, title: str, note: str = "") -> None:
    """Name a panel above its left corner, with a quiet note above the right one."""
    # at a given height, or matplotlib measures all labels of ticks to find one
    ax.set_title(plain(shown_group(title)), loc="left", color=INK, fontsize=_TITLE_SIZE, y=1.0)
    if note:
        ax.set_title(note, loc="right", color=MUTED, fontsize=SMALL_SIZE + 1, y=1.0)


def label_figure(figure: Figure, x: str | None, y: str | None, *, above_inches: float = 0) -> None:
    """Name the axes that all panels share; the panels lie below a legend of height `above_inches`."""
    if x is not None:
        figure.supxlabel(x, color=INK, fontsize=_TITLE_SIZE)
    if y is not None:
        middle = 0.5 * (1 - above_inches / figure.get_figheight())
        figure.supylabel(y, y=middle, color=INK, fontsize=_TITLE_SIZE)


def is_lowest(index: int, columns: int, panels: int) -> bool:
    """Whether a panel has no other one below it."""
    return index + columns >= panels


def drop_unused(axes: Sequence[Axes], used: int) -> None:
    """Remove the panels that a grid has too many."""
    for ax in axes[used:]:
        ax.remove()


def legend_columns(labels: Sequence[str], width_inches: float) -> int:
    """Return the columns of a legend above panels: as many as the longest label leaves room for."""
    longest = max(len(line) for label in labels for line in shown_group(label).split("\n"))
    fitting = int(width_inches / (_LEGEND_KEY_INCHES + _LEGEND_LETTER_INCHES * longest))
    return max(1, min(len(labels), fitting, _MAX_LEGEND_COLUMNS))


def legend_height(labels: Sequence[str], columns: int = 1) -> float:
    """Return the height in inches of a legend's labels."""
    lines = max(shown_group(label).count("\n") + 1 for label in labels)
    return _LEGEND_LINE_INCHES * lines * -(-len(labels) // columns)


def add_legend(
    figure: Figure,
    handles: Sequence[Artist],
    labels: Sequence[str],
    *,
    place: Literal["outside right center", "outside upper left"],
    title: str | None = None,
) -> None:
    """Explain the colours once, outside all panels: as a column at the right or as a line above."""
    columns = 1 if place == "outside right center" else legend_columns(labels, figure.get_figwidth())
    shown = [plain(shown_group(label)) for label in labels]
    legend = figure.legend(
        handles,
        shown,
        loc=place,
        ncols=columns,
        title=title,
        frameon=False,
        labelcolor=INK,
        fontsize=_LEGEND_SIZE,
    )
    legend.get_title().set(color=INK, fontsize=_LEGEND_SIZE)
