"""The units of every stage, planned from a resolved study by pure functions."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from flows.study.comparisons import Network, comparisons, networks
from flows.study.model import Study
from flows.study.resolved import Resolved, ResolvedOther
from storage.records import Records
from tasks.stage import Stage
from tasks.stages import STAGES
from tasks.unit import Done, Unit
from tasks.wanted import Wanted, WantedLayer, WantedNetwork

Planned = Mapping[Any, Unit]
"""A stage's units, each under what it stands for."""
Finished = dict[str, dict[Any, Done]]
"""The finished units of each stage, by its name."""


def walk(wanted: Wanted, complete: Callable[[Stage, Planned], dict[Any, Done]]) -> Finished:
    """Go through the stages in order, each planned from the finished units of those before.

    Parameters
    ----------
    wanted
        What units are planned from.
    complete
        Takes a stage and its units; returns those that are finished.
    """
    finished: Finished = {}
    for name, stage in STAGES.items():
        finished[name] = complete(stage, stage.plan(wanted, finished))
    return finished


def recorded(records: Records, stage: Stage, units: Planned) -> dict[Any, Done]:
    """Return those units of a stage that have a record, without computing any."""
    kept = records.find(stage.name, {unit.key for unit in units.values()})
    return {
        name: Done(unit, kept[unit.key].record, stage.artefact(unit.key, kept[unit.key]))
        for name, unit in units.items()
        if stage.accepted(unit, kept.get(unit.key))
    }


def wanted(study: Study, resolved: Resolved) -> Wanted:
    """Return what a study wants, in the form that stages plan from."""
    others = {name: other.study for name, other in resolved.others.items()}
    segments = tuple(study.segments(resolved.held_out))
    folds, permutations = study.resampling(segments[-1][1])
    known = networks(study, others)
    return Wanted(
        networks={name: _network(network, resolved) for name, network in known.items()},
        comparisons=tuple(comparisons(study, others)),
        layers={name: _layers(study, _looked_up(network, resolved)) for name, network in known.items()},
        source=study.source(),
        held_out_digest=resolved.held_out_digest,
        segments=segments,
        positions=study.positions,
        positions_seed=study.positions_seed,
        dtype=study.dtype,
        device=study.device,
        epsilons=tuple(study.epsilons),
        measures=tuple(study.measures),
        centres=tuple(study.centre),
        folds=folds,
        permutations=permutations,
        permutation_seed=study.null.seed,
        level=study.null.level,
        streams=study.activations == "stream",
        pairing=study.pairs,
        exemplars=study.exemplars,
        items=resolved.items,
    )


def _looked_up(network: Network, resolved: Resolved) -> Resolved | ResolvedOther:
    return resolved if network.other is None else resolved.others[network.other]


def _layers(study: Study, looked_up: Resolved | ResolvedOther) -> tuple[WantedLayer, ...]:
    layers = []
    for name in looked_up.layers:
        shape = looked_up.shapes.get(name)
        sizes = () if shape is None else (shape.neurons, study.samples_of(prod(shape.map)), shape.map)
        layers.append(WantedLayer(name, looked_up.neurons.get(name), *sizes))
    return tuple(layers)


def _network(network: Network, resolved: Resolved) -> WantedNetwork:
    study, looked_up = network.study, _looked_up(network, resolved)
    given = network.seed is None
    return WantedNetwork(
        shown=network.shown,
        architecture=study.architecture,
        code=looked_up.code,
        width=study.width,
        source=study.source(),
        dataset_digest=looked_up.dataset_digest,
        seed=network.seed,
        recipe=None if given else study.training.recipe(),
        mixed_precision=study.training.mixed_precision,
        weights=study.weights.get(network.own_name) if given else None,
        weights_digest=looked_up.weights[network.own_name] if given else None,
    )
