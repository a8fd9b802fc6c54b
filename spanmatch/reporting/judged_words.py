"""How networks do on held-out samples, in words: accuracy, or what else they are judged by."""

import math
from operator import itemgetter

from spanmatch.reporting.names import count_of, shown_network
from spanmatch.reporting.results import NetworkRow, StudyResults

__all__ = ["judged_line", "judged_sentences", "perplexity", "range_of"]

_MAX_LISTED_CHECKPOINTS = 3
_MOST_LOSS = 700.0  # the exponential of more has no number


def range_of(low: str, high: str) -> str:
    """Write two ends, or one where they are the same."""
    return low if low == high else f"{low} to {high}"


def judged_sentences(results: StudyResults) -> list[str]:
    """Say how networks do on held-out samples; of many checkpoints only the extremes."""
    judged = [(row.accuracy, row) for row in results.networks if row.accuracy is not None]
    checkpoints = dict.fromkeys(row.checkpoint for _, row in judged)
    if len(checkpoints) > _MAX_LISTED_CHECKPOINTS:
        (least, worst), (most, best) = (end(judged, key=itemgetter(0)) for end in (min, max))
        span = f"from {_accuracy_of(worst, least)} to {_accuracy_of(best, most)}"
        return [f"Held-out {results.terms.accuracy} at {len(checkpoints)} checkpoints: {span}."]
    sentences = []
    for checkpoint in checkpoints:
        values = [accuracy for accuracy, row in judged if row.checkpoint == checkpoint]
        networks = count_of(len(values), "network")
        reached = range_of(f"{min(values):.1%}", f"{max(values):.1%}")
        what = results.terms.accuracy
        if results.terms.perplexity:
            losses = [row.loss for _, row in judged if row.checkpoint == checkpoint and row.loss is not None]
            ends = range_of(perplexity(min(losses)), perplexity(max(losses))) if losses else "unknown"
            reached, what = f"{ends}, {what} {reached}", "perplexity"
        sentences.append(f"Held-out {what} at checkpoint {checkpoint}: {reached} ({networks}).")
    return sentences


def perplexity(loss: float | None) -> str:
    """Write the exponential of a loss; nothing where it is not known."""
    return "" if loss is None else f"{math.exp(min(loss, _MOST_LOSS)):.3g}"


def _accuracy_of(row: NetworkRow, accuracy: float) -> str:
    return f"{accuracy:.1%} ({shown_network(row.network)}, {row.checkpoint})"


def judged_line(results: StudyResults) -> str:
    """Say for a terminal how each network does at its latest checkpoint; nothing where none is judged."""
    latest = {row.network: row for row in results.networks}  # the last of each is its latest checkpoint
    terms = results.terms
    judged = [
        f"{shown_network(name)} {perplexity(row.loss) if terms.perplexity else f'{row.accuracy:.1%}'}"
        for name, row in latest.items()
        if row.accuracy is not None
    ]
    what = "perplexity" if terms.perplexity else terms.accuracy
    return f"{what} on held-out {terms.items}: {', '.join(judged)}" if judged else ""
