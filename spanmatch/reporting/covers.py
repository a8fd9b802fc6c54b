"""Covers of the maximum match by simple matches, and essential neurons, over the pairs of a group."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spanmatch.reporting.aggregate import SimilarityKey, group_names, group_pairs, simple_match_sizes
from spanmatch.reporting.results import CoverRow, EssentialRow, StudyResults

__all__ = ["Cover", "Essentials", "cover_sizes", "group_covers", "group_essentials", "span_text"]


@dataclass(frozen=True)
class Cover:
    """Simple matches of one layer over the pairs of a group, and how free their choice is."""

    fewest: int
    """Over the orders of searching, the reported one included; sum over the pairs."""
    most: int
    orders: int
    recurring: float | None
    """Mean over the pairs that match; None where none does."""
    permuted: tuple[int, ...] | None = None
    """Sizes of the simple matches with images permuted, all pairs together; None where they are not known."""

    @property
    def text(self) -> str:
        """Its range in figures and tables."""
        return span_text(self.fewest, self.most)


@dataclass(frozen=True)
class Essentials:
    """Essential neurons of one layer, each a range over the pairs of a group."""

    neurons: tuple[int, int]
    """Neurons for which another one is essential."""
    components: tuple[int, int]
    """Strongly connected components of two neurons or more: each needs each."""
    largest: tuple[int, int]
    """Neurons of the largest of them."""


def span_text(low: int, high: int) -> str:
    """Write a range of counts, or the one count that it holds."""
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def group_covers(results: StudyResults) -> dict[SimilarityKey, Cover]:
    """Return how free simple matches are by (layer, group, centre, epsilon); none where it is not known."""
    reported = {key: len(sizes) for key, sizes in simple_match_sizes(results).items()}
    return {
        key: _cover([results.covers[row] for row in rows], reported.get(key, 0))
        for key, rows in _rows_by_group(results, results.covers).items()
    }


def cover_sizes(results: StudyResults) -> dict[SimilarityKey, tuple[tuple[int, ...], ...]]:
    """Return the sizes |x| + |y| of the simple matches of each order's covers, the pairs taken together."""
    return {
        key: tuple(
            tuple(size for sizes in of_order for size in sizes)
            for of_order in zip(*(results.covers[row].sizes for row in rows), strict=False)
        )
        for key, rows in _rows_by_group(results, results.covers).items()
    }


def _cover(rows: Sequence[CoverRow], reported: int) -> Cover:
    recurring = [row.recurring for row in rows if row.recurring is not None]
    return Cover(
        fewest=min(sum(row.fewest for row in rows), reported),
        most=max(sum(row.most for row in rows), reported),
        orders=min(row.orders for row in rows),
        recurring=sum(recurring) / len(recurring) if recurring else None,
        permuted=_permuted(rows),
    )


def _permuted(rows: Sequence[CoverRow]) -> tuple[int, ...] | None:
    sizes = [row.permuted for row in rows if row.permuted is not None]
    return tuple(chain.from_iterable(sizes)) if len(sizes) == len(rows) else None


def group_essentials(results: StudyResults) -> dict[SimilarityKey, Essentials]:
    """Return essential neurons by (layer, group, centre, epsilon); none where they are not known."""
    counts = _count(results.essential)
    return {
        key: Essentials(*((int(column.min()), int(column.max())) for column in counts[:, rows]))
        for key, rows in _rows_by_group(results, results.essential).items()
    }


def _rows_by_group(
    results: StudyResults, rows: Sequence[CoverRow | EssentialRow]
) -> dict[SimilarityKey, list[int]]:
    """Return the places of the rows of each group's pairs."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for group in group_names(results):
        for pair in group_pairs(results, group):
            groups[pair].append(group)
    found: dict[SimilarityKey, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        for group in groups[row.checkpoint_x, row.checkpoint_y]:
            found[row.layer, group, row.centre, row.epsilon].append(place)
    return found


def _count(rows: Sequence[EssentialRow]) -> NDArray[np.int64]:
    """Count of each row neurons that depend on another, components, and the largest one's neurons.

    Returns
    -------
    ndarray (3, rows)
        All from one graph, in which rows lie apart: a study has thousands.
    """
    edges = [np.array(row.edges, dtype=np.int64).reshape(-1, 2) for row in rows]
    starts = np.cumsum([0, *(int(own.max(initial=-1)) + 1 for own in edges)])
    together = np.concatenate([np.empty((0, 2), np.int64), *map(np.add, edges, starts)])
    sources, targets = together[together[:, 0] != together[:, 1]].T
    nodes = int(starts[-1])
    row_of_node = np.repeat(np.arange(len(rows)), np.diff(starts))
    counts = np.zeros((3, len(rows)), dtype=np.int64)
    if nodes:
        counts[0] = np.bincount(row_of_node[np.unique(targets)], minlength=len(rows))
        graph = coo_array((np.ones(len(sources)), (sources, targets)), shape=(nodes, nodes))
        _, labels = connected_components(graph, directed=True, connection="strong")
        _, first, sizes = np.unique(labels, return_index=True, return_counts=True)
        strong = sizes > 1
        row_of_component = row_of_node[first[strong]]
        counts[1] = np.bincount(row_of_component, minlength=len(rows))
        np.maximum.at(counts[2], row_of_component, sizes[strong])
    return counts
