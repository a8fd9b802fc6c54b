"""The heat map of a measure: every layer of one network with every layer of another."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from spanmatch.reporting.theme import GRID, INK, MUTED, elide, plain

__all__ = ["colour_bar", "draw_heat_map", "heat_map_figure", "name_layers"]

_COLOURS = "viridis"
# Beyond so many layers of a network, not every one is named.
_NAMED = 40
_LONGEST = 32
# A cell has so many pixels a side; those of a hollow one that lie inside its frame are left out.
_PIXELS = 7
_FRAME = slice(2, 5)


def heat_map_figure(
    values: NDArray[np.float64],
    layers_x: Sequence[str],
    layers_y: Sequence[str],
    *,
    networks: tuple[str, str],
    label: str,
    bounds: tuple[float, float],
    higher_is_closer: bool = True,
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
    higher_is_closer
        Whether greater values are of layers that are closer.
    """
    size = min(max(0.22 * max(values.shape) + 2.2, 4.2), 11)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    ax = figure.add_subplot()
    image = draw_heat_map(ax, values, bounds, higher_is_closer=higher_is_closer)
    name_layers(ax, layers_x, layers_y)
    ax.set_xlabel(f"layers of {elide(networks[1], _LONGEST)}", color=INK)
    ax.set_ylabel(f"layers of {elide(networks[0], _LONGEST)}", color=INK)
    colour_bar(figure, image, [ax], label if higher_is_closer else f"{label} (less is closer)")
    return figure


def draw_heat_map(
    ax: Axes,
    values: NDArray[np.float64],
    bounds: tuple[float, float],
    hollow: NDArray[np.bool_] | None = None,
    *,
    higher_is_closer: bool = True,
) -> AxesImage:
    """Draw values as colours, lighter where closer, the first layers in the lower left; grey where none is.

    Parameters
    ----------
    ax
        Where to.
    values
        (layers of x, layers of y), NaN where there is none.
    bounds
        Least and greatest possible value; where they are infinite, those there are.
    hollow
        Of the same shape: cells that are frames.
    higher_is_closer
        As of `heat_map_figure`.
    """
    ax.set_facecolor(GRID)
    known = values[np.isfinite(values)]
    pixels = np.kron(values, np.ones((_PIXELS, _PIXELS)))
    if hollow is not None:
        inside = np.zeros((_PIXELS, _PIXELS), dtype=bool)
        inside[_FRAME, _FRAME] = True
        pixels[np.kron(hollow, inside)] = np.nan
    image = ax.imshow(
        np.ma.masked_invalid(pixels),
        origin="lower",
        cmap=_COLOURS if higher_is_closer else f"{_COLOURS}_r",
        vmin=min(0.0, float(known.min(initial=0.0))),
        vmax=bounds[1] if np.isfinite(bounds[1]) else float(known.max(initial=1.0)),
        aspect="auto",
        extent=(-0.5, values.shape[1] - 0.5, -0.5, values.shape[0] - 0.5),
        interpolation="none",
    )
    ax.set(xticks=[], yticks=[])
    ax.tick_params(length=0, labelsize=7, colors=MUTED)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return image


def name_layers(
    ax: Axes, layers_x: Sequence[str], layers_y: Sequence[str], *, most: int = _NAMED, longest: int = _LONGEST
) -> None:
    """Name so many layers of either side, at most; none where there are none."""
    _name(ax.set_xticks, layers_y, most, longest, rotation=90)
    _name(ax.set_yticks, layers_x, most, longest)


def colour_bar(figure: Figure, image: AxesImage, axes: Sequence[Axes], label: str) -> None:
    """Explain the colours of an image, beside axes."""
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    bar.set_label(label, color=INK)
    bar.ax.tick_params(labelsize=7, colors=MUTED)
    bar.outline.set_visible(False)


def _name(
    set_ticks: Callable[..., object], layers: Sequence[str], most: int, longest: int, **words: object
) -> None:
    places = range(0, len(layers), max(1, -(-len(layers) // most)))
    set_ticks(list(places), [plain(elide(layers[place], longest)) for place in places], **words)
