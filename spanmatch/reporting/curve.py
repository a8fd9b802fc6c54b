"""One curve along the layers: its values, their errors or range, its null, and what does not clear it."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from spanmatch.reporting.standing import CLEARS, Spread
from spanmatch.reporting.theme import MUTED, SURFACE

__all__ = ["BAND_ERRORS", "draw_curve", "key_entries", "spread_words"]

BAND_ERRORS = 2
"""Standard errors that a band extends to either side."""

_BAND_ALPHA, _NULL_ALPHA = 0.14, 0.22
_MARKER_SIZE = 4.5

Points = Sequence[Spread | None]


def draw_curve(
    ax: Axes, points: Points, *, colour: str, dashes: str = "-", label: str = "", markers: bool = True
) -> None:
    """Draw means along the layers; a layer without a value is left out.

    The band is the error where it is known, and the pairs' range a thin line; otherwise the range is the
    band. What chance gives is grey, from its mean to the threshold.
    """
    places = range(len(points))
    # NaN makes matplotlib leave a point out
    means = np.array([math.nan if point is None else point.mean for point in points])
    low, high = (
        np.array([math.nan if point is None else getattr(point, end) for point in points])
        for end in ("minimum", "maximum")
    )
    _draw_null(ax, places, points, colour)
    errors = np.array([_error(point) for point in points])
    if np.isfinite(errors).any():
        band = BAND_ERRORS * errors
        ax.fill_between(places, means - band, means + band, color=colour, alpha=_BAND_ALPHA, linewidth=0)
        if np.nanmax(high - low) > 0:
            ax.vlines(places, low, high, color=colour, linewidth=0.7)
    else:
        ax.fill_between(places, low, high, color=colour, alpha=_BAND_ALPHA, linewidth=0)
    (line,) = ax.plot(places, means, color=colour, linestyle=dashes, linewidth=1.8, label=label)
    if markers:
        line.set(marker="o", markersize=_MARKER_SIZE)
    hollow = [place for place, point in enumerate(points) if _is_hollow(point)]
    if hollow:
        ax.plot(
            hollow,
            means[hollow],
            linestyle="",
            marker="o",
            markersize=_MARKER_SIZE,
            markerfacecolor=SURFACE,
            markeredgecolor=colour,
            markeredgewidth=1.2,
        )


def _draw_null(ax: Axes, places: range, points: Points, colour: str) -> None:
    means, thresholds = (
        np.array([_or_nan(getattr(point.standing, name) if point else None) for point in points])
        for name in ("null_mean", "threshold")
    )
    if np.isfinite(means).any():
        ax.fill_between(places, means, thresholds, color=MUTED, alpha=_NULL_ALPHA, linewidth=0)
        # its dashes say to which curve it belongs
        (line,) = ax.plot(places, means, color=MUTED, linewidth=0.9, linestyle=":", marker="_")
        line.set(markersize=7, markeredgecolor=colour, markeredgewidth=1.2, zorder=1.5)


def _error(point: Spread | None) -> float:
    return _or_nan(point.standing.error if point else None)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None or not math.isfinite(value) else value


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


def spread_words(points: Points) -> str:
    """Say what band, grey and hollow points are, as far as these points have them."""
    known = [point for point in points if point is not None]
    words = []
    if any(point.standing.error is not None for point in known):
        words.append(
            "The band is two standard errors to either side, by the jackknife over images: the mean of the "
            "pairs' errors, and not less for several pairs, since these share networks and images."
        )
        if any(point.pairs > 1 for point in known):
            words.append("The thin upright line runs from the lowest to the highest pair.")
    else:
        words.append("The band runs from the lowest to the highest pair.")
    if any(point.standing.null_mean is not None for point in known):
        words.append(
            "Grey is what chance gives: dotted, the mean with the images of one network permuted, its marks "
            "in the colour of the curve; shaded, up to the threshold."
        )
    levels = {point.standing.level for point in known if point.standing.level is not None}
    if levels:
        listed = " or ".join(f"{level:g}" for level in sorted(levels))
        if any(_is_hollow(point) for point in known):
            words.append(f"A hollow point does not clear its null: a filled one does, {CLEARS} {listed}.")
        else:
            words.append(f"Every point clears its null: {CLEARS} {listed}.")
    return " ".join(words)
