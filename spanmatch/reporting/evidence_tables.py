"""Tables of every value with its null, p, error and held-out value, and of how simple matches hold up."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from spanmatch.reporting.aggregate import (
    GroupSimilarity,
    centre_name,
    group_names,
    group_similarities,
    middle_epsilon,
    study_centres,
    study_epsilons,
)
from spanmatch.reporting.covers import Cover, Essentials, group_covers, group_essentials, span_text
from spanmatch.reporting.growth_words import group_growth
from spanmatch.reporting.measure_values import measure_spreads, shown_measures
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.standing import Spread
from spanmatch.reporting.tables import marked

__all__ = [
    "TextTable",
    "cover_tables",
    "growth_tables",
    "measure_evidence",
    "similarity_evidence",
]

_UNKNOWN = "–"


@dataclass(frozen=True)
class TextTable:
    """A table as text, of which the first columns hold names."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    foremost: bool = True
    """Whether readers see it at once, and not only when they ask for more."""


def similarity_evidence(results: StudyResults) -> list[TextTable]:
    """Tabulate what similarities stand on, the middle epsilon foremost; nothing where nothing is known."""
    points = group_similarities(results)
    if not any(point.standing.is_known or point.uncertain for point in points.values()):
        return []
    tables = []
    for group, centre, epsilons in _by_group_and_centre(results):
        for foremost, shown in epsilons:
            chosen = [
                (f"{epsilon:g}", layer, points[layer, group, centre, epsilon])
                for epsilon in shown
                for layer in results.layers
            ]
            columns = _evidence([point for *_, point in chosen], ["{:.3f}".format] * len(chosen))
            interval = [_interval(point) for *_, point in chosen]
            if any(interval):
                columns["rounding decides"] = [text or "" for text in interval]
            names = {"layer": [layer for _, layer, _ in chosen]}
            if not foremost:
                names = {"ε": [epsilon for epsilon, *_ in chosen], **names}
            caption = (
                f"Maximum match similarity{_at(shown, foremost)}, group {_title(results, group, centre)}"
            )
            tables.append(_table(caption, names, columns, foremost=foremost))
    return tables


def measure_evidence(results: StudyResults) -> list[TextTable]:
    """Tabulate what measures beside the maximum match stand on, one table for each group."""
    spreads = measure_spreads(results)
    tables = []
    for group in group_names(results):
        chosen = [
            (measure, layer, spreads[measure, layer, group])
            for measure in shown_measures(results)
            if measure.name != "maximum-match"
            for layer in results.layers
            if (measure, layer, group) in spreads
        ]
        if any(spread.standing.is_known for *_, spread in chosen):
            columns = _evidence([spread for *_, spread in chosen], [one.written for one, *_ in chosen])
            names = {
                "measure": [measure.title for measure, *_ in chosen],
                "layer": [layer for _, layer, _ in chosen],
            }
            caption = f"Other measures, group {group}"
            tables.append(_table(caption, names, columns, foremost=False))
    return tables


def growth_tables(results: StudyResults) -> list[TextTable]:
    """Tabulate which values have settled, by layer and measure, one table for each group."""
    growing = group_growth(results)
    tables = []
    for group in group_names(results):
        measures = list(dict.fromkeys(measure for measure, _, of in growing if of == group))
        if not measures:
            continue
        columns = {
            measure.title: [
                growing[key].verdict if (key := (measure, layer, group)) in growing else _UNKNOWN
                for layer in results.layers
            ]
            for measure in measures
        }
        caption = f"Whether values have settled, group {group}"
        tables.append(_table(caption, {"layer": results.layers}, columns, foremost=True))
    return tables


def cover_tables(results: StudyResults) -> list[TextTable]:
    """Tabulate covers by simple matches and essential neurons, the middle epsilon foremost."""
    covers, essentials = group_covers(results), group_essentials(results)
    tables = []
    for group, centre, epsilons in _by_group_and_centre(results):
        for foremost, shown in epsilons:
            keys = [(layer, group, centre, epsilon) for epsilon in shown for layer in results.layers]
            keys = [key for key in keys if key in covers or key in essentials]
            if not keys:
                continue
            names = {"layer": [key[0] for key in keys]}
            if not foremost:
                names = {"ε": [f"{key[3]:g}" for key in keys], **names}
            columns: dict[str, Sequence[str]] = {}
            if covers:
                columns |= _cover_columns([covers.get(key) for key in keys])
            if essentials:
                columns |= _essential_columns([essentials.get(key) for key in keys])
            caption = f"Simple matches{_at(shown, foremost)}, group {_title(results, group, centre)}"
            tables.append(_table(caption, names, columns, foremost=foremost))
    return tables


def _by_group_and_centre(
    results: StudyResults,
) -> Iterable[tuple[str, str, list[tuple[bool, list[float]]]]]:
    """Yield groups and centres, each with the middle epsilon, foremost, and with the others."""
    first = middle_epsilon(results)
    others = [epsilon for epsilon in study_epsilons(results) if epsilon != first]
    for group in group_names(results):
        for centre in study_centres(results):
            yield group, centre, [(True, [first]), *([(False, others)] if others else [])]


def _at(epsilons: Sequence[float], foremost: bool) -> str:
    return f" at ε = {epsilons[0]:g}" if foremost else " at the other tolerances"


def _title(results: StudyResults, group: str, centre: str) -> str:
    return ", ".join(filter(None, (group, centre_name(results, centre))))


def _evidence(
    points: Sequence[Spread], written: Sequence[Callable[[float], str]]
) -> dict[str, Sequence[str]]:
    """Return the columns of values and of what they stand on, each value written in its own way."""
    standings = [point.standing for point in points]

    def column(values: Iterable[float | None]) -> list[str]:
        return [_text(value, write) for value, write in zip(values, written, strict=True)]

    plain = column(point.mean for point in points)
    return {
        "value": [marked(text, of) for text, of in zip(plain, standings, strict=True)],
        "null": column(of.null_mean for of in standings),
        "threshold": column(of.threshold for of in standings),
        "p": [_text(of.p, "{:.3f}".format) for of in standings],
        "family-wise p": [_text(of.p_family, "{:.3f}".format) for of in standings],
        "error": column(of.error for of in standings),
        "held-out": column(of.held_out for of in standings),
    }


def _text(value: float | None, write: Callable[[float], str]) -> str:
    if value is None:
        return _UNKNOWN
    return write(value) if math.isfinite(value) else "∞"


def _interval(point: GroupSimilarity) -> str:
    return f"{point.low:.3f} to {point.high:.3f}" if point.uncertain else ""


def _cover_columns(covers: Sequence[Cover | None]) -> dict[str, Sequence[str]]:
    return {
        "simple matches": [cover.text if cover else _UNKNOWN for cover in covers],
        "orders": [f"{cover.orders:,}" if cover else _UNKNOWN for cover in covers],
        "in every order": [
            f"{cover.recurring:.0%}" if cover and cover.recurring is not None else _UNKNOWN
            for cover in covers
        ],
        "permuted": [
            f"{len(cover.permuted):,}" if cover and cover.permuted is not None else _UNKNOWN
            for cover in covers
        ],
    }


def _essential_columns(essentials: Sequence[Essentials | None]) -> dict[str, Sequence[str]]:
    return {
        title: [span_text(*getattr(one, name)) if one else _UNKNOWN for one in essentials]
        for title, name in (
            ("neurons with essential ones", "neurons"),
            ("components", "components"),
            ("largest", "largest"),
        )
    }


def _table(
    caption: str,
    names: Mapping[str, Sequence[str]],
    columns: Mapping[str, Sequence[str]],
    *,
    foremost: bool,
) -> TextTable:
    """Make a table of columns, of which those that hold nothing are left out."""
    kept = {title: cells for title, cells in columns.items() if set(cells) - {_UNKNOWN}}
    rows = tuple(zip(*names.values(), *kept.values(), strict=True))
    return TextTable(caption, (*names, *kept), rows, len(names), foremost)
