"""A comparison as notebooks show it: what it is of, heat maps, curves."""

import html
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

from spanmatch.comparing.compared import Compared
from spanmatch.comparing.compared_values import LayerMatrix
from spanmatch.comparing.pair_values import PairValues
from spanmatch.comparing.pairs import Pair
from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_drawing = lazy(
    "spanmatch.reporting",
    {
        "spanmatch.reporting.heat_map": "heat_map_figure",
        "spanmatch.reporting.pair_curve": "pair_curve_figure",
    },
    extra="report",
)[0]


def drawn(matrix: LayerMatrix) -> "Figure":
    """Draw a measure of every layer with every layer."""
    draw: Any = _drawing("heat_map_figure")
    figure: Figure = draw(
        matrix.values,
        matrix.layers_x,
        matrix.layers_y,
        networks=(matrix.network_x, matrix.network_y),
        label=matrix.label,
        bounds=matrix.bounds,
        higher_is_closer=matrix.higher_is_closer,
    )
    return _shown(figure)


def drawn_curves(values: PairValues, pair: Pair) -> "Figure":
    """Draw the similarity of a pair over ε, raw and less means."""
    draw: Any = _drawing("pair_curve_figure")
    raw, centred = values.profile(pair, "raw").curve(), values.profile(pair, "mean").curve()
    x, y = (f"{column.network} · {column.layer}" for column in pair)
    figure: Figure = draw(raw, centred, x, y)
    return _shown(figure)


def _shown(figure: "Figure") -> "Figure":
    """Have notebooks show a figure also where nobody has imported pyplot, which tells them how."""
    figure.__dict__["_repr_png_"] = partial(_repr_png_, figure)
    return figure


def _repr_png_(figure: "Figure") -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def html_of(compared: Compared) -> str:
    """Return what was compared, and what to ask for, as HTML."""
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(layer.name)}</td><td>{html.escape(layer.kind)}</td>"
        f"<td>{layer.neurons:,}</td><td>{layer.positions:,}</td></tr>"
        for name, layers in compared.layers.items()
        for layer in layers
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in compared.notes)
    return (
        f"<p>{html.escape(compared.sentence())}</p>{f'<ul>{notes}</ul>' if notes else ''}"
        "<p>Ask it: <code>.heatmap('cka')</code>, <code>.similarity(0.3)</code>, "
        "<code>.profile(x, y)</code>, <code>.to_frame()</code>, <code>.save(path)</code>.</p>"
        "<details><summary>Layers</summary><table>"
        "<tr><th>network</th><th>layer</th><th>kind</th><th>neurons</th><th>positions</th></tr>"
        f"{rows}</table></details>"
    )
