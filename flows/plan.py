"""What a study consists of: pure functions from a study, and the records so far, to units of work.

Apart from running, so that `status` and `run` walk the same plan. Each function plans one stage and skips
what stands on records that are not there yet.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

from flows.setting import Setting
from flows.study import Study
from spanmatch.networks.recipe import Recipe
from storage.arrays import Artefact
from storage.root import Stage
from tasks.grams import GramUnit, SegmentLayer
from tasks.matches import MatchUnit
from tasks.networks import NetworkUnit
from tasks.profiles import ProfileUnit
from tasks.segments import SegmentUnit
from tasks.unit import Unit


class Checkpoint(NamedTuple):
    """A network at a moment of its training."""

    seed: int
    moment: str

    @property
    def label(self) -> str:
        """What tables and reports call it."""
        return f"seed{self.seed}-{self.moment}"


def moment_of(label: str) -> str:
    """Return the moment out of a checkpoint's label."""
    return label.partition("-")[2]


class Pair(NamedTuple):
    """One layer in two networks."""

    layer: str
    x: Checkpoint
    y: Checkpoint

    @property
    def label(self) -> str:
        """What task runs and messages call it."""
        return f"{self.layer} · seed {self.x.seed} ~ seed {self.y.seed} · {self.x.moment}"


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
Networks = dict[int, NetworkUnit]
Segments = dict[SegmentName, SegmentUnit]
Grams = dict[Pair, GramUnit]
Profiles = dict[Pair, ProfileUnit]
Matches = dict[tuple[Pair, float], MatchUnit]

# Takes a stage's units, by whatever they stand for; returns those that have a record, with it.
Complete = Callable[[Stage, Mapping[Any, Unit]], dict[Any, Done]]


class Outcome(NamedTuple):
    """The records of every stage."""

    networks: dict[int, Done]
    segments: dict[SegmentName, Done]
    grams: dict[Pair, Done]
    profiles: dict[Pair, Done]
    matches: dict[tuple[Pair, float], Done]


def walk(study: Study, setting: Setting, complete: Complete) -> Outcome:
    """Go through the stages in order, each planned from the records of those before."""
    networks = complete("networks", network_units(study, setting))
    segments = complete("segments", segment_units(study, setting, networks))
    grams = complete("grams", gram_units(study, setting, segments))
    profiles = complete("profiles", profile_units(grams))
    matches = complete("matches", match_units(study, grams, profiles))
    return Outcome(networks, segments, grams, profiles, matches)


def checkpoints(study: Study) -> list[Checkpoint]:
    """Return every network at every moment."""
    return [Checkpoint(seed, moment) for moment in study.checkpoints for seed in study.seeds]


def pairs(study: Study, layers: Sequence[str]) -> list[Pair]:
    """Return every layer in every two networks, at each moment."""
    return [
        Pair(layer, Checkpoint(x, moment), Checkpoint(y, moment))
        for moment in study.checkpoints
        for x, y in combinations(study.seeds, 2)
        for layer in layers
    ]


def totals(study: Study, setting: Setting) -> dict[Stage, int]:
    """Return how many jobs each stage has when everything is done: one for the layers of a forward pass."""
    compared = len(pairs(study, setting.layers))
    return {
        "networks": len(study.seeds),
        "segments": len(checkpoints(study)) * len(study.segments()),
        "grams": compared,
        "profiles": compared,
        "matches": compared * len(study.epsilons),
    }


def network_units(study: Study, setting: Setting) -> Networks:
    """One network for each seed."""
    recipe = Recipe(**study.training.model_dump())
    return {
        seed: NetworkUnit(
            label=f"seed {seed}",
            seed=seed,
            architecture=study.architecture,
            dataset=study.dataset,
            dataset_digest=setting.dataset_digest,
            recipe=recipe,
        )
        for seed in study.seeds
    }


def segment_units(study: Study, setting: Setting, networks: Mapping[int, Done]) -> Segments:
    """One segment for each checkpoint, range of images and layer."""
    units: Segments = {}
    for checkpoint in checkpoints(study):
        if checkpoint.seed not in networks:
            continue
        network = networks[checkpoint.seed]
        for (start, stop), layer in product(study.segments(), setting.layers):
            forward = f"seed {checkpoint.seed} · {checkpoint.moment} · images {start}-{stop - 1}"
            units[SegmentName(layer, checkpoint, start)] = SegmentUnit(
                label=f"{forward} · {layer}",
                network_key=network.unit.key,
                checkpoint=checkpoint.moment,
                checkpoint_digest=network.record["checkpoints"][checkpoint.moment]["digest"],
                architecture=study.architecture,
                dataset=study.dataset,
                dataset_digest=setting.held_out_digest,
                layer=layer,
                start=start,
                stop=stop,
            )
    return units


def gram_units(study: Study, setting: Setting, segments: Mapping[SegmentName, Done]) -> Grams:
    """One Gram matrix for each layer and pair of networks."""
    starts = [start for start, _ in study.segments()]

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
            x=side(pair.layer, pair.x),
            y=side(pair.layer, pair.y),
        )
        for pair in pairs(study, setting.layers)
        if all(
            SegmentName(pair.layer, checkpoint, start) in segments
            for checkpoint, start in product((pair.x, pair.y), starts)
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
