"""The figures of a report, in the order of the page."""

from collections.abc import Mapping
from types import MappingProxyType

from spanmatch.reporting.along_layers import SIMILARITY
from spanmatch.reporting.grid_figures import MEASURE_GRIDS, SIMILARITY_GRIDS
from spanmatch.reporting.growth_curves import GROWTH
from spanmatch.reporting.match_sizes import SIZES
from spanmatch.reporting.measure_figure import MEASURES_ALONG_LAYERS
from spanmatch.reporting.over_epsilon import CURVES
from spanmatch.reporting.report_figure import ReportFigure
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.training_curves import TRAINING

__all__ = ["FIGURES", "shown_figures"]

FIGURES: Mapping[str, ReportFigure] = MappingProxyType(
    {
        figure.name: figure
        for figure in (
            SIMILARITY,
            SIMILARITY_GRIDS,
            MEASURES_ALONG_LAYERS,
            MEASURE_GRIDS,
            GROWTH,
            CURVES,
            SIZES,
            TRAINING,
        )
    }
)


def shown_figures(results: StudyResults) -> tuple[ReportFigure, ...]:
    """Return the figures for which results have something to draw."""
    return tuple(figure for figure in FIGURES.values() if figure.applies(results))
