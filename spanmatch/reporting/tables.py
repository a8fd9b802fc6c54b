"""Similarity and measures as rows, for the page, for a table artefact and for the terminal."""

from dataclasses import dataclass

from spanmatch.reporting.aggregate import (
    centre_name,
    group_names,
    group_similarities,
    study_centres,
    study_epsilons,
)
from spanmatch.reporting.covers import span_text
from spanmatch.reporting.measure_values import measures_of_layers, spread_of
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.standing import Standing, measure_groups, standing_of

__all__ = [
    "MARK",
    "MeasureTable",
    "SummaryTable",
    "mark_sentences",
    "marked",
    "measure_tables",
    "similarity_table",
    "summary_rows",
]

MARK = "○"
"""Before a value that does not clear its null, like the hollow points of figures."""
_DECIMALS = 4


@dataclass(frozen=True)
class SummaryTable:
    """Mean similarity of one group at one centre: a row for each layer, a column for each epsilon."""

    group: str
    centre: str
    """Its name; empty where there is nothing to tell apart."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]
    """Layer, and its mean similarity at each epsilon of the header."""
    standings: tuple[tuple[Standing, ...], ...]
    """Likewise by layer and epsilon."""

    @property
    def title(self) -> str:
        """Group and centre."""
        return ", ".join(filter(None, (self.group, self.centre)))

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """The rows as text, what does not clear its null marked."""
        return [
            (layer, *(marked(f"{mean:.3f}", of) for mean, of in zip(means, standings, strict=True)))
            for (layer, means), standings in zip(self.rows, self.standings, strict=True)
        ]


@dataclass(frozen=True)
class MeasureTable:
    """Means of one group as text: a row for each layer, a column for each measure."""

    group: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    """Why values are undefined, in sentences."""


def marked(text: str, standing: Standing) -> str:
    """Write a value, marked where it does not clear its null."""
    return f"{MARK} {text}" if standing.cleared is False else text


def mark_sentences(results: StudyResults) -> list[str]:
    """Explain the mark, where there are nulls to clear."""
    tested = [row for row in results.measures if row.p is not None and row.level is not None]
    if not tested:
        return []
    permutations = [row.permutations for row in tested]
    level = " or ".join(f"{level:g}" for level in sorted({row.level for row in tested if row.level}))
    number = span_text(min(permutations), max(permutations))
    items = results.terms.items
    sentence = f"{MARK} does not clear its null: in a pair or more, {items} permuted at random come as close"
    return [f"{sentence} (p > {level}, {number} permutations)."]


def similarity_table(results: StudyResults) -> list[dict[str, object]]:
    """List mean and range of similarity, one row for each layer, group, centre and epsilon.

    Columns of which nothing is known are left out.
    """
    rows: list[dict[str, object]] = [
        {
            "layer": summary.layer,
            "group": summary.group,
            "epsilon": summary.epsilon,
            "mean_similarity": round(summary.mean, _DECIMALS),
            "min_similarity": round(summary.minimum, _DECIMALS),
            "max_similarity": round(summary.maximum, _DECIMALS),
            "centre": summary.centre,
            "null": _rounded(summary.standing.null_mean),
            "p": _rounded(summary.standing.p),
            "family_wise_p": _rounded(summary.standing.p_family),
            "error": _rounded(summary.standing.error),
            "held_out": _rounded(summary.standing.held_out),
            "neurons": span_text(*summary.neurons),
            "samples": summary.samples,
            "pairs": summary.pairs,
        }
        for summary in group_similarities(results).values()
    ]
    known = {column for row in rows for column, value in row.items() if value is not None}
    return [{column: value for column, value in row.items() if column in known} for row in rows]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DECIMALS)


def summary_rows(results: StudyResults) -> tuple[SummaryTable, ...]:
    """Tabulate mean similarity by layer and epsilon, one table for each group and centre."""
    epsilons = study_epsilons(results)
    similarities = group_similarities(results)
    tables = []
    for group in group_names(results) if results.layers else ():
        for centre in study_centres(results):
            rows = [
                [similarities[layer, group, centre, epsilon] for epsilon in epsilons]
                for layer in results.layers
            ]
            tables.append(
                SummaryTable(
                    group=group,
                    centre=centre_name(results, centre),
                    header=("layer", *(f"ε = {epsilon:g}" for epsilon in epsilons)),
                    rows=tuple((row[0].layer, tuple(point.mean for point in row)) for row in rows),
                    standings=tuple(tuple(point.standing for point in row) for row in rows),
                )
            )
    return tuple(tables)


def measure_tables(results: StudyResults) -> tuple[MeasureTable, ...]:
    """Tabulate means by layer and measure, one table for each group.

    What does not clear its null is marked; a value is “undefined” where it is known why, else “–”.
    """
    measures, rows = measures_of_layers(results), measure_groups(results)
    tables = []
    for group in group_names(results) if measures else ():
        notes: dict[tuple[str, str], list[str]] = {}
        cells = []
        for layer in results.layers:
            row = [layer]
            for one in measures:
                found = rows.get((one.name, one.epsilon, one.centre, layer, group), [])
                spread, standing = spread_of(found), standing_of(found)
                missing = "undefined" if standing.reasons else "–"
                row.append(marked(one.written(spread.mean), standing) if spread else missing)
                for reason, pairs in standing.reasons.items():
                    of = "" if pairs == len(found) else f" ({pairs} of {len(found)} pairs)"
                    notes.setdefault((one.title, reason), []).append(f"{layer}{of}")
            cells.append(tuple(row))
        sentences = (
            f"{title} is undefined in {', '.join(layers)}: {reason}."
            for (title, reason), layers in notes.items()
        )
        header = ("layer", *(measure.title for measure in measures))
        tables.append(MeasureTable(group, header, tuple(cells), tuple(sentences)))
    return tuple(tables)
