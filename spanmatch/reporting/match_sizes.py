"""The figure of how large simple matches are."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from spanmatch.reporting.aggregate import (
    SimilarityKey,
    centre_name,
    group_names,
    simple_match_sizes,
    study_centres,
    study_epsilons,
)
from spanmatch.reporting.covers import Cover, cover_sizes, group_covers
from spanmatch.reporting.panels import (
    SMALL_SIZE,
    add_lines,
    label_figure,
    message_figure,
    panel_columns,
    panel_figure,
    panel_width,
    set_title,
    style_layers,
)
from spanmatch.reporting.report_figure import FigureTexts, ReportFigure
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.theme import INK, MUTED, epsilon_colours

__all__ = ["SIZES", "simple_match_sizes_figure"]

_MAX_SIZE_LABELS = 6
_WHOLE_BAR = 8  # fewer simple matches than this never fill a bar: one match must not look like a hundred
_BAR_WIDTH, _BAR_HEIGHT = 0.86, 0.78
_CENTRED_ALPHA = 0.5

_CAPTION = (
    "Neurons of both networks in a simple match, in bins that double. The number above a column counts the "
    "layer's simple matches, 0 for none; each bar's width is its share of them, narrower in proportion where "
    "there are fewer than eight. Each match counts once, and the pairs of a group are taken together."
)
_CHANCE_CAPTION = (
    " Grey outlines, and the numbers beside “permuted”, are what chance gives: the same with the {items} "
    "of one network permuted."
)
_RANGE_CAPTION = (
    " They are one cover of the maximum match out of many: another order of searching finds others. Numbers "
    "as 7–9 run from the fewest to the most over the orders that were tried; the line at the end of a bar "
    "runs from the least share to the greatest."
)


def simple_match_sizes_figure(results: StudyResults) -> Figure:
    """Draw how large simple matches are in each layer, one row for each epsilon, one column for each group.

    Each column of bars is a histogram of sizes |x| + |y| over bins that double, its bars the shares of the
    layer's matches; above it stands their number, 0 where there are none, or their range over orders of
    searching (the paper's Figure 2). Of raw and centred the one lies left and the other right. Without any
    simple match the figure says so.
    """
    groups, epsilons = group_names(results), study_epsilons(results)
    sizes, covers, orders = simple_match_sizes(results), group_covers(results), cover_sizes(results)
    if not sizes:
        return message_figure("no simple matches at any tolerance")
    centres = study_centres(results)
    by_chance = {key: cover.permuted for key, cover in covers.items() if cover.permuted is not None}
    drawn = (*sizes.values(), *by_chance.values())
    bins = sorted({_size_bin(size) for values in drawn for size in values})
    counted = len(centres) * (2 if by_chance else 1)
    least, top = min(bins[0], 1), max(bins[-1], 3)
    columns = panel_columns(results, len(groups))
    blocks = -(-len(groups) // columns)
    rows = blocks * len(epsilons)
    height = 1.3 + 0.2 * (counted - 1)
    figure = panel_figure(columns * panel_width(results) + 1.0, rows * height + blocks * 0.8)
    axes = figure.subplots(rows, columns, squeeze=False)
    colours = epsilon_colours(len(epsilons))
    for place in range(blocks * columns):
        block, column = divmod(place, columns)
        for step, (epsilon, colour) in enumerate(zip(epsilons[::-1], colours[::-1], strict=True)):
            ax = axes[block * len(epsilons) + step, column]
            if place >= len(groups):
                ax.remove()
                continue
            style_layers(ax, results.layers, labelled=step == len(epsilons) - 1)
            keys = {
                centre: [(layer, groups[place], centre, epsilon) for layer in results.layers]
                for centre in centres
            }
            _draw_histograms(ax, keys, sizes, colour)
            _draw_histograms(ax, keys, by_chance, None)
            _draw_ranges(ax, keys, sizes, orders)
            _write_counts(ax, keys, sizes, covers, by_chance, top)
            add_lines(ax, x=range(len(results.layers)))
            ax.set_ylim(least - 0.6, top + 0.6 + counted)
            if step == 0:
                set_title(ax, groups[place])
            if column == 0:
                ax.set_ylabel(f"ε = {epsilon:g}", fontweight="bold")
                names = [centre_name(results, centre) or "matches" for centre in centres]
                _label_sizes(ax, range(least, top + 1), _count_names(names, chance=bool(by_chance)))
            else:
                ax.yaxis.set_visible(False)
    label_figure(figure, None, "simple match size |x| + |y|")
    return figure


def _draw_histograms(
    ax: Axes,
    keys: Mapping[str, Sequence[SimilarityKey]],
    sizes: Mapping[SimilarityKey, Sequence[int]],
    colour: str | None,
) -> None:
    """Draw the bars of a panel, all of one centre as one artist; without a colour their grey outlines."""
    for side, of_layers in enumerate(keys.values()):
        # around the layer's place, or of two centres one to the left and one to the right
        left, right = (-0.5, 0.5) if len(keys) == 1 else (side - 1, side)
        boxes = []
        for place, key in enumerate(of_layers):
            for number, share in _shares(sizes.get(key, ())).items():
                x = place + _BAR_WIDTH * share * np.array([left, right]) * (1 if len(keys) == 1 else 0.5)
                low, high = number - _BAR_HEIGHT / 2, number + _BAR_HEIGHT / 2
                boxes.append([(x[0], low), (x[1], low), (x[1], high), (x[0], high)])
        if colour is None:
            bars = PolyCollection(boxes, facecolors="none", edgecolors=MUTED, linewidths=0.8)
        else:
            alpha = _CENTRED_ALPHA if side else 1
            bars = PolyCollection(boxes, facecolors=colour, linewidths=0, alpha=alpha)
        ax.add_collection(bars, autolim=False)


def _draw_ranges(
    ax: Axes,
    keys: Mapping[str, Sequence[SimilarityKey]],
    sizes: Mapping[SimilarityKey, Sequence[int]],
    orders: Mapping[SimilarityKey, Sequence[Sequence[int]]],
) -> None:
    """Draw a line at the end of each bar, from the least to the greatest share over the orders."""
    lines = []
    for side, of_layers in enumerate(keys.values()):
        towards = -0.5 if len(keys) > 1 and side == 0 else 0.5
        for place, key in enumerate(of_layers):
            covers = [_shares(found) for found in (sizes.get(key, ()), *orders.get(key, ())) if found]
            for number in sorted({number for cover in covers for number in cover}):
                ends = [cover.get(number, 0.0) for cover in covers]
                if min(ends) < max(ends):
                    x = [place + towards * _BAR_WIDTH * end for end in (min(ends), max(ends))]
                    lines.append([(x[0], number), (x[1], number)])
    ax.add_collection(LineCollection(lines, colors=INK, linewidths=0.8), autolim=False)


def _shares(sizes: Sequence[int]) -> dict[int, float]:
    """Return the width of each bin's bar, relative to a full one."""
    numbers, counts = np.unique([_size_bin(size) for size in sizes], return_counts=True)
    return dict(zip(numbers.tolist(), (counts / max(len(sizes), _WHOLE_BAR)).tolist(), strict=True))


def _write_counts(
    ax: Axes,
    keys: Mapping[str, Sequence[SimilarityKey]],
    sizes: Mapping[SimilarityKey, Sequence[int]],
    covers: Mapping[SimilarityKey, Cover],
    by_chance: Mapping[SimilarityKey, Sequence[int]],
    top: int,
) -> None:
    line = top + 1
    for of_layers in reversed([*keys.values()]):
        for place, key in enumerate(of_layers):
            if key in by_chance:
                _write(ax, place, line, str(len(by_chance[key])), MUTED)
        line += bool(by_chance)
        for place, key in enumerate(of_layers):
            count = len(sizes.get(key, ()))
            _write(
                ax, place, line, covers[key].text if key in covers else str(count), INK if count else MUTED
            )
        line += 1


def _write(ax: Axes, place: int, line: int, text: str, colour: str) -> None:
    written = ax.text(place, line, text, color=colour, fontsize=SMALL_SIZE)
    written.set(ha="center", va="center", in_layout=False)


def _count_names(centres: Sequence[str], *, chance: bool) -> list[str]:
    """Name the lines of numbers above the bars, from the lowest."""
    return [name for centre in centres[::-1] for name in (["permuted", centre] if chance else [centre])]


def _label_sizes(ax: Axes, bins: range, names: Sequence[str]) -> None:
    shown = bins[:: -(-len(bins) // _MAX_SIZE_LABELS)]
    counts = [*range(bins.stop, bins.stop + len(names))]
    ax.set_yticks([*shown, *counts], [*(_bin_label(number) for number in shown), *names])
    ax.tick_params(axis="y", labelsize=SMALL_SIZE)


def _size_bin(size: int) -> int:
    """Return the bin of a size: 1, 2, 3-4, 5-8, 9-16, ..."""
    return (size - 1).bit_length()


def _bin_label(number: int) -> str:
    high = 2**number
    return f"{high}" if number <= 1 else f"{high // 2 + 1}–{high}"


def _texts(results: StudyResults) -> FigureTexts:
    epsilons = ", ".join(f"{epsilon:g}" for epsilon in study_epsilons(results))
    caption = _CAPTION if results.simple_matches else "The results hold no simple matches."
    if results.simple_matches and len(study_centres(results)) > 1:
        caption += " Left of a layer's line, full: raw; right, pale: centred."
    if results.simple_matches and results.covers:
        caption += _RANGE_CAPTION
    if any(row.permuted is not None for row in results.covers):
        caption += _CHANCE_CAPTION.format(items=results.terms.items)
    return FigureTexts(
        heading="Sizes of simple matches",
        caption=caption,
        alt=f"Histograms of the number of neurons in a simple match for the layers "
        f"{', '.join(results.layers)}: one row of panels for each tolerance ({epsilons}), one column for "
        f"each group ({', '.join(group_names(results))}).",
    )


SIZES = ReportFigure("sizes", simple_match_sizes_figure, _texts, lambda results: bool(results.layers))
