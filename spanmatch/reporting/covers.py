"""Covers of the maximum match by simple matches, and essential neurons, over the pairs of a group."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spanmatch.reporting.aggregate import SimilarityKey, group_names, group_pairs, simple_match_sizes
from spanmatch.reporting.results import CoverRow, EssentialRow, StudyResults

__all__ = ["Cover", "Essentials", "group_covers", "group_essentials", "span_text"]


class _Row(Protocol):
    @property
    def layer(self) -> str: ...
    @property
    def checkpoint_x(self) -> str: ...
    @property
    def checkpoint_y(self) -> str: ...
    @property
    def centre(self) -> str: ...
    @property
    def epsilon(self) -> float: ...


Row = TypeVar("Row", bound=_Row)
Made = TypeVar("Made")


@dataclass(frozen=True)
class Cover:
    """Simple matches of one layer over the pairs of a group, and how free their choice is."""

    fewest: int
    """Over the orders of searching, the reported one included; sum over the pairs."""
    most: int
    orders: int
    recurring: float | None
    """Mean over the pairs that match; None where none does."""

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
    covers = _by_group(results, results.covers, _cover)
    for key, cover in covers.items():
        count = reported.get(key, 0)
        covers[key] = Cover(min(cover.fewest, count), max(cover.most, count), cover.orders, cover.recurring)
    return covers


def group_essentials(results: StudyResults) -> dict[SimilarityKey, Essentials]:
    """Return essential neurons by (layer, group, centre, epsilon); none where they are not known."""
    return _by_group(results, results.essential, _essentials)


def _by_group(
    results: StudyResults, rows: Iterable[Row], make: Callable[[list[Row]], Made]
) -> dict[SimilarityKey, Made]:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for group in group_names(results):
        for pair in group_pairs(results, group):
            groups[pair].append(group)
    found: dict[SimilarityKey, list[Row]] = defaultdict(list)
    for row in rows:
        for group in groups[row.checkpoint_x, row.checkpoint_y]:
            found[row.layer, group, row.centre, row.epsilon].append(row)
    return {key: make(of_group) for key, of_group in found.items()}


def _cover(rows: list[CoverRow]) -> Cover:
    recurring = [row.recurring for row in rows if row.recurring is not None]
    return Cover(
        fewest=sum(row.fewest for row in rows),
        most=sum(row.most for row in rows),
        orders=min(row.orders for row in rows),
        recurring=sum(recurring) / len(recurring) if recurring else None,
    )


def _essentials(rows: list[EssentialRow]) -> Essentials:
    neurons, components, largest = zip(*(_counts(row) for row in rows), strict=True)
    return Essentials(*((min(counts), max(counts)) for counts in (neurons, components, largest)))


def _counts(row: EssentialRow) -> tuple[int, int, int]:
    """Count neurons that depend on another one, components, and the largest component of one pair."""
    edges = np.array(row.edges, dtype=np.int64).reshape(-1, 2)
    edges = edges[edges[:, 0] != edges[:, 1]]
    if not len(edges):
        return 0, 0, 0
    nodes, places = np.unique(edges, return_inverse=True)
    sources, targets = places.reshape(-1, 2).T
    graph = coo_array((np.ones(len(edges)), (sources, targets)), shape=(len(nodes), len(nodes)))
    _, labels = connected_components(graph, directed=True, connection="strong")
    sizes = np.bincount(labels)
    strong = sizes[sizes > 1]
    return len(np.unique(targets)), len(strong), int(strong.max(initial=0))
