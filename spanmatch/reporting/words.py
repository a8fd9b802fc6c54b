"""Sentences of a report, made from its numbers.

Apart from the page's markup: plain text here, escaped there.
"""

import statistics
from collections.abc import Iterable, Mapping

from spanmatch.reporting.aggregate import (
    group_names,
    group_pairs,
    group_similarities,
    middle_epsilon,
    simple_match_sizes,
    study_epsilons,
)
from spanmatch.reporting.results import StudyResults

__all__ = [
    "DEFINITIONS",
    "count_of",
    "dead_neurons",
    "ledger_totals",
    "overview_sentence",
    "summary_sentences",
    "warning_sentences",
]

DEFINITIONS = {
    "What is compared": """
        Two networks of one architecture see the same images in the same order. A neuron is a unit of a fully
        connected layer or a channel of a convolutional one, and is described by its activations over all
        samples: images, or every position of every image.""",
    "Tolerance ε": """
        A neuron is within ε of a set of neurons of the other network when their best linear combination
        misses at most the fraction ε of its activation vector's length. 0 asks for exact reproduction, 1 for
        nothing.""",
    "Maximum match similarity": """
        A match is a set of neurons from each network in which every neuron is within ε of the other side. All
        matches together form the largest one, the maximum match. The share of all neurons of the two layers
        that are in it is the maximum match similarity: 0 when nothing is shared, 1 when everything is.""",
    "Simple match": """
        A match that smaller matches cannot make up: the finest unit of what two layers share. One neuron on
        each side is a feature that both networks learned as a neuron; a large simple match is a subspace that
        both learned, each with its own choice of axes.""",
    "Dead neuron": """
        A neuron that is zero on every sample. It is in no match, and still counts among all neurons, so it
        lowers the similarity.""",
}


def count_of(number: int, noun: str) -> str:
    """Write a number with its noun, in the plural unless it is one."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith('ch') else 's'}"


def dead_neurons(results: StudyResults) -> dict[tuple[str, str], int]:
    """Dead neurons by (layer, checkpoint)."""
    counts = {}
    for row in results.similarity:
        counts[row.layer, row.checkpoint_x] = row.dead_x
        counts[row.layer, row.checkpoint_y] = row.dead_y
    return counts


def ledger_totals(ledger: Mapping[str, Mapping[str, int]]) -> tuple[int, int]:
    """Results computed and results reused, over all stages."""
    stages = ledger.values()
    return sum(stage.get("computed", 0) for stage in stages), sum(stage.get("reused", 0) for stage in stages)


def overview_sentence(results: StudyResults) -> str:
    """Say what the study compared."""
    groups = ", ".join(f"{group}: {len(group_pairs(results, group))}" for group in group_names(results))
    pairs, layers = count_of(len(results.comparisons), "pair"), count_of(len(results.layers), "layer")
    tolerances = count_of(len(study_epsilons(results)), "tolerance")
    return f"Study {results.study} compares {pairs} of networks ({groups}) in {layers}, at {tolerances} ε."


def summary_sentences(results: StudyResults) -> list[str]:
    """Say in words what the figures show: extremes, contrasts between groups, sizes, dead neurons."""
    return [
        *_accuracy_sentences(results),
        *_extreme_sentences(results),
        *_contrast_sentences(results),
        *_size_sentences(results),
        _dead_sentence(results),
    ]


def warning_sentences(results: StudyResults) -> list[str]:
    """Say which layers had too few samples to mean anything."""
    few = {row.layer for row in results.similarity if row.samples <= max(row.neurons_x, row.neurons_y)}
    if not few:
        return []
    names = _listed(layer for layer in results.layers if layer in few)
    reason = "with no more samples than neurons, any neurons match, and the similarity says nothing"
    return [f"Too few samples in {names}: {reason}. Use more images."]


def _accuracy_sentences(results: StudyResults) -> list[str]:
    sentences = []
    for checkpoint in dict.fromkeys(row.checkpoint for row in results.networks):
        values = [row.accuracy for row in results.networks if row.checkpoint == checkpoint]
        low, high = f"{min(values):.1%}", f"{max(values):.1%}"
        reached = low if low == high else f"{low} to {high}"
        sentences.append(
            f"Test accuracy at checkpoint {checkpoint}: {reached} ({count_of(len(values), 'network')})."
        )
    return sentences


def _extreme_sentences(results: StudyResults) -> list[str]:
    epsilon, similarities = middle_epsilon(results), group_similarities(results)
    sentences = []
    for group in group_names(results):
        means = {layer: similarities[layer, group, epsilon].mean for layer in results.layers}
        most, least = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
        over = count_of(len(group_pairs(results, group)), "pair")
        start = f"At ε = {epsilon:g}, over {over} of group {group},"
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
            f"At ε = {epsilon:g}, pairs of group {first} are more similar than those of group {other} in "
            f"{higher} and less similar in {lower} of {count_of(len(gaps), 'layer')}."
        )
    return sentences


def _size_sentences(results: StudyResults) -> list[str]:
    if not results.simple_matches:
        return ["The results hold no simple matches."]
    epsilon, sizes = middle_epsilon(results), simple_match_sizes(results)
    sentences = []
    for group in group_names(results):
        found = [size for layer in results.layers for size in sizes.get((layer, group, epsilon), ())]
        if found:
            sentences.append(
                f"At ε = {epsilon:g}, group {group} has {count_of(len(found), 'simple match')} in all "
                f"layers, of {statistics.median(found):g} neurons in the median and {max(found):,} at most."
            )
        else:
            sentences.append(f"At ε = {epsilon:g}, group {group} has no simple matches.")
    return sentences


def _dead_sentence(results: StudyResults) -> str:
    dead = dead_neurons(results)
    layers = {layer for (layer, _), count in dead.items() if count}
    if not layers:
        return "No layer has dead neurons."
    layer, checkpoint = max(dead, key=dead.__getitem__)
    most = f"the most, {dead[layer, checkpoint]:,}, in layer {layer} of {checkpoint}"
    return f"There are dead neurons in {len(layers)} of {count_of(len(results.layers), 'layer')}, {most}."


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
