"""Sentences on the limits of a study's results: too few samples, means that decide, layers left out."""

from collections.abc import Mapping

from spanmatch.matching.checks import TOO_FEW_SAMPLES, are_too_few
from spanmatch.matching.offsets import is_telling
from spanmatch.reporting.aggregate import centre_name, group_similarities
from spanmatch.reporting.results import SimilarityRow, StudyResults

__all__ = ["left_out_sentences", "offset_sentences", "uncertain_sentences", "warning_sentences"]

_MAX_LISTED = 6


def warning_sentences(results: StudyResults) -> list[str]:
    """Say which layers had too few samples, where means or rounding decide, and what was left out."""
    return [
        *_few_samples_sentences(results),
        *offset_sentences(results),
        *uncertain_sentences(results),
        *left_out_sentences(results.left_out),
    ]


def offset_sentences(results: StudyResults) -> list[str]:
    """Say in which layers, and from which ε on, many neurons lie within ε of their mean."""
    groups = {(pair.checkpoint_x, pair.checkpoint_y): pair.group for pair in results.comparisons}
    smallest: dict[tuple[str, str], float] = {}
    for row in filter(_is_offset, results.similarity):
        place = row.layer, groups[row.checkpoint_x, row.checkpoint_y]
        smallest[place] = min(row.epsilon, smallest.get(place, row.epsilon))
    if not smallest:
        return []
    where = _listed(
        [f"{layer} of {group} from ε = {epsilon:g} on" for (layer, group), epsilon in smallest.items()]
    )
    reason = "a tenth of the neurons or more hardly vary around their mean, and match by it alone"
    return [f"Means decide in {where}: {reason}, whatever they respond to. Look at smaller ε."]


def uncertain_sentences(results: StudyResults) -> list[str]:
    """Say in which layers, at which ε, rounding decides whether neurons match, and between which values."""
    if not any(row.uncertain for row in results.similarity):
        return []
    where = []
    for point in group_similarities(results).values():
        if point.uncertain:
            centre = centre_name(results, point.centre)
            of = f"{point.group} ({centre})" if centre else point.group
            between = f"between {point.low:.3f} and {point.high:.3f}"
            where.append(f"{point.layer} of {of} at ε = {point.epsilon:g} (mean similarity {between})")
    reason = "residuals of neurons are too near ε, or ranks too unclear, to tell whether they match"
    return [f"Rounding decides in {_listed(where)}: {reason}. Trust these values to their intervals only."]


def left_out_sentences(left_out: Mapping[str, str]) -> list[str]:
    """Say which layers a study asked for and does not compare, one sentence for each reason.

    Parameters
    ----------
    left_out
        The reason by layer, in words.
    """
    layers: dict[str, list[str]] = {}
    for layer, reason in left_out.items():
        layers.setdefault(reason, []).append(layer)
    return [f"Not compared: {', '.join(names)}, because {reason}." for reason, names in layers.items()]


def _few_samples_sentences(results: StudyResults) -> list[str]:
    few = {row.layer: row for row in results.similarity if are_too_few(row.samples, _widest(row))}
    if not few:
        return []
    where = _listed(
        [
            f"{layer} ({few[layer].samples:,} for {_widest(few[layer]):,} neurons)"
            for layer in results.layers
            if layer in few
        ]
    )
    return [f"Too few samples in {where}: {TOO_FEW_SAMPLES}. Use more {results.terms.items}."]


def _widest(row: SimilarityRow) -> int:
    return max(row.neurons_x, row.neurons_y)


def _is_offset(row: SimilarityRow) -> bool:
    sides = (row.offset_x, row.neurons_x - row.dead_x), (row.offset_y, row.neurons_y - row.dead_y)
    return any(is_telling(near, live) for near, live in sides)


def _listed(places: list[str]) -> str:
    more = f", and {len(places) - _MAX_LISTED} more" if len(places) > _MAX_LISTED else ""
    return f"{', '.join(places[:_MAX_LISTED])}{more}"
