"""Figures of what networks share, as matplotlib figures without a backend or window."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spanmatch.matching.profile import similarity_curve
from spanmatch.reporting.aggregate import (
    group_names,
    group_pairs,
    group_similarities,
    simple_match_sizes,
    study_epsilons,
)
from spanmatch.reporting.panels import (
    SMALL_SIZE,
    add_legend,
    add_lines,
    drop_unused,
    label_figure,
    legend_columns,
    legend_height,
    message_figure,
    panel_columns,
    panel_figure,
    panel_width,
    set_similarity_axis,
    set_title,
    style_layers,
)
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.theme import INK, MUTED, epsilon_colours, group_colour, group_dashes

__all__ = ["curves_figure", "similarity_figure", "simple_match_sizes_figure"]

_MAX_SIZE_LABELS = 6
_WHOLE_BAR = 8  # fewer simple matches than this never fill a bar: one match must not look like a hundred


def similarity_figure(results: StudyResults) -> Figure:
    """Draw maximum match similarity along the layers, one curve for each epsilon, one panel for each group.

    Curves are means over the pairs of the group, bands their range (the paper's Figures 1, 3 and 4a).
    """
    groups, epsilons = group_names(results), study_epsilons(results)
    similarities = group_similarities(results)
    columns = panel_columns(results, len(groups))
    rows = -(-len(groups) // columns)
    figure = panel_figure(columns * panel_width(results) + 1.0, rows * 2.9 + 0.9)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    places = np.arange(len(results.layers))
    for index, (ax, group) in enumerate(zip(axes, groups, strict=False)):
        for epsilon, colour in zip(epsilons, epsilon_colours(len(epsilons)), strict=True):
            points = [similarities[layer, group, epsilon] for layer in results.layers]
            low, high = [point.minimum for point in points], [point.maximum for point in points]
            ax.fill_between(places, low, high, color=colour, alpha=0.14, linewidth=0)
            means = [point.mean for point in points]
            ax.plot(
                places, means, color=colour, linewidth=1.8, marker="o", markersize=4.5, label=f"{epsilon:g}"
            )
        style_layers(ax, results.layers)
        set_similarity_axis(ax, labelled=index % columns == 0)
        pairs = len(group_pairs(results, group))
        set_title(ax, group, f"{pairs} pair{'s' * (pairs != 1)}")
        if index % columns == 0:
            ax.set_ylabel("maximum match similarity")
    drop_unused(axes, len(groups))
    handles, labels = figure.axes[0].get_legend_handles_labels()
    # largest epsilon first: the order in which the curves lie, since similarity cannot fall as epsilon grows
    add_legend(figure, handles[::-1], labels[::-1], title="tolerance ε", place="outside right center")
    return figure


def curves_figure(results: StudyResults) -> Figure:
    """Draw the whole curve of similarity against epsilon, one panel for each layer, one line for each pair.

    The steps are the critical epsilons of the neurons; hairlines mark the epsilons of the study.
    """
    groups = group_names(results)
    criticals = {(c.layer, (c.checkpoint_x, c.checkpoint_y)): c for c in results.critical_epsilons}
    columns = min(len(results.layers), 4 if len(results.layers) <= 12 else 5)
    rows = -(-len(results.layers) // columns)
    width = max(columns * 2.3, 3.4) + 0.5
    above = legend_height(groups, legend_columns(groups, width))
    figure = panel_figure(width, max(rows * 1.75, 2.3) + 0.7 + above)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for index, (ax, layer) in enumerate(zip(axes, results.layers, strict=False)):
        add_lines(ax, x=study_epsilons(results), colour=MUTED, width=0.4)
        # the first group is drawn last, on top
        for place, group in reversed(list(enumerate(groups))):
            for pair in group_pairs(results, group):
                critical = criticals[layer, pair]
                steps, similarity = similarity_curve(critical.x, critical.y)
                # a curve starts at zero and runs up to epsilon = 1
                x = np.concatenate([[0.0], steps, [1.0]])
                y = np.concatenate([[0.0], similarity, similarity[-1:] if similarity.size else [0.0]])
                (line,) = ax.plot(x, y, drawstyle="steps-post", linewidth=1.1, zorder=3)
                line.set(color=group_colour(place), linestyle=group_dashes(place))
        set_similarity_axis(ax, labelled=index % columns == 0)
        ax.set_xlim(0, 1)
        if index + columns >= len(results.layers):
            ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        else:
            ax.xaxis.set_visible(False)
        set_title(ax, layer)
    drop_unused(axes, len(results.layers))
    label_figure(figure, "tolerance ε", "maximum match similarity", above_inches=above)
    handles = [
        Line2D([], [], color=group_colour(place), linestyle=group_dashes(place), linewidth=2)
        for place in range(len(groups))
    ]
    add_legend(figure, handles, groups, place="outside upper left")
    return figure


def simple_match_sizes_figure(results: StudyResults) -> Figure:
    """Draw how large simple matches are in each layer, one row for each epsilon, one column for each group.

    Each column of bars is a histogram of sizes |x| + |y| over bins that double, its bars the shares of the
    layer's matches; above it stands their number, 0 where there are none (the paper's Figure 2). Without any
    simple match the figure says so.
    """
    groups, epsilons = group_names(results), study_epsilons(results)
    sizes = simple_match_sizes(results)
    if not sizes:
        return message_figure("no simple matches at any tolerance")
    bins = sorted({_size_bin(size) for values in sizes.values() for size in values})
    top = max(bins[-1], 3)
    columns = panel_columns(results, len(groups))
    blocks = -(-len(groups) // columns)
    rows = blocks * len(epsilons)
    figure = panel_figure(columns * panel_width(results) + 1.0, rows * 1.3 + blocks * 0.8)
    axes = figure.subplots(rows, columns, squeeze=False)
    colours = epsilon_colours(len(epsilons))
    for place in range(blocks * columns):
        block, column = divmod(place, columns)
        for step, (epsilon, colour) in enumerate(zip(epsilons[::-1], colours[::-1], strict=True)):
            ax = axes[block * len(epsilons) + step, column]
            if place >= len(groups):
                ax.remove()
                continue
            cells = [sizes.get((layer, groups[place], epsilon), ()) for layer in results.layers]
            _draw_size_histograms(ax, cells, colour, top)
            style_layers(ax, results.layers, labelled=step == len(epsilons) - 1)
            add_lines(ax, x=range(len(results.layers)))
            ax.set_ylim(min(bins[0], 1) - 0.6, top + 1.6)
            if step == 0:
                set_title(ax, groups[place])
            if column == 0:
                ax.set_ylabel(f"ε = {epsilon:g}", fontweight="bold")
                _label_sizes(ax, range(min(bins[0], 1), top + 1))
            else:
                ax.yaxis.set_visible(False)
    label_figure(figure, None, "simple match size |x| + |y|")
    return figure


def _draw_size_histograms(ax: Axes, cells: Sequence[Sequence[int]], colour: str, top: int) -> None:
    for place, sizes in enumerate(cells):
        numbers, counts = np.unique([_size_bin(size) for size in sizes], return_counts=True)
        shares = counts / max(len(sizes), _WHOLE_BAR)
        ax.barh(numbers, 0.86 * shares, left=place - 0.43 * shares, height=0.78, color=colour, linewidth=0)
        ax.text(
            place,
            top + 1,
            str(len(sizes)),
            color=INK if sizes else MUTED,
            fontsize=SMALL_SIZE,
            ha="center",
            va="center",
        )


def _label_sizes(ax: Axes, bins: range) -> None:
    shown = bins[:: -(-len(bins) // _MAX_SIZE_LABELS)]
    ax.set_yticks([*shown, bins.stop], [*(_bin_label(number) for number in shown), "matches"])
    ax.tick_params(axis="y", labelsize=SMALL_SIZE)


def _size_bin(size: int) -> int:
    """Return the bin of a size: 1, 2, 3-4, 5-8, 9-16, ..."""
    return (size - 1).bit_length()


def _bin_label(number: int) -> str:
    high = 2**number
    return f"{high}" if number <= 1 else f"{high // 2 + 1}–{high}"
