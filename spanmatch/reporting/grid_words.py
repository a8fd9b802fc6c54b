"""What a report says in words of grids of layers."""

import numpy as np

from spanmatch.reporting.grids import Grid, GridGroup, study_grids
from spanmatch.reporting.names import count_of
from spanmatch.reporting.results import StudyResults

__all__ = ["grid_sentences", "layers_compared"]


def layers_compared(results: StudyResults) -> str:
    """Say how many layers are compared, and how many further pairs of them."""
    layers = count_of(len(results.layers), "layer") if results.layers else ""
    further = {row.layers for row in results.measures} - set(results.layers)
    grid = f"{count_of(len(further), 'further pair' if layers else 'pair')} of layers" if further else ""
    return " and ".join(filter(None, (layers, grid)))


def grid_sentences(results: StudyResults) -> list[str]:
    """Say of each grid by linear CKA how many layers find themselves, or which two are closest."""
    sentences = []
    for group in study_grids(results):
        grid = group.grids.get(("linear-cka", None, "mean"))
        if grid is not None and np.isfinite(grid.means).any():
            over = f"{count_of(group.pairs, 'pair')} of group \u201c{group.title}\u201d"
            sentences.append(f"By linear CKA, over {over}, {_closest(group, grid)}{_cleared(results, grid)}.")
    return sentences


def _closest(group: GridGroup, grid: Grid) -> str:
    means = np.where(np.isfinite(grid.means), grid.means, -np.inf)
    if group.layers_x == group.layers_y:
        known = np.isfinite(grid.means).any(axis=1)
        own = int(np.count_nonzero(known & (means.argmax(axis=1) == np.arange(len(means)))))
        layers = count_of(int(np.count_nonzero(known)), "layer")
        return f"{own} of {layers} are closest to the layer of their own name"
    x, y = np.unravel_index(int(means.argmax()), means.shape)
    return f"the closest layers are {group.layers_x[x]} and {group.layers_y[y]} ({means[x, y]:.2f})"


def _cleared(results: StudyResults, grid: Grid) -> str:
    if all(row.p is None for row in results.measures):
        return ""
    known = np.isfinite(grid.means)
    clear, all_ = int(np.count_nonzero(known & ~grid.hollow)), int(np.count_nonzero(known))
    return f"; {clear:,} of {count_of(all_, 'pair')} of layers clear their null"
