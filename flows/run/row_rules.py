"""Rules that rows of result files must keep beyond their types: people may edit these files."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

from spanmatch.matching.centring import CENTRES
from spanmatch.matching.checks import EPSILON_RANGE, is_epsilon
from spanmatch.measures import MEASURES
from spanmatch.reporting import (
    CoverRow,
    EpochRow,
    EssentialRow,
    GrowthRow,
    MeasureRow,
    NetworkRow,
    SimilarityRow,
    SimpleMatchRow,
)

Rule: TypeAlias = tuple[str, str, Callable[[Any], bool]]


@dataclass(frozen=True)
class _Rules:
    """Of one kind of row: the columns that tell rows apart, and what others must be."""

    key: tuple[str, ...]
    columns: tuple[Rule, ...]


def _share(column: str) -> Rule:
    return column, "in [0, 1]", lambda row: 0 <= getattr(row, column) <= 1


def _share_or_empty(column: str) -> Rule:
    return column, "in [0, 1], or empty", lambda row: _is_empty_or(getattr(row, column), 0, 1)


def _at_least(column: str, least: int) -> Rule:
    return column, f"finite and at least {least}", lambda row: least <= getattr(row, column) < math.inf


def _indices(column: str) -> Rule:
    return column, "indices, from 0", lambda row: min(getattr(row, column), default=0) >= 0


def _part(column: str, whole: str) -> Rule:
    return (
        column,
        f"between 0 and `{whole}`",
        lambda row: 0 <= getattr(row, column) <= getattr(row, whole),
    )


def _is_neuron(side: str, index: int) -> bool:
    return side in ("x", "y") and index >= 0


def _has_its_parameter(row: MeasureRow | GrowthRow) -> bool:
    known = MEASURES.get(row.measure)
    in_range = row.parameter is None or is_epsilon(row.parameter)
    return in_range and (known is None or (known.parameter is None) == (row.parameter is None))


def _in_bounds(column: str) -> Rule:
    return (
        column,
        "within the measure's bounds, or empty",
        lambda row: _is_empty_or(getattr(row, column), *_bounds(row.measure)),
    )


def _bounds(measure: str) -> tuple[float, float]:
    return MEASURES[measure].bounds if measure in MEASURES else (-math.inf, math.inf)


def _is_empty_or(value: float | None, low: float, high: float) -> bool:
    return value is None or (math.isfinite(value) and low <= value <= high)


def _of_permutations(column: str) -> Rule:
    """Of a share that only permutations give."""
    return (
        column,
        "in [0, 1], or empty, as it must be without permutations",
        lambda row: _is_empty_or(getattr(row, column), 0, 1 if row.permutations else -1),
    )


_CENTRE: Rule = ("centre", f"one of {', '.join(CENTRES)}", lambda row: row.centre in CENTRES)
_PARAMETER: Rule = (
    "parameter",
    f"an ε, {EPSILON_RANGE}, for a measure that has one, and empty otherwise",
    _has_its_parameter,
)
_EPSILON: Rule = ("epsilon", EPSILON_RANGE, lambda row: is_epsilon(row.epsilon))
_OF_MEASURE = ("layer_x", "layer_y", "checkpoint_x", "checkpoint_y", "measure", "parameter", "centre")
_RULES: dict[type[object], _Rules] = {
    SimilarityRow: _Rules(
        ("layer", "checkpoint_x", "checkpoint_y", "centre", "epsilon"),
        (
            _CENTRE,
            _EPSILON,
            _share("similarity"),
            _at_least("samples", 0),
            *(_at_least(f"neurons_{side}", 1) for side in "xy"),
            *(_part(f"{of}_x", "neurons_x") for of in ("matched", "dead", "offset")),
            *(_part(f"{of}_y", "neurons_y") for of in ("matched", "dead", "offset")),
            (
                "uncertain",
                "between 0 and all neurons of both sides",
                lambda row: 0 <= row.uncertain <= row.neurons_x + row.neurons_y,
            ),
            (
                "low",
                "from 0 to `similarity`, or empty",
                lambda row: _is_empty_or(row.low, 0, row.similarity),
            ),
            (
                "high",
                "from `similarity` to 1, or empty",
                lambda row: _is_empty_or(row.high, row.similarity, 1),
            ),
        ),
    ),
    SimpleMatchRow: _Rules(
        ("layer", "checkpoint_x", "checkpoint_y", "centre", "epsilon", "neuron"),
        (
            _CENTRE,
            _EPSILON,
            ("neuron", "a side, x or y, and an index from 0", lambda row: _is_neuron(*row.neuron)),
            *map(_indices, "xy"),
        ),
    ),
    MeasureRow: _Rules(
        _OF_MEASURE,
        (
            _PARAMETER,
            _CENTRE,
            *map(_in_bounds, ("value", "null_mean", "threshold")),
            *map(_of_permutations, ("p", "p_family")),
            _share_or_empty("calibrated"),
            _share_or_empty("level"),
            ("error", "finite and at least 0, or empty", lambda row: _is_empty_or(row.error, 0, math.inf)),
            (
                "held_out",
                "finite, or empty",
                lambda row: _is_empty_or(row.held_out, -math.inf, math.inf),
            ),
            ("folds", "0, or at least 2", lambda row: row.folds == 0 or row.folds >= 2),
            *(_at_least(column, 0) for column in ("samples", "permutations")),
        ),
    ),
    GrowthRow: _Rules(
        (*_OF_MEASURE, "images"),
        (_PARAMETER, _CENTRE, _at_least("images", 1), _in_bounds("value")),
    ),
    CoverRow: _Rules(
        ("layer", "checkpoint_x", "checkpoint_y", "centre", "epsilon"),
        (
            _CENTRE,
            _EPSILON,
            _at_least("orders", 1),
            _part("fewest", "most"),
            _share_or_empty("recurring"),
            ("permuted", "sizes, from 1", lambda row: min(row.permuted or (1,)) >= 1),
        ),
    ),
    EssentialRow: _Rules(
        ("layer", "checkpoint_x", "checkpoint_y", "centre", "epsilon"),
        (
            _CENTRE,
            _EPSILON,
            _at_least("neurons_x", 1),
            ("edges", "pairs of numbers, from 0", lambda row: min(chain(*row.edges), default=0) >= 0),
        ),
    ),
    NetworkRow: _Rules(
        ("network", "checkpoint"),
        (
            ("accuracy", "in [0, 1]", lambda row: row.accuracy is None or 0 <= row.accuracy <= 1),
            ("loss", "at least 0", lambda row: row.loss is None or not row.loss < 0),
            ("epoch", "at least 0", lambda row: row.epoch is None or row.epoch >= 0),
        ),
    ),
    EpochRow: _Rules(
        ("network", "epoch"),
        (
            _at_least("epoch", 1),
            *(_at_least(column, 0) for column in ("learning_rate", "training_loss", "held_out_loss")),
            _share("accuracy"),
        ),
    ),
}


def broken_rule(rows: Sequence[object]) -> str | None:
    """Say in which row and column a file's rows make no sense, or None where they do."""
    seen: dict[object, int] = {}
    for number, row in enumerate(rows, 1):
        rules = _RULES[type(row)]
        for column, rule, holds in rules.columns:
            if not holds(row):
                return f"{place(number, column)} must be {rule}, got {getattr(row, column)!r}"
        key = tuple(getattr(row, column) for column in rules.key)
        first = seen.setdefault(key, number)
        if first != number:
            columns = ", ".join(f"{column!r}" for column in rules.key)
            return f"row {number} must differ from row {first} in {columns}, got the same values"
    return None


def negative_count(ledger: Mapping[str, Mapping[str, int]]) -> str | None:
    """Say which number of a ledger counts nothing, or None where all do."""
    for stage, counts in ledger.items():
        for name, count in counts.items():
            if count < 0:
                return f"{name!r} of {stage!r} must be at least 0, got {count}"
    return None


def place(number: int, column: str) -> str:
    """Name a cell: rows are counted from 1, without the header."""
    return f"row {number}, column {column!r}"
