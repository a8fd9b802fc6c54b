"""The figure of two layers' similarity over every tolerance."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spanmatch.reporting.theme import INK, elide, group_colour, style_axes

__all__ = ["pair_curve_figure"]

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def pair_curve_figure(raw: Curve, centred: Curve, name_x: str, name_y: str) -> Figure:
    """Draw the similarity of two layers over ε, as they are and less means.

    Parameters
    ----------
    raw, centred
        As `MatchProfile.curve` gives them.
    name_x, name_y
        Of the layers.
    """
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    ax = figure.add_subplot()
    for place, (label, (epsilons, similarities)) in enumerate((("raw", raw), ("less means", centred))):
        steps = np.concatenate(([0.0], epsilons, [1.0]))
        heights = np.concatenate(([0.0], similarities, similarities[-1:] if similarities.size else [0.0]))
        ax.plot(
            steps,
            heights,
            drawstyle="steps-post",
            color=group_colour(place),
            linestyle="-" if place == 0 else "--",
            label=label,
        )
    style_axes(ax)
    ax.set_xlim(0, 1)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("ε", color=INK)
    ax.set_ylabel("maximum match similarity", color=INK)
    ax.set_title(f"{elide(name_x, 36)} with {elide(name_y, 36)}", fontsize=9, color=INK)
    ax.legend(frameon=False, fontsize=8)
    return figure
