"""The figure of similarity over every tolerance."""

from collections.abc import Mapping
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from spanmatch.matching.profile import similarity_curve
from spanmatch.reporting.aggregate import (
    GroupSimilarity,
    SimilarityKey,
    group_names,
    group_pairs,
    group_similarities,
    study_centres,
    study_epsilons,
)
from spanmatch.reporting.panels import (
    add_legend,
    add_lines,
    drop_unused,
    is_lowest,
    label_figure,
    legend_columns,
    legend_height,
    panel_figure,
    set_similarity_axis,
    set_title,
)
from spanmatch.reporting.report_figure import FigureTexts, ReportFigure
from spanmatch.reporting.results import CriticalEpsilons, StudyResults
from spanmatch.reporting.theme import MUTED, group_colour, group_dashes, style_axes

__all__ = ["CURVES", "curves_figure"]

_WIDTHS = {"raw": 1.1, "mean": 0.6}
_NULL_MARKERS = {"raw": "_", "mean": "."}


def curves_figure(results: StudyResults) -> Figure:
    """Draw the whole curve of similarity against epsilon, one panel for each layer, one line for each pair.

    The steps are the critical epsilons of the neurons; hairlines mark the epsilons of the study. Beside raw
    curves the centred ones are thin; grey marks are the null at the epsilons of the study.
    """
    groups = group_names(results)
    similarities = group_similarities(results)
    steps: dict[tuple[str, str, tuple[str, str]], NDArray[np.float64]] = {
        (c.layer, c.centre, (c.checkpoint_x, c.checkpoint_y)): _steps(c) for c in results.critical_epsilons
    }
    columns = min(len(results.layers), 4 if len(results.layers) <= 12 else 5)
    rows = -(-len(results.layers) // columns)
    width = max(columns * 2.3, 3.4) + 0.5
    handles, labels = _key(results, any(p.standing.null_mean is not None for p in similarities.values()))
    above = legend_height(labels, legend_columns(labels, width))
    figure = panel_figure(width, max(rows * 1.75, 2.3) + 0.7 + above)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for index, (ax, layer) in enumerate(zip(axes, results.layers, strict=False)):
        add_lines(ax, x=study_epsilons(results), colour=MUTED, width=0.4)
        # the first group is drawn last, on top
        for place, group in reversed(list(enumerate(groups))):
            for centre in study_centres(results):
                of_pairs = [(layer, centre, pair) for pair in group_pairs(results, group)]
                lines = [steps[key] for key in of_pairs if key in steps]
                ax.add_collection(
                    LineCollection(
                        lines,
                        colors=group_colour(place),
                        linestyles=group_dashes(place),
                        linewidths=_width(results, centre),
                        zorder=3,
                    ),
                    autolim=False,
                )
        _draw_nulls(ax, layer, similarities)
        style_axes(ax)
        set_similarity_axis(ax, labelled=index % columns == 0)
        ax.set_xlim(0, 1)
        if is_lowest(index, columns, len(results.layers)):
            ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        else:
            ax.xaxis.set_visible(False)
        set_title(ax, layer)
    drop_unused(axes, len(results.layers))
    label_figure(figure, "tolerance ε", "maximum match similarity", above_inches=above)
    add_legend(figure, handles, labels, place="outside upper left")
    return figure


def _width(results: StudyResults, centre: str) -> float:
    return _WIDTHS["raw"] if len(study_centres(results)) == 1 else 1.25 * _WIDTHS[centre]


def _steps(critical: CriticalEpsilons) -> NDArray[np.float64]:
    """Return the corners (corners, 2) of a pair's curve, which starts at zero and runs up to epsilon = 1."""
    steps, similarity = similarity_curve(critical.x, critical.y)
    x = np.concatenate([[0.0], steps, [1.0]])
    y = np.concatenate([[0.0], similarity, similarity[-1:] if similarity.size else [0.0]])
    return np.column_stack([np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]])


def _draw_nulls(ax: Axes, layer: str, similarities: Mapping[SimilarityKey, GroupSimilarity]) -> None:
    for centre, marker in _NULL_MARKERS.items():
        found = [
            (point.epsilon, point.standing.null_mean)
            for point in similarities.values()
            if point.layer == layer and point.centre == centre and point.standing.null_mean is not None
        ]
        if found:
            ax.plot(
                *zip(*found, strict=True), linestyle="", marker=marker, color=MUTED, zorder=4, markersize=5
            )


def _key(results: StudyResults, nulls: bool) -> tuple[list[Line2D], list[str]]:
    """Explain colours, and what centres and nulls look like where there are any, as handles and labels."""
    groups, centres = group_names(results), study_centres(results)
    handles = [
        Line2D([], [], color=group_colour(place), linestyle=group_dashes(place), linewidth=2)
        for place in range(len(groups))
    ]
    labels = list(groups)
    if len(centres) > 1:
        for centre, name in (("raw", "raw (thick)"), ("mean", "centred (thin)")):
            handles.append(Line2D([], [], color=MUTED, linewidth=_width(results, centre)))
            labels.append(name)
    if nulls:
        for centre, name in product(centres, ["null"]):
            marker = Line2D([], [], linestyle="", marker=_NULL_MARKERS[centre], color=MUTED, markersize=5)
            handles.append(marker)
            labels.append(name if len(centres) == 1 else f"{name}, {'raw' if centre == 'raw' else 'centred'}")
    return handles, labels


def _texts(results: StudyResults) -> FigureTexts:
    layers, groups = ", ".join(results.layers), ", ".join(group_names(results))
    caption = "One line for each pair. The vertical hairlines are the study's tolerances."
    centres = study_centres(results)
    if len(centres) > 1:
        caption += " Thick: raw; thin: centred."
    if any(point.standing.null_mean is not None for point in group_similarities(results).values()):
        caption += " Grey marks are the mean of each group's null at these tolerances."
    return FigureTexts(
        heading="Similarity at every tolerance",
        caption=caption,
        alt="Step curves of maximum match similarity against the tolerance, both from 0 to 1: one panel for "
        f"each layer ({layers}), one line for each pair{' and centre' * (len(centres) > 1)}, coloured by "
        f"group ({groups}).",
    )


CURVES = ReportFigure("curves", curves_figure, _texts, lambda results: bool(results.layers))
