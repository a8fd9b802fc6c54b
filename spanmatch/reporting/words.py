"""Sentences of a report, made from its numbers, as plain text."""

import statistics
from collections.abc import Iterable, Mapping
from operator import itemgetter

from spanmatch.reporting.aggregate import (
    compared_pairs,
    group_names,
    group_pairs,
    group_similarities,
    middle_epsilon,
    simple_match_sizes,
    study_epsilons,
    training_histories,
)
from spanmatch.reporting.names import shown_network
from spanmatch.reporting.results import NetworkRow, StudyResults

__all__ = [
    "count_of",
    "dead_neurons",
    "ledger_totals",
    "overview_sentence",
    "summary_sentences",
]

_MAX_LISTED_GROUPS = 4
_MAX_LISTED_CHECKPOINTS = 3
_NO_SIMPLE_MATCHES = "The results hold no simple matches."


def count_of(number: int, noun: str) -> str:
    """Write a number with its noun, in the plural unless it is one."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith('match') else 's'}"


def dead_neurons(results: StudyResults) -> dict[tuple[str, str], int]:
    """Return the number of dead neurons by (layer, checkpoint)."""
    counts = {}
    for row in results.similarity:
        counts[row.layer, row.checkpoint_x] = row.dead_x
        counts[row.layer, row.checkpoint_y] = row.dead_y
    return counts


def ledger_totals(ledger: Mapping[str, Mapping[str, int]]) -> tuple[int, int]:
    """Return the results computed and the results reused, over all stages."""
    stages = ledger.values()
    return sum(stage.get("computed", 0) for stage in stages), sum(stage.get("reused", 0) for stage in stages)


def overview_sentence(results: StudyResults) -> str:
    """Say what the study compared."""
    groups = group_names(results)
    counts = [f"{_quoted(group)}: {len(group_pairs(results, group))}" for group in groups]
    listed = f" ({', '.join(counts)})" if len(groups) <= _MAX_LISTED_GROUPS else ""
    pairs, layers = count_of(len(compared_pairs(results)), "pair"), count_of(len(results.layers), "layer")
    tolerances = count_of(len(study_epsilons(results)), "tolerance")
    return (
        f"Study {results.study} compares {pairs} of networks, in {count_of(len(groups), 'group')}{listed}, "
        f"in {layers}, at {tolerances} ε."
    )


def summary_sentences(results: StudyResults) -> list[str]:
    """Say in words what the figures show: extremes, contrasts between groups, sizes, dead neurons.

    Of many groups only the extreme ones are named: sentences on each would fill a page.
    """
    if len(group_names(results)) <= _MAX_LISTED_GROUPS:
        matches = [*_extreme_sentences(results), *_contrast_sentences(results), *_size_sentences(results)]
    else:
        matches = [_ranking_sentence(results), _size_ranking_sentence(results)]
    return [
        *_accuracy_sentences(results),
        *_training_sentences(results),
        *matches,
        _dead_sentence(results),
    ]


def _accuracy_sentences(results: StudyResults) -> list[str]:
    judged = [(row.accuracy, row) for row in results.networks if row.accuracy is not None]
    checkpoints = dict.fromkeys(row.checkpoint for _, row in judged)
    if len(checkpoints) > _MAX_LISTED_CHECKPOINTS:
        (least, worst), (most, best) = (end(judged, key=itemgetter(0)) for end in (min, max))
        span = f"from {_accuracy_of(worst, least)} to {_accuracy_of(best, most)}"
        return [f"Held-out accuracy at {len(checkpoints)} checkpoints: {span}."]
    sentences = []
    for checkpoint in checkpoints:
        values = [accuracy for accuracy, row in judged if row.checkpoint == checkpoint]
        networks = count_of(len(values), "network")
        reached = _range(f"{min(values):.1%}", f"{max(values):.1%}")
        sentences.append(f"Held-out accuracy at checkpoint {checkpoint}: {reached} ({networks}).")
    return sentences


def _accuracy_of(row: NetworkRow, accuracy: float) -> str:
    return f"{accuracy:.1%} ({shown_network(row.network)}, {row.checkpoint})"


def _training_sentences(results: StudyResults) -> list[str]:
    histories = training_histories(results)
    if not histories:
        return []
    lasts = [history[-1] for history in histories.values()]
    epochs = [last.epoch for last in lasts]
    fewest, most = min(epochs), max(epochs)
    training = _range(*_extremes(last.training_loss for last in lasts))
    held_out = _range(*_extremes(last.held_out_loss for last in lasts))
    length = _range(f"{fewest:,}", count_of(most, "epoch")) if fewest < most else count_of(most, "epoch")
    start = f"After {length} of training ({count_of(len(lasts), 'network')}),"
    return [f"{start} the training loss is {training} and the held-out loss {held_out}."]


def _extremes(losses: Iterable[float]) -> tuple[str, str]:
    ascending = sorted(losses)
    return f"{ascending[0]:.3g}", f"{ascending[-1]:.3g}"


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _quoted(group: str) -> str:
    """Mark where the name of a group begins and ends: it may hold spaces, or be a word of a sentence."""
    return f"“{group}”"


def _extreme_sentences(results: StudyResults) -> list[str]:
    epsilon, similarities = middle_epsilon(results), group_similarities(results)
    sentences = []
    for group in group_names(results):
        means = {layer: similarities[layer, group, epsilon].mean for layer in results.layers}
        most, least = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
        over = count_of(len(group_pairs(results, group)), "pair")
        start = f"At ε = {epsilon:g}, over {over} of group {_quoted(group)},"
        if means[most] == means[least]:
            where = f"layer {most}" if len(means) == 1 else "every layer"
            sentences.append(f"{start} the mean maximum match similarity of {where} is {means[most]:.2f}.")
        else:
            sentences.append(
                f"{start} the most similar layer is {most} (mean maximum match similarity {means[most]:.2f}) "
                f"and the least similar is {least} ({means[least]:.2f})."
            )
    return sentences


def _contrast_sentences(results: StudyResults) -> list[str]:
    epsilon, similarities = middle_epsilon(results), group_similarities(results)
    first, *others = group_names(results)
    sentences = []
    for other in others:
        gaps = [
            similarities[layer, first, epsilon].mean - similarities[layer, other, epsilon].mean
            for layer in results.layers
        ]
        higher, lower = sum(gap > 0 for gap in gaps), sum(gap < 0 for gap in gaps)
        sentences.append(
            f"At ε = {epsilon:g}, pairs of group {_quoted(first)} are more similar than those of group "
            f"{_quoted(other)} in {higher} and less similar in {lower} of {count_of(len(gaps), 'layer')}."
        )
    return sentences


def _ranking_sentence(results: StudyResults) -> str:
    epsilon, similarities = middle_epsilon(results), group_similarities(results)
    means = {
        group: statistics.fmean(similarities[layer, group, epsilon].mean for layer in results.layers)
        for group in group_names(results)
    }
    most, least = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    return (
        f"At ε = {epsilon:g}, on average over the layers, the most similar group is {_quoted(most)} "
        f"({means[most]:.2f}) and the least similar is {_quoted(least)} ({means[least]:.2f})."
    )


def _size_ranking_sentence(results: StudyResults) -> str:
    if not results.simple_matches:
        return _NO_SIMPLE_MATCHES
    epsilon, sizes = middle_epsilon(results), simple_match_sizes(results)
    counts = {
        group: sum(len(sizes.get((layer, group, epsilon), ())) for layer in results.layers)
        for group in group_names(results)
    }
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    return (
        f"At ε = {epsilon:g}, group {_quoted(most)} has the most simple matches in all layers "
        f"({counts[most]:,}) and group {_quoted(least)} the fewest ({counts[least]:,})."
    )


def _size_sentences(results: StudyResults) -> list[str]:
    if not results.simple_matches:
        return [_NO_SIMPLE_MATCHES]
    epsilon, sizes = middle_epsilon(results), simple_match_sizes(results)
    sentences = []
    for group in group_names(results):
        found = [size for layer in results.layers for size in sizes.get((layer, group, epsilon), ())]
        if found:
            sentences.append(
                f"At ε = {epsilon:g}, group {_quoted(group)} has {count_of(len(found), 'simple match')} in "
                f"all layers, of {statistics.median(found):g} neurons in the median and {max(found):,} at "
                "most."
            )
        else:
            sentences.append(f"At ε = {epsilon:g}, group {_quoted(group)} has no simple matches.")
    return sentences


def _dead_sentence(results: StudyResults) -> str:
    dead = dead_neurons(results)
    layers = {layer for (layer, _), count in dead.items() if count}
    if not layers:
        return "No layer has dead neurons."
    layer, checkpoint = max(dead, key=dead.__getitem__)
    most = f"the most, {dead[layer, checkpoint]:,}, in layer {layer} of {checkpoint}"
    return f"There are dead neurons in {len(layers)} of {count_of(len(results.layers), 'layer')}, {most}."
