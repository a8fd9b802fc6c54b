"""Means, ranges and orders that figures, tables and sentences share."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from spanmatch.errors import InputValueError
from spanmatch.reporting.results import EpochRow, SimilarityRow, StudyResults

__all__ = [
    "GroupSimilarity",
    "compared_pairs",
    "group_names",
    "group_pairs",
    "group_similarities",
    "middle",
    "middle_epsilon",
    "simple_match_sizes",
    "study_epsilons",
    "training_histories",
]

Labels = tuple[str, str]


@dataclass(frozen=True)
class GroupSimilarity:
    """Maximum match similarity of one layer at one epsilon, over the pairs of one group."""

    layer: str
    group: str
    epsilon: float
    mean: float
    minimum: float
    maximum: float
    pairs: int
    neurons: tuple[int, int]
    """Smallest and largest number of neurons of a network in this layer."""
    samples: int
    """Smallest number of samples of a pair."""


def study_epsilons(results: StudyResults) -> tuple[float, ...]:
    """Return the epsilons of a study, ascending."""
    return tuple(sorted({row.epsilon for row in results.similarity}))


def middle_epsilon(results: StudyResults) -> float:
    """Return the middle epsilon of a study."""
    return middle(study_epsilons(results))


def middle(values: Sequence[float]) -> float:
    """Return the median of ascending values, the lower one of two."""
    return values[(len(values) - 1) // 2]


def group_names(results: StudyResults) -> tuple[str, ...]:
    """Return the groups of a study in order of appearance."""
    return tuple(dict.fromkeys(comparison.group for comparison in results.comparisons))


def group_pairs(results: StudyResults, group: str) -> tuple[Labels, ...]:
    """Return the pairs of checkpoints that a group averages over, each once."""
    pairs = ((c.checkpoint_x, c.checkpoint_y) for c in results.comparisons if c.group == group)
    return tuple(dict.fromkeys(pairs))


def compared_pairs(results: StudyResults) -> tuple[Labels, ...]:
    """Return the pairs of checkpoints of a study, each once even where several groups hold it."""
    return tuple(dict.fromkeys((c.checkpoint_x, c.checkpoint_y) for c in results.comparisons))


def training_histories(results: StudyResults) -> dict[str, tuple[EpochRow, ...]]:
    """Return the epochs of every trained network, ascending; networks in order of appearance."""
    histories: dict[str, list[EpochRow]] = defaultdict(list)
    for row in results.training:
        histories[row.network].append(row)
    return {network: tuple(sorted(rows, key=lambda row: row.epoch)) for network, rows in histories.items()}


def group_similarities(results: StudyResults) -> dict[tuple[str, str, float], GroupSimilarity]:
    """Return mean and range of similarity by (layer, group, epsilon), in that order.

    Raises
    ------
    ValueError
        If a layer of a pair lacks an epsilon of the study.
    """
    rows = {(row.layer, (row.checkpoint_x, row.checkpoint_y), row.epsilon): row for row in results.similarity}
    summaries = {}
    for layer, group, epsilon in product(results.layers, group_names(results), study_epsilons(results)):
        keys = [(layer, pair, epsilon) for pair in group_pairs(results, group)]
        for key in keys:
            if key not in rows:
                raise InputValueError(
                    "`results.similarity` must hold every layer, pair and epsilon of the study, got none for "
                    f"layer {layer!r}, pair {key[1]!r}, epsilon {epsilon:g}; run the study to its end"
                )
        summaries[layer, group, epsilon] = _summarise(group, [rows[key] for key in keys])
    return summaries


def _summarise(group: str, rows: Sequence[SimilarityRow]) -> GroupSimilarity:
    values = [row.similarity for row in rows]
    neurons = [count for row in rows for count in (row.neurons_x, row.neurons_y)]
    return GroupSimilarity(
        layer=rows[0].layer,
        group=group,
        epsilon=rows[0].epsilon,
        mean=float(np.mean(values)),
        minimum=min(values),
        maximum=max(values),
        pairs=len(rows),
        neurons=(min(neurons), max(neurons)),
        samples=min(row.samples for row in rows),
    )


def simple_match_sizes(results: StudyResults) -> dict[tuple[str, str, float], tuple[int, ...]]:
    """Return the sizes |x| + |y| of the simple matches by (layer, group, epsilon), ascending.

    The pairs of a group are taken together. A simple match can be minimal for several of its neurons, and so
    be found several times; it counts once.
    """
    groups: dict[Labels, list[str]] = defaultdict(list)
    for group in group_names(results):
        for pair in group_pairs(results, group):
            groups[pair].append(group)
    distinct = {
        (row.layer, (row.checkpoint_x, row.checkpoint_y), row.epsilon, frozenset(row.x), frozenset(row.y))
        for row in results.simple_matches
    }
    sizes: dict[tuple[str, str, float], list[int]] = defaultdict(list)
    for layer, pair, epsilon, x, y in distinct:
        for group in groups[pair]:
            sizes[layer, group, epsilon].append(len(x) + len(y))
    return {key: tuple(sorted(values)) for key, values in sizes.items()}
