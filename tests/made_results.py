"""Made-up results of a study, as large as wanted, for what reports must show."""

from dataclasses import replace

import numpy as np

from spanmatch.reporting import (
    ComparisonRow,
    CoverRow,
    CriticalEpsilons,
    EpochRow,
    EssentialRow,
    GrowthRow,
    MeasureRow,
    NetworkRow,
    SimilarityRow,
    SimpleMatchRow,
    StudyResults,
)

FOLDS, PERMUTATIONS, LEVEL = 10, 20, 0.05


def make_results(
    layers=("relu1_1", "relu2_1", "relu_fc1"),
    *,
    neurons=12,
    epsilons=(0.15, 0.25, 0.5),
    groups=("final", "initial"),
    dead_layer=None,
    simple=True,
    samples=1797,
    study="digits",
):
    """Results that are consistent with themselves: similarity and matches follow from critical epsilons."""
    rng = np.random.default_rng(0)
    comparisons = [
        ComparisonRow(f"seed{a}-{group}", f"seed{b}-{group}", group)
        for group in groups
        for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    similarity, simple_rows, curves = [], [], []
    for layer in layers:
        for comparison in comparisons:
            names = (layer, comparison.checkpoint_x, comparison.checkpoint_y)
            x, y = rng.uniform(0.1, 1, size=(2, neurons))
            x[0] = np.inf
            if layer == dead_layer:
                x[:] = y[:] = np.inf
            curves.append(CriticalEpsilons(*names, x, y))
            for epsilon in epsilons:
                in_x, in_y = (tuple(np.flatnonzero(side <= epsilon).tolist()) for side in (x, y))
                share = (len(in_x) + len(in_y)) / (2 * neurons)
                counts = (
                    len(in_x),
                    len(in_y),
                    neurons,
                    neurons,
                    int(np.isinf(x).sum()),
                    int(np.isinf(y).sum()),
                )
                similarity.append(SimilarityRow(*names, epsilon, share, *counts, samples))
                if simple and in_x and in_y:
                    # the whole match, found once from each of its neurons
                    simple_rows += [SimpleMatchRow(*names, epsilon, ("x", v), in_x, in_y) for v in in_x]
    return StudyResults(
        study=study,
        layers=tuple(layers),
        comparisons=tuple(comparisons),
        networks=tuple(NetworkRow(f"seed{n}", group, 0.9 + n / 100) for group in groups for n in range(3)),
        similarity=tuple(similarity),
        simple_matches=tuple(simple_rows),
        critical_epsilons=tuple(curves),
        ledger={"networks": {"computed": 3, "reused": 0}, "grams": {"computed": 2, "reused": 1040}},
    )


def make_training(networks, epochs, *, last_loss=0.2):
    """A history in which every network does a little better than the one before, and ends at `last_loss`."""
    return tuple(
        EpochRow(
            network=network,
            epoch=epoch,
            learning_rate=0.1 / epoch,
            training_loss=(2 - 0.01 * place) * (last_loss / 2) ** ((epoch - 1) / max(epochs - 1, 1)),
            held_out_loss=2.5 - epoch / epochs - 0.01 * place,
            accuracy=epoch / epochs * (0.9 + 0.001 * place),
        )
        for place, network in enumerate(networks)
        for epoch in range(1, epochs + 1)
    )


def with_everything(results, *, measures=("mean-critical-epsilon", "linear-cka", "cca-mean")):
    """The same results with a second centre, nulls, errors, held-out values, growth, covers and essentials.

    Centred, neurons match later, and in the last layer of the last group none does. Nulls lie near zero, but
    near the values of the last group; one neuron of the first layer is uncertain at the largest epsilon.
    """
    rng = np.random.default_rng(3)
    *_, last_group = dict.fromkeys(c.group for c in results.comparisons)
    group_of = {(c.checkpoint_x, c.checkpoint_y): c.group for c in results.comparisons}
    epsilons = sorted({row.epsilon for row in results.similarity})
    first, last = results.layers[0], results.layers[-1]
    critical = [*map(_certain, results.critical_epsilons)]
    for one in results.critical_epsilons:
        lost = one.layer == last and group_of[one.checkpoint_x, one.checkpoint_y] == last_group
        x, y = (np.maximum(1.05 * side, 0.99 if lost else 0) for side in (one.x, one.y))
        critical.append(_certain(replace(one, x=x, y=y, centre="mean")))
    similarity, rows, growth, covers, essential = [], [], [], [], []
    samples = results.similarity[0].samples
    for one in critical:
        places = one.layer, one.checkpoint_x, one.checkpoint_y
        group = group_of[one.checkpoint_x, one.checkpoint_y]
        for epsilon in epsilons:
            matched = [int((side <= epsilon).sum()) for side in (one.x, one.y)]
            neurons = [len(one.x), len(one.y)]
            dead = [int(np.isinf(side).sum()) for side in (one.x, one.y)]
            value, uncertain = (
                sum(matched) / sum(neurons),
                int(one.layer == first and epsilon == epsilons[-1]),
            )
            similarity.append(
                SimilarityRow(
                    *places,
                    epsilon,
                    value,
                    *matched,
                    *neurons,
                    *dead,
                    samples,
                    centre=one.centre,
                    uncertain=uncertain,
                    low=max(0, value - uncertain / sum(neurons)),
                    high=min(1, value + uncertain / sum(neurons)),
                )
            )
            chance = value * (0.95 if group == last_group else 0.1)
            rows.append(_measured(rng, *places, "maximum-match", epsilon, value, one.centre, chance, samples))
            covers.append(
                CoverRow(
                    *places,
                    one.centre,
                    epsilon,
                    5,
                    max(min(matched) - 2, 0),
                    sum(matched),
                    0.5,
                    permuted=(2,) * (sum(matched) // 10),
                )
            )
            ring = [(v, (v + 1) % matched[0]) for v in range(matched[0])]
            essential.append(EssentialRow(*places, one.centre, epsilon, neurons[0], tuple(ring)))
        for name in measures:
            follows = name == "mean-critical-epsilon"
            if follows or one.centre == "mean":
                value = float(np.mean(np.minimum(np.concatenate([one.x, one.y]), 1)))
                chance = min(1, 1.4 * value) if follows else 0.2 * value
                centre = one.centre if follows else "mean"
                row = _measured(rng, *places, name, None, value, centre, chance, samples, higher=not follows)
                if name == "cca-mean" and one.layer == last:
                    row = replace(row, value=None, reason="rank 12 of 16 neurons")
                rows.append(row)
    for row in rows:
        for fold in range(1, FOLDS + 1):
            extra = (0.5 if row.layer_x == first else 0.02) * (1 / fold - 1 / FOLDS)
            value = None if row.value is None else row.value + extra
            places = row.layer_x, row.layer_y, row.checkpoint_x, row.checkpoint_y
            growth.append(
                GrowthRow(*places, row.measure, row.parameter, row.centre, fold * samples // FOLDS, value)
            )
    return replace(
        results,
        similarity=tuple(similarity),
        critical_epsilons=tuple(critical),
        measures=tuple(rows),
        growth=tuple(growth),
        covers=tuple(covers),
        essential=tuple(essential),
    )


def _certain(one):
    errors = tuple(np.where(np.isinf(side), np.inf, 0.02) for side in (one.x, one.y))
    return replace(one, errors=errors, held_out=(one.x + 0.05, one.y + 0.05))


def _measured(rng, layer, x, y, measure, parameter, value, centre, chance, samples, *, higher=True):
    """A row whose p and threshold follow from a null that is drawn around `chance`."""
    null = np.sort(chance * rng.uniform(0.9, 1.1, size=PERMUTATIONS))
    closer = null >= value if higher else null <= value
    return MeasureRow(
        layer,
        layer,
        x,
        y,
        measure,
        parameter,
        value,
        samples,
        centre=centre,
        null_mean=float(null.mean()),
        threshold=float(null[-1] if higher else null[0]),
        p=(1 + int(closer.sum())) / (1 + PERMUTATIONS),
        p_family=(1 + int(closer.sum())) / (1 + PERMUTATIONS),
        permutations=PERMUTATIONS,
        level=LEVEL,
        error=0.02,
        held_out=0.9 * value,
        folds=FOLDS,
    )
