"""A study's figures, each drawn once, when it is first asked for: drawing takes most of a report's time."""

from matplotlib.figure import Figure

from spanmatch.reporting.figure_registry import FIGURES
from spanmatch.reporting.results import StudyResults

__all__ = ["Drawn"]


class Drawn:
    """The figures of one study's results."""

    def __init__(self, results: StudyResults) -> None:
        self._results = results
        self._figures: dict[str, Figure] = {}

    def figure(self, name: str) -> Figure:
        """Return the figure of a name in the registry."""
        if name not in self._figures:
            self._figures[name] = FIGURES[name].draw(self._results)
        return self._figures[name]
