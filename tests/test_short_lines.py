"""Long lines of figures inside a page, written short."""

import re

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from spanmatch.reporting.embed import inline_svg


def test_a_line_of_many_points_is_written_short_and_stays_where_it_was():
    corners = np.sort(np.random.default_rng(0).uniform(0, 1, (300, 2)), axis=0)
    steps = np.column_stack([np.repeat(corners[:, 0], 2)[1:], np.repeat(corners[:, 1], 2)[:-1]])
    figure = Figure(figsize=(4, 3))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    with mpl.rc_context({"path.simplify": False}):  # which leaves out corners itself
        ax.add_collection(LineCollection([steps]))
    svg = inline_svg(figure, alt="", prefix="line", colours=())
    (line,) = re.findall(r' d="(M[^"]{1500,})"', svg)
    places = [(float(number), float(other)) for number, other in re.findall(r"^M(\S+) ([\d.]+)", line)]
    for kind, first, second in re.findall(r"([hvl])(-?[\d.]+)(?: (-?[\d.]+))?", line):
        x, y = places[-1]
        across, down = (first, second) if kind == "l" else (first, 0) if kind == "h" else (0, first)
        places.append((x + float(across), y + float(down)))
    drawn = np.array(places)
    assert len(drawn) > 400
    expected = np.column_stack([288 * corners[:, 0], 216 * (1 - corners[:, 1])])
    # every corner lies on the line, to a tenth of a point
    distances = np.abs(expected[:, None, :] - drawn[None, :, :]).max(axis=2).min(axis=1)
    assert distances.max() <= 0.051
