"""Grids of layers: the mean of a measure of every layer of one network with every layer of another."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spanmatch.reporting.memo import once_for_results
from spanmatch.reporting.results import MeasureRow, StudyResults
from spanmatch.reporting.standing import clears_null

__all__ = ["Grid", "GridGroup", "study_grids"]

MeasureAt = tuple[str, float | None, str]
"""Measure, parameter, centre."""


@dataclass(frozen=True)
class Grid:
    """One measure of all pairs of layers, over the pairs of networks of one group."""

    means: NDArray[np.float64]
    """(layers of x, layers of y): over the pairs that have a value, NaN where none has."""
    hollow: NDArray[np.bool_]
    """Which do not clear their null: a pair of networks or more has p above the level."""


@dataclass(frozen=True)
class GridGroup:
    """Comparisons whose grids are averaged: of one group, and of networks of the same two studies."""

    group: str
    studies: tuple[str, str]
    """Names of the other studies that the networks of either side are of; empty for the study itself."""
    layers_x: tuple[str, ...]
    layers_y: tuple[str, ...]
    pairs: int
    """Of networks."""
    grids: Mapping[MeasureAt, Grid]

    def grid(self, at: MeasureAt) -> Grid:
        """Return the grid of a measure; an empty one where it was not asked for."""
        shape = len(self.layers_x), len(self.layers_y)
        return self.grids.get(at) or Grid(np.full(shape, np.nan), np.zeros(shape, dtype=bool))

    @property
    def title(self) -> str:
        """The group, and the studies where there are others."""
        x, y = (study or "this study" for study in self.studies)
        return f"{self.group}, {x} ~ {y}" if any(self.studies) else self.group


@once_for_results
def study_grids(results: StudyResults) -> tuple[GridGroup, ...]:
    """Return the grids of a study, in order of appearance; none where it compares no further layers."""
    looked_into = frozenset(results.layers)
    if all(row.layers in looked_into for row in results.measures):
        return ()
    groups: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for comparison in results.comparisons:
        groups[comparison.checkpoint_x, comparison.checkpoint_y][comparison.group] = None
    rows: dict[tuple[str, tuple[str, str]], list[MeasureRow]] = defaultdict(list)
    for row in results.measures:
        for group in groups[row.checkpoint_x, row.checkpoint_y]:
            rows[group, (_study(row.checkpoint_x), _study(row.checkpoint_y))].append(row)
    return tuple(_grid_group(*key, of_group) for key, of_group in rows.items())


def _study(checkpoint: str) -> str:
    return checkpoint.rpartition("/")[0]


def _grid_group(group: str, studies: tuple[str, str], rows: Iterable[MeasureRow]) -> GridGroup:
    cells: dict[MeasureAt, dict[tuple[str, str], list[MeasureRow]]] = defaultdict(lambda: defaultdict(list))
    layers_x, layers_y, pairs = dict[str, int](), dict[str, int](), set()
    for row in rows:
        cells[row.measure, row.parameter, row.centre][row.layer_x, row.layer_y].append(row)
        layers_x.setdefault(row.layer_x, len(layers_x))
        layers_y.setdefault(row.layer_y, len(layers_y))
        pairs.add((row.checkpoint_x, row.checkpoint_y))
    grids = {at: _grid(of_measure, layers_x, layers_y) for at, of_measure in cells.items()}
    return GridGroup(group, studies, tuple(layers_x), tuple(layers_y), len(pairs), grids)


def _grid(
    cells: Mapping[tuple[str, str], list[MeasureRow]],
    layers_x: Mapping[str, int],
    layers_y: Mapping[str, int],
) -> Grid:
    means = np.full((len(layers_x), len(layers_y)), np.nan)
    hollow = np.zeros(means.shape, dtype=bool)
    for (x, y), rows in cells.items():
        place = layers_x[x], layers_y[y]
        values = [row.value for row in rows if row.value is not None]
        if values:
            means[place] = np.mean(values)
            hollow[place] = clears_null(rows) is False
    return Grid(means, hollow)
