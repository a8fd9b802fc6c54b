"""Colours and axes of the figures.

The page gives each of `theme_colours` a dark value too: any other colour stays as it is on a dark screen.
"""

from dataclasses import dataclass
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

__all__ = [
    "GRID",
    "INK",
    "MUTED",
    "SURFACE",
    "ThemeColour",
    "elide",
    "epsilon_colours",
    "group_colour",
    "group_dashes",
    "layer_colours",
    "plain",
    "shown_group",
    "style_axes",
    "theme_colours",
]


@dataclass(frozen=True)
class ThemeColour:
    """One colour on a light and on a dark page; the figures themselves hold the light one."""

    name: str
    light: str
    dark: str


_BASE = (
    ThemeColour("ink", "#1f2328", "#e6e8eb"),
    ThemeColour("muted", "#5f6670", "#a0a8b3"),
    ThemeColour("grid", "#e1e4e8", "#31373f"),
    ThemeColour("surface", "#ffffff", "#14171b"),
)
INK, MUTED, GRID, SURFACE = (colour.light for colour in _BASE)

# Okabe and Ito's hues, distinct under the common colour-vision deficiencies
_GROUPS = (
    ThemeColour("group-0", "#0072b2", "#56b4e9"),
    ThemeColour("group-1", "#d55e00", "#ff8c42"),
    ThemeColour("group-2", "#008a65", "#2fc797"),
    ThemeColour("group-3", "#b0498f", "#e58bc8"),
    ThemeColour("group-4", "#8a6d00", "#d9b600"),
    ThemeColour("group-5", "#59616b", "#b5bcc4"),
)

_DASHES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")

# Stretches of a perceptually uniform map, ever lighter, that stand out from a light and from a dark page
_EPSILON_MAP, _LAYER_MAP = "plasma", "viridis"
_LIGHT_STRETCH = (0.0, 0.72)
_DARK_STRETCH = (0.38, 0.98)

_TICK_SIZE = 8.5
_LABEL_SIZE = 9.5


def epsilon_colours(count: int) -> tuple[str, ...]:
    """Return colours for `count` ascending epsilons: darker is stricter."""
    return _sample(_EPSILON_MAP, _LIGHT_STRETCH, count)


def layer_colours(count: int) -> tuple[str, ...]:
    """Return colours for that many layers where each has its own line: darker is nearer to the input."""
    return _sample(_LAYER_MAP, _LIGHT_STRETCH, count)


def _sample(name: str, stretch: tuple[float, float], count: int) -> tuple[str, ...]:
    start, stop = stretch
    places = np.linspace(start, stop, count) if count != 1 else [(start + stop) / 2]
    return tuple(to_hex(mpl.colormaps[name](float(place))) for place in places)


def group_colour(index: int) -> str:
    """Colour of the group, or of the trained network, at a place in the study's order."""
    return _GROUPS[index % len(_GROUPS)].light


def group_dashes(index: int) -> Literal["-", "--", ":"]:
    """Line style of a group or a trained network: solid until the colours run out."""
    return _DASHES[index // len(_GROUPS) % len(_DASHES)]


def theme_colours(epsilons: int, layers: int = 0) -> tuple[ThemeColour, ...]:
    """Every colour that figures use with that many epsilons, and layers that have their own lines."""
    return (
        *_BASE,
        *_GROUPS,
        *(
            ThemeColour(f"{name}-{index}", light, dark)
            for name, colours, count in (("epsilon", _EPSILON_MAP, epsilons), ("layer", _LAYER_MAP, layers))
            for index, (light, dark) in enumerate(
                zip(
                    _sample(colours, _LIGHT_STRETCH, count),
                    _sample(colours, _DARK_STRETCH, count),
                    strict=True,
                )
            )
        ),
    )


def plain(text: str) -> str:
    """Keep matplotlib from reading dollar signs in a name as mathematics."""
    return text.replace("$", r"\$")


def elide(name: str, limit: int = 24) -> str:
    """Shorten a long name in its middle: what tells layers apart is at the ends."""
    if len(name) <= limit:
        return name
    head = (limit - 1) // 2
    return f"{name[:head]}…{name[-(limit - 1 - head) :]}"


def shown_group(group: str, limit: int = 24) -> str:
    """Shorten the long name of a group: of ``one ~ other`` each side by itself, on its own line."""
    if len(group) <= limit:
        return group
    return " ~\n".join(elide(side, limit) for side in group.split(" ~ "))


def style_axes(ax: Axes) -> None:
    """Give axes the common look: two quiet spines, no tick marks, legible type."""
    ax.set_facecolor("none")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(MUTED)
        ax.spines[side].set_linewidth(0.8)
    ax.tick_params(length=0, labelsize=_TICK_SIZE, labelcolor=INK, pad=4)
    ax.xaxis.label.set(color=INK, fontsize=_LABEL_SIZE)
    ax.yaxis.label.set(color=INK, fontsize=_LABEL_SIZE)
    ax.title.set(color=INK, fontsize=_LABEL_SIZE)
