"""What a figure of the report is, for the registry of figures."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from spanmatch.reporting.results import StudyResults

__all__ = ["FigureTexts", "ReportFigure"]


@dataclass(frozen=True)
class FigureTexts:
    """What stands around one figure, as plain text."""

    heading: str
    caption: str
    alt: str


@dataclass(frozen=True)
class ReportFigure:
    """One figure: how it is drawn, what stands around it, and of which results."""

    name: str
    draw: Callable[[StudyResults], Figure]
    texts: Callable[[StudyResults], FigureTexts]
    applies: Callable[[StudyResults], bool] = lambda _: True
    """Whether results have something to draw."""
    brief_bytes: int = 0
    """What it may take as an image in the report in brief, which leaves it out at 0."""
