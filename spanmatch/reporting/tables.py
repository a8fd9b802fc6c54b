"""Similarity as rows, for a table artefact and for the terminal."""

from dataclasses import dataclass

from spanmatch.reporting.aggregate import group_names, group_similarities, study_epsilons
from spanmatch.reporting.results import StudyResults

__all__ = ["SummaryTable", "similarity_table", "span_text", "summary_rows"]

_DECIMALS = 4


@dataclass(frozen=True)
class SummaryTable:
    """Mean similarity of one group: a row for each layer, a column for each epsilon."""

    group: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]
    """Layer, and its mean similarity at each epsilon of the header."""

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """The rows as text."""
        return [(layer, *(f"{mean:.3f}" for mean in means)) for layer, means in self.rows]


def similarity_table(results: StudyResults) -> list[dict[str, object]]:
    """List mean and range of similarity, one row for each layer, group and epsilon."""
    return [
        {
            "layer": summary.layer,
            "group": summary.group,
            "epsilon": summary.epsilon,
            "mean_similarity": round(summary.mean, _DECIMALS),
            "min_similarity": round(summary.minimum, _DECIMALS),
            "max_similarity": round(summary.maximum, _DECIMALS),
            "neurons": span_text(*summary.neurons),
            "samples": summary.samples,
            "pairs": summary.pairs,
        }
        for summary in group_similarities(results).values()
    ]


def summary_rows(results: StudyResults) -> tuple[SummaryTable, ...]:
    """Tabulate mean similarity by layer and epsilon, one table for each group."""
    epsilons = study_epsilons(results)
    similarities = group_similarities(results)
    return tuple(
        SummaryTable(
            group=group,
            header=("layer", *(f"ε = {epsilon:g}" for epsilon in epsilons)),
            rows=tuple(
                (layer, tuple(similarities[layer, group, epsilon].mean for epsilon in epsilons))
                for layer in results.layers
            ),
        )
        for group in group_names(results)
    )


def span_text(low: int, high: int) -> str:
    """Write a range of counts, or the one count that it holds."""
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
