"""Sentences of a report, made from its numbers, as plain text."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from spanmatch.reporting.aggregate import (
    GroupSimilarity,
    centre_name,
    compared_pairs,
    group_names,
    group_pairs,
    group_similarities,
    middle_epsilon,
    simple_match_sizes,
    study_centres,
    study_epsilons,
    training_histories,
)
from spanmatch.reporting.covers import Cover, group_covers, span_text
from spanmatch.reporting.grid_words import grid_sentences, layers_compared
from spanmatch.reporting.growth_words import growth_sentences
from spanmatch.reporting.judged_words import judged_sentences, range_of
from spanmatch.reporting.names import count_of, split_layers
from spanmatch.reporting.results import StudyResults

__all__ = [
    "dead_neurons",
    "ledger_totals",
    "overview_sentence",
    "summary_sentences",
]

_MAX_LISTED_GROUPS = 4
_NO_SIMPLE_MATCHES = "The results hold no simple matches."


def dead_neurons(results: StudyResults) -> dict[tuple[str, str], int]:
    """Return the number of dead neurons by (layer, checkpoint), of each layer under its own name."""
    counts = {}
    for row in results.similarity:
        layer_x, layer_y = split_layers(row.layer)
        counts[layer_x, row.checkpoint_x] = row.dead_x
        counts[layer_y, row.checkpoint_y] = row.dead_y
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
    pairs, layers = count_of(len(compared_pairs(results)), "pair"), layers_compared(results)
    tolerances = count_of(len(study_epsilons(results)), "tolerance")
    return (
        f"Study {results.study} compares {pairs} of networks, in {count_of(len(groups), 'group')}{listed}, "
        f"in {layers}, at {tolerances} ε."
    )


def summary_sentences(results: StudyResults) -> list[str]:
    """Say in words what the figures show: extremes, contrasts between groups, sizes, dead neurons.

    Of many groups only the extreme ones are named: sentences on each would fill a page.
    """
    groups = group_names(results)
    if not results.layers:  # a grid of networks without a layer name in common
        return [*judged_sentences(results), *_training_sentences(results), *grid_sentences(results)]
    if len(groups) <= _MAX_LISTED_GROUPS:
        matches = [*_extreme_sentences(results), *_contrast_sentences(results)]
        sizes = _size_sentences(results)
        scopes = {f"group {_quoted(group)}": [group] for group in groups}
    else:
        matches, sizes = _ranking_sentences(results), [_size_ranking_sentence(results)]
        scopes = {"all groups": list(groups)}
    return [
        *judged_sentences(results),
        *_training_sentences(results),
        *matches,
        *grid_sentences(results),
        *_lost_sentences(results, scopes),
        *growth_sentences(results, scopes),
        *sizes,
        _dead_sentence(results),
    ]


def _training_sentences(results: StudyResults) -> list[str]:
    histories = training_histories(results)
    if not histories:
        return []
    lasts = [history[-1] for history in histories.values()]
    epochs = [last.epoch for last in lasts]
    fewest, most = min(epochs), max(epochs)
    training = range_of(*_extremes(last.training_loss for last in lasts))
    held_out = range_of(*_extremes(last.held_out_loss for last in lasts))
    length = range_of(f"{fewest:,}", count_of(most, "epoch")) if fewest < most else count_of(most, "epoch")
    start = f"After {length} of training ({count_of(len(lasts), 'network')}),"
    return [f"{start} the training loss is {training} and the held-out loss {held_out}."]


def _extremes(losses: Iterable[float]) -> tuple[str, str]:
    ascending = sorted(losses)
    return f"{ascending[0]:.3g}", f"{ascending[-1]:.3g}"


def _quoted(group: str) -> str:
    """Mark where the name of a group begins and ends: it may hold spaces, or be a word of a sentence."""
    return f"“{group}”"


def _of(results: StudyResults, group: str, centre: str) -> str:
    name = centre_name(results, centre)
    return f"{_quoted(group)} ({name})" if name else _quoted(group)


def _layers_that_clear(points: Iterable[GroupSimilarity]) -> dict[str, GroupSimilarity] | None:
    """Return the points that clear their null, by layer; None where no point was asked to."""
    asked = [point for point in points if point.standing.cleared is not None]
    return {point.layer: point for point in asked if point.standing.cleared} if asked else None


def _extreme_sentences(results: StudyResults) -> list[str]:
    epsilon, similarities = middle_epsilon(results), group_similarities(results)
    sentences = []
    for group, centre in product(group_names(results), study_centres(results)):
        points = [similarities[layer, group, centre, epsilon] for layer in results.layers]
        over = count_of(len(group_pairs(results, group)), "pair")
        start = f"At ε = {epsilon:g}, over {over} of group {_of(results, group, centre)},"
        clear = _layers_that_clear(points)
        if clear is None:
            sentences.append(f"{start} {_extremes_of({point.layer: point.mean for point in points})}")
        else:
            sentences.append(f"{start} {_extremes_that_clear(clear, len(points))}")
    return sentences


def _extremes_of(means: Mapping[str, float]) -> str:
    most, least = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    if means[most] == means[least]:
        where = f"layer {most}" if len(means) == 1 else "every layer"
        return f"the mean maximum match similarity of {where} is {means[most]:.2f}."
    return (
        f"the most similar layer is {most} (mean maximum match similarity {means[most]:.2f}) "
        f"and the least similar is {least} ({means[least]:.2f})."
    )


def _extremes_that_clear(clear: Mapping[str, GroupSimilarity], layers: int) -> str:
    if not clear:
        return "no layer clears its null: none can be told from chance."
    most = max(clear.values(), key=lambda point: point.mean)
    least = min(clear.values(), key=lambda point: point.mean)
    mean = f"(mean maximum match similarity {most.mean:.2f}, null {most.standing.null_mean or 0:.2f})"
    if len(clear) == 1:
        return f"the only one of {count_of(layers, 'layer')} that clears its null is {most.layer} {mean}."
    return (
        f"the most similar layer that clears its null is {most.layer} {mean} and the least similar is "
        f"{least.layer} ({least.mean:.2f}, null {least.standing.null_mean or 0:.2f}); {len(clear)} of "
        f"{count_of(layers, 'layer')} clear it."
    )


def _contrast_sentences(results: StudyResults) -> list[str]:
    epsilon, similarities = middle_epsilon(results), group_similarities(results)
    first, *others = group_names(results)
    sentences = []
    for other, centre in product(others, study_centres(results)):
        both = [
            (similarities[layer, first, centre, epsilon], similarities[layer, other, centre, epsilon])
            for layer in results.layers
        ]
        where = ""
        if any(point.standing.cleared is not None for points in both for point in points):
            both = [points for points in both if any(point.standing.cleared for point in points)]
            where = " where either clears its null"
        gaps = [one.mean - another.mean for one, another in both]
        higher, lower = sum(gap > 0 for gap in gaps), sum(gap < 0 for gap in gaps)
        if gaps:
            sentences.append(
                f"At ε = {epsilon:g}, pairs of group {_of(results, first, centre)} are more similar than "
                f"those of group {_quoted(other)} in {higher} and less similar in {lower} of "
                f"{count_of(len(gaps), 'layer')}{where}."
            )
    return sentences


def _ranking_sentences(results: StudyResults) -> list[str]:
    epsilon, similarities = middle_epsilon(results), group_similarities(results)
    sentences = []
    for centre in study_centres(results):
        of_groups = {
            group: [similarities[layer, group, centre, epsilon] for layer in results.layers]
            for group in group_names(results)
        }
        name = centre_name(results, centre)
        start = f"At ε = {epsilon:g},{f' {name},' if name else ''}"
        if any(_layers_that_clear(points) is not None for points in of_groups.values()):
            sentences.append(f"{start} {_ranking_by_clear(of_groups, len(results.layers))}")
            continue
        means = {
            group: statistics.fmean(point.mean for point in points) for group, points in of_groups.items()
        }
        most, least = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
        sentences.append(
            f"{start} on average over the layers, the most similar group is {_quoted(most)} "
            f"({means[most]:.2f}) and the least similar is {_quoted(least)} ({means[least]:.2f})."
        )
    return sentences


def _ranking_by_clear(of_groups: Mapping[str, list[GroupSimilarity]], layers: int) -> str:
    clear = {group: len(_layers_that_clear(points) or {}) for group, points in of_groups.items()}
    most, least = max(clear, key=clear.__getitem__), min(clear, key=clear.__getitem__)
    if not clear[most]:
        return "no layer of any group clears its null: none can be told from chance."
    return (
        f"the most layers clear their null in group {_quoted(most)} ({clear[most]} of {layers}) and the "
        f"fewest in group {_quoted(least)} ({clear[least]})."
    )


def _lost_sentences(results: StudyResults, scopes: Mapping[str, Sequence[str]]) -> list[str]:
    """Say where nothing is left without means, at the epsilon at which that holds for the most layers."""
    if study_centres(results) != ("raw", "mean"):
        return []
    similarities = group_similarities(results)
    sentences = []
    for scope, groups in scopes.items():
        found = {}
        for epsilon in study_epsilons(results):
            places = list(product(groups, results.layers))
            shared = [at for at in places if similarities[at[1], at[0], "raw", epsilon].mean > 0]
            lost = [at for at in shared if similarities[at[1], at[0], "mean", epsilon].mean == 0]
            found[epsilon] = len(lost), len(shared)
        epsilon = max(found, key=lambda epsilon: (found[epsilon][0], epsilon))
        lost_layers, sharing = found[epsilon]
        if lost_layers:
            which = count_of(sharing, "layer")
            sentences.append(
                f"In {scope}, of {which} with something in common at ε = {epsilon:g}, {lost_layers} "
                f"{'has' if lost_layers == 1 else 'have'} nothing left when means are subtracted."
            )
    return sentences


def _size_ranking_sentence(results: StudyResults) -> str:
    if not results.simple_matches:
        return _NO_SIMPLE_MATCHES
    epsilon, centre = middle_epsilon(results), study_centres(results)[0]
    sizes = simple_match_sizes(results)
    counts = {
        group: sum(len(sizes.get((layer, group, centre, epsilon), ())) for layer in results.layers)
        for group in group_names(results)
    }
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    name = centre_name(results, centre)
    return (
        f"At ε = {epsilon:g},{f' {name},' if name else ''} group {_quoted(most)} has the most simple matches "
        f"in all layers ({counts[most]:,}) and group {_quoted(least)} the fewest ({counts[least]:,})."
    )


def _size_sentences(results: StudyResults) -> list[str]:
    """Say how many simple matches there are, and how large, in layers that are more alike than by chance."""
    if not results.simple_matches:
        return [_NO_SIMPLE_MATCHES]
    epsilon, similarities = middle_epsilon(results), group_similarities(results)
    sizes, covers = simple_match_sizes(results), group_covers(results)
    sentences = []
    for group, centre in product(group_names(results), study_centres(results)):
        points = [similarities[layer, group, centre, epsilon] for layer in results.layers]
        keys = [
            (point.layer, group, centre, epsilon) for point in points if point.standing.cleared is not False
        ]
        asked = any(point.standing.cleared is not None for point in points)
        where = "the layers that clear their null" if asked else "all layers"
        if asked and not keys:
            continue  # said already: no layer clears its null
        found = [size for key in keys for size in sizes.get(key, ())]
        start = f"At ε = {epsilon:g}, group {_of(results, group, centre)} has"
        if not found:
            sentences.append(f"{start} no simple matches{f' in {where}' if asked else ''}.")
            continue
        of_size = f"of {statistics.median(found):g} neurons in the median and {max(found):,} at most"
        known = [covers[key] for key in keys if key in covers]
        if known:
            fewest, most = sum(cover.fewest for cover in known), sum(cover.most for cover in known)
            orders = min(cover.orders for cover in known)
            sentences.append(
                f"{start} one cover of at least {count_of(fewest, 'simple match')} in {where} "
                f"({span_text(fewest, most)} over {count_of(orders, 'order')} of searching), {of_size}"
                f"{_by_chance(known, results.terms.items)}."
            )
        else:
            sentences.append(f"{start} {count_of(len(found), 'simple match')} in {where}, {of_size}.")
    return sentences


def _by_chance(covers: Sequence[Cover], items: str) -> str:
    """Say how many simple matches chance gives, where that is known."""
    known = [cover.permuted for cover in covers if cover.permuted is not None]
    if len(known) < len(covers):
        return ""
    return f"; with {items} permuted, {count_of(sum(map(len, known)), 'simple match')}"


def _dead_sentence(results: StudyResults) -> str:
    dead = dead_neurons(results)
    layers = {layer for (layer, _), count in dead.items() if count}
    if not layers:
        return "No layer has dead neurons."
    layer, checkpoint = max(dead, key=dead.__getitem__)
    most = f"the most, {dead[layer, checkpoint]:,}, in layer {layer} of {checkpoint}"
    of_all = count_of(len({layer for layer, _ in dead}), "layer")
    return f"There are dead neurons in {len(layers)} of {of_all}, {most}."
