"""Heat maps of a study: every layer of one network with every layer of another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spanmatch.reporting.aggregate import centre_name, study_centres, study_epsilons
from spanmatch.reporting.grids import MeasureAt, study_grids
from spanmatch.reporting.heat_map import colour_bar, draw_heat_map, name_layers
from spanmatch.reporting.measure_values import shown_measures
from spanmatch.reporting.names import count_of
from spanmatch.reporting.panels import drop_unused, panel_figure, set_title
from spanmatch.reporting.report_figure import FigureTexts, ReportFigure
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.theme import INK, elide, plain

__all__ = ["MEASURE_GRIDS", "SIMILARITY_GRIDS", "measure_grids_figure", "similarity_grids_figure"]

_COLUMNS = 4
_SIDE_INCHES = 2.1
_NAMED = 20  # layers along one side of a panel
_LONGEST = 20
_LONGEST_TITLE = 30
_LONGEST_NOTE = 34


@dataclass(frozen=True)
class _Panel:
    """One heat map: what it is of, and the name, bounds and direction of its values."""

    at: MeasureAt
    note: str
    label: str
    bounds: tuple[float, float]
    higher_is_closer: bool = True


def similarity_grids_figure(results: StudyResults) -> Figure:
    """Draw heat maps of maximum match similarity: for each group and centre one at each epsilon."""
    return _figure(results, _similarity_panels(results), each_bar=False)


def measure_grids_figure(results: StudyResults) -> Figure:
    """Draw heat maps of all other measures, of each group."""
    return _figure(results, _measure_panels(results), each_bar=True)


def _similarity_panels(results: StudyResults) -> list[_Panel]:
    panels = []
    for centre in study_centres(results):
        name = centre_name(results, centre)
        for epsilon in study_epsilons(results):
            note = ", ".join(filter(None, (f"ε = {epsilon:g}", name)))
            panels.append(_Panel(("maximum-match", epsilon, centre), note, "similarity", (0.0, 1.0)))
    return panels


def _measure_panels(results: StudyResults) -> list[_Panel]:
    return [
        _Panel(
            (one.name, one.epsilon, one.centre),
            elide(one.title, _LONGEST_NOTE),
            "" if one.higher_is_closer else "less is closer",
            one.bounds,
            one.higher_is_closer,
        )
        for one in shown_measures(results)
        if one.name != "maximum-match"
    ]


def _figure(results: StudyResults, panels: Sequence[_Panel], *, each_bar: bool) -> Figure:
    groups = study_grids(results)
    columns = min(_COLUMNS, len(panels))
    rows_of_group = -(-len(panels) // columns)
    rows = rows_of_group * len(groups)
    figure = panel_figure(columns * (_SIDE_INCHES + 0.35) + 1.9, rows * (_SIDE_INCHES + 0.3) + 1.1)
    axes = figure.subplots(rows, columns, squeeze=False)
    drawn: list[Axes] = []
    for place, group in enumerate(groups):
        of_group = list(axes[place * rows_of_group : (place + 1) * rows_of_group].flat)
        for index, (ax, panel) in enumerate(zip(of_group, panels, strict=False)):
            grid = group.grid(panel.at)
            image = draw_heat_map(
                ax, grid.means, panel.bounds, grid.hollow, higher_is_closer=panel.higher_is_closer
            )
            below = index + columns < len(panels)
            name_layers(
                ax,
                () if index % columns else group.layers_x,
                () if below else group.layers_y,
                most=_NAMED,
                longest=_LONGEST,
            )
            set_title(ax, "", panel.note)
            if each_bar:
                colour_bar(figure, image, [ax], panel.label)
            drawn.append(ax)
        of_group[0].set_ylabel(plain(elide(group.title, _LONGEST_TITLE)), color=INK)
        drop_unused(of_group, len(panels))
    if not each_bar:
        colour_bar(figure, image, drawn, panels[0].label)
    return figure


def _texts(results: StudyResults, what: str, panels: Sequence[_Panel]) -> FigureTexts:
    groups = study_grids(results)
    names = ", ".join(f"{group.title} ({count_of(group.pairs, 'pair')})" for group in groups)
    hollow = sum(int(group.grid(panel.at).hollow.sum()) for group in groups for panel in panels)
    cells = sum(int(np.isfinite(group.grid(panel.at).means).sum()) for group in groups for panel in panels)
    caption = (
        "Every layer of one network, upwards, with every layer of the other, to the right, lighter where "
        f"they are closer: means over the pairs of networks of a group, {names}."
    )
    notes, not_clear = ", ".join(panel.note for panel in panels), ""
    if hollow:
        not_clear = f" {hollow:,} of {cells:,} cells are frames: they do not clear their null."
    return FigureTexts(
        heading=f"{what} of every layer with every layer",
        caption=caption + not_clear,
        alt=f"Heat maps, one for each group ({names}) and each of {notes}: "
        f"layers {', '.join(groups[0].layers_x)} of one network with layers {', '.join(groups[0].layers_y)} "
        f"of another.{not_clear} The file measures.csv holds the values.",
    )


SIMILARITY_GRIDS = ReportFigure(
    "similarity-grids",
    similarity_grids_figure,
    lambda results: _texts(results, "Similarity", _similarity_panels(results)),
    lambda results: bool(study_grids(results) and _similarity_panels(results)),
    brief_bytes=60_000,
)
MEASURE_GRIDS = ReportFigure(
    "measure-grids",
    measure_grids_figure,
    lambda results: _texts(results, "Measures", _measure_panels(results)),
    lambda results: bool(study_grids(results) and _measure_panels(results)),
    brief_bytes=60_000,
)
