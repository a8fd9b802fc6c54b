"""The figures of docs/ that the code makes: `python -m docs.site.figures runs/digits`, after `make run`.

Those of docs/reproduction.md are `digits.png` of the root of a longer study.
"""

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import spanmatch
from spanmatch.reporting.along_layers import similarity_figure
from spanmatch.reporting.theme import INK, MUTED, group_colour, style_axes

_DOCS = Path(__file__).parent.parent


def start_names() -> dict[str, Any]:
    """Return what the first section of docs/start.md has computed: its arrays and their profile."""
    names: dict[str, Any] = {}
    section = (_DOCS / "start.md").read_text(encoding="utf-8").partition("## Two networks")[0]
    with contextlib.redirect_stdout(io.StringIO()):
        for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
            exec(block, names)  # noqa: S102 - a page of this repository
    return names


def curve_figure(null: spanmatch.Null) -> Figure:
    """Draw the similarity of two layers over ε, and that of each permutation."""
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    ax = figure.add_subplot()
    epsilons, similarities, under = null.curve()
    steps = np.concatenate(([0.0], epsilons, [1.0]))

    def draw(heights: Any, **style: Any) -> None:  # noqa: ANN401 - matplotlib's
        ax.plot(steps, np.concatenate(([0.0], heights, heights[-1:])), drawstyle="steps-post", **style)

    for number, each in enumerate(under):
        draw(each, color=MUTED, linewidth=0.7, label="_" if number else "samples permuted")
    draw(similarities, color=group_colour(0), linewidth=2.2, label="observed")
    style_axes(ax)
    ax.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="tolerance ε", ylabel="maximum match similarity")
    ax.legend(frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(0.15, 0.6))
    return figure


def main(root: str) -> None:
    """Write both figures beside the pages that show them."""
    names = start_names()
    curve_figure(spanmatch.null(names["x"], names["y"])).savefig(_DOCS / "curve.png", dpi=150)
    similarity_figure(spanmatch.open_root(root).results).savefig(_DOCS / "digits.png", dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
