"""What a study consists of: pure functions from a study, and the records so far, to units of work.

Apart from running, so that `status` and `run` walk the same plan. Each function plans one stage and skips
what stands on records that are not there yet.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from itertools import chain, product
from typing import Any, NamedTuple

from flows.study.comparisons import Checkpoint, Comparison, Network, comparisons, networks
from flows.study.model import Study
from flows.study.resolved import Resolved
from storage.arrays import Artefact
from storage.root import Stage
from tasks.grams import GramUnit, SegmentLayer
from tasks.matches import MatchUnit
from tasks.networks import NetworkUnit
from tasks.profiles import ProfileUnit
from tasks.segments import SegmentUnit
from tasks.unit import Unit


class Pair(NamedTuple):
    """One layer in two networks."""

    layer: str
    compared: Comparison

    @property
    def label(self) -> str:
        """What task runs and messages call it."""
        return f"{self.layer} · {self.compared.shown}"


class SegmentName(NamedTuple):
    """One layer of a network at a moment, for the images from `start` on."""

    layer: str
    checkpoint: Checkpoint
    start: int


class Done(NamedTuple):
    """A unit with its record."""

    unit: Unit
    record: Any

    @property
    def artefact(self) -> Artefact:
        """The published artefact that the record vouches for."""
        return self.unit.artefact(self.record["digest"])


# Which units a stage has, each under what it stands for in the study.
Networks = dict[str, NetworkUnit]
Segments = dict[SegmentName, SegmentUnit]
Grams = dict[Pair, GramUnit]
Profiles = dict[Pair, ProfileUnit]
Matches = dict[tuple[Pair, float], MatchUnit]

# Takes a stage's units, by whatever they stand for; returns those that have a record, with it.
Complete = Callable[[Stage, Mapping[Any, Unit]], dict[Any, Done]]


class Outcome(NamedTuple):
    """The records of every stage."""

    networks: dict[str, Done]
    segments: dict[SegmentName, Done]
    grams: dict[Pair, Done]
    profiles: dict[Pair, Done]
    matches: dict[tuple[Pair, float], Done]


def walk(study: Study, resolved: Resolved, complete: Complete) -> Outcome:
    """Go through the stages in order, each planned from the records of those before."""
    networks = complete("networks", network_units(study, resolved))
    segments = complete("segments", segment_units(study, resolved, networks))
    grams = complete("grams", gram_units(study, resolved, segments))
    profiles = complete("profiles", profile_units(grams))
    matches = complete("matches", match_units(study, grams, profiles))
    return Outcome(networks, segments, grams, profiles, matches)


def job_name(name: object) -> object:
    """Return what a unit's job stands for in the study, given what the unit does: layers share a pass."""
    return (name.checkpoint, name.start) if isinstance(name, SegmentName) else name


def others(resolved: Resolved) -> dict[str, Study]:
    """Return the other studies by name."""
    return {name: other.study for name, other in resolved.others.items()}


def compared(study: Study, resolved: Resolved) -> list[Comparison]:
    """Return the checkpoints that are compared."""
    return comparisons(study, others(resolved))


def checkpoints(study: Study, resolved: Resolved) -> list[Checkpoint]:
    """Return every network at every moment that is compared."""
    return list(dict.fromkeys(chain.from_iterable(compared(study, resolved))))


def pairs(study: Study, resolved: Resolved) -> list[Pair]:
    """Return every layer of every comparison."""
    return [Pair(layer, one) for one in compared(study, resolved) for layer in resolved.layers]


def totals(study: Study, resolved: Resolved) -> dict[Stage, int]:
    """Return how many jobs each stage has at most: one for the layers of a forward pass.

    Those that turn out to be one and the same, such as networks of two names, are counted each.
    """
    everything = len(pairs(study, resolved))
    moments = checkpoints(study, resolved)
    return {
        "networks": len({checkpoint.network for checkpoint in moments}),
        "segments": len(moments) * len(study.segments(resolved.held_out)),
        "grams": everything,
        "profiles": everything,
        "matches": everything * len(study.epsilons),
    }


def network_units(study: Study, resolved: Resolved) -> Networks:
    """One network for each that is compared: to be trained, or to be taken over from its file."""
    known = networks(study, others(resolved))
    wanted: dict[str, set[str]] = defaultdict(set)
    for checkpoint in checkpoints(study, resolved):
        wanted[checkpoint.network].add(checkpoint.moment)
    units = {name: _network_unit(known[name], resolved, wanted[name]) for name in wanted}
    keep: dict[str, set[str]] = defaultdict(set)  # of networks that are one under several names, all moments
    for unit in units.values():
        keep[unit.key].update(unit.keep)
    return {name: replace(unit, keep=tuple(sorted(keep[unit.key]))) for name, unit in units.items()}


def _network_unit(network: Network, resolved: Resolved, wanted: Collection[str]) -> NetworkUnit:
    study = network.study
    looked_up = resolved if network.other is None else resolved.others[network.other]
    return NetworkUnit(
        label=network.shown,
        seed=network.seed,
        architecture=study.architecture,
        code=looked_up.code,
        width=study.width,
        source=study.source(),
        dataset_digest=looked_up.dataset_digest,
        recipe=None if network.seed is None else study.training.recipe(),
        weights=study.weights.get(network.own_name) if network.seed is None else None,
        weights_digest=looked_up.weights[network.own_name] if network.seed is None else None,
        keep=tuple(sorted(wanted)),
        device=study.device,
        mixed_precision=study.training.mixed_precision,
    )


def segment_units(study: Study, resolved: Resolved, done: Mapping[str, Done]) -> Segments:
    """One segment for each checkpoint, range of images and layer."""
    units: Segments = {}
    planned = network_units(study, resolved)
    for checkpoint in checkpoints(study, resolved):
        if checkpoint.network not in done:
            continue
        network, record = planned[checkpoint.network], done[checkpoint.network].record
        for (start, stop), layer in product(study.segments(resolved.held_out), resolved.layers):
            forward = f"{network.label} · {checkpoint.moment} · images {start}-{stop - 1}"
            units[SegmentName(layer, checkpoint, start)] = SegmentUnit(
                label=f"{forward} · {layer}",
                network_key=network.key,
                checkpoint=checkpoint.moment,
                checkpoint_digest=record["checkpoints"][checkpoint.moment]["digest"],
                architecture=network.architecture,
                code=network.code,
                width=network.width,
                source=study.source(),
                dataset_digest=resolved.held_out_digest,
                layer=layer,
                neurons=resolved.neurons.get(layer),
                start=start,
                stop=stop,
                positions=study.positions,
                positions_seed=study.positions_seed,
                dtype=study.dtype,
                device=study.device,
            )
    return units


def gram_units(study: Study, resolved: Resolved, segments: Mapping[SegmentName, Done]) -> Grams:
    """One Gram matrix for each layer and pair of networks."""
    starts = [start for start, _ in study.segments(resolved.held_out)]

    def side(layer: str, checkpoint: Checkpoint) -> tuple[SegmentLayer, ...]:
        done = [segments[SegmentName(layer, checkpoint, start)] for start in starts]
        return tuple(
            SegmentLayer(segment.artefact, segment.record["content"], segment.record["blocks"])
            for segment in done
        )

    return {
        pair: GramUnit(
            label=pair.label,
            layer=pair.layer,
            x=side(pair.layer, pair.compared.x),
            y=side(pair.layer, pair.compared.y),
        )
        for pair in pairs(study, resolved)
        if all(
            SegmentName(pair.layer, checkpoint, start) in segments
            for checkpoint, start in product(pair.compared, starts)
        )
    }


def profile_units(grams: Mapping[Pair, Done]) -> Profiles:
    """One match profile for each Gram matrix."""
    return {pair: ProfileUnit(label=pair.label, gram=gram.artefact) for pair, gram in grams.items()}


def match_units(study: Study, grams: Mapping[Pair, Done], profiles: Mapping[Pair, Done]) -> Matches:
    """Matches for each profile and ε."""
    return {
        (pair, epsilon): MatchUnit(
            label=f"{pair.label} · ε {epsilon:g}",
            gram=grams[pair].artefact,
            profile=profile.artefact,
            epsilon=epsilon,
        )
        for pair, profile in profiles.items()
        for epsilon in study.epsilons
    }
