"""One curve along the layers: its values, their errors or range, its null, and what does not clear it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from spanmatch.reporting.panels import draw_bands, draw_dots, draw_segments
from spanmatch.reporting.standing import CLEARS, Spread
from spanmatch.reporting.theme import MUTED, SURFACE

__all__ = ["BAND_ERRORS", "Curve", "curve_ends", "draw_curves", "key_entries", "spread_words"]

BAND_ERRORS = 2
"""Standard errors that a band extends to either side."""

_BAND_ALPHA, _NULL_ALPHA = 0.14, 0.22
_MARKER_SIZE = 4.5
_NULL_MARK = 0.08  # half of its width, in layers

Points = Sequence[Spread | None]


@dataclass(frozen=True)
class Curve:
    """One curve of a panel, and how it is drawn."""

    points: Points
    colour: str
    dashes: str = "-"
    label: str = ""


def draw_curves(ax: Axes, curves: Sequence[Curve]) -> None:
    """Draw means along the layers, later curves on top; a layer without a value is left out.

    The band is the error where it is known, and the pairs' range a thin line; otherwise the range is the
    band. What chance gives is grey, from its mean to the threshold. All bands of a panel are one artist, and
    likewise all marks of a kind: artists are what drawing takes its time for.
    """
    bands, nulls, ranges, marks, hollow = (_Marks() for _ in range(5))
    for curve in curves:
        columns = {name: _column(curve.points, name) for name in ("mean", "minimum", "maximum")}
        of = {name: _column(curve.points, name) for name in ("error", "null_mean", "threshold")}
        mean, low, high = columns.values()
        nulls.add_band(of["null_mean"], of["threshold"], MUTED)
        marks.add_points(of["null_mean"], curve.colour)
        if np.isfinite(of["error"]).any():
            band = BAND_ERRORS * of["error"]
            bands.add_band(mean - band, mean + band, curve.colour)
            ranges.add_segments(low, high, curve.colour)
        else:
            bands.add_band(low, high, curve.colour)
        is_hollow = [_is_hollow(point) for point in curve.points]
        hollow.add_points(np.where(is_hollow, mean, math.nan), curve.colour)
    draw_bands(ax, bands.shapes, bands.colours, alpha=_BAND_ALPHA)
    draw_bands(ax, nulls.shapes, nulls.colours, alpha=_NULL_ALPHA)
    draw_segments(ax, ranges.shapes, ranges.colours, width=0.7)
    for curve in curves:
        _draw_lines(ax, curve)
    # in the colour of the curve to which each belongs
    ticks = [[(x - _NULL_MARK, y), (x + _NULL_MARK, y)] for x, y in marks.points]
    draw_segments(ax, ticks, marks.colours, width=1.2)
    draw_dots(ax, hollow.points, [SURFACE] * len(hollow.points), hollow.colours, size=_MARKER_SIZE)


def curve_ends(curve: Curve) -> list[float]:
    """Return the ends of all that is drawn of a curve, for an axis that holds it."""
    columns = {
        name: _column(curve.points, name)
        for name in ("minimum", "maximum", "mean", "error", "null_mean", "threshold")
    }
    band = BAND_ERRORS * np.nan_to_num(columns.pop("error"))
    ends = [*columns.values(), columns["mean"] - band, columns["mean"] + band]
    drawn = np.concatenate(ends)
    return [float(end) for end in drawn[np.isfinite(drawn)]]


def _draw_lines(ax: Axes, curve: Curve) -> None:
    """Draw the null's mean and the curve itself; NaN makes matplotlib leave a point out."""
    null = _column(curve.points, "null_mean")
    if np.isfinite(null).any():
        ax.plot(range(len(null)), null, color=MUTED, linewidth=0.9, linestyle=":", zorder=1.5)
    means = _column(curve.points, "mean")
    (line,) = ax.plot(range(len(means)), means, color=curve.colour, linestyle=curve.dashes, label=curve.label)
    line.set(linewidth=1.8, marker="o", markersize=_MARKER_SIZE)


class _Marks:
    """Shapes, or points, of one kind in one panel, and the colour of each."""

    def __init__(self) -> None:
        self.shapes: list[list[tuple[float, float]]] = []
        self.points: list[tuple[float, float]] = []
        self.colours: list[str] = []

    def add_points(self, values: NDArray[np.float64], colour: str) -> None:
        """Add what is finite of the values along the layers."""
        for place in np.flatnonzero(np.isfinite(values)).tolist():
            self.points.append((place, float(values[place])))
            self.colours.append(colour)

    def add_segments(self, low: NDArray[np.float64], high: NDArray[np.float64], colour: str) -> None:
        """Add an upright line for each layer with a range."""
        for place in np.flatnonzero(high > low).tolist():
            self.shapes.append([(place, float(low[place])), (place, float(high[place]))])
            self.colours.append(colour)

    def add_band(self, low: NDArray[np.float64], high: NDArray[np.float64], colour: str) -> None:
        """Add a polygon for each run of layers that have both ends."""
        known = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
        for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
            if len(run):
                there = list(zip(run.tolist(), low[run].tolist(), strict=True))
                back = list(zip(run.tolist(), high[run].tolist(), strict=True))
                self.shapes.append([*there, *back[::-1]])
                self.colours.append(colour)


def _column(points: Points, name: str) -> NDArray[np.float64]:
    """Return one number of each point, or of what it stands on; NaN where it is not known, or infinite."""
    values = [
        None if point is None else getattr(point if hasattr(point, name) else point.standing, name)
        for point in points
    ]
    return np.array([math.nan if v is None or not math.isfinite(v) else v for v in values], dtype=np.float64)


def _is_hollow(point: Spread | None) -> bool:
    return point is not None and point.standing.cleared is False


def key_entries(points: Points) -> list[tuple[Artist, str]]:
    """Explain the marks beside colours that these points call for, as handles and labels of a legend."""
    known = [point for point in points if point is not None]
    entries: list[tuple[Artist, str]] = []
    if any(_is_hollow(point) for point in known):
        hollow = Line2D([], [], linestyle="", marker="o", markersize=_MARKER_SIZE, color=MUTED)
        hollow.set_markerfacecolor(SURFACE)
        entries.append((hollow, "not clear of null"))
    if any(point.standing.null_mean is not None for point in known):
        entries.append((Line2D([], [], color=MUTED, linewidth=1, linestyle=":"), "null, by chance"))
    if any(point.standing.error is not None for point in known):
        entries.append((Patch(color=MUTED, alpha=2 * _BAND_ALPHA, linewidth=0), "± 2 std. errors"))
    return entries


def spread_words(points: Points, items: str) -> str:
    """Say what band, grey and hollow points are, as far as these points have them, of samples called so."""
    known = [point for point in points if point is not None]
    words = []
    if any(point.standing.error is not None for point in known):
        words.append(
            f"The band is two standard errors to either side, by the jackknife over {items}: the mean of the "
            f"pairs' errors, and not less for several pairs, since these share networks and {items}."
        )
        if any(point.pairs > 1 for point in known):
            words.append("The thin upright line runs from the lowest to the highest pair.")
    else:
        words.append("The band runs from the lowest to the highest pair.")
    if any(point.standing.null_mean is not None for point in known):
        words.append(
            f"Grey is what chance gives: dotted, the mean with the {items} of one network permuted, its "
            "marks in the colour of the curve; shaded, up to the threshold."
        )
    levels = {point.standing.level for point in known if point.standing.level is not None}
    if levels:
        listed = " or ".join(f"{level:g}" for level in sorted(levels))
        if any(_is_hollow(point) for point in known):
            words.append(f"A filled point clears its null, so that {CLEARS} {listed}; a hollow one does not.")
        else:
            words.append(f"Every point clears its null: {CLEARS} {listed}.")
    return " ".join(words)
