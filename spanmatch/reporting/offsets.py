"""In words, where similarity is that of neurons' means.

Apart from the other sentences because the screen says it too.
"""

from spanmatch.matching.offsets import is_telling
from spanmatch.reporting.results import SimilarityRow, StudyResults

__all__ = ["offset_sentences"]

_LISTED = 6


def offset_sentences(results: StudyResults) -> list[str]:
    """Say in which layers, and from which ε on, many neurons lie within ε of their mean."""
    groups = {(pair.checkpoint_x, pair.checkpoint_y): pair.group for pair in results.comparisons}
    smallest: dict[tuple[str, str], float] = {}
    for row in filter(_is_offset, results.similarity):
        place = row.layer, groups[row.checkpoint_x, row.checkpoint_y]
        smallest[place] = min(row.epsilon, smallest.get(place, row.epsilon))
    if not smallest:
        return []
    named = [f"{layer} of {group} from ε = {epsilon:g} on" for (layer, group), epsilon in smallest.items()]
    more = f", and {len(named) - _LISTED} more" if len(named) > _LISTED else ""
    where = f"{', '.join(named[:_LISTED])}{more}"
    reason = "a tenth of the neurons or more hardly vary around their mean, and match by it alone"
    return [f"Means decide in {where}: {reason}, whatever they respond to. Look at smaller ε."]


def _is_offset(row: SimilarityRow) -> bool:
    sides = (row.offset_x, row.neurons_x - row.dead_x), (row.offset_y, row.neurons_y - row.dead_y)
    return any(is_telling(near, live) for near, live in sides)
