"""Means, ranges and orders that figures, tables and sentences share."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from spanmatch.errors import InputValueError
from spanmatch.reporting.memo import once_for_results
from spanmatch.reporting.results import EpochRow, SimilarityRow, StudyResults
from spanmatch.reporting.standing import Spread, Standing, measure_groups, standing_of

__all__ = [
    "GroupSimilarity",
    "SimilarityKey",
    "centre_name",
    "compared_pairs",
    "group_names",
    "group_pairs",
    "group_similarities",
    "middle",
    "middle_epsilon",
    "simple_match_sizes",
    "study_centres",
    "study_epsilons",
    "training_histories",
]

Labels = tuple[str, str]
SimilarityKey = tuple[str, str, str, float]
"""Layer, group, centre, epsilon."""

_CENTRES = {"raw": "raw", "mean": "centred"}


@dataclass(frozen=True)
class GroupSimilarity(Spread):
    """Maximum match similarity of one layer at one centre and epsilon, over the pairs of one group."""

    layer: str
    group: str
    centre: str
    epsilon: float
    neurons: tuple[int, int]
    """Smallest and largest number of neurons of a network in this layer."""
    samples: int
    """Smallest number of samples of a pair."""
    uncertain: int
    """Neurons of all pairs of which rounding or an unclear rank decides whether they match."""
    low: float
    """Mean over the pairs without their uncertain neurons."""
    high: float
    """Mean over the pairs with all of them."""


def study_epsilons(results: StudyResults) -> tuple[float, ...]:
    """Return the epsilons of a study, ascending."""
    found = {row.epsilon for row in results.similarity} or {
        row.parameter for row in results.measures if row.parameter is not None
    }
    return tuple(sorted(found))


def study_centres(results: StudyResults) -> tuple[str, ...]:
    """Return the centres of a study, ``raw`` first."""
    found = {row.centre for row in results.similarity} or {
        row.centre for row in results.measures if row.measure == "maximum-match"
    }
    return tuple(sorted(found, key=["raw", "mean"].index))


def centre_name(results: StudyResults, centre: str) -> str:
    """Name a centre for people; empty where all of a study is raw, and there is nothing to tell apart."""
    return "" if study_centres(results) == ("raw",) else _CENTRES[centre]


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


@once_for_results
def group_similarities(results: StudyResults) -> dict[SimilarityKey, GroupSimilarity]:
    """Return mean and range of similarity by (layer, group, centre, epsilon), in that order.

    Raises
    ------
    ValueError
        If a layer of a pair lacks a centre or an epsilon of the study.
    """
    rows = {
        (row.layer, (row.checkpoint_x, row.checkpoint_y), row.centre, row.epsilon): row
        for row in results.similarity
    }
    measured = measure_groups(results)
    summaries = {}
    for layer, group, centre, epsilon in product(
        results.layers, group_names(results), study_centres(results), study_epsilons(results)
    ):
        keys = [(layer, pair, centre, epsilon) for pair in group_pairs(results, group)]
        for key in keys:
            if key not in rows:
                raise InputValueError(
                    "`results.similarity` must hold every layer, pair, centre and epsilon of the study, got "
                    f"none for layer {layer!r}, pair {key[1]!r}, centre {centre!r}, epsilon {epsilon:g}; run "
                    "the study to its end"
                )
        standing = standing_of(measured.get(("maximum-match", epsilon, centre, layer, group), ()))
        found = [rows[key] for key in keys]
        summaries[layer, group, centre, epsilon] = _summarise(group, found, standing)
    return summaries


def _summarise(group: str, rows: Sequence[SimilarityRow], standing: Standing) -> GroupSimilarity:
    values = [row.similarity for row in rows]
    neurons = [count for row in rows for count in (row.neurons_x, row.neurons_y)]
    return GroupSimilarity(
        layer=rows[0].layer,
        group=group,
        centre=rows[0].centre,
        epsilon=rows[0].epsilon,
        mean=float(np.mean(values)),
        minimum=min(values),
        maximum=max(values),
        pairs=len(rows),
        neurons=(min(neurons), max(neurons)),
        samples=min(row.samples for row in rows),
        uncertain=sum(row.uncertain for row in rows),
        low=float(np.mean([row.similarity if row.low is None else row.low for row in rows])),
        high=float(np.mean([row.similarity if row.high is None else row.high for row in rows])),
        standing=standing,
    )


@once_for_results
def simple_match_sizes(results: StudyResults) -> dict[SimilarityKey, tuple[int, ...]]:
    """Return the sizes |x| + |y| of the simple matches by (layer, group, centre, epsilon), ascending.

    The pairs of a group are taken together. A simple match can be minimal for several of its neurons, and so
    be found several times; it counts once.
    """
    groups: dict[Labels, list[str]] = defaultdict(list)
    for group in group_names(results):
        for pair in group_pairs(results, group):
            groups[pair].append(group)
    distinct = {
        (
            row.layer,
            (row.checkpoint_x, row.checkpoint_y),
            row.centre,
            row.epsilon,
            frozenset(row.x),
            frozenset(row.y),
        )
        for row in results.simple_matches
    }
    sizes: dict[SimilarityKey, list[int]] = defaultdict(list)
    for layer, pair, centre, epsilon, x, y in distinct:
        for group in groups[pair]:
            sizes[layer, group, centre, epsilon].append(len(x) + len(y))
    return {key: tuple(sorted(values)) for key, values in sizes.items()}
