"""Rows of measures from the values of a finished plan: null, p, error, held-out value, and growth."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from spanmatch.measures import measure_named
from spanmatch.reporting import GrowthRow, MeasureRow
from spanmatch.statistics import Test, family_wise, jackknife_error
from tasks.measures import MeasureName, MeasureRecord
from tasks.unit import Done
from tasks.wanted import Wanted


def measure_rows(wanted: Wanted, measures: Mapping[MeasureName, Done]) -> Iterator[MeasureRow]:
    """Yield a row for each measure, parameter, centre and pair of layers."""
    family = _family_wise(measures)
    for name, done in measures.items():
        record: MeasureRecord = done.record
        test = _test(wanted, name, record)
        yield MeasureRow(
            **_columns(name),
            value=record["value"],
            samples=record["samples"],
            null_mean=test.null_mean if test else None,
            threshold=test.threshold if test else None,
            p=test.p if test else None,
            p_family=family.get(name),
            calibrated=test.calibrated if test else None,
            permutations=len(record["null"]),
            level=wanted.level if test else None,
            error=_error(record),
            held_out=record["held_out"],
            folds=len(record["without"]),
            reason=record["reason"] or (test.reason if test else ""),
        )


def growth_rows(wanted: Wanted, measures: Mapping[MeasureName, Done]) -> Iterator[GrowthRow]:
    """Yield a row for each number of first folds, and one for all images, of each measure."""
    counts = [number for kind, number in wanted.resamples if kind == "first"]
    total = wanted.segments[-1][1]
    images = [sum(-(-(total - fold) // wanted.folds) for fold in range(count)) for count in counts]
    if not counts:
        return
    for name, done in measures.items():
        record: MeasureRecord = done.record
        if not record["first"]:  # of a grid
            continue
        values = [*record["first"], record["value"]]
        for count, value in zip([*images, total], values, strict=True):
            yield GrowthRow(**_columns(name), images=count, value=value)


def _columns(name: MeasureName) -> dict[str, Any]:
    compared = name.pair.compared
    return {
        "layer_x": name.pair.layer_x,
        "layer_y": name.pair.layer_y,
        "checkpoint_x": compared.x.label,
        "checkpoint_y": compared.y.label,
        "measure": name.measure,
        "parameter": name.parameter,
        "centre": name.centre,
    }


def _test(wanted: Wanted, name: MeasureName, record: MeasureRecord) -> Test | None:
    if not record["null"]:
        return None
    measure = measure_named(name.measure)
    return Test.of(
        record["value"],
        record["null"],
        wanted.level,
        higher=measure.higher_is_closer,
        greatest=measure.bounds[1],
        reason=record["reason"],
    )


def _error(record: MeasureRecord) -> float | None:
    without = [value for value in record["without"] if value is not None]
    if not without or len(without) < len(record["without"]) or record["value"] is None:
        return None
    return float(jackknife_error(without))


def _family_wise(measures: Mapping[MeasureName, Done]) -> dict[MeasureName, float]:
    """Return p over all pairs of layers of each pair of networks, of those with values under all draws."""
    families: dict[Any, list[MeasureName]] = defaultdict(list)
    for name, done in measures.items():
        record: MeasureRecord = done.record
        if record["null"] and None not in (record["value"], *record["null"]):
            family = name.pair.compared, name.centre, name.measure, name.parameter
            families[family].append(name)
    found: dict[MeasureName, float] = {}
    for names in families.values():
        values = [measures[name].record["value"] for name in names]
        nulls: Sequence[Sequence[float]] = [measures[name].record["null"] for name in names]
        higher = measure_named(names[0].measure).higher_is_closer
        p = family_wise(np.array(values), np.array(nulls), higher=higher)
        found |= dict(zip(names, p.tolist(), strict=True))
    return found
