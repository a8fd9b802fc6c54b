"""A study's figures, each drawn once, when it is first asked for: drawing takes most of a report's time."""

from functools import cached_property

from matplotlib.figure import Figure

from spanmatch.reporting.figures import curves_figure, similarity_figure, simple_match_sizes_figure
from spanmatch.reporting.measure_figure import measures_figure
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.training_curves import training_figure

__all__ = ["Drawn"]


class Drawn:
    """The figures of one study's results."""

    def __init__(self, results: StudyResults) -> None:
        self._results = results

    @cached_property
    def similarity(self) -> Figure:
        """Return `similarity_figure` of the results."""
        return similarity_figure(self._results)

    @cached_property
    def curves(self) -> Figure:
        """Return `curves_figure` of the results."""
        return curves_figure(self._results)

    @cached_property
    def simple_match_sizes(self) -> Figure:
        """Return `simple_match_sizes_figure` of the results."""
        return simple_match_sizes_figure(self._results)

    @cached_property
    def measures(self) -> Figure:
        """Return `measures_figure` of the results."""
        return measures_figure(self._results)

    @cached_property
    def training(self) -> Figure:
        """Return `training_figure` of the results."""
        return training_figure(self._results)
