"""What the explorer's page knows of a study: names in one document, numbers in arrays.

Arrays run over centres, pairs, layers and, where they have them, epsilons, the last fastest.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanmatch.reporting.aggregate import compared_pairs, group_names, study_centres, study_epsilons
from spanmatch.reporting.explorer.packed import Arrays, smallest, to_half, to_single, to_thousandths
from spanmatch.reporting.grids import study_grids
from spanmatch.reporting.measure_values import shown_measures
from spanmatch.reporting.names import shown_network, split_layers
from spanmatch.reporting.results import CriticalEpsilons, MeasureRow, SimilarityRow, StudyResults

__all__ = ["explored"]

_OF_MEASURE = ("error", "null_mean", "threshold", "p", "held_out")
_OF_SIMILARITY = ("low", "high")

Place = tuple[str, tuple[str, str], str]
"""Centre, pair, layer."""


def explored(results: StudyResults, arrays: Arrays) -> dict[str, Any]:
    """Return the document of a study, and add its numbers to `arrays`."""
    critical = {
        (one.centre, (one.checkpoint_x, one.checkpoint_y), one.layer): one
        for one in results.critical_epsilons
    }
    centres = study_centres(results)
    places = list(product(centres, compared_pairs(results), results.layers))
    found = [critical[place] for place in places if place in critical]
    if len(found) < len(places):
        places, found = [], []  # a grid alone
    arrays.add("sizes", smallest([(len(one.x), len(one.y)) for one in found]))
    arrays.add("critical", to_single(_joined([(one.x, one.y) for one in found]), study_epsilons(results)))
    _add_of_neurons(found, arrays)
    _add_standing(results, places, arrays)
    _add_matches(results, places, arrays)
    return {
        "study": results.study,
        "items": results.terms.items,
        "epsilons": study_epsilons(results),
        "centres": centres,
        "groups": group_names(results),
        "pairs": list(_pairs(results)),
        "layers": [(layer, *split_layers(layer)) for layer in (results.layers if places else ())],
        "grids": _grids(results, arrays),
    }


def _joined(sides: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> NDArray[np.float64]:
    return np.concatenate([np.empty(0), *(side for both in sides for side in both)])


def _pairs(results: StudyResults) -> Iterator[dict[str, Any]]:
    networks = {f"{row.network}-{row.checkpoint}": row for row in results.networks}
    for x, y in compared_pairs(results):
        groups = [
            place
            for place, group in enumerate(group_names(results))
            if any((c.checkpoint_x, c.checkpoint_y, c.group) == (x, y, group) for c in results.comparisons)
        ]
        known = [networks.get(label) for label in (x, y)]
        shown = [x, y]
        if known[0] and known[1] and known[0].checkpoint == known[1].checkpoint:
            shown = [shown_network(one.network) for one in known if one]
        yield {"x": x, "y": y, "groups": groups, "shown": shown}


def _add_of_neurons(found: Sequence[CriticalEpsilons], arrays: Arrays) -> None:
    errors = [one.errors for one in found if one.errors]
    if found and len(errors) == len(found):
        arrays.add("errors", to_half(_joined(errors)))
    held_out = [one.held_out for one in found if one.held_out]
    if found and len(held_out) == len(found):
        arrays.add("held_out", to_thousandths(_joined(held_out)))


def _add_standing(results: StudyResults, places: Sequence[Place], arrays: Arrays) -> None:
    """Add what is known of similarity at the study's epsilons; NaN where a value is not known."""
    index = {place: number for number, place in enumerate(places)}
    epsilons = {epsilon: number for number, epsilon in enumerate(study_epsilons(results))}
    columns = np.full((len(_OF_MEASURE + _OF_SIMILARITY), len(places), len(epsilons)), np.nan, np.float32)
    rows: list[MeasureRow | SimilarityRow] = [*results.similarity]
    rows += [row for row in results.measures if row.measure == "maximum-match" and row.parameter is not None]
    for row in rows:
        layer, epsilon, start, names = _told(row)
        place = index.get((row.centre, (row.checkpoint_x, row.checkpoint_y), layer))
        if place is not None:
            for number, name in enumerate(names, start):
                columns[number, place, epsilons[epsilon]] = getattr(row, name)
    for name, column in zip(_OF_MEASURE + _OF_SIMILARITY, columns, strict=True):
        if not np.isnan(column).all():
            arrays.add("similarity_held_out" if name == "held_out" else name, column)


def _told(row: MeasureRow | SimilarityRow) -> tuple[str, float, int, Sequence[str]]:
    if isinstance(row, SimilarityRow):
        return row.layer, row.epsilon, len(_OF_MEASURE), _OF_SIMILARITY
    assert row.parameter is not None
    return row.layers, row.parameter, 0, _OF_MEASURE


def _add_matches(results: StudyResults, places: Sequence[Place], arrays: Arrays) -> None:
    """Add the simple matches, each once, with the neurons for which it is minimal.

    Of each: how many there are of these, of its x and of its y; then the neurons of x and of y, and places
    among them of those for which it is minimal.
    """
    by_place: dict[tuple[Place, float], dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]]] = {}
    for row in results.simple_matches:
        key = (row.centre, (row.checkpoint_x, row.checkpoint_y), row.layer), row.epsilon
        side, neuron = row.neuron
        member = row.x.index(neuron) if side == "x" else len(row.x) + row.y.index(neuron)
        by_place.setdefault(key, {}).setdefault((row.x, row.y), []).append(member)
    counts, shapes, neurons, minimal = [], [], list[int](), list[int]()
    for key in product(places, study_epsilons(results)):
        of_place = by_place.get(key, {})
        counts.append(len(of_place))
        for (x, y), members in of_place.items():
            shapes.append((len(members), len(x), len(y)))
            neurons += [*x, *y]
            minimal += members
    arrays.add("match_counts", smallest(counts))
    arrays.add("match_shapes", smallest(shapes))
    arrays.add("match_neurons", smallest(neurons))
    arrays.add("match_minimal", smallest(minimal))


def _grids(results: StudyResults, arrays: Arrays) -> list[dict[str, Any]]:
    groups, measures = study_grids(results), shown_measures(results)
    means, hollow = list[NDArray[np.float64]](), list[NDArray[np.bool_]]()
    described = []
    for group in groups:
        at = [key for key in group.grids if key[0] == "maximum-match"]
        panels = [
            {"epsilon": epsilon, "centre": centre, "title": "similarity", "low": 0.0, "high": 1.0, "up": True}
            for _, epsilon, centre in at
        ]
        for one in measures:
            if one.name != "maximum-match" and (one.name, one.epsilon, one.centre) in group.grids:
                at.append((one.name, one.epsilon, one.centre))
                bounds = [float(bound) if np.isfinite(bound) else None for bound in one.bounds]
                low, high = bounds
                panels.append({"title": one.title, "low": low, "high": high, "up": one.higher_is_closer})
        means += [group.grids[key].means for key in at]
        hollow += [group.grids[key].hollow for key in at]
        described.append(
            {"title": group.title, "group": group.group, "x": group.layers_x, "y": group.layers_y}
            | {"pairs": group.pairs, "panels": panels}
        )
    if described:
        arrays.add("grid_means", np.concatenate([one.ravel() for one in means]).astype(np.float32))
        arrays.add("grid_hollow", np.concatenate([one.ravel() for one in hollow]).astype(np.uint8))
    return described
