"""The heat map of a measure: every layer of one network with every layer of another."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spanmatch.reporting.theme import GRID, INK, MUTED, elide

__all__ = ["heat_map_figure"]

# Beyond so many layers of a network, not every one is named.
_NAMED = 40
_LONGEST = 32


def heat_map_figure(
    values: NDArray[np.float64],
    layers_x: Sequence[str],
    layers_y: Sequence[str],
    *,
    networks: tuple[str, str],
    label: str,
    bounds: tuple[float, float],
) -> Figure:
    """Draw values as colours, the first layers in the lower left; grey where there is none.

    Parameters
    ----------
    values
        (layers of x, layers of y), NaN where there is none.
    layers_x, layers_y
        Names of the layers.
    networks
        Names of the two networks.
    label
        What the values are.
    bounds
        Least and greatest possible value.
    """
    size = min(max(0.22 * max(values.shape) + 2.2, 4.2), 11)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    ax = figure.add_subplot()
    ax.set_facecolor(GRID)
    known = values[np.isfinite(values)]
    high = bounds[1] if np.isfinite(bounds[1]) else float(known.max(initial=1.0))
    image = ax.imshow(
        np.ma.masked_invalid(values),
        origin="lower",
        cmap="viridis",
        vmin=min(0.0, float(known.min(initial=0.0))),
        vmax=high,
        aspect="auto",
    )
    _name(ax.set_xticks, layers_y, rotation=90)
    _name(ax.set_yticks, layers_x)
    ax.set_xlabel(f"layers of {elide(networks[1], _LONGEST)}", color=INK)
    ax.set_ylabel(f"layers of {elide(networks[0], _LONGEST)}", color=INK)
    ax.tick_params(length=0, labelsize=7, colors=MUTED)
    for spine in ax.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02)
    bar.set_label(label, color=INK)
    bar.ax.tick_params(labelsize=7, colors=MUTED)
    bar.outline.set_visible(False)
    return figure


def _name(set_ticks: Callable[..., object], layers: Sequence[str], **words: object) -> None:
    step = -(-len(layers) // _NAMED)
    places = range(0, len(layers), step)
    set_ticks(list(places), [elide(layers[place], _LONGEST) for place in places], **words)
