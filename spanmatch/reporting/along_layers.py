"""The figure of maximum match similarity along the layers."""

from itertools import product

from matplotlib.figure import Figure

from spanmatch.reporting.aggregate import (
    centre_name,
    group_names,
    group_pairs,
    group_similarities,
    study_centres,
    study_epsilons,
)
from spanmatch.reporting.curve import Curve, draw_curves, key_entries, spread_words
from spanmatch.reporting.panels import (
    add_legend,
    drop_unused,
    is_lowest,
    panel_columns,
    panel_figure,
    panel_width,
    set_similarity_axis,
    set_title,
    style_layers,
)
from spanmatch.reporting.report_figure import FigureTexts, ReportFigure
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.theme import epsilon_colours

__all__ = ["SIMILARITY", "similarity_figure"]


def similarity_figure(results: StudyResults) -> Figure:
    """Draw maximum match similarity along the layers, one curve for each epsilon.

    One panel for each group and centre, raw and centred beside each other. Curves are means over the pairs of
    the group (the paper's Figures 1, 3 and 4a); see `draw_curves` for bands, nulls and hollow points.
    """
    epsilons, similarities = study_epsilons(results), group_similarities(results)
    panels = list(product(group_names(results), study_centres(results)))
    columns = panel_columns(results, len(panels))
    rows = -(-len(panels) // columns)
    figure = panel_figure(columns * panel_width(results) + 1.4, rows * 2.7 + 0.9)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for index, (ax, (group, centre)) in enumerate(zip(axes, panels, strict=False)):
        curves = [
            Curve(
                [similarities[layer, group, centre, epsilon] for layer in results.layers],
                colour,
                label=f"{epsilon:g}",
            )
            for epsilon, colour in zip(epsilons, epsilon_colours(len(epsilons)), strict=True)
        ]
        draw_curves(ax, curves)
        style_layers(ax, results.layers, labelled=columns == 1 or is_lowest(index, columns, len(panels)))
        set_similarity_axis(ax, labelled=index % columns == 0)
        pairs = len(group_pairs(results, group))
        note = f"{pairs} pair{'s' * (pairs != 1)}"
        set_title(ax, group, ", ".join(filter(None, (centre_name(results, centre), note))))
        if index % columns == 0:
            ax.set_ylabel("maximum match similarity")
    drop_unused(axes, len(panels))
    handles, labels = figure.axes[0].get_legend_handles_labels()
    entries = key_entries(list(similarities.values()))
    # largest epsilon first: the order in which the curves lie, since similarity cannot fall as epsilon grows
    add_legend(
        figure,
        [*handles[::-1], *(handle for handle, _ in entries)],
        [*labels[::-1], *(label for _, label in entries)],
        title="tolerance ε",
        place="outside right center",
    )
    return figure


def _texts(results: StudyResults) -> FigureTexts:
    layers, groups = ", ".join(results.layers), ", ".join(group_names(results))
    epsilons = ", ".join(f"{epsilon:g}" for epsilon in study_epsilons(results))
    points = list(group_similarities(results).values())
    centres = [centre_name(results, centre) for centre in study_centres(results)]
    caption = f"Mean over the pairs of a group. {spread_words(points, results.terms.items)}"
    if len(centres) > 1:
        caption += (
            " Raw: activations as they are, so that a direction which all neurons share counts; centred: "
            "less their means."
        )
    of_group = f"group ({groups})" + (f" and centre ({', '.join(centres)})" if any(centres) else "")
    hollow = sum(point.standing.cleared is False for point in points)
    not_clear = (
        f" {hollow} of {len(points)} points are hollow: they do not clear their null." if hollow else ""
    )
    return FigureTexts(
        heading="Similarity along the layers",
        caption=caption,
        alt=f"Line chart of maximum match similarity, from 0 to 1, along the layers {layers}: one line for "
        f"each tolerance ({epsilons}), one panel for each {of_group}.{not_clear} A table below holds the "
        "means.",
    )


SIMILARITY = ReportFigure(
    "similarity", similarity_figure, _texts, lambda results: bool(results.layers), brief_bytes=110_000
)
